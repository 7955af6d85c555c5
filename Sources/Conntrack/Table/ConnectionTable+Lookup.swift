internal import Wire

// Finding a tuple: spec table.md §6. A bucket's head says which links it may be (BucketHead), so
// that most lookups touch the head and the one record they are for. Where a link may have expired
// the whole chain is walked, because a lookup evicts every expired connection it meets.

extension ConnectionTable {
    /// A connection found, and through which of its links.
    public struct Found: Sendable, BitwiseCopyable {
        public let slot: Slot
        public let direction: Direction
    }

    /// Looks a packet's tuple up, evicting every expired connection met in the chain: spec table.md
    /// §6.
    ///
    /// Tries the reply-direction zone too where it differs.
    ///
    /// `knownHash`: the tuple's hash outside all zones if the caller has it, else 0.
    ///
    /// Returns the link found, and the hash under which `create` may enter the tuple.
    @inline(__always)
    public mutating func find(
        _ tuple: Tuple, _ zones: ZonePair, _ namespace: NamespaceIndex, knownHash: UInt32 = 0,
        at now: Moment
    ) -> (found: Found?, hash: UInt32) {
        let isKnown = knownHash != 0 && zones.original == 0
        let hash = isKnown ? knownHash : hash(tuple, zone: zones.original, namespace)
        let found = search(tuple, hash: hash, zones, namespace, at: now)
        guard found == nil, zones.reply != zones.original else { return (found, hash) }
        return (findReply(tuple, zones, namespace, at: now), hash)
    }

    @inline(never)
    private mutating func findReply(
        _ tuple: Tuple, _ zones: ZonePair, _ namespace: NamespaceIndex, at now: Moment
    ) -> Found? {
        let hash = hash(tuple, zone: zones.reply, namespace)
        return search(tuple, hash: hash, zones, namespace, at: now)
    }

    /// Looks one chain through.
    ///
    /// Where nothing can have expired, the bucket's head says which links it may be.
    ///
    /// `besides`: connections with the original tuple of that one do not count.
    @inline(__always)
    mutating func search(
        _ tuple: Tuple, hash: UInt32, _ zones: ZonePair, _ namespace: NamespaceIndex,
        besides: Slot = .none, at now: Moment
    ) -> Found? {
        lookups &+= 1
        let bucket = buckets.bucket(of: hash)
        let head = buckets[bucket]
        guard !head.mayHaveExpired(at: now.tick), collector.keepsSummariesFresh(at: now.tick) else {
            return walk(bucket, for: tuple, hash: hash, zones, namespace, besides: besides, at: now)
        }
        let link = head.likelyLink(hash)
        if link == .none {
            linksWalked &+= UInt64(head.length)
            return nil
        }
        if besides == .none, link == head.first, isWanted(link, tuple, hash, zones, namespace) {
            linksWalked &+= 1
            return Found(slot: link.slot, direction: link.direction)
        }
        return pick(bucket, for: tuple, hash: hash, zones, namespace, besides: besides)
    }

    /// Whether a search for this hash finds nothing, as far as the bucket's head alone tells; if so,
    /// it counts as one.
    @inline(__always)
    mutating func findsNone(_ hash: UInt32, at now: Moment) -> Bool {
        let head = buckets[buckets.bucket(of: hash)]
        guard head.cannotHold(hash), !head.mayHaveExpired(at: now.tick),
            collector.keepsSummariesFresh(at: now.tick)
        else { return false }
        lookups &+= 1
        linksWalked &+= UInt64(head.length)
        return true
    }

    /// Looks at the links of a chain that its head does not exclude.
    @inline(never)
    private mutating func pick(
        _ bucket: UInt32, for tuple: Tuple, hash: UInt32, _ zones: ZonePair,
        _ namespace: NamespaceIndex, besides: Slot
    ) -> Found? {
        let head = buckets[bucket]
        let print = HashPrint(hash)
        var link = head.first
        if head.knowsSecond {
            linksWalked &+= 1
            if head.firstMayHave(print), isWanted(link, tuple, hash, zones, namespace),
                !isSame(link.slot, as: besides)
            {
                return Found(slot: link.slot, direction: link.direction)
            }
            link = head.second
            if !head.othersMayHave(print) {
                if head.secondMayHave(print), isWanted(link, tuple, hash, zones, namespace),
                    !isSame(link.slot, as: besides)
                {
                    linksWalked &+= 1
                    return Found(slot: link.slot, direction: link.direction)
                }
                linksWalked &+= UInt64(head.length) - 1
                return nil
            }
        }
        while link != .none {
            linksWalked &+= 1
            if isWanted(link, tuple, hash, zones, namespace), !isSame(link.slot, as: besides) {
                return Found(slot: link.slot, direction: link.direction)
            }
            link = next(records[link.slot], link.direction)
        }
        return nil
    }

    /// Walks a chain in which something may have expired.
    @inline(never)
    private mutating func walk(
        _ bucket: UInt32, for tuple: Tuple, hash: UInt32, _ zones: ZonePair,
        _ namespace: NamespaceIndex, besides: Slot, at now: Moment
    ) -> Found? {
        var summary = ChainSummary(at: now.tick)
        var link = buckets[bucket].first
        while link != .none {
            linksWalked &+= 1
            let here = link
            let slot = link.slot
            link = next(records[slot], link.direction)
            if records[slot].deadline.hasPassed(at: now.tick) {
                // The next link may be this connection's other one: it goes with it.
                if link != .none, link.slot == slot { link = next(records[slot], link.direction) }
                delete(slot, at: now)
                continue
            }
            if isWanted(here, tuple, hash, zones, namespace), !isSame(slot, as: besides) {
                return Found(slot: slot, direction: here.direction)
            }
            summary.add(here, records[slot])
        }
        buckets[bucket].adopt(summary)
        return nil
    }

    @inline(__always)
    private func isWanted(
        _ link: Link, _ tuple: Tuple, _ hash: UInt32, _ zones: ZonePair,
        _ namespace: NamespaceIndex
    ) -> Bool {
        matches(
            records[link.slot], link.direction, tuple, hash: hash, zone: zones[link.direction],
            namespace)
    }

    // On the way of a packet a method of the table is either inlined or `mutating`, whether it
    // changes anything or not: around a call that borrows the table the compiler copies it whole.
    @inline(__always)
    private mutating func isSame(_ slot: Slot, as other: Slot) -> Bool {
        other != .none && hasSameOriginal(slot, other)
    }

    @inline(never)
    mutating func hasSameOriginal(_ slot: Slot, _ other: Slot) -> Bool {
        slot == other
            || (records[slot].zoneOriginal == records[other].zoneOriginal
                && tuple(of: slot, .original) == tuple(of: other, .original))
    }

    /// What `find` would find, without evicting anything: for observers.
    public func peek(
        _ tuple: Tuple, _ zones: ZonePair, _ namespace: NamespaceIndex, at now: Moment
    ) -> Found? {
        if let found = peek(tuple, zone: zones.original, zones, namespace, at: now) { return found }
        guard zones.reply != zones.original else { return nil }
        return peek(tuple, zone: zones.reply, zones, namespace, at: now)
    }

    func peek(
        _ tuple: Tuple, zone: UInt16, _ zones: ZonePair, _ namespace: NamespaceIndex,
        at now: Moment
    ) -> Found? {
        let hash = hash(tuple, zone: zone, namespace)
        var link = buckets[buckets.bucket(of: hash)].first
        while link != .none {
            let record = records[link.slot]
            if !record.deadline.hasPassed(at: now.tick),
                matches(
                    record, link.direction, tuple, hash: hash, zone: zones[link.direction],
                    namespace)
            {
                return Found(slot: link.slot, direction: link.direction)
            }
            link = next(record, link.direction)
        }
        return nil
    }

    /// Whether the link carries exactly this key: tuple, zone in that direction and namespace.
    @inline(__always)
    func matches(
        _ record: ConnectionRecord, _ direction: Direction, _ tuple: Tuple, hash: UInt32,
        zone: UInt16, _ namespace: NamespaceIndex
    ) -> Bool {
        let isOriginal = direction == .original
        guard record.hash(direction) == hash,
            (isOriginal ? record.originalSourcePart : record.replySourcePart)
                == tuple.sourcePart,
            (isOriginal ? record.originalDestinationPart : record.replyDestinationPart)
                == tuple.destinationPart,
            record.protocolNumber == tuple.protocolNumber,
            record.family == tuple.family,
            record.namespace == namespace,
            (isOriginal ? record.zoneOriginal : record.zoneReply) == zone
        else { return false }
        if record.family == .ipv4 {
            return (isOriginal ? record.originalSource : record.replySource)
                == tuple.source.ipv4
                && (isOriginal ? record.originalDestination : record.replyDestination)
                    == tuple.destination.ipv4
        }
        let block = addresses[record.originalSource]
        return isOriginal
            ? block.originalSource == tuple.source
                && block.originalDestination == tuple.destination
            : block.replySource == tuple.source && block.replyDestination == tuple.destination
    }
}
