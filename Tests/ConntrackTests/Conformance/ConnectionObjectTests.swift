import Testing
import Wire

@testable import Conntrack

// Timeout policies and labels that rules hand out. Observed on 6.18, as the policies' defaults are.

struct ConnectionObjectTests {
    static let there = "10.1.0.2:1000 > 10.2.0.2:53"
    static let back = "10.2.0.2:53 > 10.1.0.2:1000"

    static func table(_ objects: String, _ rules: String) -> String {
        """
        table inet t {
            \(objects)
            chain c {
                type filter hook forward priority 0
                \(rules)
            }
        }
        """
    }

    static let udp = """
        ct timeout a {
            protocol udp; l3proto ip; policy = { unreplied : 11, replied : 22 }
        }
        ct timeout b {
            protocol udp; policy = { replied : 44 }
        }
        """

    private func seconds(_ passage: Passage) -> Int32? {
        passage.entry.map { $0.remainingTicks / 250 }
    }

    @Test("a policy gives a flow its own timeouts, from its first packet on")
    func givesTimeouts() throws {
        let bench = try NATBench(Self.table(Self.udp, "udp dport 53 ct timeout set \"a\""))
        #expect(seconds(bench.pass(Make.udp(Self.there))) == 11)
        #expect(seconds(bench.pass(Make.udp(Self.back))) == 11)
        bench.wait(2.5)
        #expect(seconds(bench.pass(Make.udp(Self.there))) == 22)
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let rules: String
        let unreplied: Int32
        let stream: Int32

        var testDescription: String { rules }
    }

    @Test(
        "which policy holds",
        arguments: [
            Row(rules: "ct timeout set \"b\"", unreplied: 30, stream: 44),
            Row(rules: "ct timeout set \"a\" ct timeout set \"b\"", unreplied: 30, stream: 44),
            Row(
                rules:
                    "ct state new ct timeout set \"a\"\nct state established ct timeout set \"b\"",
                unreplied: 11, stream: 22),
            Row(rules: "ct state established ct timeout set \"a\"", unreplied: 19, stream: 120),
            Row(rules: "tcp dport 53 ct timeout set \"a\"", unreplied: 19, stream: 120),
        ])
    func choosesThePolicy(_ row: Row) throws {
        let bench = try NATBench(Self.table(Self.udp, row.rules)) { $0.sysctl.udpTimeout = 19 }
        #expect(seconds(bench.pass(Make.udp(Self.there))) == row.unreplied)
        bench.pass(Make.udp(Self.back))
        bench.wait(2.5)
        #expect(seconds(bench.pass(Make.udp(Self.there))) == row.stream)
    }

    @Test("a TCP connection taken up midway begins with the policy's time for a SYN")
    func beginsAtTheFirst() throws {
        let policy = """
            ct timeout t {
                protocol tcp; policy = { syn_sent : 7, established : 77, unack : 40, retrans : 50 }
            }
            """
        let bench = try NATBench(Self.table(policy, "ct timeout set \"t\""))
        let flow = "10.1.0.2:1000 > 10.2.0.2:80"
        let pickup = Make.tcp(flow, .ack, sequence: 1000, ack: 1)
        #expect(seconds(bench.pass(pickup)) == 7)
        let data = Make.tcp(flow, .ack, sequence: 1000, ack: 1, payload: [1])
        #expect(seconds(bench.pass(data)) == 40)
    }

    @Test("a time beyond 2^31 ticks is over at once")
    func overflows() throws {
        let policy = """
            ct timeout t {
                protocol udp; policy = { unreplied : 8589935 }
            }
            """
        let bench = try NATBench(Self.table(policy, "ct timeout set \"t\""))
        bench.pass(Make.udp(Self.there))
        #expect(bench.events == ["NEW"])
        let answer = bench.pass(Make.udp(Self.back))
        #expect(bench.events == ["DESTROY", "NEW"] && answer.state == "new")
    }

    @Test("rules that are replaced leave the policies of connections in force")
    func outlivesItsRules() throws {
        let bench = try NATBench(Self.table(Self.udp, "ct timeout set \"a\""))
        bench.pass(Make.udp(Self.there))
        try bench.replaceRules(Self.table(Self.udp, "ct timeout set \"b\""))
        #expect(seconds(bench.pass(Make.udp(Self.back))) == 11)
        #expect(seconds(bench.pass(Make.udp("10.1.0.2:1001 > 10.2.0.2:53"))) == 30)
    }

    // MARK: Labels

    @Test("labels add up; a new one is an UPDATE, one that is there is none")
    func addsLabels() throws {
        let rules = "udp dport 53 ct label set 3\nudp sport 53 ct label set 127"
        let bench = try NATBench(Self.table("", rules))
        #expect(bench.pass(Make.udp(Self.there)).entry?.labels.numbers == [3])
        #expect(bench.node.journal.events.first?.entry.labels.numbers == [3])
        #expect(bench.pass(Make.udp(Self.back)).entry?.labels.numbers == [3, 127])
        #expect(bench.events == ["UPDATE"])
        bench.pass(Make.udp(Self.back))
        #expect(bench.events.isEmpty)
    }

    @Test(
        "what a label match asks",
        arguments: [
            ("ct label 3", 1), ("ct label 3,4", 1), ("ct label 4", 0), ("ct label != 3", 1),
            ("ct label { 3, 127 }", 0), ("ct label == 3,127", 1), ("ct label & 3 == 3", 1),
        ])
    func matchesLabels(_ rule: String, _ count: Int) throws {
        let rules = "ct label set 3 ct label set 127\n\(rule) counter"
        let bench = try NATBench(Self.table("", rules))
        bench.pass(Make.udp(Self.there))
        #expect(bench.ruleCounters == [count])
    }
}
