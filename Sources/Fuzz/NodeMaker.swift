/// Draws a machine: the same two interfaces always, rules and settings by chance.
enum NodeMaker {
    static let lanAddress = "10.0.0.1"
    static let wanAddress = "203.0.113.1"
    static let wanAddress6 = "2001:db8::1"

    static func node(
        _ kind: FuzzKind, hasShortTimeouts: Bool, _ dice: inout FuzzDice
    ) -> FuzzNode {
        var rules: [String] = []
        if kind == .nat { rules += translation(&dice) }
        if dice.oneIn(2) { rules += filters(&dice) }
        var node = FuzzNode(
            interfaces: [
                FuzzNode.Interface(
                    name: "lan", addresses: ["\(lanAddress)/16", "fd00::1/64"], routes: [],
                    mtu: 1500, isDefault: false),
                FuzzNode.Interface(
                    name: "wan", addresses: ["\(wanAddress)/24", "\(wanAddress6)/64"],
                    routes: ["198.51.100.0/24", "2001:db8:1::/64"],
                    mtu: dice.oneIn(6) ? 1280 : 1500, isDefault: true),
            ],
            ruleset: rules.joined(separator: "\n"),
            tracking: dice.oneIn(12) ? "auto" : "always")
        setSwitches(&node, &dice)
        if hasShortTimeouts { setShortTimeouts(&node, &dice) }
        return node
    }

    private static func setSwitches(_ node: inout FuzzNode, _ dice: inout FuzzDice) {
        if dice.oneIn(3) { node.set("nf_conntrack_tcp_loose", 0) }
        if dice.oneIn(3) { node.set("nf_conntrack_tcp_be_liberal", 1) }
        if dice.oneIn(3) { node.set("nf_conntrack_tcp_ignore_invalid_rst", 1) }
        if dice.oneIn(3) { node.set("nf_conntrack_tcp_max_retrans", dice.below(4)) }
        if dice.oneIn(4) { node.set("nf_conntrack_checksum", 0) }
        if dice.oneIn(3) { node.set("nf_conntrack_acct", 1) }
        if dice.oneIn(5) { node.set("nf_conntrack_events", 1) }
        if dice.oneIn(6) { node.set("nf_conntrack_tcp_timeout_max_retrans", 100) }
        if dice.oneIn(6) { node.set("nf_conntrack_tcp_timeout_unacknowledged", 90) }
        if dice.oneIn(6) { node.set("nf_conntrack_udp_timeout", 77) }
    }

    private static func setShortTimeouts(_ node: inout FuzzNode, _ dice: inout FuzzDice) {
        let names = [
            "tcp_timeout_syn_sent", "tcp_timeout_syn_recv", "tcp_timeout_established",
            "tcp_timeout_fin_wait", "tcp_timeout_close_wait", "tcp_timeout_last_ack",
            "tcp_timeout_time_wait", "tcp_timeout_close", "udp_timeout", "udp_timeout_stream",
            "icmp_timeout", "icmpv6_timeout", "generic_timeout", "gre_timeout",
        ]
        for name in names where dice.oneIn(2) {
            node.set("nf_conntrack_" + name, dice.within(1...3))
        }
    }

    // MARK: Rules

    private static func translation(_ dice: inout FuzzDice) -> [String] {
        let source = dice.pick([
            "oifname \"wan\" ip saddr 10.0.0.0/16 masquerade",
            "oifname \"wan\" ip saddr 10.0.0.0/16 snat to 203.0.113.1",
            "oifname \"wan\" ip saddr 10.0.0.0/16 snat to 203.0.113.77",
            "oifname \"wan\" ip protocol tcp snat to 203.0.113.1:2000-2009",
            "oifname \"wan\" meta l4proto { tcp, udp } masquerade to :20000-40000",
            "oifname \"wan\" masquerade fully-random",
            "oifname \"wan\" ip saddr 10.0.0.2 snat to 203.0.113.10-203.0.113.13",
            "tcp dport 9 accept",
        ])
        let services = dice.pick([
            "tcp dport 8080 dnat to 10.0.0.4:80",
            "tcp dport 8080 dnat to 10.0.0.4",
            "udp dport 5353 dnat to 10.0.0.4:53",
            "tcp dport 8080 redirect to :80",
            "udp dport 5353 redirect",
            "ip daddr 203.0.113.1 tcp dport 8080-8081 dnat to 10.0.0.4:8000-8010",
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
        if dice.oneIn(2) {
            lines += [
                "table ip6 nat {",
                " chain post {",
                "  type nat hook postrouting priority srcnat; policy accept;",
                "  oifname \"wan\" ip6 saddr fd00::/64 masquerade",
                " }",
                "}",
            ]
        }
        return lines
    }

    private static func filters(_ dice: inout FuzzDice) -> [String] {
        let chains: [(String, [String])] = [
            (
                "hook prerouting priority raw",
                [
                    "udp dport 123 notrack", "tcp dport 443 notrack", "ip saddr 10.0.0.3 notrack",
                    "tcp sport 443 notrack", "udp dport 123 drop", "icmp type echo-request notrack",
                ]
            ),
            (
                "hook prerouting priority mangle",
                ["udp dport 53 drop", "ct state new tcp dport 443 drop", "ct state invalid drop"]
            ),
            (
                "hook forward priority filter",
                [
                    "ct state invalid drop", "ct state established,related accept",
                    "ct state new tcp dport 443 drop", "ct direction reply drop",
                    "tcp flags & (fin | syn | rst | ack) == syn ct state established drop",
                    "ct state new ct mark set 7", "ct mark 7 udp dport 53 drop",
                    "ct state related drop", "ct status assured tcp flags rst drop",
                    "tcp dport 443 reject with tcp reset", "udp dport 123 reject",
                    "ct state untracked drop", "iifname \"wan\" ct state new drop",
                ]
            ),
            (
                "hook postrouting priority 50",
                [
                    "tcp dport 22 drop", "ct state new udp dport 80 drop",
                    "oifname \"lan\" ct state new drop",
                ]
            ),
            (
                "hook input priority filter",
                ["ct state invalid drop", "udp dport 53 drop", "ct state new tcp dport 80 drop"]
            ),
        ]
        var lines: [String] = []
        for (index, (place, rules)) in chains.enumerated() where dice.oneIn(3) {
            var body: [String] = []
            for _ in 0...dice.below(2) { body.append("  " + dice.pick(rules)) }
            lines += [
                "table inet flt\(index) {", " chain c {", "  type filter \(place); policy accept;",
            ]
            lines += body + [" }", "}"]
        }
        return lines
    }
}
