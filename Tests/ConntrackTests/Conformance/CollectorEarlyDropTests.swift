import Testing
import Wire

@testable import Conntrack

/// gc.md §3: the collector in a nearly full table, once a packet has been refused.
@Suite struct CollectorEarlyDropTests {
    /// A machine without timer rounding, at its first cycle, with the flag set.
    private static func machine(
        max: UInt32, buckets: UInt32 = 16384, rate: TickRate = .reference
    ) -> Machine {
        var machine = Machine(buckets: buckets, max: max, rate: rate)
        machine.roundsTimers = false
        machine.ticks = machine.collector.nextRun
        machine.node.table.collector.shouldDropEarly = true
        return machine
    }

    @Test("gc.md case 11: 99999 of 100000: 257 unassured ones go, the flag too, 99742 stay")
    func takesOneBudget() {
        var machine = Self.machine(max: 100_000, buckets: 65536)
        machine.enter(99_999, life: 108_000_000)
        let cycle = machine.finishCycle()
        #expect(cycle.map(\.removed).reduce(0, +) == 257)
        #expect(cycle.first?.removed == 257)
        #expect(!machine.collector.shouldDropEarly)
        #expect(machine.count == 99_742)
        machine.finishCycle()
        #expect(machine.count == 99_742, "stable")
        #expect(machine.counters == Counters(), "not counted as early_drop")
        #expect(machine.eventNames.filter { $0 == "DESTROY" }.count == 257)
    }

    @Test("gc.md case 12: of 2000 TIME_WAIT and 8000 ESTABLISHED, assured, 257 TIME_WAIT go")
    func takesTimeWait() {
        var machine = Self.machine(max: 10_000)
        machine.enterTCP(2000, .timeWait)
        machine.enterTCP(8000, .established)
        machine.finishCycle()
        #expect(machine.count == 10_000 - 257)
        let left = machine.node.table.list(.initial, at: machine.now).map(\.protocolState)
        #expect(left.filter { $0 == TCPState.established.rawValue }.count == 8000)
        #expect(!machine.collector.shouldDropEarly)
    }

    @Test(
        "gc.md §3: which TCP states let an assured connection go",
        arguments: [
            (TCPState.synSent, false), (.synReceived, false), (.established, false),
            (.finWait, true), (.closeWait, true), (.lastAck, true), (.timeWait, true),
            (.close, true), (.synSent2, false),
        ])
    func tcpStates(state: TCPState, mayGo: Bool) {
        var machine = Self.machine(max: 100)
        machine.enterTCP(100, state)
        machine.finishCycle()
        #expect(machine.count == (mayGo ? 94 : 100))
    }

    @Test("gc.md case 13: only assured UDP: nothing goes, and the flag falls all the same")
    func sparesAssuredUDP() {
        var machine = Self.machine(max: 1000)
        machine.enter(1000, life: 7500, assured: true)
        machine.nextRun()
        #expect(machine.count == 1000)
        #expect(!machine.collector.shouldDropEarly)
    }

    @Test(
        "gc.md case 14: one below 95 % nothing goes; 99 is too few for a percentage",
        arguments: [
            (UInt32(1000), 949, 0), (1000, 950, 1), (99, 99, 0), (199, 199, 105), (262_144, 500, 0),
        ])
    func threshold(max: UInt32, connections: Int, removed: Int) {
        var machine = Self.machine(max: max)
        machine.enter(connections, life: 7500)
        #expect(machine.finishCycle().map(\.removed).reduce(0, +) == removed)
    }

    @Test("gc.md case 15: when the count has come below 95 % nobody else goes")
    func stopsBelow() {
        var machine = Self.machine(max: 1000)
        machine.enter(1000, life: 7500)
        machine.finishCycle()
        #expect(machine.count == 949)
    }

    @Test("gc.md §3: without the flag a full table is left alone")
    func needsTheFlag() {
        var machine = Self.machine(max: 1000)
        machine.enter(1000, life: 7500)
        machine.node.table.collector.shouldDropEarly = false
        machine.finishCycle()
        #expect(machine.count == 1000)
    }

    @Test("gc.md case 16: a refused packet does not wake the collector")
    func doesNotWake() {
        var machine = Self.machine(max: 500, buckets: 512)
        machine.enter(500, life: 7500, assured: true)
        machine.nextRun()
        let due = machine.collector.nextRun
        machine.pass(ticks: 10)
        #expect(!machine.collector.shouldDropEarly)
        #expect(machine.send(machine.freshTuple()).reason == .tableFull)
        #expect(machine.collector.shouldDropEarly)
        #expect(machine.collector.nextRun == due)
    }

    @Test("gc.md §3: each refusal sets the flag again")
    func rearms() {
        var machine = Self.machine(max: 1000)
        machine.enterTCP(1000, .timeWait)
        var counts: [UInt32] = []
        for _ in 0..<3 {
            machine.node.table.limits.connections = machine.count
            let refused = machine.send(machine.freshTuple()).reason
            #expect(refused == .tableFull)
            machine.finishCycle()
            counts.append(machine.count)
        }
        #expect(counts == [949, 854, 759], "just below 95 % of 1000, 949 and 854 in hundreds")
    }

    @Test("gc.md §3: only the namespace that is full gives connections up")
    func otherNamespaces() {
        var machine = Self.machine(max: 1000)
        let other = machine.node.table.addNamespace()
        machine.enter(1000, life: 7500)
        for _ in 0..<900 { machine.enter(machine.freshTuple(), life: 7500, other) }
        machine.finishCycle()
        #expect(machine.count == 949)
        #expect(machine.node.table.namespaces[other].count == 900)
    }

    @Test("gc.md case 17: a dump in one namespace evicts the expired of another, at once")
    func dumpsEvictEverywhere() {
        var machine = Self.machine(max: 0)
        let other = machine.node.table.addNamespace()
        machine.enter(50, life: 250)
        machine.pass(ticks: 250)
        machine.node.journal.clear()
        let listed = machine.node.table.list(other, at: machine.now)
        #expect(listed.isEmpty)
        #expect(machine.count == 0)
        #expect(machine.eventNames == [String](repeating: "DESTROY", count: 50))
    }

    @Test("gc.md case 18: reading the count 1000 times removes nothing")
    func readingRemovesNothing() {
        var machine = Self.machine(max: 0)
        machine.enter(50, life: 250)
        machine.pass(ticks: 250)
        #expect((0..<1000).allSatisfy { _ in machine.count == 50 && machine.node.peakCount == 50 })
    }
}

extension Machine {
    /// Enters assured TCP connections in one state.
    fileprivate mutating func enterTCP(_ count: Int, _ state: TCPState) {
        for _ in 0..<count {
            let tuple = freshTuple(IPProtocol.tcp)
            guard let slot = enter(tuple, life: 108_000_000, assured: true) else { continue }
            node.table.states[slot].tcp.state = state
        }
    }
}
