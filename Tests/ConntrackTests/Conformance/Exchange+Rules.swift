import Testing
import Wire

@testable import Conntrack

/// The entry a packet belongs to, as it is before the packet arrives.
struct Snapshot {
    let entry: Entry?
    let deadline: Tick?
    let tcp: TCPRecord?

    init(of bytes: [UInt8], in node: borrowing Node, at now: Instant) {
        let moment = Moment(now, node.configuration.tickRate)
        guard let found = node.find(bytes, at: moment) else {
            entry = nil
            deadline = nil
            tcp = nil
            return
        }
        entry = node.table.entry(found.slot, at: moment)
        deadline = node.table.records[found.slot].deadline
        tcp = node.table.states[found.slot].tcp
    }

    /// Whether the entry has been destroyed by what the journal holds.
    func isGone(from node: borrowing Node) -> Bool {
        guard let entry else { return false }
        return node.journal.events.contains {
            $0.kind == .destroy && $0.entry.original == entry.original
        }
    }
}

extension Node {
    /// What the packet's tuple, or the one it quotes, would find.
    borrowing func find(_ bytes: [UInt8], at now: Moment) -> ConnectionTable.Found? {
        var layout = PacketLayout()
        guard
            let packet = try? Packet(
                parsing: bytes.span, verifiesChecksum: false, layout: &layout)
        else { return nil }
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
    /// What no packet does to an entry that outlives it. `shortens`: this INVALID packet may bring
    /// the end nearer.
    func checkEntry(
        _ before: Snapshot, _ delivery: Delivery, shortens: Bool, at location: SourceLocation
    ) {
        guard let old = before.entry, let new = delivery.entry else { return }
        let rate = node.configuration.tickRate
        let deadline = rate.tick(at: now) + UInt32(bitPattern: new.remainingTicks)
        if old.status.contains(.assured), !new.status.contains(.assured) {
            fail("ASSURED was cleared", at: location)
        }
        if old.status.contains(.seenReply), !new.status.contains(.seenReply) {
            fail("SEEN_REPLY was cleared", at: location)
        }
        if last.effect == .ignored, let was = before.deadline, deadline.ticks(after: was) > 0 {
            fail("a packet that was not counted extended the timeout", at: location)
        }
        if delivery.info == .invalid {
            var same = new
            same.remainingTicks = old.remainingTicks
            if same != old { fail("an INVALID packet changed the entry", at: location) }
            if let was = before.deadline, deadline != was, !shortens {
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
