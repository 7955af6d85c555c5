import Testing
import Wire

@testable import Conntrack

// What a zone does to translation: spec nat.md §3.1.

struct NATZoneTests {
    @Test(
        "nat.md §3: a zone of one direction spreads over addresses like a zone of both",
        arguments: [
            ("postrouting priority 100", "snat to 10.2.0.10-10.2.0.200"),
            ("prerouting priority -100", "dnat to 10.2.0.10-10.2.0.200"),
        ])
    func spreadsByNumber(_ place: String, _ translation: String) throws {
        let nat = """
            table ip n {
             chain c {
              type nat hook \(place);
              \(translation)
             }
            }

            """
        func out(_ rule: String) throws -> String? {
            let bench = try NATBench(nat + Chain.filter("prerouting", -300, rule))
            return bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53")).out
        }
        let both = try out("ct zone set 8")
        #expect(try both != out("accept"))
        #expect(try both == out("ct original zone set 8"))
        #expect(try both == out("ct reply zone set 8"))
    }
}
