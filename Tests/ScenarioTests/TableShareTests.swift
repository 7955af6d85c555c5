import Conntrack
import Testing

@testable import Scenario

/// Flows held as a share of a table's maximum.
@Suite struct TableShareTests {
    static func text(
        _ workload: String, gateway: String = "nf_conntrack_max: 4000", others: String = ""
    ) -> String {
        """
        version: 1
        name: f
        about: A test.
        duration: 60s
        topology:
          nodes:
            clients: { addresses: [198.18.0.0/24] }
            gw: { role: router, sysctl: { \(gateway) } }
        \(others)
            web: { addresses: [198.18.128.10], listen: [443/tcp] }
          links:
            - { endpoints: [clients, gw] }
            - { endpoints: [gw, web] }
        workloads:
          held: { from: clients, to: web:443/tcp, \(workload), flow: { hold: 1h } }

        """
    }

    static let second = "    gw2: { role: router, sysctl: { nf_conntrack_max: 1000 } }"

    @Test("a share is of the only table there is, or of the one that is named")
    func findsTheTable() throws {
        let one = try ScenarioFile.parse(Self.text("flows: 50%"), file: "f.yaml").scenario
        #expect(one.workloads[0].load.shareOf == "gw")
        #expect(one.workloads[0].load.stages[0].from == 0.5)
        #expect(one.counted(one.workloads[0]).load.stages[0].to == 2000)
        #expect(one.counted(one.workloads[0]).load.shareOf == nil)
        let two = try ScenarioFile.parse(
            Self.text(
                "model: closed, of: gw2, stages: [{ for: 9s, flows: 0%..30% }]", others: Self.second
            ),
            file: "f.yaml"
        ).scenario
        #expect(two.workloads[0].load.shareOf == "gw2")
        let load = two.counted(two.workloads[0]).load
        #expect(load.stages == [.init(.seconds(9), from: 0, to: 300)])
    }

    @Test(
        "a share that cannot be is said",
        arguments: [
            (text("flows: 150%"), "found '150%', expected at most 100%"),
            (
                text("stages: [{ for: 9s, flows: 50% }, { for: 9s, flows: 20 }], model: closed"),
                "found '20' beside shares of a table"
            ),
            (
                text("flows: 50%", others: second),
                "found a share of a table, and the tables of gw, gw2, expected 'of: gw', or another"
            ),
            (text("flows: 50%, of: web"), "found a share of 'web', which tracks nothing"),
            (text("flows: 50%, of: gv"), "found 'gv', expected a node of this file"),
            (
                text("flows: 50%", gateway: "nf_conntrack_max: 0"),
                "found a share of 'gw', whose nf_conntrack_max is 0: no limit"
            ),
            (
                text("flows: 50", gateway: "nf_conntrack_max: 9").replacing(
                    "50,", with: "50, of: gw,"),
                "found 'of' in a workload that holds no share of a table"
            ),
            (
                text("flows: 50%").replacing("role: router", with: "role: router, tracking: none"),
                "found a share of a table, and no node that tracks"
            ),
            // 60 % of 4 million need more source ports than 256 addresses have: 7.2 million do not.
            (
                text("flows: 60%", gateway: "nf_conntrack_max: 16000000"),
                "9600000 flows held, which needs 9600000 source ports at once"
            ),
        ])
    func refuses(_ text: String, _ sentence: String) {
        do {
            _ = try ScenarioFile.parse(text, file: "f.yaml")
            Issue.record("found nothing wrong, expected: \(sentence)")
        } catch {
            let said = error.findings.map { "\($0)" }.joined(separator: "\n")
            #expect(said.contains(sentence), "\(said)")
        }
    }
}
