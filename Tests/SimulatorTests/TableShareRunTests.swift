import Report
import Scenario
import Testing

@testable import Simulator

/// Flows held as a share of a table, in virtual time.
@Suite struct TableShareRunTests {
    private func run(_ timeline: String) throws -> Run {
        let text = """
            version: 1
            name: share
            about: A quarter of a table is held, and churned upon.
            duration: 30s
            topology:
              nodes:
                clients: { addresses: [198.18.0.0/24] }
                gw: { role: router, tracking: always, sysctl: { nf_conntrack_max: 400 } }
                web: { addresses: [198.18.128.10], listen: [443/tcp] }
              links:
                - { endpoints: [clients, gw], delay: 1ms }
                - { endpoints: [gw, web], delay: 1ms }
            workloads:
              held: { from: clients, to: web:443/tcp, flows: 25%, start: 10s, flow: { hold: 1h } }
            \(timeline)
            """
        var run = try Run(try ScenarioFile.parse(text, file: "share.yaml").scenario, RunOptions())
        while run.advance() {}
        return run
    }

    private func peak(_ run: consuming Run) -> Int {
        Int(run.summary(scenarioHash: "0").nodes[0].peak)
    }

    @Test("a share of a table is so many entries of its maximum when the workload starts")
    func holdsTheShare() throws {
        #expect(peak(try run("")) == 100)
        let raised = "timeline: [{ at: 5s, sysctl: { gw: { nf_conntrack_max: 1200 } } }]"
        #expect(peak(try run(raised)) == 300)
        let late = "timeline: [{ at: 15s, sysctl: { gw: { nf_conntrack_max: 1200 } } }]"
        #expect(peak(try run(late)) == 100)
    }
}
