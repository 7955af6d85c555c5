internal import Wire

/// How a packet's connection got into the table, or did not: spec table.md §10 and §11.
public enum ConfirmOutcome: Sendable, Hashable, BitwiseCopyable {
    case inserted
    /// Somebody else's connection is the same flow: the packet goes on with that one.
    case merged(into: Slot)
    /// Only the reply direction is in the table, for one second.
    case insertedReplyOnly
    case dying
    case chainTooLong
    case clash
}

extension ConnectionTable {
    /// Enters an unconfirmed connection into the table.
    ///
    /// `allowsClash`: the protocol lets two packets of one flow race (UDP, UDP-Lite, GRE, generic).
    /// `knownReplyHash`: the hash of the inverted original tuple outside all zones if the caller has
    /// it, else 0; not used where translation or a zone made another one of it.
    ///
    /// Counts `insert_failed`, `drop`, `chaintoolong` and `clash_resolve` itself.
    ///
    /// Kernel: `__nf_conntrack_confirm()`.
    public mutating func confirm(
        _ slot: Slot, allowsClash: Bool, knownReplyHash: UInt32 = 0, at now: Moment
    ) -> ConfirmOutcome {
        let home = Int(records[slot].namespace.raw)
        if records[slot].status.contains(.dying) {
            namespaces[home].counters.insertFailed &+= 1
            return .dying
        }
        let original = tuple(of: slot, .original)
        let reply = tuple(of: slot, .reply)
        let isKnown =
            knownReplyHash != 0 && records[slot].zoneReply == 0 && reply == original.inverted
        let replyHash =
            isKnown
            ? knownReplyHash
            : hash(reply, zone: records[slot].zoneReply, records[slot].namespace)
        records[slot].hashReply = replyHash
        let originalHash = records[slot].hashOriginal
        var limit: UInt32? = nil  // Drawn once, when a chain is long enough for it to matter.
        var scanned = scan(for: original, originalHash, slot, &limit)
        if case .absent = scanned {
            scanned = scan(for: reply, replyHash, slot, &limit)
        }
        switch scanned {
        case .absent: break
        case .tooLong:
            namespaces[home].counters.chainTooLong &+= 1
            namespaces[home].counters.insertFailed &+= 1
            return .chainTooLong
        case .taken(let other):
            return resolveClash(slot, with: other, reply: reply, replyHash, allowsClash, at: now)
        }
        records[slot].deadline = now.tick + records[slot].deadline.raw
        records[slot].references &+= 1
        stampStart(slot, at: now)
        push(slot, .original, originalHash, at: now)
        push(slot, .reply, replyHash, at: now)
        records[slot].status.insert(.confirmed)
        records[slot].pendingEvents.insert(
            records[slot].status.contains(.expected) ? .related : .new)
        return .inserted
    }

    private enum Scan {
        case absent
        case tooLong
        case taken(Found)
    }

    /// Walks a chain for a key, giving up when more links than the limit allows have been passed.
    private mutating func scan(
        for key: Tuple, _ hash: UInt32, _ slot: Slot, _ limit: inout UInt32?
    ) -> Scan {
        let head = buckets[buckets.bucket(of: hash)]
        if head.cannotHold(hash), head.isLengthExact {
            // A walk would give up at the link behind the first `limit` + 1.
            let mayBeTooLong = head.length > chainLimit + 1
            return mayBeTooLong && head.length - 2 >= draw(&limit) ? .tooLong : .absent
        }
        let namespace = records[slot].namespace
        // As in a lookup, the zone that counts is that of the link's direction, not of the key's.
        let zones = ZonePair(original: records[slot].zoneOriginal, reply: records[slot].zoneReply)
        var passed: UInt32 = 0
        var link = head.first
        while link != .none {
            let record = records[link.slot]
            let zone = zones[link.direction]
            if matches(record, link.direction, key, hash: hash, zone: zone, namespace) {
                return .taken(Found(slot: link.slot, direction: link.direction))
            }
            if passed > chainLimit, passed > draw(&limit) { return .tooLong }
            passed += 1
            link = next(record, link.direction)
        }
        return .absent
    }

    private mutating func draw(_ limit: inout UInt32?) -> UInt32 {
        if let limit { return limit }
        let drawn = chainLimit + dice.below(chainLimitSpread)
        limit = drawn
        return drawn
    }

    // MARK: Clashes (spec table.md §11)

    private mutating func resolveClash(
        _ slot: Slot, with found: Found, reply: Tuple, _ replyHash: UInt32, _ allowsClash: Bool,
        at now: Moment
    ) -> ConfirmOutcome {
        let home = Int(records[slot].namespace.raw)
        guard allowsClash else { return failClash(home) }
        if isSameFlow(slot, found.slot) { return merge(slot, into: found.slot) }
        var unlimited: UInt32? = UInt32.max - 1
        switch scan(for: reply, replyHash, slot, &unlimited) {
        case .taken(let other):
            if isSameFlow(slot, other.slot) { return merge(slot, into: other.slot) }
            return failClash(home)
        case .absent, .tooLong: break
        }
        let oneSecond = tickRate.ticks(seconds: 1)
        records[slot].deadline = now.tick + oneSecond
        records[slot].status.formUnion([.fixedTimeout, .natClash])
        records[slot].references &+= 1
        stampStart(slot, at: now)
        push(slot, .reply, replyHash, at: now)
        records[slot].status.insert(.confirmed)
        namespaces[home].counters.clashResolve &+= 1
        return .insertedReplyOnly
    }

    private mutating func failClash(_ home: Int) -> ConfirmOutcome {
        namespaces[home].counters.drop &+= 1
        namespaces[home].counters.insertFailed &+= 1
        return .clash
    }

    /// Same tuples and zones, or exact mirror images of each other.
    private func isSameFlow(_ slot: Slot, _ other: Slot) -> Bool {
        let mine = (tuple(of: slot, .original), tuple(of: slot, .reply))
        let theirs = (tuple(of: other, .original), tuple(of: other, .reply))
        let my = records[slot]
        let their = records[other]
        if mine == theirs {
            return my.zoneOriginal == their.zoneOriginal && my.zoneReply == their.zoneReply
        }
        return mine.0 == theirs.1 && mine.1 == theirs.0 && my.zoneOriginal == their.zoneReply
            && my.zoneReply == their.zoneOriginal
    }

    private mutating func merge(_ slot: Slot, into winner: Slot) -> ConfirmOutcome {
        let home = Int(records[slot].namespace.raw)
        let mine = records[slot].extensionIndex
        if mine != UInt32.max, extensions[mine].parts.contains(.accounting) {
            account(winner, .original, byteCount: extensions[mine].bytesOriginal)
        }
        namespaces[home].counters.clashResolve &+= 1
        retain(winner)
        release(slot)
        return .merged(into: winner)
    }

    // MARK: Links

    /// Pushes a link at the head of its chain.
    @inline(__always)
    mutating func push(_ slot: Slot, _ direction: Direction, _ hash: UInt32, at now: Moment) {
        let bucket = buckets.bucket(of: hash)
        let first = buckets[bucket].first
        if direction == .original {
            records[slot].nextOriginal = first
        } else {
            records[slot].nextReply = first
        }
        buckets[bucket].first = Link(slot, direction)
        buckets[bucket].noteInsertion(hash: hash, deadline: records[slot].deadline, at: now.tick)
    }

    /// Takes a link out of its chain, if it is in it.
    mutating func unlink(_ slot: Slot, _ direction: Direction) {
        let wanted = Link(slot, direction)
        let hash =
            direction == .original ? records[slot].hashOriginal : records[slot].hashReply
        let after = next(records[slot], direction)
        let bucket = buckets.bucket(of: hash)
        var link = buckets[bucket].first
        if link == wanted {
            buckets[bucket].first = after
            buckets[bucket].noteRemoval()
            return
        }
        while link != .none {
            let following = next(records[link.slot], link.direction)
            if following == wanted {
                if link.direction == .original {
                    records[link.slot].nextOriginal = after
                } else {
                    records[link.slot].nextReply = after
                }
                buckets[bucket].noteRemoval()
                return
            }
            link = following
        }
    }

    private mutating func stampStart(_ slot: Slot, at now: Moment) {
        let index = records[slot].extensionIndex
        if index != UInt32.max, extensions[index].parts.contains(.timestamp) {
            extensions[index].start = now.instant
        }
    }
}
