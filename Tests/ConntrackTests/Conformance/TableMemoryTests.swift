import Testing
import Wire

@testable import Conntrack

/// memory.md §7: the cases that need connections; the arithmetic is in `KernelMemoryTests`.
@Suite struct TableMemoryTests {
    /// Objects and extension blocks in existence.
    private static func objects(_ machine: borrowing Machine) -> [Int] {
        [machine.node.table.records.count, machine.node.table.extensions.count]
    }

    @Test("memory.md case 9: accounting turned on later: existing connections stay without block")
    func accountingLater() throws {
        var machine = Machine { $0.events = 0 }
        for flow in UInt32(1)...10 { machine.send(.flow(flow)) }
        #expect(Self.objects(machine) == [10, 0])
        try machine.set("nf_conntrack_acct", to: "1")
        for flow in UInt32(1)...10 { machine.send(.flow(flow)) }
        #expect(Self.objects(machine) == [10, 0], "not by further packets either")
        for flow in UInt32(11)...15 { machine.send(.flow(flow)) }
        #expect(Self.objects(machine) == [15, 5])
        #expect(machine.entry(.flow(1))?.hasAccounting == false)
        #expect(machine.entry(.flow(11))?.hasAccounting == true)
    }

    @Test("memory.md case 9: turned off again: those that have a block keep counting")
    func accountingOff() throws {
        var machine = Machine { $0.accounting = true }
        machine.send(.flow(1))
        try machine.set("nf_conntrack_acct", to: "0")
        machine.send(.flow(1))
        #expect(machine.entry(.flow(1))?.packetsOriginal == 2)
    }

    @Test("memory.md case 10: events = 2: blocks only for what is made while somebody listens")
    func eventsOnDemand() {
        var machine = Machine { $0.events = 2 }
        machine.node.isListening = false
        machine.send(.flow(1))
        #expect(Self.objects(machine) == [1, 0])
        machine.node.isListening = true
        machine.send(.flow(2))
        #expect(Self.objects(machine) == [2, 1])
        machine.pass(seconds: 60)
        for flow in UInt32(1)...2 { machine.send(.flow(flow)) }
        let destroyed = machine.node.journal.events.filter { $0.kind == .destroy }
        #expect(destroyed.map(\.entry.original) == [.flow(2)], "the first one never reports")
    }

    @Test("memory.md case 7: accounting, timestamp and events share one block")
    func oneBlock() {
        var machine = Machine {
            $0.accounting = true
            $0.timestamp = true
        }
        for flow in UInt32(1)...100 { machine.send(.flow(flow)) }
        #expect(Self.objects(machine) == [100, 100])
    }

    @Test("memory.md case 16: a reply-only connection of one second is a full object")
    func clashEntry() {
        var machine = Machine()
        _ = machine.raceToTwoBackends()
        #expect(Self.objects(machine) == [2, 2])
        let plain = KernelMemory(buckets: 1024, entries: Int(machine.count)).entriesByteCount
        #expect(plain == KernelMemory(buckets: 1024, entries: 2).entriesByteCount)
    }

    @Test("memory.md case 17: an expired connection costs the same until it is collected")
    func expiredEntry() {
        var machine = Machine()
        machine.enter(100, life: 250)
        machine.pass(seconds: 50)
        #expect(Self.objects(machine) == [100, 100])
        #expect(machine.count == 100)
        machine.pass(seconds: 80)
        machine.collectWhatIsDue()
        #expect(Self.objects(machine) == [0, 0])
    }

    @Test("memory.md §6: what is unconfirmed, dying or expired counts like the rest")
    func countsAll() {
        var machine = Machine()
        machine.enter(5, life: 250)
        machine.pass(ticks: 250)
        var unconfirmed = Packet.datagram(machine.freshTuple())
        #expect(machine.track(&unconfirmed) == nil)
        let known = machine.freshTuple()
        machine.send(known)
        var held = Packet.datagram(known)
        #expect(machine.track(&held) == nil)
        if let slot = machine.connection(known) {
            machine.node.table.delete(slot, at: machine.now)
        }
        #expect(machine.count == 7)
        #expect(Self.objects(machine) == [7, 7])
    }

    @Test("memory.md §5: accounting adds a block to each new connection, exactly")
    func blocksPerConnection() {
        for accounting in [false, true] {
            var machine = Machine(buckets: 16_384) {
                $0.accounting = accounting
                $0.events = 0
            }
            for _ in 0..<20_000 { machine.send(machine.freshTuple()) }
            #expect(Self.objects(machine) == [20_000, accounting ? 20_000 : 0])
        }
    }
}

/// formats.md case 19, with packets: what the kernel log says of a full table.
@Suite struct TableFullLogTests {
    private static let line =
        "nf_conntrack: nf_conntrack: table full in netns 4026532526, dropping packet"

    @Test("formats.md case 19: 20 refused packets in 1 ms: ten lines; 6 s later the other ten")
    func limitsLines() {
        var machine = Machine(max: 1, inode: 4_026_532_526)
        machine.enter(1, life: 108_000_000, assured: true)
        for packet in UInt64(0)..<20 {
            var datagram = Packet.datagram(machine.freshTuple())
            let end = machine.node.receive(
                &datagram, at: Instant(nanoseconds: 1_000_000_000 + packet * 50_000))
            #expect(end.reason == .tableFull)
        }
        #expect(machine.logLines == [String](repeating: Self.line, count: 10))
        #expect(machine.counters.drop == 20, "the counter has no limit")
        machine.ticks = 7 * 250
        #expect(machine.send(machine.freshTuple()).reason == .tableFull)
        #expect(
            machine.logLines.suffix(2)
                == ["net_ratelimit: 10 callbacks suppressed", Self.line])
        #expect(machine.logLines.count == 12)
    }

    @Test("formats.md §7: without a further refusal nothing is ever said of the silent ones")
    func noSummaryAlone() {
        var machine = Machine(max: 1)
        machine.enter(1, life: 108_000_000, assured: true)
        for _ in 0..<20 { machine.send(machine.freshTuple()) }
        machine.pass(seconds: 100)
        machine.collectWhatIsDue()
        #expect(machine.logLines.count == 10)
    }

    @Test("formats.md §7: message_burst and message_cost are the limiter's, whenever they change")
    func sysctl() throws {
        var machine = Machine(max: 1) { $0.messageBurst = 3 }
        machine.enter(1, life: 108_000_000, assured: true)
        for _ in 0..<20 { machine.send(machine.freshTuple()) }
        #expect(machine.logLines.count == 3)
        try machine.set("net.core.message_burst", to: "5")
        for _ in 0..<20 { machine.send(machine.freshTuple()) }
        #expect(machine.logLines.count == 5)
        try machine.set("net.core.message_cost", to: "0")
        for _ in 0..<20 { machine.send(machine.freshTuple()) }
        #expect(machine.logLines.count == 25)
    }
}
