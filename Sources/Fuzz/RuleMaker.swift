/// Draws a machine's rules: translation, and chains that drop, reject, mark or leave untracked at
/// every hook.
enum RuleMaker {
    static func translation(_ kind: FuzzKind, _ dice: inout FuzzDice) -> [String] {
        let name = portProtocol(kind)
        let source = dice.pick([
            "oifname \"wan\" ip saddr 10.0.0.0/16 masquerade",
            "oifname \"wan\" ip saddr 10.0.0.0/16 snat to 203.0.113.1",
            "oifname \"wan\" ip saddr 10.0.0.0/16 snat to 203.0.113.77",
            "oifname \"wan\" ip protocol \(name) snat to 203.0.113.1:2000-2009",
            "oifname \"wan\" ip protocol \(name) snat to 203.0.113.1:2000-2001",
            "oifname \"wan\" meta l4proto { \(name), udp } masquerade to :20000-40000",
            "oifname \"wan\" masquerade fully-random",
            "oifname \"wan\" masquerade random",
            "oifname \"wan\" ip saddr 10.0.0.2 snat to 203.0.113.10-203.0.113.13",
            "oifname \"wan\" ip saddr 10.0.0.0/16 snat to 203.0.113.10-203.0.113.13 persistent",
            "oifname \"wan\" \(name) sport 1-1023 snat to 203.0.113.1:1-600",
            "\(name) dport 9 accept",
        ])
        let services = dice.pick([
            "\(name) dport 8080 dnat to 10.0.0.4:80",
            "\(name) dport 8080 dnat to 10.0.0.4",
            "udp dport 5353 dnat to 10.0.0.4:53",
            "\(name) dport 8080 redirect to :80",
            "udp dport 5353 redirect",
            "ip daddr 203.0.113.1 \(name) dport 8080-8081 dnat to 10.0.0.4:8000-8010",
            "\(name) dport 8080 dnat to 10.0.0.2-10.0.0.4",
            "meta l4proto { \(name), udp } dnat to 10.0.0.4",
        ])
        var lines = [
            "table ip nat {",
            " chain pre {",
            "  type nat hook prerouting priority dstnat; policy accept;",
            "  iifname \"wan\" \(services)",
            " }",
            " chain post {",
            "  type nat hook postrouting priority srcnat; policy accept;",
            "  \(source)",
            " }",
            "}",
        ]
        if dice.oneIn(2) { lines += translationIPv6(name, &dice) }
        return lines
    }

    private static func translationIPv6(_ name: String, _ dice: inout FuzzDice) -> [String] {
        let source = dice.pick([
            "oifname \"wan\" ip6 saddr fd00::/64 masquerade",
            "oifname \"wan\" ip6 saddr fd00::/64 masquerade random",
            "oifname \"wan\" ip6 saddr fd00::/64 snat to 2001:db8::10-2001:db8::13",
            "oifname \"wan\" \(name) dport 80 snat to [2001:db8::1]:3000-3001",
        ])
        let service = dice.pick([
            "iifname \"wan\" \(name) dport 8080 dnat to [fd00::3]:80",
            "iifname \"wan\" meta l4proto { \(name), udp } dnat to fd00::3",
            "udp dport 5353 redirect",
        ])
        return [
            "table ip6 nat {",
            " chain pre {",
            "  type nat hook prerouting priority dstnat; policy accept;",
            "  \(service)",
            " }",
            " chain post {",
            "  type nat hook postrouting priority srcnat; policy accept;",
            "  \(source)",
            " }",
            "}",
        ]
    }

    /// The protocol with ports a trace is about.
    private static func portProtocol(_ kind: FuzzKind) -> String {
        switch kind {
        case .sctp: "sctp"
        case .udplite: "udplite"
        case .udp: "udp"
        case .tcp, .icmp, .nat, .gre, .mixed: "tcp"
        }
    }

    static func filters(_ kind: FuzzKind, _ dice: inout FuzzDice) -> [String] {
        let name = portProtocol(kind)
        let stateless = [
            "udp dport 123 drop", "\(name) sport 443 drop", "tcp flags & (fin | syn) == syn drop",
            "icmp type echo-request drop", "icmp type { 3, 11 } drop", "icmpv6 type 1-4 drop",
            "\(name) dport 443 drop", "\(name) dport != 80 drop", "meta l4proto gre drop",
            "meta l4proto 50 drop", "tcp flags rst drop", "ip ttl 1 drop",
            "meta length > 1000 drop", "ip saddr 10.0.0.3 drop", "ip6 saddr fd00::2 drop",
        ]
        // Without a rule that reads the tracker, `tracking: auto` leaves packets and fragments
        // alone.
        let tracked =
            dice.oneIn(5)
            ? []
            : [
                "ct state new \(name) dport 443 drop", "ct state invalid drop",
                "ct state established,related accept", "ct direction reply drop",
                "tcp flags & (fin | syn | rst | ack) == syn ct state established drop",
                "ct state new ct mark set 7", "ct mark 7 udp dport 53 drop",
                "ct state related drop",
                "ct status assured tcp flags rst drop", "ct state untracked drop",
                "iifname \"wan\" ct state new drop", "ct status snat drop", "ct status dnat drop",
                "meta l4proto tcp ct original proto-dst 443 ct direction reply drop",
                "ct mark set 3",
            ]
        let rejecting = [
            "tcp dport 443 reject with tcp reset", "udp dport 123 reject",
            "tcp dport 80 tcp flags fin reject with tcp reset",
            "tcp flags rst reject with tcp reset", "tcp sport 80 reject with tcp reset",
            "\(name) dport 22 reject", "\(name) sport 80 reject",
            "\(name) dport 443 reject with icmpx type admin-prohibited",
            "ip saddr 10.0.0.3 reject with icmp type host-prohibited",
            "ip6 saddr fd00::2 reject with icmpv6 type policy-fail",
            "icmp type echo-request reject with icmp type net-prohibited",
            "meta l4proto icmpv6 reject with icmpv6 type reject-route",
            "meta l4proto icmp reject with icmp type prot-unreachable",
            "meta l4proto { 47, 50, 132, 136 } reject with icmpx type host-unreachable",
            "meta l4proto tcp reject with tcp reset", "meta l4proto udp reject",
            "meta length > 600 reject with icmpx type no-route",
        ]
        let refusing = [
            "ct state invalid reject", "ct state new \(name) dport 80 reject",
            "ct state invalid tcp flags ack reject with tcp reset",
            "ct state established tcp flags psh reject with tcp reset",
            "ct direction reply udp sport 53 reject",
        ]
        // What the machine itself sends are the answers.
        let answering = [
            "ct state related drop", "ct state invalid drop", "tcp flags rst drop",
            "icmp type destination-unreachable drop", "ct direction original drop",
            "ct state related ct mark set 9", "ip6 nexthdr icmpv6 accept", "tcp flags rst reject",
            "oifname \"wan\" ct state related,invalid accept", "ct status dnat drop",
        ]
        let raw = [
            "udp dport 123 notrack", "\(name) dport 443 notrack", "ip saddr 10.0.0.3 notrack",
            "\(name) sport 443 notrack", "icmp type echo-request notrack",
            "tcp flags & (syn | ack) == syn notrack", "meta l4proto gre notrack",
        ]
        let chains: [(String, [String])] = [
            ("prerouting priority -450", stateless),
            ("prerouting priority raw", raw + stateless),
            ("prerouting priority mangle", tracked + stateless),
            ("prerouting priority \(dice.pick(["-420", "raw", "-160", "-50"]))", rejecting),
            ("forward priority filter", tracked + tracked + stateless + rejecting),
            ("forward priority 10", rejecting + refusing),
            ("output priority \(dice.pick(["raw", "-150", "filter"]))", answering),
            ("postrouting priority 50", tracked + stateless),
            ("postrouting priority 150", tracked + stateless),
            ("input priority filter", tracked + stateless + rejecting + refusing),
        ]
        var lines: [String] = []
        for (index, (place, rules)) in chains.enumerated() where dice.oneIn(3) {
            lines += [
                "table inet flt\(index) {", " chain c {",
                "  type filter hook \(place); policy accept;",
            ]
            for _ in 0...dice.below(2) { lines.append("  " + dice.pick(rules)) }
            lines += [" }", "}"]
        }
        return lines
    }
}
