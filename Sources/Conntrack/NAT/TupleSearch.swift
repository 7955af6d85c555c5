internal import Wire

// Choosing a unique tuple: spec nat.md §3, step by step.

enum TupleSearch {
    /// What the packet shall look like after the mapping: free if one could be found, and the last
    /// candidate if not, which `isTaken` then says.
    ///
    /// Kernel: `get_unique_tuple()`.
    static func uniqueTuple(
        _ current: Tuple, _ range: NATRange, _ kind: NATKind, _ slot: Slot,
        in table: inout ConnectionTable, at now: Moment
    ) -> (tuple: Tuple, isTaken: Bool) {
        let isRandom = range.flags.contains(.random)
        if kind == .source, !isRandom {
            if isInRange(current, range) {
                if !isTakenSeriously(current, slot, in: &table, at: now) {
                    return (current, false)
                }
            } else if let known = mappingOfSameSource(current, range, slot, in: &table) {
                if !isTaken(known, slot, in: &table, at: now) { return (known, false) }
            }
        }
        var tuple = current
        if range.flags.contains(.addresses) {
            chooseAddress(&tuple, range, kind, zone: table.records[slot].zoneNumber)
        }
        if !isRandom {
            if range.flags.contains(.ports) {
                let port = manipulatedPart(tuple, kind)
                if !range.flags.contains(.shifted), port >= range.firstPort,
                    port <= range.lastPort
                {
                    // The only port there is goes untested; that it is taken is noted all the same.
                    if range.firstPort == range.lastPort {
                        return (tuple, table.hasConflict(tuple, of: slot, at: now))
                    }
                    if !isTaken(tuple, slot, in: &table, at: now) { return (tuple, false) }
                }
            } else if !isTaken(tuple, slot, in: &table, at: now) {
                return (tuple, false)
            }
        }
        let isFree = PortSearch.search(&tuple, range, kind, slot, in: &table, at: now)
        return (tuple, !isFree)
    }

    /// The field a mapping of this kind changes: a port, or the ICMP id.
    static func manipulatedPart(_ tuple: Tuple, _ kind: NATKind) -> UInt16 {
        kind == .source || tuple.hasIdentifier ? tuple.sourcePart : tuple.destinationPart
    }

    /// Whether the tuple's source is what the range allows.
    private static func isInRange(_ tuple: Tuple, _ range: NATRange) -> Bool {
        if range.flags.contains(.addresses) {
            guard tuple.source >= range.firstAddress, tuple.source <= range.lastAddress else {
                return false
            }
        }
        guard range.flags.contains(.ports), tuple.hasPorts || tuple.hasIdentifier else {
            return true
        }
        return tuple.sourcePart >= range.firstPort && tuple.sourcePart <= range.lastPort
    }

    /// The mapping another connection of the same client socket already has, with our destination.
    private static func mappingOfSameSource(
        _ current: Tuple, _ range: NATRange, _ slot: Slot, in table: inout ConnectionTable
    ) -> Tuple? {
        let key = table.bySourceKey(slot)
        var other = table.bySource.first(key)
        while other != .none {
            if table.bySourceKey(other) == key,
                let mapped = table.tuple(of: other, .reply).inverted
            {
                var candidate = current
                candidate.source = mapped.source
                candidate.sourcePart = mapped.sourcePart
                if isInRange(candidate, range) { return candidate }
            }
            other = table.states[other].nextBySource
        }
        return nil
    }

    /// Whether another connection has a tuple that an answer to `tuple` would match.
    ///
    /// Expired ones met on the way go; each "taken" counts in `found`.
    static func isTaken(
        _ tuple: Tuple, _ slot: Slot, in table: inout ConnectionTable, at now: Moment
    ) -> Bool {
        conflict(with: tuple, slot, in: &table, at: now) != nil
    }

    private static func conflict(
        with tuple: Tuple, _ slot: Slot, in table: inout ConnectionTable, at now: Moment
    ) -> ConnectionTable.Found? {
        guard let reply = tuple.inverted else { return nil }
        let found = table.findConflict(reply, of: slot, at: now)
        if table.journal.explains {
            table.journal.steps.append(.probe(tuple, isTaken: found != nil))
        }
        if found != nil {
            let home = table.records[slot].namespace
            table.namespaces[home].counters.found &+= 1
        }
        return found
    }

    /// Like `isTaken`, but two ends that sent their first packets at the same moment do not count
    /// as a conflict: confirmation merges them (spec nat.md §3.4).
    private static func isTakenSeriously(
        _ tuple: Tuple, _ slot: Slot, in table: inout ConnectionTable, at now: Moment
    ) -> Bool {
        guard let found = conflict(with: tuple, slot, in: &table, at: now) else { return false }
        guard Trackers.allowsClash(tuple), !table.records[slot].status.hasNAT else { return true }
        guard !table.records[found.slot].status.hasNAT else { return true }
        return table.tuple(of: found.slot, .original) != table.tuple(of: slot, .reply)
    }

    // MARK: Addresses (spec nat.md §3.1)

    private static func chooseAddress(
        _ tuple: inout Tuple, _ range: NATRange, _ kind: NATKind, zone: UInt16
    ) {
        let address =
            range.firstAddress == range.lastAddress
            ? range.firstAddress : spread(tuple, range, kind, zone: zone)
        if kind == .source { tuple.source = address } else { tuple.destination = address }
    }

    private static func spread(
        _ tuple: Tuple, _ range: NATRange, _ kind: NATKind, zone: UInt16
    ) -> Address {
        let isPersistent = range.flags.contains(.persistent)
        if tuple.family == .ipv4 {
            let hash = JenkinsHash.words4(
                tuple.source.ipv4.byteSwapped, 0, 0, 0,
                initial: isPersistent
                    ? 0 : tuple.destination.ipv4.byteSwapped ^ UInt32(zone))
            let count = UInt64(range.lastAddress.ipv4 &- range.firstAddress.ipv4) + 1
            return Address(
                ipv4: range.firstAddress.ipv4
                    &+ UInt32(truncatingIfNeeded: (UInt64(hash) &* count) >> 32))
        }
        let source = tuple.source.words
        let destination = [
            tuple.destination.words.0, tuple.destination.words.1, tuple.destination.words.2,
            tuple.destination.words.3,
        ]
        var hash = JenkinsHash.words4(
            source.0.byteSwapped, source.1.byteSwapped, source.2.byteSwapped,
            source.3.byteSwapped,
            initial: isPersistent ? 0 : destination[3].byteSwapped ^ UInt32(zone))
        let first = range.firstAddress.words
        let last = range.lastAddress.words
        let lows = [first.0, first.1, first.2, first.3]
        let highs = [last.0, last.1, last.2, last.3]
        var chosen: [UInt32] = []
        var isAtEdge = true
        for word in 0..<4 {
            let low: UInt32
            let count: UInt64
            if isAtEdge {
                low = lows[word]
                count = UInt64(highs[word] &- lows[word]) + 1
            } else {
                low = 0
                count = 0xffff_ffff
            }
            let value = low &+ UInt32(truncatingIfNeeded: (UInt64(hash) &* count) >> 32)
            chosen.append(value)
            if value != highs[word] { isAtEdge = false }
            // The destination as it is by now: where that is what is chosen, its new word.
            let mixed = kind == .destination ? value : destination[word]
            if !isPersistent { hash ^= mixed.byteSwapped }
        }
        return Address(
            high: UInt64(chosen[0]) << 32 | UInt64(chosen[1]),
            low: UInt64(chosen[2]) << 32 | UInt64(chosen[3]))
    }
}

extension Status {
    var hasNAT: Bool { !isDisjoint(with: NAT.anyNAT) }
}

extension ConnectionRecord {
    func zone(_ direction: Direction) -> UInt16 {
        direction == .original ? zoneOriginal : zoneReply
    }

    /// The zone's number, whichever directions it is for.
    var zoneNumber: UInt16 { max(zoneOriginal, zoneReply) }
}
