import Testing
import Wire

@testable import Conntrack

@Suite("Rules: flags, states and the connection")
struct RulesStateTests {
    @Test("Flags and states", arguments: flagRows)
    func flags(_ row: MatchRow) throws { try row.check() }

    @Test("The connection", arguments: connectionRows)
    func connection(_ row: MatchRow) throws { try row.check() }

    @Test("A connection that is not confirmed has no lifetime yet")
    func unconfirmed() throws {
        var ruleset = try RulesSupport.ruleset(
            RulesSupport.forward("ct expiration > 0s drop\n ct expiration 0s reject"))
        var entry = Self.entry
        entry.status = []
        var packet = Self.informed(.new)
        let outcome = RulesSupport.ask(&ruleset, &packet, entry: entry)
        #expect(
            outcome
                == .reject(
                    .icmp(code: 3), RuleReference(rule: 1, chain: 0)))
    }

    private static func flagged(_ flags: TCPFlags) -> Packet { .tcp(to: 80, flags) }

    private static func informed(_ info: ConntrackInfo) -> Packet { .tcp(to: 80, .ack, info) }

    static let flagRows: [MatchRow] = [
        MatchRow("tcp flags syn", "SYN", flagged(.syn), true),
        MatchRow("tcp flags syn", "SYN-ACK", flagged([.syn, .ack]), true),
        MatchRow("tcp flags == syn", "SYN-ACK", flagged([.syn, .ack]), false),
        MatchRow("tcp flags != syn", "SYN-ACK", flagged([.syn, .ack]), true),
        MatchRow("tcp flags ! syn", "SYN-ACK", flagged([.syn, .ack]), false),
        MatchRow("tcp flags ! syn", "ACK", flagged(.ack), true),
        MatchRow("tcp flags syn,rst", "RST", flagged(.rst), true),
        MatchRow("tcp flags { syn, syn | ack }", "SYN-ACK", flagged([.syn, .ack]), true),
        MatchRow("tcp flags { syn, ack }", "SYN-ACK", flagged([.syn, .ack]), false),
        MatchRow("tcp flags & (fin | syn) == syn", "SYN-ACK", flagged([.syn, .ack]), true),
        MatchRow("tcp flags & (fin | syn) == syn", "SYN-FIN", flagged([.syn, .fin]), false),
        MatchRow("tcp flags & (syn | ack) syn", "SYN-ACK", flagged([.syn, .ack]), false),
        MatchRow("tcp flags syn / syn,ack", "SYN", flagged(.syn), true),
        MatchRow("tcp flags syn / syn,ack", "SYN-ACK", flagged([.syn, .ack]), false),
        MatchRow("tcp flags syn / fin,syn,rst,ack", "SYN with ECE", flagged([.syn, .ece]), true),
        MatchRow("tcp flags != syn / fin,syn,rst,ack", "ACK", flagged(.ack), true),
        MatchRow("tcp flags 0x2 / 0x2,0x10", "SYN", flagged(.syn), true),
        MatchRow("tcp flags & (fin | syn | rst) == 0x0", "ACK", flagged(.ack), true),
        MatchRow("tcp flags vmap { syn : continue }", "SYN", flagged(.syn), true),
        MatchRow("tcp flags vmap { syn : continue }", "ACK", flagged(.ack), false),
        MatchRow("ct state new", "NEW", informed(.new), true),
        MatchRow("ct state established", "a reply", informed(.establishedReply), true),
        MatchRow("ct state established,related", "RELATED", informed(.related), true),
        MatchRow("ct state { established, related }", "NEW", informed(.new), false),
        MatchRow("ct state != new", "INVALID", informed(.invalid), true),
        MatchRow("ct state != established,related", "ESTABLISHED", informed(.established), true),
        MatchRow("ct state != { established, related }", "RELATED", informed(.related), false),
        MatchRow("ct state ! established,related", "NEW", informed(.new), true),
        MatchRow("ct state == established,related", "ESTABLISHED", informed(.established), false),
        MatchRow("ct state invalid", "what no tracker saw", informed(.none), true),
        MatchRow("ct state untracked", "UNTRACKED", informed(.untracked), true),
        MatchRow("ct state invalid", "UNTRACKED", informed(.untracked), false),
        MatchRow("ct direction original", "NEW", informed(.new), true),
        MatchRow("ct direction reply", "a reply", informed(.establishedReply), true),
        MatchRow("ct direction original", "INVALID", informed(.invalid), false),
        MatchRow("ct direction != original", "INVALID", informed(.invalid), false),
        MatchRow("ct mark 0", "NEW, but no copy of its connection", informed(.new), false),
    ]

    /// 10.0.0.2:40000 -> 203.0.113.1:80, translated to 198.51.100.7:8080.
    static let entry: Entry = {
        var entry = Entry(
            original: Tuple(
                .ipv4, IPProtocol.tcp, source: Address(ipv4: 0x0A00_0002), 40_000,
                destination: Address(ipv4: 0xCB00_7101), 80),
            reply: Tuple(
                .ipv4, IPProtocol.tcp, source: Address(ipv4: 0xC633_6407), 8080,
                destination: Address(ipv4: 0x0A00_0002), 40_000))
        entry.status = [.seenReply, .confirmed, .destinationNAT, .destinationNATDone]
        entry.mark = 0x1A
        entry.remainingTicks = 2750
        entry.zoneOriginal = 5
        entry.hasAccounting = true
        entry.packetsOriginal = 7
        entry.packetsReply = 5
        entry.bytesOriginal = 700
        entry.bytesReply = 5_000_000_000
        return entry
    }()

    private static func row(_ rule: String, _ matches: Bool) -> MatchRow {
        MatchRow(rule, "the entry", informed(.established), matches, entry: entry)
    }

    static let connectionRows: [MatchRow] = [
        row("ct status dnat", true),
        row("ct status snat", false),
        row("ct status snat,dnat", true),
        row("ct status ! snat", true),
        row("ct status == dnat", false),
        row("ct status & (seen-reply | assured) == seen-reply", true),
        row("ct mark 0x1a", true),
        row("ct mark & 0xf == 0xa", true),
        row("ct mark { 1, 0x10-0x1f }", true),
        row("ct mark != 0x1a", false),
        row("ct expiration 11s", true),
        row("ct expiration > 11s", false),
        row("ct expiration 10s-1m", true),
        row("ct expiration 11", true),
        row("ct zone 5", true),
        row("ct original zone 5", true),
        row("ct reply zone 5", false),
        row("ct original ip saddr 10.0.0.2", true),
        row("ct original ip daddr 203.0.113.0/24", true),
        row("ct reply ip saddr { 198.51.100.7, 198.51.100.8 }", true),
        row("ct reply ip daddr != 10.0.0.2", false),
        row("ct original ip6 saddr ::/0", false),
        row("meta nfproto ipv4 ct original saddr 10.0.0.2", true),
        row("meta l4proto tcp ct original proto-dst 80", true),
        row("meta l4proto tcp ct reply proto-src 8000-8100", true),
        row(
            "meta l4proto tcp ct original ip daddr . ct original proto-dst { 203.0.113.1 . 80 }",
            true),
        row("ct packets 12", true),
        row("ct original packets > 7", false),
        row("ct reply packets 5", true),
        row("ct bytes > 5000000000", true),
        row("ct reply bytes 5000000000", true),
        row("jhash ct mark mod 4294967295 seed 1 != 0", true),
        MatchRow("ct mark 0x1a", "INVALID, without entry", informed(.invalid), false),
        MatchRow("ct status != 0", "INVALID, without entry", informed(.invalid), false),
    ]
}
