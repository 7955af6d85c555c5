import Testing
import Wire

@testable import Conntrack

/// The entry a packet belongs to, as it is before the packet arrives.
struct Snapshot {
    let now: Tick
    private(set) var flags: TCPFlags = []
    private(set) var direction = Direction.original
    private(set) var entry: Entry?
    private(set) var deadline = Tick(0)
    private(set) var tcp = TCPRecord()

    init(of bytes: [UInt8], in node: borrowing Node, at now: Instant) {
        let moment = Moment(now, node.configuration.tickRate)
        self.now = moment.tick
        var layout = PacketLayout()
        let packet = try? Packet(
            parsing: bytes.span, verifiesChecksum: false, layout: &layout)
        guard let packet, let found = node.find(packet, at: moment) else { return }
        flags = packet.tcp.flags
        direction = found.direction
        entry = node.table.entry(found.slot, at: moment)
        deadline = node.table.records[found.slot].deadline
        tcp = node.table.states[found.slot].tcp
    }

    /// Whether even a SYN-ACK that turns out INVALID may set its side's flags and scale: the window
    /// check begins that side's record before it looks at the numbers (spec tcp.md §6.2, X8).
    var isInHandshake: Bool { tcp.state == .synSent || tcp.state == .synReceived }

    /// Whether this FIN or RST, if it is out of window, answers another of the other side, so that
    /// both together shorten the connection's life to `timeout` ticks (spec tcp.md §6.7).
    func isShortened(to timeout: UInt32, hertz: UInt32) -> Bool {
        guard let entry, entry.status.contains(.assured),
            flags.contains(.rst) || flags.contains(.fin),
            tcp.lastClass == .fin || tcp.lastClass == .rst, tcp.lastDirection != direction
        else { return false }
        return entry.remainingTicks >= Int32(120 * hertz) && entry.remainingTicks > Int32(timeout)
    }

    /// Whether the entry has been destroyed by what the journal holds.
    func isGone(from node: borrowing Node) -> Bool {
        guard let entry else { return false }
        return node.journal.events.contains {
            $0.kind == .destroy && $0.entry.original == entry.original
        }
    }
}

extension Entry {
    fileprivate mutating func takeSides(of other: Entry) {
        windowScaleOriginal = other.windowScaleOriginal
        windowScaleReply = other.windowScaleReply
        flagsOriginal = other.flagsOriginal
        flagsReply = other.flagsReply
    }

    /// What the chunks before the one that made a packet INVALID may have changed (observed on
    /// 6.18).
    fileprivate mutating func takeAssociation(of other: Entry) {
        protocolState = other.protocolState
        tagOriginal = other.tagOriginal
        tagReply = other.tagReply
        if !other.status.contains(.assured) { status.remove(.assured) }
    }
}

extension Node {
    /// What the packet's tuple, or the one it quotes, would find.
    fileprivate borrowing func find(_ packet: Packet, at now: Moment) -> ConnectionTable.Found? {
        if packet.health.contains(.quotesTuple) {
            return packet.quoted.inverted.flatMap {
                table.peek($0, .none, .initial, at: now)
            }
        }
        guard !packet.health.contains(.noTuple) else { return nil }
        return table.peek(packet.tuple, .none, .initial, at: now)
    }
}

// The rules every packet of every conversation keeps.
extension Exchange {
    /// What no packet does to an entry that outlives it.
    func checkEntry(_ before: Snapshot, _ delivery: Delivery, at location: SourceLocation) {
        guard let old = before.entry, let new = delivery.entry else { return }
        let rate = node.configuration.tickRate
        let deadline = rate.tick(at: now) + UInt32(bitPattern: new.remainingTicks)
        if old.status.contains(.assured), !new.status.contains(.assured) {
            fail("ASSURED was cleared", at: location)
        }
        if old.status.contains(.seenReply), !new.status.contains(.seenReply) {
            fail("SEEN_REPLY was cleared", at: location)
        }
        if last.effect == .ignored, deadline.ticks(after: before.deadline) > 0 {
            fail("a packet that was not counted extended the timeout", at: location)
        }
        if delivery.info == .invalid {
            var same = new
            same.remainingTicks = old.remainingTicks
            if before.isInHandshake { same.takeSides(of: old) }
            if new.protocolNumber == IPProtocol.sctp { same.takeAssociation(of: old) }
            if same != old { fail("an INVALID packet changed the entry", at: location) }
            let timeout = node.settings.tcpUnacknowledged
            let isShortened = before.isShortened(to: timeout, hertz: rate.hertz)
            if deadline != before.deadline, !isShortened || deadline != before.now + timeout {
                fail("an INVALID packet changed the timeout", at: location)
            }
        }
    }

    /// An INVALID packet moves `invalid` or `error` by one and no other counter; other packets
    /// move neither.
    func checkRefusal(_ delivery: Delivery, at location: SourceLocation) {
        let refusals = counterChange.invalid + counterChange.error
        let wanted: UInt32 = delivery.info == .invalid ? 1 : 0
        expect("invalid + error", refusals, wanted, at: location)
        guard delivery.info == .invalid else { return }
        var rest = counterChange
        rest.invalid = 0
        rest.error = 0
        expect("other counters", rest, Counters(), at: location)
    }
}
