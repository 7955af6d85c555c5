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
    ///
    /// Counts `insert_failed`, `drop`, `chaintoolong` and `clash_resolve` itself.
    ///
    /// Kernel: `__nf_conntrack_confirm()`.
    public mutating func confirm(
        _ slot: Slot, allowsClash: Bool, at now: Moment
    ) -> ConfirmOutcome {
        let home = records[slot].namespace
        if records[slot].status.contains(.dying) {
            namespaces[home].counters.insertFailed &+= 1
            return .dying
        }
        if records[slot].hashReply == 0 {
            records[slot].hashReply = hash(
                tuple(of: slot, .reply), zone: records[slot].zoneReply, home)
        }
        let originalHash = records[slot].hashOriginal
        let replyHash = records[slot].hashReply
        var scanned = Scan.absent
        if !isSurelyFree(originalHash) || !isSurelyFree(replyHash) {
            var limit: UInt32? = nil  // Drawn once, when a chain is long enough for it to matter.
            scanned = scan(for: .original, originalHash, slot, &limit)
            if case .absent = scanned { scanned = scan(for: .reply, replyHash, slot, &limit) }
        }
        switch scanned {
        case .absent: break
        case .tooLong:
            namespaces[home].counters.chainTooLong &+= 1
            namespaces[home].counters.insertFailed &+= 1
            return .chainTooLong
        case .taken(let other):
            return resolveClash(slot, with: other, replyHash, allowsClash, at: now)
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

    /// Whether a scan for this hash would find nothing and be short, as the head alone tells.
    @inline(__always)
    private func isSurelyFree(_ hash: UInt32) -> Bool {
        let head = buckets[buckets.bucket(of: hash)]
        return head.cannotHold(hash) && head.length <= min(chainLimit, Limits.chainLength)
    }

    /// Walks a chain for one of a connection's tuples, giving up when more links than the limit
    /// allows have been passed.
    @inline(never)
    private mutating func scan(
        for direction: Direction, _ hash: UInt32, _ slot: Slot, _ limit: inout UInt32?
    ) -> Scan {
        let head = buckets[buckets.bucket(of: hash)]
        if head.cannotHold(hash), head.isLengthExact {
            // A walk would give up at the link behind the first `limit` + 1.
            let mayBeTooLong = head.length > chainLimit + 1
            return mayBeTooLong && head.length - 2 >= draw(&limit) ? .tooLong : .absent
        }
        let key = tuple(of: slot, direction)
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

    @inline(never)
    private mutating func resolveClash(
        _ slot: Slot, with found: Found, _ replyHash: UInt32, _ allowsClash: Bool, at now: Moment
    ) -> ConfirmOutcome {
        let home = records[slot].namespace
        guard allowsClash else { return failClash(home) }
        if isSameFlow(slot, found.slot) { return merge(slot, into: found.slot) }
        var unlimited: UInt32? = UInt32.max - 1
        switch scan(for: .reply, replyHash, slot, &unlimited) {
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

    private mutating func failClash(_ home: NamespaceIndex) -> ConfirmOutcome {
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
        let home = records[slot].namespace
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
        setNext(buckets[bucket].first, slot, direction)
        buckets[bucket].push(
            Link(slot, direction), hash: hash, deadline: records[slot].deadline, at: now.tick)
    }

    @inline(__always)
    private mutating func setNext(_ link: Link, _ slot: Slot, _ direction: Direction) {
        if direction == .original {
            records[slot].nextOriginal = link
        } else {
            records[slot].nextReply = link
        }
    }

    /// Takes a link out of its chain, if it is in it.
    mutating func unlink(_ slot: Slot, _ direction: Direction) {
        let wanted = Link(slot, direction)
        let after = next(records[slot], direction)
        let bucket = buckets.bucket(of: records[slot].hash(direction))
        var link = buckets[bucket].first
        if link == wanted {
            let isKnown = buckets[bucket].knowsSecond || after == .none
            let hash = isKnown ? 0 : records[after.slot].hash(after.direction)
            buckets[bucket].removeFirst(followedBy: after, hash: hash)
            return
        }
        while link != .none {
            let following = next(records[link.slot], link.direction)
            if following == wanted {
                setNext(after, link.slot, link.direction)
                buckets[bucket].remove(wanted)
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
