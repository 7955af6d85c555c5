import Testing
import Wire

@testable import Conntrack

/// One rule of a table `inet` at forward, one packet: whether the rule matches it.
struct MatchRow: Sendable, CustomTestStringConvertible {
    var rule: String
    var name: String
    var packet: Packet
    var entry: Entry?
    var matches: Bool

    init(_ rule: String, _ name: String, _ packet: Packet, _ matches: Bool, entry: Entry? = nil) {
        self.rule = rule
        self.name = name
        self.packet = packet
        self.entry = entry
        self.matches = matches
    }

    var testDescription: String { "\(rule): \(matches ? "matches" : "passes over") \(name)" }

    func check() throws {
        var ruleset = try RulesSupport.ruleset(RulesSupport.forward(rule + " drop"))
        var packet = packet
        let outcome = RulesSupport.ask(&ruleset, &packet, entry: entry)
        let dropped = RuleOutcome.drop(RuleReference(rule: 0, chain: 0))
        #expect(outcome == (matches ? dropped : .accept))
    }
}

@Suite("Rules: what a match matches")
struct RulesMatchTests {
    @Test("Header fields", arguments: rows)
    func headers(_ row: MatchRow) throws { try row.check() }

    private static let tcp = Packet.tcp(to: 443)
    private static let udp = Packet.udp()
    private static let tcp6 = Packet.tcp6(to: 22)

    private static let ping: Packet = {
        var packet = Packet.ipv4(IPProtocol.icmp, 0x0A00_0002, 77, 0xC633_6407, 8 << 8)
        packet.info = .new
        return packet
    }()

    /// A TCP packet with so many bytes behind the IP header.
    private static func short(_ byteCount: UInt32) -> Packet {
        var packet = tcp
        packet.transportByteCount = byteCount
        return packet
    }

    private static func arriving(on index: InterfaceIndex, leaving: InterfaceIndex) -> Packet {
        var packet = tcp
        packet.inInterface = index
        packet.outInterface = leaving
        return packet
    }

    private static func with(_ change: (inout Packet) -> Void) -> Packet {
        var packet = tcp
        change(&packet)
        return packet
    }

    static let rows: [MatchRow] = [
        MatchRow("tcp dport 443", "TCP to 443", tcp, true),
        MatchRow("tcp dport https", "TCP to 443", tcp, true),
        MatchRow("tcp dport != 443", "TCP to 443", tcp, false),
        MatchRow("tcp dport != 443", "UDP, which has no TCP port", udp, false),
        MatchRow("tcp dport 440-443", "TCP to 443", tcp, true),
        MatchRow("tcp dport != 440-443", "TCP to 443", tcp, false),
        MatchRow("tcp dport { 22, 400-500 }", "TCP to 443", tcp, true),
        MatchRow("tcp dport { 22, 400-442, 444 }", "TCP to 443", tcp, false),
        MatchRow("tcp dport != { 22, 444 }", "TCP to 443", tcp, true),
        MatchRow("tcp dport < 443", "TCP to 443", tcp, false),
        MatchRow("tcp dport <= 443", "TCP to 443", tcp, true),
        MatchRow("tcp dport > 442", "TCP to 443", tcp, true),
        MatchRow("tcp dport >= 444", "TCP to 443", tcp, false),
        MatchRow("tcp dport 256/8", "TCP to 443", tcp, true),
        MatchRow("tcp dport & 3 == 3", "TCP to 443", tcp, true),
        MatchRow("tcp sport 40000", "TCP from 40000", tcp, true),
        MatchRow("tcp dport 443", "two transport bytes", short(2), false),
        MatchRow("tcp sport 40000", "two transport bytes", short(2), true),
        MatchRow("tcp flags & syn == syn", "13 transport bytes", short(13), false),
        MatchRow("tcp flags & syn == syn", "14 transport bytes", short(14), true),
        MatchRow("meta l4proto tcp", "no transport bytes", short(0), true),
        MatchRow("udp dport 53", "DNS", udp, true),
        MatchRow("udp dport domain", "DNS", udp, true),
        MatchRow("th dport 53", "DNS", udp, true),
        MatchRow("th dport 0-65535", "a ping, which has no port", ping, false),
        MatchRow("meta l4proto { tcp, udp } th dport 53", "DNS", udp, true),
        MatchRow("ip saddr 10.0.0.2", "from 10.0.0.2", tcp, true),
        MatchRow("ip saddr 10.0.0.0/30", "from 10.0.0.2", tcp, true),
        MatchRow("ip saddr 10.0.0.77/8", "from 10.0.0.2", tcp, true),
        MatchRow("ip saddr != 10.0.0.0/30", "from 10.0.0.2", tcp, false),
        MatchRow("ip saddr 0.0.0.0/0", "an IPv4 packet", tcp, true),
        MatchRow("ip saddr 0.0.0.0/0", "an IPv6 packet", tcp6, false),
        MatchRow("ip saddr != 10.0.0.3", "an IPv6 packet", tcp6, false),
        MatchRow("ip saddr & 0.0.0.255 == 0.0.0.2", "from 10.0.0.2", tcp, true),
        MatchRow("ip saddr > 10.0.0.1", "from 10.0.0.2", tcp, true),
        MatchRow("ip saddr 10.0.0.1-10.0.0.2", "from 10.0.0.2", tcp, true),
        MatchRow("ip daddr { 198.51.100.0/24, 10.0.0.1 }", "to 198.51.100.7", tcp, true),
        MatchRow("ip6 saddr 2001:db8::2", "from 2001:db8::2", tcp6, true),
        MatchRow("ip6 saddr 2001:db8::/64", "from 2001:db8::2", tcp6, true),
        MatchRow("ip6 daddr 2001:db8::/64", "to 2001:db8:1::7", tcp6, false),
        MatchRow("ip6 daddr { ::1, 2001:db8:1::/48 }", "to 2001:db8:1::7", tcp6, true),
        MatchRow("ip6 saddr & ::ff == ::2", "from 2001:db8::2", tcp6, true),
        MatchRow("tcp dport 22", "TCP over IPv6 to 22", tcp6, true),
        MatchRow("meta nfproto ipv6", "an IPv6 packet", tcp6, true),
        MatchRow("meta protocol ip", "an IPv6 packet", tcp6, false),
        MatchRow("meta protocol { ip, ip6 }", "an IPv6 packet", tcp6, true),
        MatchRow("ip protocol tcp", "TCP", tcp, true),
        MatchRow("ip protocol != { udp, 50-51 }", "TCP", tcp, true),
        MatchRow("ip6 nexthdr tcp", "TCP over IPv6", tcp6, true),
        MatchRow("meta l4proto icmp", "a ping", ping, true),
        MatchRow("icmp type echo-request", "a ping", ping, true),
        MatchRow("icmp type { echo-reply, 13 }", "a ping", ping, false),
        MatchRow("icmp code 0", "a ping", ping, true),
        MatchRow("icmp type . icmp code { echo-request . 0 }", "a ping", ping, true),
        MatchRow("icmpv6 type echo-request", "an IPv4 ping", ping, false),
        MatchRow("ip ttl 64", "TTL 64", tcp, true),
        MatchRow("ip ttl < 64", "TTL 64", tcp, false),
        MatchRow("ip6 hoplimit 64", "hop limit 64", tcp6, true),
        MatchRow("ip dscp ef", "traffic class 0xb8", with { $0.typeOfService = 0xB8 }, true),
        MatchRow("ip dscp { af11, cs0 }", "traffic class 3", with { $0.typeOfService = 3 }, true),
        MatchRow("meta length 60", "60 bytes", tcp, true),
        MatchRow("meta length 61-100", "60 bytes", tcp, false),
        MatchRow("meta mark 0x10", "mark 16", with { $0.mark = 16 }, true),
        MatchRow("meta mark & 0xf0 == 0x10", "mark 0x1a", with { $0.mark = 0x1A }, true),
        MatchRow("meta mark or 1 == 0x1b", "mark 0x1a", with { $0.mark = 0x1A }, true),
        MatchRow("meta mark xor 0xff == 0xe5", "mark 0x1a", with { $0.mark = 0x1A }, true),
        MatchRow("meta mark 0x10/28", "mark 0x1a", with { $0.mark = 0x1A }, true),
        MatchRow("mark != 0", "mark 0", tcp, false),
        MatchRow("iifname lan", "in on lan", tcp, true),
        MatchRow("iifname \"w*\"", "in on lan", tcp, false),
        MatchRow("oifname wan*", "out on wan", tcp, true),
        MatchRow("oifname \"wan2*\"", "out on wan", tcp, false),
        MatchRow("iifname { \"x\", \"la*\" }", "in on lan", tcp, true),
        MatchRow("iifname != { wan, wan2 }", "in on lan", tcp, true),
        MatchRow("oifname nosuch", "any packet", tcp, false),
        MatchRow("oifname != nosuch", "any packet", tcp, true),
        MatchRow(
            "oifname != wan", "no way out yet",
            arriving(on: RulesSupport.lan, leaving: .none), true),
        MatchRow("iif lan", "in on lan", tcp, true),
        MatchRow("iif lo", "in on lan", tcp, false),
        MatchRow("iif { lan, wan }", "in on lan", tcp, true),
        MatchRow("iifname . oifname { lan . wan }", "from lan to wan", tcp, true),
        MatchRow(
            "iifname . oifname { lan . wan }", "from wan to lan",
            arriving(on: RulesSupport.wan, leaving: RulesSupport.lan), false),
        MatchRow("iifname . oifname { \"l*\" . \"wan*\" }", "from lan to wan", tcp, true),
        MatchRow("ip saddr . tcp dport { 10.0.0.2 . 443 }", "that pair", tcp, true),
        MatchRow("ip saddr . tcp dport { 10.0.0.2 . 80, 10.0.0.3 . 443 }", "TCP", tcp, false),
        MatchRow(
            "ip saddr . tcp dport { 10.0.0.0/24 . 1-100, 10.0.0.0/8 . 443 }", "TCP", tcp, true),
        MatchRow("ip saddr . tcp dport != { 10.0.0.2 . 80 }", "TCP to 443", tcp, true),
        MatchRow("ip saddr . tcp dport != { 10.0.0.2 . 80 }", "UDP", udp, false),
    ]
}
