import Testing
import Wire

@testable import Conntrack

/// nat statements and the ranges they stand for (spec nat.md §2, "Rule kinds → ranges").
@Suite("Rules: nat statements")
struct RulesNATTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var rule: String
        var hook: String
        var target: NATTarget

        var testDescription: String { rule }
    }

    private static func range(
        _ first: UInt32? = nil, _ last: UInt32? = nil, ports: ClosedRange<UInt16>? = nil,
        flags: NATRange.Flags = []
    ) -> NATRange {
        var range = NATRange()
        range.flags = flags
        if let first {
            range.firstAddress = Address(ipv4: first)
            range.lastAddress = Address(ipv4: last ?? first)
            range.flags.insert(.addresses)
        }
        if let ports {
            range.firstPort = ports.lowerBound
            range.lastPort = ports.upperBound
            range.flags.insert(.ports)
        }
        return range
    }

    private static func dnat(_ rule: String, _ range: NATRange) -> Row {
        Row(rule: rule, hook: "prerouting priority dstnat", target: .destination(range))
    }

    private static func snat(_ rule: String, _ range: NATRange) -> Row {
        Row(rule: rule, hook: "postrouting priority srcnat", target: .source(range))
    }

    private static let one: UInt32 = 0x0A00_0001
    private static let nine: UInt32 = 0x0A00_0009

    static let rows: [Row] = [
        dnat("dnat to 10.0.0.1", range(one)),
        dnat("dnat to 10.0.0.1-10.0.0.9", range(one, nine)),
        dnat("dnat to 10.0.0.0/29", range(0x0A00_0000, 0x0A00_0007)),
        dnat("tcp dport 80 dnat to 10.0.0.1:8080", range(one, ports: 8080...8080)),
        dnat("tcp dport 80 dnat to 10.0.0.1:80-90", range(one, ports: 80...90)),
        dnat("tcp dport 80 dnat to 10.0.0.1-10.0.0.9:80-90", range(one, nine, ports: 80...90)),
        dnat("tcp dport 80 dnat to :8080", range(ports: 8080...8080)),
        dnat("dnat to 10.0.0.1 random,persistent", range(one, flags: [.random, .persistent])),
        dnat("dnat to tcp dport map { 80 : 10.0.0.1, 81 : 10.0.0.9 }", range(one)),
        dnat("dnat to tcp dport map { 80 : 10.0.0.1 . 8080 }", range(one, ports: 8080...8080)),
        dnat("dnat to tcp dport map { 80 : 10.0.0.1 } : 99", range(one, ports: 99...99)),
        dnat(
            "dnat to ip saddr . tcp dport map { 10.0.0.2 . 80 : 10.0.0.9 }", range(nine)),
        dnat("dnat to numgen inc mod 2 map { 0 : 10.0.0.9, 1 : 10.0.0.1 }", range(nine)),
        dnat(
            "dnat to jhash ip saddr mod 2 seed 1 map { 0 : 10.0.0.1, 1 : 10.0.0.9 }",
            range(one)),
        snat("snat to 10.0.0.1", range(one)),
        snat("snat to 10.0.0.1-10.0.0.9 persistent", range(one, nine, flags: .persistent)),
        snat("snat to 10.0.0.1 fully-random", range(one, flags: .random)),
        snat("snat to ip saddr map { 10.0.0.0/24 : 10.0.0.9 }", range(nine)),
        snat("tcp sport 1-65535 snat to 10.0.0.1:1024-2047", range(one, ports: 1024...2047)),
        Row(
            rule: "masquerade", hook: "postrouting priority srcnat", target: .masquerade(range())),
        Row(
            rule: "meta l4proto { tcp, udp } masquerade to :1024-65535 random",
            hook: "postrouting priority 100",
            target: .masquerade(range(ports: 1024...65535, flags: .random))),
        Row(rule: "redirect", hook: "prerouting priority -100", target: .redirect(range())),
        Row(
            rule: "tcp dport 80 redirect to :3128", hook: "output priority -100",
            target: .redirect(range(ports: 3128...3128))),
    ]

    @Test("A statement's range", arguments: rows)
    func ranges(_ row: Row) throws {
        var ruleset = try RulesSupport.ruleset(
            "table ip t { chain c { type nat hook \(row.hook)\n\(row.rule)\n} }")
        var packet = Packet.tcp(to: 80)
        let outcome = RulesSupport.ask(&ruleset, &packet)
        #expect(outcome == .map(row.target, RuleReference(rule: 0, chain: 0)))
    }

    @Test("A key no map holds maps nothing, and the rules go on")
    func noKey() throws {
        var ruleset = try RulesSupport.ruleset(
            """
            table ip t {
                map m { type inet_service : ipv4_addr . inet_service
                    elements = { 80 : 10.0.0.1 . 8080 }
                }
                chain c {
                    type nat hook prerouting priority dstnat
                    dnat to tcp dport map @m
                    tcp dport 81 drop
                }
            }
            """)
        var known = Packet.tcp(to: 80)
        let range = Self.range(Self.one, ports: 8080...8080)
        let mapped = RulesSupport.ask(&ruleset, &known)
        #expect(mapped == .map(.destination(range), RuleReference(rule: 0, chain: 0)))
        var unknown = Packet.tcp(to: 81)
        let dropped = RulesSupport.ask(&ruleset, &unknown)
        #expect(dropped == .drop(RuleReference(rule: 1, chain: 0)))
    }

    @Test("In a table of both families a mapping is for the packets of its own")
    func families() throws {
        var ruleset = try RulesSupport.ruleset(
            """
            table inet t { chain c { type nat hook prerouting priority dstnat
                dnat ip to 10.0.0.1
                tcp dport 80 dnat ip6 to [2001:db8::1]:8080
                tcp dport 81 dnat to :99
            } }
            """)
        var four = Packet.tcp(to: 80)
        let mapped = RulesSupport.ask(&ruleset, &four)
        #expect(
            mapped == .map(.destination(Self.range(Self.one)), RuleReference(rule: 0, chain: 0)))
        var six = Packet.tcp6(to: 80)
        var range = Self.range(ports: 8080...8080, flags: .addresses)
        range.firstAddress = Address(high: 0x2001_0db8_0000_0000, low: 1)
        range.lastAddress = range.firstAddress
        let other = RulesSupport.ask(&ruleset, &six)
        #expect(other == .map(.destination(range), RuleReference(rule: 1, chain: 0)))
        var port = Packet.tcp6(to: 81)
        let ports = RulesSupport.ask(&ruleset, &port)
        #expect(
            ports
                == .map(
                    .destination(Self.range(ports: 99...99)), RuleReference(rule: 2, chain: 0)))
    }

    struct Need: Sendable, CustomTestStringConvertible {
        var name: String
        var text: String
        var tracks: (four: Bool, six: Bool)
        var translates: (four: Bool, six: Bool)

        var testDescription: String { name }

        init(
            _ name: String, _ text: String, tracks: (Bool, Bool),
            translates: (Bool, Bool) = (false, false)
        ) {
            self.name = name
            self.text = text
            self.tracks = tracks
            self.translates = translates
        }
    }

    /// spec policy.md §2 and M5 to M5d.
    static let needs: [Need] = [
        Need(
            "filter rules alone", RulesSupport.forward("tcp dport 80 drop"), tracks: (false, false)),
        Need(
            "ct state", RulesSupport.forward("ct state new", table: "ip t"), tracks: (true, false)),
        Need("ct in inet", RulesSupport.forward("ct mark 5"), tracks: (true, true)),
        Need("ct mark set", RulesSupport.forward("ct mark set 5"), tracks: (true, true)),
        Need("M5: notrack alone", RulesSupport.forward("notrack"), tracks: (false, false)),
        Need("meta mark set", RulesSupport.forward("meta mark set 5"), tracks: (false, false)),
        Need(
            "ct in a chain nobody reaches", "table ip6 t { chain c { ct state new\n} }",
            tracks: (false, true)),
        Need(
            "ct in a map's key", RulesSupport.forward("ct state vmap { new : accept }"),
            tracks: (true, true)),
        Need(
            "M5c: a nat chain without statement",
            "table ip t { chain c { type nat hook prerouting priority -100; } }",
            tracks: (false, false), translates: (true, false)),
        Need(
            "M5d: a nat statement",
            "table ip6 t { chain c { type nat hook postrouting priority 100; masquerade; } }",
            tracks: (false, true), translates: (false, true)),
        Need(
            "a nat chain in inet",
            "table inet t { chain c { type nat hook postrouting priority 100; masquerade; } }",
            tracks: (true, true), translates: (true, true)),
    ]

    @Test("Which rules turn tracking and nat on", arguments: needs)
    func need(_ row: Need) throws {
        let ruleset = try RulesSupport.ruleset(row.text)
        #expect(ruleset.needsTracking(.ipv4) == row.tracks.four)
        #expect(ruleset.needsTracking(.ipv6) == row.tracks.six)
        #expect(ruleset.needsNAT(.ipv4) == row.translates.four)
        #expect(ruleset.needsNAT(.ipv6) == row.translates.six)
    }

    @Test("Only chains that reach a reader of the connection ask for it")
    func readsEntry() throws {
        let ruleset = try RulesSupport.ruleset(
            """
            table ip t {
                chain deep { ct mark 5
                }
                chain middle { ip saddr vmap { 10.0.0.1 : goto deep }
                }
                chain a { type filter hook input priority 0; jump middle; }
                chain b { type filter hook forward priority 0; ct state new; ct direction reply; }
                chain c { type filter hook output priority 0; ct mark set 5; }
                chain d { type filter hook postrouting priority 0; ct status snat; }
            }
            """)
        #expect(ruleset.baseChains.map(\.readsEntry) == [true, false, false, true])
    }
}
