import Testing
import Wire

@testable import Conntrack

// Two packets between tracking and confirmation: spec nat.md §4 and §10 case 19, the K cases. A
// packet that is held has passed FORWARD, as in the queue the cases were recorded with, so that
// destinations are decided before and sources after.

struct NATClashTests {
    /// Nat is at work and asks for nothing.
    static let idle = Chain.postrouting("ip saddr 10.9.9.9 masquerade")

    /// Both packets wait, then leave one after the other.
    private func race(
        _ bench: NATBench, _ first: [UInt8], _ second: [UInt8]
    ) throws -> (first: String, second: String, counters: [String: Int]) {
        let one = try bench.hold(first)
        let other = try bench.hold(second)
        #expect(one.packet.connection != other.packet.connection)
        #expect(bench.node.count == 2)
        let (results, counters) = bench.counting { (bench.release(one), bench.release(other)) }
        return (results.0, results.1, counters)
    }

    @Test(
        "nat.md case 19, K01: twins of one UDP flow are merged",
        arguments: ["", NATClashTests.idle])
    func mergesTwins(_ rules: String) throws {
        let bench = try NATBench(rules) {
            $0.tracking = .always
            $0.sysctl.accounting = true
        }
        let flow = "10.1.0.2:1000 > 10.2.0.2:53"
        let end = try race(bench, Make.udp(flow), Make.udp(flow))
        #expect(end.first == flow && end.second == flow)
        #expect(end.counters == ["clash_resolve": 1])
        #expect(bench.node.count == 1)
        let third = bench.pass(Make.udp(flow))
        #expect(third.state == "new")
        #expect(third.entry?.packetsOriginal == 3 && third.entry?.bytesOriginal == 3 * 29)
        #expect(third.entry?.packetsReply == 0)
    }

    @Test("nat.md case 19, K02: twins of one SYN: the second is dropped")
    func dropsTwinSYNs() throws {
        let bench = try NATBench(Self.idle)
        let syn = Make.tcp("10.1.0.2:1000 > 10.2.0.2:80")
        let end = try race(bench, syn, syn)
        #expect(end.second == "insert_failed")
        #expect(end.counters == ["drop": 1, "insert_failed": 1])
        #expect(bench.node.count == 1)
    }

    @Test("nat.md case 19, K04: twins of one echo request: the second is dropped")
    func dropsTwinEchoes() throws {
        let bench = try NATBench(Self.idle)
        let echo = Make.echo("10.1.0.2 > 10.2.0.2", id: 77)
        let end = try race(bench, echo, echo)
        #expect(end.second == "insert_failed")
        #expect(end.counters == ["drop": 1, "insert_failed": 1])
    }

    @Test("nat.md case 19, K05: twins through SNAT get one mapping and are merged")
    func mergesMappedTwins() throws {
        for rules in [NATSourceTests.toTen, NATMasqueradeTests.out] {
            let bench = try NATBench(rules)
            let datagram = Make.udp("10.1.0.2:1000 > 10.2.0.2:53")
            let end = try race(bench, datagram, datagram)
            #expect(end.first == end.second)
            #expect(end.first.hasSuffix(":1000 > 10.2.0.2:53"))
            #expect(end.counters == ["clash_resolve": 1])
        }
    }

    // MARK: One flow, two backends

    private func twoBackends() throws -> NATBench {
        try NATBench(
            Chain.prerouting(
                """
                ip daddr 10.1.0.50 udp dport 53 dnat to numgen inc mod 2 map \
                { 0 : 10.2.0.2, 1 : 10.2.0.3 }
                """))
    }

    static let query = Make.udp("10.1.0.2:1000 > 10.1.0.50:53")

    /// The second query of a resolver overtakes the first: both are under way to other backends.
    private func asked() throws -> (NATBench, first: String, second: String) {
        let bench = try twoBackends()
        let end = try race(bench, Self.query, Self.query)
        #expect(end.counters == ["clash_resolve": 1])
        let backends = [end.first, end.second].map { $0.split(separator: " > ")[1].dropLast(3) }
        #expect(Set(backends) == ["10.2.0.2", "10.2.0.3"])
        return (bench, String(backends[0]), String(backends[1]))
    }

    @Test("nat.md case 19, K03: one flow to two backends: both queries and both answers arrive")
    func answersBoth() throws {
        let (bench, first, second) = try asked()
        #expect(bench.node.count == 2 && bench.table.count == 1)
        for backend in [second, first] {
            let answer = bench.pass(Make.udp("\(backend):53 > 10.1.0.2:1000"))
            #expect(answer.out == "10.1.0.50:53 > 10.1.0.2:1000")
            #expect(answer.state == "established-reply")
        }
    }

    @Test("nat.md case 19, K03b: any number of its answers pass for one second")
    func answersForASecond() throws {
        let (bench, _, second) = try asked()
        for _ in 0..<9 {
            let answer = bench.pass(Make.udp("\(second):53 > 10.1.0.2:1000"))
            #expect(answer.out == "10.1.0.50:53 > 10.1.0.2:1000")
            #expect(answer.entry?.status.contains(.assured) == false)
            bench.wait(0.1)
        }
    }

    @Test("nat.md case 19, K03c: later queries follow the first and are NEW until it answers")
    func followsTheFirst() throws {
        let (bench, first, second) = try asked()
        bench.pass(Make.udp("\(second):53 > 10.1.0.2:1000"))
        let again = bench.pass(Self.query)
        #expect(again.state == "new" && again.destination == first)
        bench.pass(Make.udp("\(first):53 > 10.1.0.2:1000"))
        #expect(bench.pass(Self.query).state == "established")
    }

    @Test("nat.md case 19, K03d: after a second its answers are a NEW flow and untranslated")
    func expires() throws {
        let (bench, _, second) = try asked()
        bench.wait(1)
        let late = bench.pass(Make.udp("\(second):53 > 10.1.0.2:1000"))
        #expect(late.state == "new" && late.out == "\(second):53 > 10.1.0.2:1000")
    }

    @Test("table.md §11: the one-second entry can be deleted and leaves nothing behind")
    func deletesTheReplyOnlyEntry() throws {
        let (bench, _, _) = try asked()
        bench.flush()
        #expect(bench.node.count == 0)
        let (third, _, _) = try asked()
        third.wait(200)
        #expect(third.node.count == 0)
    }

    // MARK: Both ends at once

    static let forth = "10.1.0.2:4000 > 10.2.0.2:4001"
    static let back = "10.2.0.2:4001 > 10.1.0.2:4000"

    @Test("nat.md case 19, K07: first packets of both ends cross: merged as mirror images")
    func mergesMirrorImages() throws {
        let bench = try NATBench { $0.tracking = .always }
        let end = try race(bench, Make.udp(Self.forth), Make.udp(Self.back))
        #expect(end.first == Self.forth && end.second == Self.back)
        #expect(end.counters == ["clash_resolve": 1])
        #expect(bench.table == ["\(Self.forth) | \(Self.back)"])
    }

    @Test("nat.md case 19, K08: and null bindings do not touch their ports")
    func keepsPortsOfCrossingPackets() throws {
        for seed in UInt64(0)..<20 {
            let bench = try NATBench(Self.idle) { $0.seed = seed }
            let end = try race(bench, Make.udp(Self.forth), Make.udp(Self.back))
            #expect(end.first == Self.forth && end.second == Self.back, "seed \(seed)")
            // The collision was seen, and forgiven.
            #expect(end.counters == ["clash_resolve": 1, "found": 1])
        }
    }

    @Test("nat.md §3.4: a protocol without clash resolution is not forgiven")
    func losesCrossingSYNs() throws {
        let bench = try NATBench(Self.idle)
        let end = try race(bench, Make.tcp(Self.forth), Make.tcp(Self.back))
        // Another port does not help: the original tuple itself is taken.
        #expect(end.first == Self.forth && end.second == "insert_failed")
        #expect(end.counters["insert_failed"] == 1 && end.counters["drop"] == 1)
        #expect(bench.table == ["\(Self.forth) | \(Self.back)"])
    }

    // MARK: Two flows, one mapping

    @Test("nat.md §4 (K06): two flows that chose one port before insertion: the second is dropped")
    func losesTheRaceForAPort() {
        // No hook lies between SNAT and confirmation, so that the kernel cannot be made to show it;
        // here both are mapped before either is entered.
        var table = ConnectionTable(
            limits: Limits(connections: 16, buckets: 512), seed: 1, tickRate: .reference)
        let now = Moment(.start, .reference)
        var range = NATRange()
        range.flags = .addresses
        range.firstAddress = Make.Flow("10.2.0.10 > 10.2.0.10").source
        range.lastAddress = range.firstAddress
        let slots = (2..<4).map {
            table.make("10.1.0.\($0):4000 > 10.2.0.2:53", IPProtocol.udp, at: now)
        }
        for slot in slots { NAT.setUp(slot, range, .source, in: &table, at: now) }
        let ports = slots.map { table.tuple(of: $0, .reply).destinationPart }
        #expect(ports == [4000, 4000])
        let outcomes = slots.map { table.confirm($0, allowsClash: true, at: now) }
        #expect(outcomes == [.inserted, .clash])
        let counters = table.namespaces[0].counters
        #expect(counters.drop == 1 && counters.insertFailed == 1 && counters.clashResolve == 0)
    }
}
