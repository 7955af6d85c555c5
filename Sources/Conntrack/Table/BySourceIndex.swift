internal import Wire

/// Connections by where they really come from: original source address, port and protocol.
///
/// It lets one client socket keep one mapping for all of its destinations (spec nat.md §2, §3 step
/// 2).
///
/// Chains run through `ConnectionState.nextBySource`, newest first. The head array is made with the
/// first connection, so that a machine without NAT does not pay for it.
struct BySourceIndex: ~Copyable {
    struct Key: Hashable, BitwiseCopyable {
        var source: Address
        var part: UInt16
        var family: Family
        var protocolNumber: UInt8
        var zone: UInt16
        var namespace: NamespaceIndex
    }

    /// A chain's beginning, and one of 32 bits for each key in it.
    ///
    /// Most sources are new, and then no chain is walked. Bits of links that have gone linger until
    /// the chain is empty.
    struct Head: BitwiseCopyable {
        var first: Slot = .none
        var tags: UInt32 = 0
    }

    /// Where a key belongs.
    struct Place: BitwiseCopyable {
        var bucket: UInt32
        var tag: UInt32
    }

    private var heads: Buckets<Head>
    private let seed: UInt64
    private var isMade = false
    /// The key last asked for: a new connection's is looked up, and then entered.
    private var recent: (key: Key, place: Place)?

    init(_ seed: UInt64) {
        self.seed = seed
        heads = Buckets(repeating: Head(), count: 1)
    }

    var byteCount: Int { isMade ? heads.byteCount : 0 }

    private mutating func place(of key: Key) -> Place {
        if let recent, recent.key == key { return recent.place }
        let hash = SipHash(key0: seed, key1: ~seed).of(
            key.source.high, key.source.low,
            UInt64(key.part) << 32 | UInt64(key.protocolNumber) << 16 | UInt64(key.zone),
            UInt64(key.namespace.raw))
        // The bits that choose the bucket are others.
        let place = Place(
            bucket: heads.bucket(of: UInt32(truncatingIfNeeded: hash)),
            tag: 1 << UInt32(truncatingIfNeeded: hash >> 59))
        recent = (key, place)
        return place
    }

    mutating func makeHeads(_ count: UInt32) {
        guard !isMade else { return }
        heads = Buckets(repeating: Head(), count: count)
        isMade = true
        recent = nil
    }

    /// Brings the beginning of a key's chain into the cache.
    mutating func prefetch(_ key: Key) { heads.prefetch(place(of: key).bucket) }

    /// The first connection of the chain a key belongs to, or `.none` if none in it has that key.
    mutating func first(_ key: Key) -> Slot {
        let place = place(of: key)
        let head = heads[place.bucket]
        return head.tags & place.tag == 0 ? .none : head.first
    }

    mutating func insert(_ slot: Slot, _ states: inout Column<ConnectionState>, key: Key) {
        let place = place(of: key)
        states[slot].nextBySource = heads[place.bucket].first
        heads[place.bucket].first = slot
        heads[place.bucket].tags |= place.tag
    }

    mutating func remove(_ slot: Slot, _ states: inout Column<ConnectionState>, key: Key) {
        let bucket = place(of: key).bucket
        let after = states[slot].nextBySource
        states[slot].nextBySource = .outside
        if heads[bucket].first == slot {
            heads[bucket].first = after
            if after == .none { heads[bucket].tags = 0 }
            return
        }
        var before = heads[bucket].first
        while before != .none {
            let next = states[before].nextBySource
            if next == slot {
                states[before].nextBySource = after
                return
            }
            before = next
        }
    }
}

extension ConnectionTable {
    @inline(__always)
    func bySourceKey(_ slot: Slot) -> BySourceIndex.Key {
        let tuple = tuple(of: slot, .original)
        let record = records[slot]
        return BySourceIndex.Key(
            source: tuple.source, part: tuple.sourcePart, family: tuple.family,
            protocolNumber: tuple.protocolNumber,
            zone: record.zoneOriginal == record.zoneReply ? record.zoneOriginal : 0,
            namespace: record.namespace)
    }

    /// Enters a connection whose source has been decided.
    mutating func enterBySource(_ slot: Slot) {
        guard !states[slot].isInBySource else { return }
        bySource.makeHeads(buckets.count)
        let key = bySourceKey(slot)
        bySource.insert(slot, &states, key: key)
    }
}
