import Testing
import Wire

@testable import Conntrack

// Zones that rules set: spec table.md §3, policy.md §10; what templates do is observed on 6.18.

struct ZoneRuleTests {
    static let there = "10.1.0.2:1000 > 10.2.0.2:53"
    static let back = "10.2.0.2:53 > 10.1.0.2:1000"

    /// A raw chain with these rules, and one that asks for the state behind the tracker.
    static func raw(_ rules: String) -> String {
        Chain.filter("prerouting", -300, rules) + Chain.filter("forward", 0, "ct state new accept")
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let rules: String
        /// Zones of the connection the first packet makes.
        let zones: ZonePair
        /// The class of an answer to it.
        let answer: String

        init(_ rules: String, _ original: UInt16, _ reply: UInt16, _ answer: String) {
            self.rules = rules
            zones = ZonePair(original: original, reply: reply)
            self.answer = answer
        }

        var testDescription: String { rules }
    }

    @Test(
        "table.md case 22, by rules: which zones a packet's rules give it",
        arguments: [
            Row("udp dport 53 ct zone set 5", 5, 5, "new"),
            Row("ct zone set 5", 5, 5, "established-reply"),
            Row("udp dport 53 ct original zone set 8", 8, 0, "established-reply"),
            Row("udp dport 53 ct reply zone set 8", 0, 8, "new"),
            Row(
                "udp dport 53 ct reply zone set 8\nudp sport 53 ct zone set 8", 0, 8,
                "established-reply"),
            Row(
                "udp dport 53 ct reply zone set 8\nudp sport 53 ct reply zone set 8", 0, 8,
                "established-reply"),
            Row("udp dport 53 ct zone set 0", 0, 0, "established-reply"),
            Row(
                "ct zone set ip saddr map { 10.1.0.2 : 7, 10.2.0.2 : 7 }", 7, 7,
                "established-reply"),
            Row("udp dport 53 ct zone set 65535", 65535, 65535, "new"),
        ])
    func setsZones(_ row: Row) throws {
        let bench = try NATBench(Self.raw(row.rules))
        let first = bench.pass(Make.udp(Self.there))
        let entry = try #require(first.entry)
        #expect(ZonePair(original: entry.zoneOriginal, reply: entry.zoneReply) == row.zones)
        #expect(bench.pass(Make.udp(Self.back)).state == row.answer)
    }

    struct Precedence: CustomTestStringConvertible, Sendable {
        let rules: String
        let state: String
        let zone: UInt16

        var testDescription: String { rules }
    }

    @Test(
        "a template stays: the first zone counts, notrack comes too late, and notrack gives way",
        arguments: [
            Precedence(rules: "ct zone set 5 ct zone set 8", state: "new", zone: 5),
            Precedence(rules: "ct zone set 5\nct reply zone set 8", state: "new", zone: 5),
            Precedence(rules: "ct zone set 9 notrack", state: "new", zone: 9),
            Precedence(rules: "notrack ct zone set 9", state: "new", zone: 9),
            Precedence(rules: "ct zone set 5 ct state new ct mark set 1", state: "new", zone: 5),
            Precedence(rules: "ct zone set 5 ct state invalid notrack", state: "new", zone: 5),
        ])
    func keepsTheTemplate(_ row: Precedence) throws {
        let bench = try NATBench(Self.raw(row.rules))
        let first = bench.pass(Make.udp(Self.there))
        #expect(first.state == row.state)
        #expect(first.entry?.zoneOriginal == row.zone && first.entry?.mark == 0)
    }

    @Test("before the tracker a packet with a template is new, and nothing of it can be read")
    func readsTheTemplate() throws {
        let watch = """
            ct state new counter
            ct state invalid counter
            ct zone 5 counter
            ct original zone 5 counter
            ct direction original counter
            ct mark 0 counter
            """
        let bench = try NATBench(
            Chain.filter("prerouting", -300, "udp dport 53 ct zone set 5")
                + Chain.filter("prerouting", -250, watch)
                + Chain.filter("prerouting", -150, "ct zone 5 counter\nct zone set 6"))
        let first = bench.pass(Make.udp(Self.there))
        #expect(bench.ruleCounters == [1, 0, 0, 0, 0, 0, 1])
        #expect(first.entry?.zoneOriginal == 5)
        bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:99"))
        #expect(bench.ruleCounters == [1, 1, 0, 0, 0, 0, 1])
    }

    @Test("an ICMP error finds the flow it quotes only in the packet's own zone")
    func relatesInItsZone() throws {
        for (zone, state) in [(5, "related-reply"), (6, "invalid")] {
            let rules = "udp dport 53 ct zone set 5\nmeta l4proto icmp ct zone set \(zone)"
            let bench = try NATBench(Self.raw(rules))
            let sent = bench.pass(Make.udp(Self.there))
            let error = Make.error(
                "10.2.0.9 > 10.1.0.2", about: sent.bytes[0], type: 3, code: 3, mtu: 0)
            #expect(bench.pass(error).state == state)
        }
    }

    @Test(
        "packetdrill.md B8: nft_nat_zones: a hundred clients with one address, one keeps its port")
    func sharesAGateway() throws {
        let clients = 100
        let names = (0..<clients).map { "c\($0)" }
        let zones = names.enumerated().map { "\"\($1)\" : \($0 + 1)" }.joined(separator: ", ")
        let rules =
            Chain.filter("prerouting", -300, "ct original zone set iifname map { \(zones) }")
            + Chain.postrouting("oifname \"srv\" masquerade")
        let bench = try NATBench(rules) { configuration in
            configuration.interfaces =
                [Interface(name: "srv", addresses: NATBench.prefixes("10.3.0.1/24"))]
                + names.map { Interface(name: $0) }
        }
        var ports: Set<UInt16> = []
        for name in names {
            let sent = bench.pass(Make.tcp("10.1.0.3:10000 > 10.3.0.99:5201"), on: name)
            #expect(sent.state == "new" && sent.source == "10.3.0.1")
            ports.insert(try #require(sent.sourcePort))
            let answer = Make.tcp(
                "10.3.0.99:5201 > 10.3.0.1:\(sent.sourcePort ?? 0)", [.syn, .ack], ack: 1)
            #expect(bench.pass(answer, on: "srv").state == "established-reply")
        }
        #expect(ports.count == clients && ports.contains(10_000))
        #expect(bench.node.count == UInt32(clients))
    }
}
