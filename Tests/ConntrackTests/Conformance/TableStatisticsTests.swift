import Testing
import Wire

@testable import Conntrack

/// table.md §16 and policy.md §7: how often a full table has room after all.
///
/// Each figure has been measured on the live kernel; the model has to come as near to it as chance
/// allows. A newcomer fails if none of the links of the u unassured connections, two each, is in
/// its eight buckets of B: exp(-16 u / B).
@Suite struct TableStatisticsTests {
    /// What became of the newcomers.
    private struct Outcome {
        var refused = 0
        var evicted = 0
    }

    /// Fills a table with `full` unassured connections, and sends `newcomers` more packets.
    private static func overfill(
        _ full: Int, buckets: UInt32, newcomers: Int, seed: UInt64
    ) -> Outcome {
        var machine = Machine(buckets: buckets, max: UInt32(full), seed: seed)
        for _ in 0..<full { machine.send(machine.freshTuple()) }
        var outcome = Outcome()
        for _ in 0..<newcomers where machine.send(machine.freshTuple()).reason != nil {
            outcome.refused += 1
        }
        outcome.evicted = Int(machine.counters.earlyDrop)
        #expect(machine.counters.drop == UInt32(outcome.refused))
        #expect(
            Int(machine.count) == full + newcomers - outcome.refused - outcome.evicted,
            "every packet was refused, or its connection is there, or took another's place")
        return outcome
    }

    @Test("table.md §16: 20000 beyond a limit of 20000 in 262144 buckets: 27.9 % refused")
    func twentyThousand() {
        let outcome = Self.overfill(20_000, buckets: 262_144, newcomers: 20_000, seed: 1)
        // 5584 on the live kernel. A whole chain goes at once, and leaves room for others.
        #expect(abs(outcome.refused - 5584) < 4 * 90, "found \(outcome)")
        #expect(abs(outcome.evicted - 14_416) < 4 * 90, "found \(outcome)")
    }

    @Test("table.md §16: 2000 beyond 25000 in 262144 buckets: 21.1 % refused")
    func quarterScale() {
        // The measured case was 8000 beyond 100000 in 1048576: the same load, four times as big.
        let outcome = Self.overfill(25_000, buckets: 262_144, newcomers: 2000, seed: 2)
        #expect(abs(outcome.refused - 1685 / 4) < 4 * 30, "found \(outcome)")
    }

    @Test("table.md §9: N = B: nobody is refused")
    func fullBuckets() {
        let outcome = Self.overfill(4096, buckets: 4096, newcomers: 10_000, seed: 3)
        #expect(outcome.refused == 0)
        #expect(outcome.evicted >= 9999)
    }

    @Test(
        "policy.md P07d: among assured ones, u unassured let 1 - exp(-16 u / B) pass",
        arguments: [
            // The live figures: B = 1048576 and 16 times as many of both.
            (256, 0.061), (1024, 0.221), (4096, 0.632),
        ])
    func amongAssured(unassured: Int, chance: Double) {
        var machine = Machine(buckets: 65536, max: 8192, seed: UInt64(unassured))
        machine.enter(8192 - unassured, life: 108_000_000, assured: true)
        machine.enter(unassured, life: 7500)
        var trials = 0
        var passed = 0
        while trials < 1500 {
            // Where two went at once, the next newcomer finds a place without looking for one.
            let isFull = machine.count == 8192
            let reason = machine.send(machine.freshTuple()).reason
            guard isFull else { continue }
            trials += 1
            if reason == nil { passed += 1 }
        }
        let deviation = (Double(trials) * chance * (1 - chance)).squareRoot()
        #expect(abs(Double(passed) - Double(trials) * chance) < 4 * deviation, "found \(passed)")
    }

    @Test("table.md §16: a full table of assured connections refuses everybody")
    func allAssured() {
        var machine = Machine(buckets: 8192, max: 8192)
        machine.enter(8192, life: 108_000_000, assured: true)
        for _ in 0..<100 { #expect(machine.send(machine.freshTuple()).reason == .tableFull) }
        #expect(machine.counters.drop == 100)
        #expect(machine.counters.earlyDrop == 0)
    }

    @Test("policy.md P07b: packets that would end as INVALID are refused as well, as full")
    func invalidPackets() {
        var machine = Machine(buckets: 512, max: 1)
        machine.enter(1, life: 7500, assured: true)
        let tuple = machine.freshTuple(IPProtocol.tcp)
        var broken = Packet.segment(tuple, .syn, sequence: 1)
        broken.health = .badChecksum
        for packet in [
            broken, .segment(tuple, [.fin, .ack], sequence: 7), .segment(tuple, .ack, sequence: 7),
        ] {
            #expect(machine.send(packet).reason == .tableFull)
        }
        #expect(machine.counters.drop == 3)
        #expect(machine.counters.invalid == 0)
    }

    @Test("policy.md P07b: an ICMP error needs no place; an unparsable packet neither")
    func placelessPackets() {
        var machine = Machine(buckets: 512, max: 1)
        machine.enter(1, life: 7500, assured: true)
        var error = Packet.echo(identifier: 0)
        error.tuple.destinationPart = 3 << 8 | 3
        error.health = .quotesTuple
        error.quoted = .flow(99)
        #expect(machine.send(error).verdict == .forwarded)
        #expect(machine.counters.error == 1)
        var short = Packet.datagram(.flow(50))
        short.health = .noTuple
        #expect(machine.send(short).verdict == .forwarded)
        #expect(machine.counters.invalid == 1)
        #expect(machine.counters.drop == 0)
    }
}
