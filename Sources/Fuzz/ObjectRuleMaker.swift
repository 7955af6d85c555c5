/// Draws rules that give packets a zone, and connections a timeout policy or a label.
enum ObjectRuleMaker {
    private static let zones = [
        "ct zone set 5", "ip saddr 10.0.0.3 ct zone set 5", "udp dport 53 ct zone set 5",
        "iifname \"lan\" ct zone set 5", "iifname \"lan\" ct original zone set 8",
        "ct original zone set 8", "iifname \"wan\" ct zone set 9", "ct reply zone set 9",
        "meta l4proto icmp ct zone set 5", "tcp dport 443 ct zone set 7 ct zone set 8",
        "udp dport 123 ct zone set 6 notrack", "udp dport 123 notrack ct zone set 6",
    ]

    private static let attachments = [
        "ct timeout set \"patient\"", "ct timeout set \"hasty\"", "ct timeout set \"talk\"",
        "ct state new ct timeout set \"hasty\"", "ct direction reply ct timeout set \"talk\"",
        "tcp dport 443 ct timeout set \"hasty\"", "ct label set 3", "udp dport 53 ct label set 127",
        "ct direction reply ct label set 64", "ct label 3 ct mark set 9",
        "ct label { 3, 127 } ct mark set 8", "ct label != 3 ct mark set 10",
        "ct zone 5 ct mark set 5",
        "ct original zone 8 ct mark set 6",
    ]

    static func rules(_ dice: inout FuzzDice) -> [String] {
        var lines = [
            "table inet objects {",
            " ct timeout patient {",
            "  protocol tcp; policy = { syn_sent : 61, established : 777, unack : 83, close : 12 };",
            " }",
            " ct timeout hasty {",
            "  protocol tcp; policy = { syn_recv : 44, fin_wait : 55, retrans : 66, time_wait : 9 };",
            " }",
            " ct timeout talk {",
            "  protocol udp; policy = { unreplied : 41, replied : 222 };",
            " }",
        ]
        if dice.oneIn(2) {
            lines += [
                " chain zones {", "  type filter hook prerouting priority raw; policy accept;",
            ]
            for _ in 0...dice.below(2) { lines.append("  " + dice.pick(zones)) }
            lines.append(" }")
        }
        let place = dice.pick(["prerouting priority mangle", "forward priority filter"])
        lines += [" chain objects {", "  type filter hook \(place); policy accept;"]
        for _ in 0...dice.below(3) { lines.append("  " + dice.pick(attachments)) }
        return lines + [" }", "}"]
    }
}
