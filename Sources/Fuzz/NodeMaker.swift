/// Draws a machine: the same two interfaces always, rules and settings by chance.
enum NodeMaker {
    static let lanAddress = "10.0.0.1"
    static let wanAddress = "203.0.113.1"
    static let wanAddress6 = "2001:db8::1"

    static func node(
        _ kind: FuzzKind, hasShortTimeouts: Bool, _ dice: inout FuzzDice
    ) -> FuzzNode {
        var rules: [String] = []
        if translates(kind, &dice) { rules += RuleMaker.translation(kind, &dice) }
        if dice.oneIn(2) { rules += RuleMaker.filters(kind, &dice) }
        if dice.oneIn(5) { rules += ObjectRuleMaker.rules(&dice) }
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
            tracking: dice.oneIn(6) ? "auto" : "always")
        setSwitches(&node, &dice)
        if hasShortTimeouts { setShortTimeouts(&node, &dice) }
        return node
    }

    private static func translates(_ kind: FuzzKind, _ dice: inout FuzzDice) -> Bool {
        switch kind {
        case .nat: true
        case .sctp, .gre, .udplite: dice.oneIn(2)
        case .tcp, .udp, .icmp, .mixed: dice.oneIn(10)
        }
    }

    private static func setSwitches(_ node: inout FuzzNode, _ dice: inout FuzzDice) {
        if dice.oneIn(3) { node.set("nf_conntrack_tcp_loose", 0) }
        if dice.oneIn(3) { node.set("nf_conntrack_tcp_be_liberal", 1) }
        if dice.oneIn(3) { node.set("nf_conntrack_tcp_ignore_invalid_rst", 1) }
        if dice.oneIn(3) { node.set("nf_conntrack_tcp_max_retrans", dice.below(4)) }
        if dice.oneIn(4) { node.set("nf_conntrack_checksum", 0) }
        if dice.oneIn(3) { node.set("nf_conntrack_acct", 1) }
        if dice.oneIn(5) { node.set("nf_conntrack_events", dice.oneIn(3) ? 0 : 1) }
        if dice.oneIn(6) { node.set("nf_conntrack_timestamp", 1) }
        for name in longTimeouts where dice.oneIn(8) {
            // Far from each other, so that a timeout taken for another is seen.
            node.set("nf_conntrack_" + name, 50 + 7 * dice.below(40))
        }
    }

    /// Timeouts a short trace never reaches, whatever they are set to.
    private static let longTimeouts =
        timeouts + [
            "tcp_timeout_max_retrans", "tcp_timeout_unacknowledged", "gre_timeout_stream",
            "sctp_timeout_closed", "sctp_timeout_cookie_wait", "sctp_timeout_cookie_echoed",
            "sctp_timeout_established", "sctp_timeout_shutdown_sent",
            "sctp_timeout_shutdown_recd", "sctp_timeout_shutdown_ack_sent",
            "sctp_timeout_heartbeat_sent",
        ]

    private static let timeouts = [
        "tcp_timeout_syn_sent", "tcp_timeout_syn_recv", "tcp_timeout_established",
        "tcp_timeout_fin_wait", "tcp_timeout_close_wait", "tcp_timeout_last_ack",
        "tcp_timeout_time_wait", "tcp_timeout_close", "udp_timeout", "udp_timeout_stream",
        "icmp_timeout", "icmpv6_timeout", "generic_timeout", "gre_timeout",
    ]

    private static func setShortTimeouts(_ node: inout FuzzNode, _ dice: inout FuzzDice) {
        for name in timeouts where dice.oneIn(2) {
            node.set("nf_conntrack_" + name, dice.within(1...3))
        }
    }
}
