import Conntrack
import Report
import Scenario
import Testing

@testable import Simulator

/// Scenario files run to their end.
@Suite struct ScenarioRunTests {
    /// Runs a scenario's text; findings fail the test.
    private func run(_ text: String, seed: UInt64? = nil) throws -> Run {
        let file = try ScenarioFile.parse(text, file: "test.yaml")
        var options = RunOptions()
        options.seed = seed
        var run = try Run(file.scenario, options)
        while run.advance() {}
        return run
    }

    static let burst = """
        version: 1
        name: burst
        about: A spike.
        seed: 42
        duration: 40s
        topology:
          nodes:
            clients: { addresses: [198.18.0.0/24] }
            gw:
              role: router
              tracking: always
              sysctl: { net.netfilter.nf_conntrack_max: 2048, net.netfilter.nf_conntrack_buckets: 2048 }
            web: { addresses: [198.18.128.10], listen: [443/tcp] }
          links:
            - { endpoints: [clients, gw], delay: 1ms }
            - { endpoints: [gw, web], delay: 200us }
        workloads:
          shoppers:
            from: clients
            to: web:443/tcp
            model: open
            stages: [{ for: 20s, rate: 200/s }, { for: 20s, rate: 10/s }]
        timeline:
          - { at: 15s, sysctl: { gw: { net.netfilter.nf_conntrack_max: 65536 } } }
        expect:
          - { that: "max(gw.conntrack.count) > 2048" }
          - { that: "sum(gw.conntrack.drop) > 100" }
          - { that: "sum(gw.conntrack.drop, from=16s) == 0" }
        """

    @Test("a full table refuses until the timeline raises its maximum")
    func timelineSysctl() throws {
        let run = try run(Self.burst)
        for result in run.expectations() { #expect(result.holds, "\(result.observed)") }
        let summary = run.summary(scenarioHash: "0")
        #expect(summary.nodes[0].firstRefusalAt ?? 0 > 9)
        #expect(summary.nodes[0].lastRefusalAt ?? 0 < 16)
        #expect(summary.diagnosis.contains { $0.contains("the table was full (2 048 entries)") })
        #expect(summary.diagnosis.contains { $0.contains("before the first drop") })
    }

    @Test("two runs of one seed record the same bytes")
    func repeats() throws {
        let first = try run(Self.burst).recorded.csv
        let second = try run(Self.burst).recorded.csv
        #expect(first == second)
        #expect(try run(Self.burst, seed: 7).recorded.csv != first)
    }

    static let rollout = """
        version: 1
        name: rollout
        about: Endpoints are replaced under load.
        duration: 60s
        topology:
          nodes:
            clients: { addresses: [10.1.0.0/24] }
            node: { role: kubernetes-node, addresses: [10.0.0.1/24] }
            pods: { replicas: 3, addresses: [10.244.0.0/24], listen: [8080/tcp, 53/udp] }
          links:
            - { endpoints: [clients, node], delay: 1ms }
            - { endpoints: [node, pods], delay: 50us }
        services:
          web: { vip: 10.96.0.10, port: 80/tcp, target_port: 8080, endpoints: pods }
        workloads:
          users:
            from: clients
            to: web
            model: open
            stages: [{ for: 60s, rate: 50/s }]
        timeline:
          - { at: 20s, rollout: { of: pods, batch: 1, every: 5s, drain: 3s, close: fin } }
        """

    @Test("a rollout that drains loses no connection")
    func rollsOut() throws {
        let run = try run(Self.rollout)
        let users = run.summary(scenarioHash: "0").workloads[0]
        #expect(users.started > 2500)
        #expect(users.failedCount == 0)
        #expect(
            run.summary(scenarioHash: "0").timeline.contains { $0.text.contains("pods-3 there") })
    }
}
