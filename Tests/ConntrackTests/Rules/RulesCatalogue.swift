import Testing
import Wire

@testable import Conntrack

/// One word of the rule language: a text that uses it, a packet it is meant for, and one it is not.
struct CatalogueRow: Sendable, CustomTestStringConvertible {
    /// What a base chain says, without who said it.
    enum Said: Sendable, Hashable {
        case accept, drop, map
        case reject(RejectAnswer)

        init(_ outcome: RuleOutcome) {
            switch outcome {
            case .accept: self = .accept
            case .drop: self = .drop
            case .map: self = .map
            case .reject(let answer, _): self = .reject(answer)
            }
        }
    }

    var word: String
    /// A whole ruleset, whose first base chain is asked.
    var text: String
    var hit: Packet
    var miss: Packet
    var entry: Entry?
    var saysToHit = Said.drop
    var saysToMiss = Said.accept

    var testDescription: String { word }

    /// A match: a rule that drops the packet it holds for.
    static func match(
        _ word: String, _ rule: String, _ hit: Packet, _ miss: Packet, entry: Entry? = nil,
        table: String = "inet t"
    ) -> CatalogueRow {
        CatalogueRow(
            word: word, text: RulesSupport.forward(rule + " drop", table: table), hit: hit,
            miss: miss, entry: entry)
    }

    /// Rules of a forward chain, and what they say.
    static func rules(
        _ word: String, _ rules: String, _ hit: Packet, _ saysToHit: Said, _ miss: Packet,
        _ saysToMiss: Said, table: String = "inet t", before: String = ""
    ) -> CatalogueRow {
        let text =
            "table \(table) {\n\(before)\n chain c {\n type filter hook forward priority 0\n"
            + "\(rules)\n}\n}\n"
        return CatalogueRow(
            word: word, text: text, hit: hit, miss: miss, saysToHit: saysToHit,
            saysToMiss: saysToMiss)
    }

    /// A statement of a nat chain, for TCP to port 80.
    static func nat(
        _ word: String, _ statement: String, hook: String = "prerouting priority dstnat"
    ) -> CatalogueRow {
        let text =
            "table ip t {\n chain c {\n type nat hook \(hook)\n tcp dport 80 \(statement)\n}\n}\n"
        return CatalogueRow(
            word: word, text: text, hit: .tcp(to: 80), miss: .tcp(to: 81), saysToHit: .map)
    }

    /// A base chain at a place, which drops TCP to port 80.
    static func chain(_ word: String, _ place: String) -> CatalogueRow {
        let text = "table inet t {\n chain c {\n type \(place)\n tcp dport 80 drop\n}\n}\n"
        return CatalogueRow(word: word, text: text, hit: .tcp(to: 80), miss: .tcp(to: 81))
    }
}

/// Every word of the supported subset, area by area.
enum RulesCatalogue {
    static let web = Packet.tcp(to: 80)
    static let ssh = Packet.tcp(to: 22)
    static let dns = Packet.udp()
    static let web6 = Packet.tcp6()

    static func changed(_ packet: Packet, _ change: (inout Packet) -> Void) -> Packet {
        var packet = packet
        change(&packet)
        return packet
    }

    static func other(_ protocolNumber: UInt8, _ port: UInt16) -> Packet {
        changed(.ipv4(protocolNumber, 0x0A00_0002, 40_000, 0xC633_6407, port)) { $0.info = .new }
    }

    static func icmp(_ type: UInt8, _ code: UInt8 = 0) -> Packet {
        other(IPProtocol.icmp, UInt16(type) << 8 | UInt16(code))
    }

    static func icmp6(_ type: UInt8, _ code: UInt8 = 0) -> Packet {
        changed(web6) {
            $0.tuple.protocolNumber = IPProtocol.icmpv6
            $0.tuple.destinationPart = UInt16(type) << 8 | UInt16(code)
        }
    }

    static func known(_ info: ConntrackInfo) -> Packet { .tcp(to: 80, .ack, info) }

    static let tables: [CatalogueRow] = [
        .match("table ip", "tcp dport 80", web, ssh, table: "ip t"),
        .match("table ip6", "tcp dport 80", web6, .tcp6(to: 22), table: "ip6 t"),
        .match("table inet", "tcp dport 80", web6, ssh),
        CatalogueRow(
            word: "define",
            text: "define web = 80\n" + RulesSupport.forward("tcp dport $web drop"), hit: web,
            miss: ssh),
        CatalogueRow(
            word: "# comments",
            text: "# first\n" + RulesSupport.forward("tcp dport 80 drop # web\n# last"), hit: web,
            miss: ssh),
        CatalogueRow(
            word: "flush ruleset, add table, add chain, add rule",
            text: """
                flush ruleset
                add table inet t
                add chain inet t c { type filter hook forward priority 0; policy accept; }
                add rule inet t c tcp dport 80 drop

                """, hit: web, miss: ssh),
        .chain("hook prerouting", "filter hook prerouting priority 0"),
        .chain("hook input", "filter hook input priority 0"),
        .chain("hook forward", "filter hook forward priority 0"),
        .chain("hook output", "filter hook output priority 0"),
        .chain("hook postrouting", "filter hook postrouting priority 0"),
        .chain("type route", "route hook output priority 0"),
        .chain("priority number", "filter hook forward priority -7"),
        .chain("priority raw", "filter hook prerouting priority raw"),
        .chain("priority mangle", "filter hook prerouting priority mangle"),
        .chain("priority dstnat", "filter hook prerouting priority dstnat"),
        .chain("priority filter", "filter hook forward priority filter"),
        .chain("priority security", "filter hook forward priority security"),
        .chain("priority srcnat", "filter hook postrouting priority srcnat"),
        .chain("priority name + number", "filter hook forward priority filter + 5"),
        .chain("priority name - number", "filter hook prerouting priority mangle - 5"),
        CatalogueRow(
            word: "policy drop",
            text: "table inet t {\n chain c {\n type filter hook forward priority 0; policy drop;\n"
                + " tcp dport 22 accept\n}\n}\n", hit: web, miss: ssh),
    ]

    static let verdicts: [CatalogueRow] =
        [
            .rules("accept", "tcp dport 80 accept\n drop", web, .accept, ssh, .drop),
            .rules("drop", "tcp dport 80 drop", web, .drop, ssh, .accept),
            .rules(
                "reject", "tcp dport 80 reject", web, .reject(.icmp(code: 3)), ssh, .accept),
            .rules(
                "reject, IPv6", "tcp dport 80 reject", web6, .reject(.icmpv6(code: 4)), ssh, .accept
            ),
            .rules(
                "reject with tcp reset", "tcp dport 80 reject with tcp reset", web,
                .reject(.tcpReset),
                ssh, .accept),
            .rules(
                "jump", "jump other\n accept", web, .drop, ssh, .accept,
                before: " chain other {\n tcp dport 80 drop\n }"),
            .rules(
                "goto", "goto other\n drop", ssh, .accept, web, .drop,
                before: " chain other {\n tcp dport 80 drop\n }"),
            .rules(
                "return", "tcp dport 22 return\n drop", web, .drop, ssh, .accept),
            .rules(
                "continue", "tcp dport 80 continue\n tcp dport 80 drop", web, .drop, ssh, .accept),
            .rules("vmap", "tcp dport vmap { 80 : drop, 22 : accept }", web, .drop, ssh, .accept),
        ] + rejections

    private static let rejections: [CatalogueRow] =
        Vocabulary.icmpCodes.filter { $0.name != "frag-needed" }.map {
            .rules(
                "reject with icmp \($0.name)", "tcp dport 80 reject with icmp type \($0.name)",
                web, .reject(.icmp(code: UInt8($0.value))), ssh, .accept, table: "ip t")
        }
        + Vocabulary.icmpv6Codes.map {
            .rules(
                "reject with icmpv6 \($0.name)", "tcp dport 80 reject with icmpv6 type \($0.name)",
                web6, .reject(.icmpv6(code: UInt8($0.value))), ssh, .accept, table: "ip6 t")
        }
        + zip(Vocabulary.icmpxCodes, [0, 3, 1, 13] as [UInt8]).map { name, code in
            .rules(
                "reject with icmpx \(name.name)",
                "tcp dport 80 reject with icmpx type \(name.name)",
                web, .reject(.icmp(code: code)), ssh, .accept)
        }

    static let sets: [CatalogueRow] = [
        .rules(
            "set, type, elements", "tcp dport @s drop", web, .drop, ssh, .accept,
            before: " set s { type inet_service; elements = { 80, 443 }; }"),
        .rules(
            "set, typeof, flags interval", "ip saddr @s drop", web, .drop,
            .tcp(to: 80, from: 0x0B00_0001), .accept,
            before: " set s { typeof ip saddr; flags interval; elements = { 10.0.0.0/8 }; }"),
        .rules(
            "set of concatenations", "ip saddr . tcp dport @s drop", web, .drop, ssh, .accept,
            before: " set s { type ipv4_addr . inet_service; elements = { 10.0.0.2 . 80 }; }"),
        .rules(
            "map", "meta mark set tcp dport map @m\n meta mark 7 drop", web, .drop, ssh, .accept,
            before: " map m { type inet_service : mark; elements = { 80 : 7 }; }"),
        .rules(
            "verdict map", "tcp dport vmap @m", web, .drop, ssh, .accept,
            before: " map m { type inet_service : verdict; elements = { 80 : drop }; }"),
        .rules(
            "anonymous map", "meta mark set tcp dport map { 80 : 7 }\n meta mark 7 drop", web,
            .drop, ssh, .accept),
        .rules(
            "numgen inc", "tcp dport 80 numgen inc mod 1 vmap { 0 : drop }", web, .drop, ssh,
            .accept),
        .rules(
            "numgen random, offset", "tcp dport 80 numgen random mod 1 offset 3 vmap { 3 : drop }",
            web, .drop, ssh, .accept),
        .rules(
            "jhash, seed", "tcp dport 80 jhash ip saddr mod 1 seed 0x5 vmap { 0 : drop }", web,
            .drop, ssh, .accept),
        .rules(
            "jhash", "tcp dport 80 jhash ip saddr . ip daddr mod 1 vmap { 0 : drop }", web, .drop,
            ssh, .accept),
    ]

    static let translations: [CatalogueRow] = [
        .nat("dnat to address", "dnat to 10.0.0.9"),
        .nat("dnat to range", "dnat to 10.0.0.9-10.0.0.12"),
        .nat("dnat to address:port", "dnat to 10.0.0.9:8080"),
        .nat("dnat to range:ports", "dnat to 10.0.0.9-10.0.0.12:8080-8090"),
        .nat("dnat to :port", "dnat to :8080"),
        .nat("dnat to map", "dnat to ip saddr map { 10.0.0.2 : 10.0.0.9 }"),
        .nat("dnat random", "dnat to 10.0.0.9 random"),
        .nat("dnat persistent", "dnat to 10.0.0.9-10.0.0.12 persistent"),
        .nat("snat to address", "snat to 203.0.113.1", hook: "postrouting priority srcnat"),
        .nat(
            "snat to range:ports", "snat to 203.0.113.1-203.0.113.4:2000-3000",
            hook: "postrouting priority srcnat"),
        .nat(
            "snat fully-random", "snat to 203.0.113.1 fully-random",
            hook: "postrouting priority srcnat"),
        .nat(
            "snat to map", "snat to ip daddr map { 198.51.100.7 : 203.0.113.1 }",
            hook: "postrouting priority srcnat"),
        .nat("masquerade", "masquerade", hook: "postrouting priority srcnat"),
        .nat(
            "masquerade to ports", "masquerade to :2000-3000", hook: "postrouting priority srcnat"),
        .nat("masquerade random", "masquerade random", hook: "postrouting priority srcnat"),
        .nat("redirect", "redirect"),
        .nat("redirect to port", "redirect to :8080"),
        CatalogueRow(
            word: "dnat ip to",
            text: "table inet t {\n chain c {\n type nat hook prerouting priority dstnat\n"
                + " tcp dport 80 dnat ip to 10.0.0.9\n}\n}\n",
            hit: web, miss: ssh, saysToHit: .map),
        CatalogueRow(
            word: "dnat ip6 to",
            text: "table inet t {\n chain c {\n type nat hook prerouting priority dstnat\n"
                + " tcp dport 80 dnat ip6 to [fd00::9]:8080\n}\n}\n",
            hit: web6, miss: web, saysToHit: .map),
    ]
}
