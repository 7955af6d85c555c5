// Early drop where another machine's choice is followed. Which eight buckets a newcomer searches
// depends on a secret hash key, so that two machines with the same connections let different ones
// go (spec table.md §9, gc.md §3). A comparison hands the other's victims over; here they have to
// be such as may go at all, and how often our own search would have found one is counted.

/// What a connection is known by: its original tuple, and its zones.
public struct ConnectionKey: Sendable, Hashable, BitwiseCopyable {
    public var original: Tuple
    public var zones: ZonePair

    public init(_ original: Tuple, _ zones: ZonePair = .none) {
        self.original = original
        self.zones = zones
    }
}

/// How searches for a victim went while somebody else's choice was followed.
///
/// A flow counts once, when its first packet comes: one that was refused is refused again with every
/// packet, because it searches the same eight buckets, and one that was let in does not search again.
public struct EvictionTally: Sendable, Hashable {
    /// Whether a search has failed.
    var hasRefused = false
    /// The hashes of the tuples that have searched.
    private var newcomers: Set<UInt32> = []

    /// Different newcomers to a full table.
    public internal(set) var searches = 0
    /// Searches in which the choice followed made room.
    public internal(set) var followed = 0
    /// Searches in which the eight buckets under our own hash held a victim.
    public internal(set) var found = 0

    /// Whether `hash` searches for the first time.
    mutating func isFirst(_ hash: UInt32) -> Bool { newcomers.insert(hash).inserted }
}

extension ConnectionTable {
    /// Lets the victims of `evictionHint` go: those that are unassured, confirmed and of this
    /// namespace.
    ///
    /// Returns whether there was one, as `dropEarly` does.
    mutating func dropHinted(
        _ hint: [ConnectionKey], near hash: UInt32, _ namespace: NamespaceIndex, at now: Moment
    ) -> Bool {
        let isFirst = evictions.isFirst(hash)
        if isFirst {
            evictions.searches += 1
            if hasVictim(near: hash, namespace, at: now) { evictions.found += 1 }
        }
        var dropped: UInt32 = 0
        for key in hint {
            guard let slot = slot(of: key, namespace),
                !records[slot].status.contains(.assured),
                !records[slot].deadline.hasPassed(at: now.tick), delete(slot, at: now)
            else { continue }
            dropped += 1
        }
        guard dropped > 0 else {
            evictions.hasRefused = true
            return false
        }
        if isFirst { evictions.followed += 1 }
        namespaces[namespace].counters.earlyDrop &+= dropped
        return true
    }

    /// Lets go what another machine's collector took, or a lookup of its met: what has expired; and
    /// behind a refusal what a collector may take from a nearly full table (spec gc.md §3).
    mutating func collectHinted(
        _ keys: [ConnectionKey], _ namespace: NamespaceIndex, at now: Moment
    ) {
        let ceiling = evictions.hasRefused ? limits.connections / 100 * 95 : 0
        for key in keys {
            guard let slot = slot(of: key, namespace) else { continue }
            let record = records[slot]
            if record.deadline.hasPassed(at: now.tick) || mayGo(record, slot, ceiling) {
                delete(slot, at: now)
            }
        }
    }

    /// The connection of that key, expired or not.
    private func slot(of key: ConnectionKey, _ namespace: NamespaceIndex) -> Slot? {
        let hash = hash(key.original, zone: key.zones.original, namespace)
        var link = buckets[buckets.bucket(of: hash)].first
        while link != .none {
            let record = records[link.slot]
            if link.direction == .original,
                matches(
                    record, .original, key.original, hash: hash, zone: key.zones.original, namespace
                )
            {
                return link.slot
            }
            link = next(record, link.direction)
        }
        return nil
    }

    /// Whether a search from `hash` on would find a victim; changes nothing.
    private func hasVictim(
        near hash: UInt32, _ namespace: NamespaceIndex, at now: Moment
    ) -> Bool {
        var bucket = buckets.bucket(of: hash)
        for _ in 0..<min(Limits.earlyDropBuckets, buckets.count) {
            var link = buckets[bucket].first
            while link != .none {
                let record = records[link.slot]
                if record.namespace == namespace,
                    record.status.isDisjoint(with: [.assured, .dying]),
                    !record.deadline.hasPassed(at: now.tick)
                {
                    return true
                }
                link = next(record, link.direction)
            }
            bucket = bucket + 1 == buckets.count ? 0 : bucket + 1
        }
        return false
    }
}
