import Conntrack
import Scenario
import Testing
import Wire

@testable import Simulator

/// Hosts and a tracked node between them.
@Suite struct ConnectionTests {
    @Test("healthy TCP flows complete, and the tracker finds nothing INVALID")
    func healthyFlows() throws {
        var scenario = Worlds.scenario()
        var flow = Scenario.Flow()
        flow.response = .constant(20_000)
        flow.hold = .constant(300_000_000)
        scenario.workloads = [Worlds.shoppers(rate: 200, seconds: 20, flow)]
        let run = try Worlds.run(scenario)
        let stats = run.workloads[0].stats
        #expect(stats.started > 3500)
        #expect(stats.completed == stats.started)
        #expect(stats.connected == stats.started)
        #expect(stats.failedCount == 0)
        #expect(stats.retransmittedSYNs == 0)
        #expect(run.gatewayStats.invalid == 0)
        #expect(run.trackers[0].node.counters.invalid == 0)
        #expect(run.gatewayStats.droppedCount == 0)
        #expect(run.exchanges.count == 0)
        #expect(run.flights.count == 0)
        // Each connection is in TIME_WAIT for 120 s.
        #expect(run.trackers[0].node.count == UInt32(stats.started))
    }

    static let closings: [Scenario.Flow.Closing] = [
        .clientFIN, .serverFIN, .rst, .serverRST, .halfClose,
    ]

    @Test("every way to close ends well behind masquerade", arguments: closings)
    func closes(_ closing: Scenario.Flow.Closing) throws {
        var scenario = Worlds.scenario(rules: Worlds.masquerade)
        var flow = Scenario.Flow()
        flow.closing = closing
        flow.requests = .constant(3)
        scenario.workloads = [Worlds.shoppers(rate: 50, seconds: 20, flow)]
        let run = try Worlds.run(scenario)
        let stats = run.workloads[0].stats
        #expect(stats.started > 800)
        #expect(stats.completed == stats.started)
        #expect(run.gatewayStats.invalid == 0)
        #expect(run.sockets.count == 0)
    }

    @Test("a full table refuses SYNs, which are sent again after 1, 3 and 7 seconds")
    func fullTable() throws {
        var scenario = Worlds.scenario(seconds: 60, max: 512)
        var flow = Scenario.Flow()
        flow.hold = .constant(200_000_000_000)
        scenario.workloads = [Worlds.shoppers(rate: 100, seconds: 10, flow)]
        let run = try Worlds.run(scenario)
        #expect(run.trackers[0].node.counters.drop > 400)
        #expect(run.workloads[0].stats.connected <= 520)
        #expect(run.workloads[0].stats.retransmittedSYNs > 1000)
        #expect(!run.trackers[0].node.kernelLog.lines.isEmpty)
    }

    @Test("segments that a link loses are sent again", arguments: UInt64(1)...4)
    func lossyLink(seed: UInt64) throws {
        var scenario = Worlds.scenario(seconds: 400)
        scenario.topology.links[0].forward.loss = 0.02
        scenario.topology.links[0].backward.loss = 0.02
        var flow = Scenario.Flow()
        flow.response = .constant(50_000)
        scenario.workloads = [Worlds.shoppers(rate: 20, seconds: 20, flow)]
        let run = try Worlds.run(scenario, seed: seed)
        let stats = run.workloads[0].stats
        #expect(stats.started > 300)
        #expect(stats.completed == stats.started, "seed \(seed)")
        #expect(run.gatewayStats.invalid == 0, "seed \(seed)")
    }

    @Test("queries are answered, and nobody's port answers with ICMP")
    func datagrams() throws {
        var scenario = Worlds.scenario()
        scenario.workloads = [
            Worlds.shoppers(rate: 100, seconds: 10, to: 53...53, .udp),
            Worlds.shoppers(rate: 100, seconds: 10, to: 54...54, .udp),
        ]
        let run = try Worlds.run(scenario)
        #expect(run.workloads[0].stats.completed == run.workloads[0].stats.started)
        let failed = run.workloads[1].stats
        #expect(failed.failed[Int(FailureReason.unreachable.rawValue)] == failed.started)
        #expect(run.gatewayStats.invalid == 0)
        #expect(run.sockets.count == 0)
    }

    /// A gateway that translates, and refuses the web port by `rule`.
    private static func refusing(_ rule: String, output: String = "accept") -> String {
        Worlds.masquerade + """

            table ip filter {
              chain passing {
                type filter hook forward priority filter; policy accept;
                ct state new tcp dport 443 \(rule)
              }
              chain own {
                type filter hook output priority filter; policy \(output);
              }
            }
            """
    }

    @Test(
        "whom a gateway refuses hears of it at once, and nothing stays in the table",
        arguments: [
            ("reject with tcp reset", FailureReason.refused), ("reject", FailureReason.unreachable),
        ])
    func refused(rule: String, reason: FailureReason) throws {
        var scenario = Worlds.scenario(rules: Self.refusing(rule))
        scenario.workloads = [Worlds.shoppers(rate: 100, seconds: 10)]
        let run = try Worlds.run(scenario)
        let stats = run.workloads[0].stats
        #expect(stats.started > 900)
        #expect(stats.failed[Int(reason.rawValue)] == stats.started)
        #expect(stats.retransmittedSYNs == 0)
        #expect(run.gatewayStats.sent == stats.started, "an answer for each")
        #expect(run.trackers[0].node.count == 0)
        #expect(run.sockets.count == 0)
    }

    @Test("where the gateway's own rules let no answer out, the refused try again in vain")
    func unheard() throws {
        var scenario = Worlds.scenario(
            rules: Self.refusing("reject with tcp reset", output: "drop"))
        scenario.workloads = [Worlds.shoppers(rate: 100, seconds: 10)]
        let run = try Worlds.run(scenario)
        let stats = run.workloads[0].stats
        #expect(stats.failed[Int(FailureReason.refused.rawValue)] == 0)
        #expect(stats.retransmittedSYNs >= stats.started)
    }

    @Test("the same seed gives the same run, and another one another")
    func determinism() throws {
        var scenario = Worlds.scenario()
        scenario.workloads = [Worlds.shoppers(rate: 100, seconds: 20)]
        func digest(_ seed: UInt64) throws -> [UInt64] {
            let run = try Worlds.run(scenario, seed: seed)
            return [run.hops, run.eventCount, run.workloads[0].stats.started]
        }
        #expect(try digest(1) == digest(1))
        #expect(try digest(1) != digest(2))
    }
}
