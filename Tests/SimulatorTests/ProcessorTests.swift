import Conntrack
import Scenario
import Testing
import Wire

@testable import Simulator

/// A tracked node's CPUs: which packets overlap, and where on their way.
@Suite struct ProcessorTests {
    /// Sixteen clients connect from one port at one moment, once; a masquerading gateway has four CPUs.
    private static func wave(
        processing: Double, confirming: Double, rules: String = Worlds.masquerade,
        _ change: (inout Scenario.Node) -> Void = { _ in }
    ) throws -> Simulation {
        var scenario = Worlds.scenario(seconds: 20, rules: rules)
        scenario.topology.nodes[1].cpus = 4
        scenario.topology.nodes[1].steering = .roundRobin
        scenario.topology.nodes[1].processing = .constant(processing)
        scenario.topology.nodes[1].confirming = .constant(confirming)
        change(&scenario.topology.nodes[1])
        var flow = Scenario.Flow()
        flow.sourcePort = .fixed(4000)
        var shoppers = Worlds.shoppers(rate: 0, seconds: 1, flow)
        shoppers.load.arrivals = .bursts(size: 16, every: .seconds(30))
        scenario.workloads = [shoppers]
        return try Worlds.run(scenario)
    }

    @Test("packets that choose a port together clash: all but one of four CPUs' are sent again")
    func racesForAPort() throws {
        let run = try Self.wave(processing: 10_000, confirming: 2_000)
        let counters = run.trackers[0].node.counters
        #expect(counters.insertFailed == 3 && counters.drop == 3)
        #expect(run.trackers[0].node.table.searches.refusals == 0)
        let stats = run.workloads[0].stats
        #expect(stats.started == 16 && stats.completed == 16)
        #expect(stats.retransmittedSYNs == 3)
        #expect(run.flights.count == 0)
    }

    @Test("without time between choice and confirmation nothing clashes", arguments: [0, 10_000.0])
    func noGapNoRace(processing: Double) throws {
        let run = try Self.wave(processing: processing, confirming: 0)
        #expect(run.trackers[0].node.counters.insertFailed == 0)
        #expect(run.workloads[0].stats.completed == 16)
        #expect(run.workloads[0].stats.retransmittedSYNs == 0)
    }

    @Test("with time only there they do, and with 'fully-random' they do not")
    func onlyTheGap() throws {
        let plain = try Self.wave(processing: 0, confirming: 2_000)
        #expect(plain.trackers[0].node.counters.insertFailed == 3)
        let random = try Self.wave(
            processing: 0, confirming: 2_000,
            rules: Worlds.masquerade.replacing("masquerade", with: "masquerade fully-random"))
        #expect(random.trackers[0].node.counters.insertFailed == 0)
        #expect(random.workloads[0].stats.completed == 16)
    }

    @Test("a packet that a rule drops at the last hook leaves its CPU to the next one")
    func dropsAtTheLastHook() throws {
        let run = try Self.wave(
            processing: 10_000, confirming: 2_000,
            rules: """
                table ip f {
                  chain post {
                    type filter hook postrouting priority 300; policy accept;
                    tcp flags syn / fin,syn,rst,ack drop
                  }
                }
                table ip t { chain c { type filter hook forward priority 0; ct state new accept; } }
                """)
        #expect(run.gatewayStats.forwarded == 0)
        #expect(run.trackers[0].node.count == 0)
        #expect(run.gatewayStats.received >= 16 * 3)
        #expect(run.flights.count == 0)
    }
}

extension String {
    fileprivate func replacing(_ word: String, with other: String) -> String {
        split(separator: word, omittingEmptySubsequences: false).joined(separator: other)
    }
}
