internal import Wire

// The search for a free port or id: spec nat.md §3.2 and §3.3. At most 248 probes, so that a range
// nearly used up can fail although it has free ports left.

/// Ports (or ICMP ids) known to have been drawn elsewhere.
public struct PortHints: Sendable, Hashable, BitwiseCopyable {
    public var source: UInt16?
    public var destination: UInt16?

    public init(source: UInt16? = nil, destination: UInt16? = nil) {
        self.source = source
        self.destination = destination
    }
}

/// Where a search for a free source port begins.
public enum PortSearchStart: String, Sendable, Hashable, CaseIterable {
    /// Anywhere: what the kernels modelled do.
    case random
    /// At the port found last, whether its connection is in the table yet or not: what kernels of
    /// 2018 did for rules without `random` or `fully-random`.
    case last
}

enum PortSearch {
    /// Rounds with this many attempts left may evict a closed connection.
    private static let evictionAttempts: UInt32 = 32
    /// A round of fewer attempts than this is the last.
    private static let smallestRound: UInt32 = 16

    /// Changes the tuple's port until it is free; keeps the last candidate if none is.
    ///
    /// Returns whether the tuple is free now; where a protocol has no ports, it may be as it is.
    ///
    /// Kernel: `nf_nat_l4proto_unique_tuple()`.
    static func search(
        _ tuple: inout Tuple, _ range: NATRange, _ kind: NATKind, _ slot: Slot,
        in table: inout ConnectionTable, at now: Moment
    ) -> Bool {
        guard let ports = ports(for: tuple, range, kind) else {
            return !table.hasConflict(tuple, of: slot, at: now)
        }
        let first = UInt32(ports.lowerBound)
        let size = UInt32(ports.upperBound) - first + 1
        let present = TupleSearch.manipulatedPart(tuple, kind)
        var offset: UInt16
        if range.flags.contains(.shifted) {
            offset = present &- range.basePort
        } else if kind == .source || range.flags.contains(.random) {
            offset = table.startOffset(range, kind, from: first, size: size)
        } else {
            offset = 0
        }
        var attempts = min(size, UInt32(Limits.portAttempts))
        table.searches.searches &+= 1
        while true {
            for index in 0..<attempts {
                table.searches.probes &+= 1
                let port = UInt16(truncatingIfNeeded: first + UInt32(offset) % size)
                set(port, &tuple, kind)
                offset &+= 1
                if !isTaken(tuple, slot, left: attempts - index, in: &table, at: now) {
                    table.portFoundLast = port
                    return true
                }
            }
            if attempts >= size || attempts < smallestRound {
                table.searches.failures &+= 1
                return false
            }
            attempts /= 2
            offset = table.dice.nextUInt16()
        }
    }

    private static func set(_ port: UInt16, _ tuple: inout Tuple, _ kind: NATKind) {
        if kind == .source || tuple.hasIdentifier {
            tuple.sourcePart = port
        } else {
            tuple.destinationPart = port
        }
    }

    /// Which ports may be tried, or `nil` where nothing is searched.
    private static func ports(
        for tuple: Tuple, _ range: NATRange, _ kind: NATKind
    ) -> ClosedRange<UInt16>? {
        guard tuple.hasPorts || tuple.hasIdentifier else { return nil }
        if range.flags.contains(.ports) {
            return min(range.firstPort, range.lastPort)...max(range.firstPort, range.lastPort)
        }
        if tuple.hasIdentifier { return 0...UInt16.max }
        guard kind == .source else { return nil }
        switch tuple.sourcePart {
        case ..<512: return 1...511
        case ..<1024: return 600...1023
        default: return 1024...UInt16.max
        }
    }

    /// The usual test, except that near the end of a round a TCP SYN may take the place of a
    /// connection that is closed for good.
    ///
    /// Kernel: `nf_nat_used_tuple_harder()`.
    private static func isTaken(
        _ tuple: Tuple, _ slot: Slot, left: UInt32, in table: inout ConnectionTable,
        at now: Moment
    ) -> Bool {
        guard left <= evictionAttempts, tuple.protocolNumber == IPProtocol.tcp,
            table.states[slot].tcp.state == .synSent
        else { return TupleSearch.isTaken(tuple, slot, in: &table, at: now) }
        guard let reply = tuple.inverted,
            let found = table.findAny(reply, inZonesOf: slot, at: now)
        else { return false }
        guard found.direction == .reply else { return true }
        let other = table.records[found.slot].status
        let old = table.states[found.slot].tcp
        guard old.state.rawValue >= TCPState.timeWait.rawValue, other.contains(.sourceNAT),
            other.isDisjoint(with: [.dying, .fixedTimeout])
        else { return true }
        // Only a SYN beyond the old stream: stray packets of that are then out of the window.
        guard old.original.end.precedes(table.states[slot].tcp.original.end) else { return true }
        if table.journal.explains {
            table.journal.steps.append(.evicted(table.tuple(of: found.slot, .original)))
        }
        table.delete(found.slot, at: now)
        return false
    }
}

/// How often ports were searched for, how many were tried, how often none was free, and what that
/// cost.
public struct PortSearchCounts: Sendable, Hashable, BitwiseCopyable {
    public internal(set) var searches: UInt64 = 0
    public internal(set) var probes: UInt64 = 0
    public internal(set) var failures: UInt64 = 0
    /// Packets dropped at confirmation because no port was free when theirs was chosen.
    public internal(set) var refusals: UInt64 = 0
}

extension ConnectionTable {
    /// A number of the run's own: what goes into fragment headers.
    mutating func drawNumber() -> UInt64 { dice.next() }

    /// Where a search begins: at random, or at the port that a recording says was chosen.
    fileprivate mutating func startOffset(
        _ range: NATRange, _ kind: NATKind, from first: UInt32, size: UInt32
    ) -> UInt16 {
        if portSearchStart == .last, !range.flags.contains(.random) {
            return UInt16(truncatingIfNeeded: (UInt32(portFoundLast) &- first) % size)
        }
        let drawn = dice.nextUInt16()
        let hint = kind == .source ? portHints.source : portHints.destination
        guard let port = hint, UInt32(port) >= first, UInt32(port) < first + size else {
            return drawn
        }
        return UInt16(truncatingIfNeeded: UInt32(port) - first)
    }

    /// A connection one of whose tuples is `tuple`, in the zone that answers to `slot` have.
    mutating func findAny(_ tuple: Tuple, inZonesOf slot: Slot, at now: Moment) -> Found? {
        find(tuple, inZonesOf: slot, besides: .none, at: now)
    }

    /// The same, but a connection with the original tuple of `slot` is the same flow racing and no
    /// conflict.
    mutating func findConflict(_ tuple: Tuple, of slot: Slot, at now: Moment) -> Found? {
        find(tuple, inZonesOf: slot, besides: slot, at: now)
    }

    /// Whether an answer to `tuple` would match a connection of another flow.
    ///
    /// As `findConflict`, but nothing is evicted and no lookup counted: the kernel does not look.
    mutating func hasConflict(_ tuple: Tuple, of slot: Slot, at now: Moment) -> Bool {
        guard let reply = tuple.inverted else { return false }
        let mine = records[slot]
        let zones = ZonePair(original: mine.zoneOriginal, reply: mine.zoneReply)
        let found = peek(reply, zone: mine.zoneReply, zones, mine.namespace, at: now)
        return found.map { !hasSameOriginal($0.slot, slot) } ?? false
    }

    private mutating func find(
        _ tuple: Tuple, inZonesOf slot: Slot, besides: Slot, at now: Moment
    ) -> Found? {
        let zones = ZonePair(
            original: records[slot].zoneOriginal, reply: records[slot].zoneReply)
        let namespace = records[slot].namespace
        let hash = probeHash(tuple, slot)
        return search(tuple, hash: hash, zones, namespace, besides: besides, at: now)
    }

    /// The hash of a tuple that answers to `slot` may come to have, remembered for the one taken in
    /// the end.
    @inline(__always)
    private mutating func probeHash(_ tuple: Tuple, _ slot: Slot) -> UInt32 {
        if records[slot].hashReply != 0, self.tuple(of: slot, .reply) == tuple {
            return records[slot].hashReply
        }
        if probe.slot == slot, probe.tuple == tuple { return probe.hash }
        let hash = hash(tuple, zone: records[slot].zoneReply, records[slot].namespace)
        probe = PortProbe(tuple: tuple, slot: slot, hash: hash)
        return hash
    }
}

extension ConnectionTable {
    /// Brings what the mapping of a new connection will touch into the cache, taking it that its
    /// source will be mapped as that of the last one was.
    ///
    /// The waits for memory then pass together; a wrong guess costs a hash and changes nothing.
    mutating func foreseeMapping(of slot: Slot) {
        guard let source = recentSource, source.family == records[slot].family,
            records[slot].zoneReply == 0
        else { return }
        bySource.prefetch(bySourceKey(slot))
        extensions.prefetch(extensions.upcoming(0))
        var reply = tuple(of: slot, .reply)
        reply.destination = source.address
        let hash = fetchAhead(reply, records[slot].namespace)
        probe = PortProbe(tuple: reply, slot: slot, hash: hash)
    }
}

/// A tuple that a search for a free one has tried, or is going to try, and its hash.
struct PortProbe: BitwiseCopyable {
    var tuple = Tuple.none
    var slot = Slot.none
    var hash: UInt32 = 0
}
