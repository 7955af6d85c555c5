import Wire

@testable import Conntrack

// The words a rule matches packets and connections by, and those by which it acts.

extension RulesCatalogue {
    static let interfaceAndMeta: [CatalogueRow] = [
        .match(
            "iifname", "iifname \"lan\"", web, changed(web) { $0.inInterface = RulesSupport.wan }),
        .match(
            "iifname with *", "iifname \"la*\"", web,
            changed(web) { $0.inInterface = RulesSupport.wan }),
        .match(
            "oifname", "oifname \"wan\"", web, changed(web) { $0.outInterface = RulesSupport.lan }),
        .match(
            "oifname with *", "oifname \"wa*\"", web,
            changed(web) { $0.outInterface = RulesSupport.lan }),
        .match("iif", "iif \"lan\"", web, changed(web) { $0.inInterface = RulesSupport.wan }),
        .match("oif", "oif \"wan\"", web, changed(web) { $0.outInterface = RulesSupport.lan }),
        .match("meta l4proto", "meta l4proto udp", dns, web),
        .match("meta nfproto", "meta nfproto ipv6", web6, web),
        .match("meta mark", "meta mark 0x7", changed(web) { $0.mark = 7 }, web),
        .match("meta length", "meta length > 100", changed(web) { $0.networkByteCount = 200 }, web),
    ]

    static let headers: [CatalogueRow] = [
        .match("ip saddr", "ip saddr 10.0.0.2", web, .tcp(from: 0x0A00_0003)),
        .match(
            "ip daddr", "ip daddr 198.51.100.7", web, changed(web) { $0.tuple.destination = .zero }),
        .match("ip protocol", "ip protocol tcp", web, dns),
        .match("ip ttl", "ip ttl 64", web, changed(web) { $0.timeToLive = 5 }),
        .match("ip dscp", "ip dscp ef", changed(web) { $0.typeOfService = 0xb8 }, web),
        .match("ip6 saddr", "ip6 saddr 2001:db8::2", web6, web),
        .match("ip6 daddr", "ip6 daddr 2001:db8:1::/64", web6, web),
        .match("ip6 nexthdr", "ip6 nexthdr tcp", web6, icmp6(128)),
        .match("ip6 hoplimit", "ip6 hoplimit 64", web6, changed(web6) { $0.timeToLive = 5 }),
        .match("ip6 dscp", "ip6 dscp cs1", changed(web6) { $0.typeOfService = 0x20 }, web6),
        .match("tcp sport", "tcp sport 40000", web, changed(web) { $0.tuple.sourcePart = 1 }),
        .match("tcp dport", "tcp dport 80", web, ssh),
        .match("udp sport", "udp sport 40000", dns, web),
        .match("udp dport", "udp dport 53", dns, .udp(to: 54)),
        .match("udplite sport", "udplite sport 40000", other(136, 5), web),
        .match("udplite dport", "udplite dport 5", other(136, 5), other(136, 6)),
        .match("sctp sport", "sctp sport 40000", other(132, 5), web),
        .match("sctp dport", "sctp dport 5", other(132, 5), other(132, 6)),
        .match("th sport", "meta l4proto { tcp, udp } th sport 40000", dns, icmp(8)),
        .match("th dport", "meta l4proto { tcp, udp } th dport 80", web, ssh),
        .match("tcp flags value", "tcp flags syn", web, .tcp(.ack)),
        .match("tcp flags mask", "tcp flags & (syn | ack) == syn", web, .tcp([.syn, .ack])),
        .match("tcp flags value / mask", "tcp flags syn / syn,ack", web, .tcp([.syn, .ack])),
        .match("icmp type", "icmp type echo-request", icmp(8), icmp(0)),
        .match("icmp code", "icmp code 3", icmp(3, 3), icmp(3, 1)),
        .match("icmpv6 type", "icmpv6 type echo-request", icmp6(128), icmp6(129)),
        .match("icmpv6 code", "icmpv6 code port-unreachable", icmp6(1, 4), icmp6(1, 1)),
    ]

    static let forms: [CatalogueRow] = [
        .match("!=", "tcp dport != 80", ssh, web),
        .match("range", "tcp dport 79-81", web, ssh),
        .match("!= range", "tcp dport != 79-81", ssh, web),
        .match("prefix", "ip saddr 10.0.0.0/30", web, .tcp(from: 0x0A00_0009)),
        .match("anonymous set", "tcp dport { 80, 443 }", web, ssh),
        .match("!= anonymous set", "tcp dport != { 80, 443 }", ssh, web),
        .match("set with ranges", "tcp dport { 1-21, 23-100 }", web, ssh),
        .match("concatenation", "ip daddr . tcp dport { 198.51.100.7 . 80 }", web, ssh),
        .match("<", "tcp dport < 80", ssh, web),
        .match(">=", "tcp dport >= 80", web, ssh),
    ]

    private static let entry = RulesStateTests.entry

    private static func connection(_ word: String, _ rule: String) -> CatalogueRow {
        // A packet without connection matches none of these.
        .match(word, rule, known(.established), known(.invalid), entry: entry)
    }

    static let connections: [CatalogueRow] = [
        .match("ct state", "ct state new", known(.new), known(.established)),
        .match("ct state list", "ct state established,related", known(.related), known(.new)),
        .match("ct state untracked", "ct state untracked", known(.untracked), known(.new)),
        .match("ct state invalid", "ct state invalid", known(.invalid), known(.new)),
        .match("ct direction", "ct direction reply", known(.establishedReply), known(.new)),
        connection("ct status", "ct status dnat"),
        connection("ct mark", "ct mark 0x1a"),
        connection("ct zone", "ct zone 5"),
        connection("ct expiration", "ct expiration 11s"),
        connection("ct original saddr", "ct original ip saddr 10.0.0.2"),
        connection("ct original daddr", "ct original ip daddr 203.0.113.1"),
        connection("ct reply saddr", "ct reply ip saddr 198.51.100.7"),
        connection("ct reply daddr", "ct reply ip daddr 10.0.0.2"),
        connection("ct original proto-src", "meta l4proto tcp ct original proto-src 40000"),
        connection("ct original proto-dst", "meta l4proto tcp ct original proto-dst 80"),
        connection("ct reply proto-src", "meta l4proto tcp ct reply proto-src 8080"),
        connection("ct reply proto-dst", "meta l4proto tcp ct reply proto-dst 40000"),
        connection("ct packets", "ct packets 12"),
        connection("ct bytes", "ct bytes > 5000"),
        connection("ct original packets", "ct original packets 7"),
        connection("ct reply bytes", "ct reply bytes > 5000"),
    ]

    /// Each acts, and then drops TCP to port 80.
    static let actions: [CatalogueRow] =
        [
            ("counter", "counter"), ("counter with numbers", "counter packets 5 bytes 7"),
            ("meta mark set", "meta mark set 7 meta mark 7"),
            ("ct mark set", "ct mark set 7"), ("ct mark set meta mark", "ct mark set meta mark"),
            ("limit rate", "limit rate 5/second"),
            ("limit rate, burst", "limit rate 5/minute burst 3 packets"), ("log", "log"),
            ("log prefix", "log prefix \"web: \""), ("log level", "log level info"),
            ("log flags tcp", "log flags tcp sequence,options"),
            ("log flags ip", "log flags ip options"), ("log flags skuid", "log flags skuid"),
            ("log flags ether", "log flags ether"), ("log flags all", "log flags all"),
            ("log group", "log prefix \"web\" group 5 snaplen 64 queue-threshold 3"),
        ].map { word, statement in
            .rules(word, "tcp dport 80 \(statement) drop", web, .drop, ssh, .accept)
        } + [
            .rules("comment", "tcp dport 80 drop comment \"web\"", web, .drop, ssh, .accept),
            .rules(
                "limit rate over",
                "tcp dport 80 limit rate over 1/week burst 1 packets drop\n"
                    + " tcp dport 22 drop", ssh, .drop, web, .accept),
            .rules(
                "ct original zone set", "tcp dport 80 ct original zone set 5 drop", web, .drop, ssh,
                .accept),
            .rules(
                "ct reply zone set", "tcp dport 80 ct reply zone set 5 drop", web, .drop, ssh,
                .accept),
            .rules("ct zone set", "tcp dport 80 ct zone set 5 drop", web, .drop, ssh, .accept),
            .rules("ct label set", "tcp dport 80 ct label set 5 drop", web, .drop, ssh, .accept),
            .rules(
                "ct helper set", "tcp dport 80 ct helper set \"files\" drop", web, .drop, ssh,
                .accept,
                before: " ct helper files {\n type \"ftp\" protocol tcp; l3proto inet;\n }"),
            .rules(
                "ct timeout set", "tcp dport 80 ct timeout set \"short\" drop", web, .drop, ssh,
                .accept,
                before: " ct timeout short {\n protocol tcp; policy = { close : 3 };\n }"),
            CatalogueRow(
                word: "notrack",
                text: "table ip t {\n chain c {\n type filter hook prerouting priority raw\n"
                    + " tcp dport 80 notrack drop\n}\n}\n", hit: web, miss: ssh),
        ]

    static let areas: [(name: String, rows: [CatalogueRow])] = [
        ("tables and base chains", tables), ("verdicts", verdicts),
        ("interfaces and meta", interfaceAndMeta), ("headers", headers), ("forms", forms),
        ("connections", connections), ("sets, maps and load balancing", sets),
        ("translation", translations), ("actions", actions),
    ]

    static let rows = areas.flatMap(\.rows)
}
