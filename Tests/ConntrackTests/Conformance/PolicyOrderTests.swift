import Testing
import Wire

@testable import Conntrack

// Who is asked first among stations of one priority; every row was observed on 6.18 with the same
// rules loaded by `nft -f`.

struct PolicyOrderTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let rules: String
        /// The packets of the counters, in the order of the text.
        let counters: [Int]

        init(_ description: String, _ rules: String, _ counters: [Int]) {
            testDescription = description
            self.rules = rules
            self.counters = counters
        }
    }

    private static func table(
        _ name: String, _ chains: [(type: String, place: String, rules: String)]
    ) -> String {
        let bodies = chains.enumerated().map { number, chain in
            " chain c\(number) {\n  type \(chain.type) hook \(chain.place);\n  \(chain.rules)\n }\n"
        }
        return "table \(name) {\n\(bodies.joined())}\n"
    }

    private static func filter(_ place: String, _ rules: String = "counter drop")
        -> (type: String, place: String, rules: String)
    {
        ("filter", place, rules)
    }

    private static let raw = filter("prerouting priority raw")
    private static let reader = table(
        "ip reader", [filter("forward priority 0", "ct state new counter")])
    private static let besideTracker = table(
        "ip beside",
        [filter("prerouting priority -200", "ct state new counter\n  ct state invalid counter")])
    private static let besideNAT = table(
        "ip beside",
        [
            filter(
                "prerouting priority -100", "ip daddr 10.2.0.2 counter\n  ip daddr 10.2.0.3 counter"
            )
        ])
    private static func nat(_ name: String) -> String {
        table(
            "ip \(name)", [("nat", "prerouting priority -100", "counter dnat to 10.2.0.3")])
    }

    @Test(
        "policy.md §1: of equal priorities, what was registered last is asked first",
        arguments: [
            Row(
                "tables", table("ip a", [raw]) + table("ip b", [raw]) + table("ip c", [raw]),
                [0, 0, 1]),
            Row("names do not count", table("ip b", [raw]) + table("ip a", [raw]), [0, 1]),
            Row("chains of a table", table("ip a", [raw, raw, raw]), [0, 0, 1]),
            Row("inet, then ip", table("inet a", [raw]) + table("ip b", [raw]), [0, 1]),
            Row("ip, then inet", table("ip a", [raw]) + table("inet b", [raw]), [0, 1]),
            Row("nat chains", nat("a") + nat("b"), [0, 1]),
            Row("a chain behind the tracker's table", reader + besideTracker, [1, 0, 1]),
            Row("a chain before the tracker's table", besideTracker + reader, [1, 0, 1]),
            Row("a chain behind the nat table", nat("a") + besideNAT, [1, 1, 0]),
            Row("a chain before the nat table", besideNAT + nat("a"), [0, 1, 1]),
        ])
    func asksTheLastFirst(_ row: Row) throws {
        let bench = try NATBench(row.rules)
        bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        #expect(bench.ruleCounters == row.counters)
    }
}
