import Testing
import Wire

@testable import Conntrack

/// table.md §3: zones.
///
/// Rules that set them are not built yet; the table has them.
@Suite struct TableZoneTests {
    private static let originalOnly = ZonePair(original: 8, reply: 0)
    private static let bothWays = ZonePair(original: 7, reply: 7)

    @Test("table.md case 22: an original-only zone: the reply needs none")
    func originalOnlyZone() {
        var machine = Machine()
        machine.enter(.flow(1), Self.originalOnly)
        let found = machine.find(Tuple.flow(1).inverted, .none)
        #expect(found?.direction == .reply)
        #expect(machine.find(.flow(1), Self.originalOnly)?.direction == .original)
        #expect(machine.find(.flow(1), .none) == nil)
    }

    @Test("table.md case 22: a two-way zone: a reply without it is another flow's beginning")
    func twoWayZone() {
        var machine = Machine()
        machine.enter(.flow(1), Self.bothWays)
        guard let reply = Tuple.flow(1).inverted else { return }
        #expect(machine.find(reply, .none) == nil)
        #expect(machine.find(reply, Self.bothWays)?.direction == .reply)
        machine.enter(reply, .none)
        #expect(machine.count == 2)
        #expect(machine.find(reply, .none)?.direction == .original)
    }

    @Test("table.md §3: one tuple may stand once in each zone")
    func oneEach() {
        var machine = Machine()
        for zone in UInt16(0)..<50 {
            machine.enter(.flow(1), ZonePair(original: zone, reply: zone))
        }
        #expect(machine.count == 50)
        #expect(machine.counters == Counters())
        for zone in UInt16(0)..<50 {
            let found = machine.find(.flow(1), ZonePair(original: zone, reply: zone))
            #expect(found != nil)
            #expect(machine.node.table.records[found?.slot ?? .none].zoneOriginal == zone)
        }
    }

    @Test("table.md §6: a packet's reply zone is tried where its original zone finds nothing")
    func secondSearch() {
        var machine = Machine()
        machine.enter(.flow(1), .none)
        guard let reply = Tuple.flow(1).inverted else { return }
        // Its original-only zone does not reach the reply link, which is in no zone.
        #expect(machine.find(reply, Self.originalOnly)?.direction == .reply)
        #expect(machine.find(.flow(1), Self.originalOnly) == nil)
    }

    @Test("table.md §10: keys clash where the zones of the link's direction are the same")
    func clashesByDirection() {
        // Observed on 6.18: both are in the table, although each is the reply to the other.
        var machine = Machine()
        guard let reply = Tuple.flow(1).inverted else { return }
        machine.enter(.flow(1), ZonePair(original: 0, reply: 8))
        let outcome = machine.enter(reply, Self.originalOnly)
        #expect(outcome == .inserted)
        #expect(machine.count == 2)
        #expect(machine.counters == Counters())
    }

    @Test("table.md §11: the same flow in the same zones is merged, in others it is another flow")
    func mergesWithinZones() {
        var machine = Machine()
        #expect(machine.enter(.flow(1), Self.bothWays) == .inserted)
        let first = machine.connection(.flow(1), Self.bothWays)
        #expect(machine.enter(.flow(1), Self.bothWays) == first.map { .merged(into: $0) })
        #expect(machine.counters.clashResolve == 1)
        #expect(machine.enter(.flow(1), .none) == .inserted)
    }
}

extension Machine {
    /// Enters a connection with zones, without a lookup before.
    @discardableResult
    mutating func enter(_ tuple: Tuple, _ zones: ZonePair) -> ConfirmOutcome? {
        guard let reply = tuple.inverted else { return nil }
        let hash = node.table.hash(tuple, zone: zones.original, .initial)
        let made = node.table.create(tuple, reply: reply, hash: hash, zones, .initial, at: now)
        guard let made else { return nil }
        node.table.refresh(made, 7500, at: now)
        let outcome = node.table.confirm(made, allowsClash: true, at: now)
        if case .merged(let winner) = outcome {
            node.table.release(winner)
        } else {
            node.table.release(made)
        }
        return outcome
    }

    mutating func find(_ tuple: Tuple?, _ zones: ZonePair) -> ConnectionTable.Found? {
        guard let tuple else { return nil }
        return node.table.find(tuple, zones, .initial, at: now).found
    }
}
