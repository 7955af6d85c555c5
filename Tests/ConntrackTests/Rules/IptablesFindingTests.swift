import Testing

@testable import Conntrack

@Suite("iptables-save: what is wrong is said with its place")
struct IptablesFindingTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var text: String
        var finding: String
        var testDescription: String { text }

        init(_ text: String, _ finding: String) {
            self.text = text
            self.finding = finding
        }
    }

    static let rules: [Row] = [
        Row(
            "-A INPUT -p tcp --dprot 80 -j DROP",
            "t.save:4:17: found '--dprot', expected an option of a rule (-s, -d, -p, -i, -o, -m, "
                + "-j, -g); did you mean '--proto'?"),
        Row(
            "-A INPUT -p tcp -m tcp --dprot 80 -j DROP",
            "t.save:4:24: found '--dprot', expected a supported option of 'tcp': --sport, --dport, "
                + "--source-port, --destination-port, --tcp-flags, --syn; did you mean '--dport'?"),
        Row(
            "-A INPUT -m set --match-set x src -j DROP",
            "t.save:4:13: found 'set', expected a supported match: conntrack, state, tcp, udp, "
                + "udplite, sctp, icmp, icmp6, multiport, comment, mark, connmark, statistic, "
                + "addrtype, limit, recent"),
        Row(
            "-A INPUT -m conntrack --ctstate NEW,ESTABLISED -j DROP",
            "t.save:4:33: found 'NEW,ESTABLISED', expected connection states: INVALID, "
                + "ESTABLISHED, RELATED, NEW, UNTRACKED, SNAT, DNAT"),
        Row(
            "-A INPTU -j DROP",
            "t.save:4:4: found 'INPTU', expected a chain of the table that has its ':' line above; "
                + "did you mean 'INPUT'?"),
        Row(
            "-A INPUT -j TPROXY",
            "t.save:4:13: found 'TPROXY', expected a chain of the table or a target: ACCEPT, DROP, "
                + "RETURN, REJECT, DNAT, SNAT, MASQUERADE, REDIRECT, NOTRACK, CT, MARK, CONNMARK, "
                + "LOG, NFLOG"),
        Row(
            "-A INPUT -s 10.0.0.0/33 -j DROP",
            "t.save:4:13: found '10.0.0.0/33', expected a prefix length of at most 32"),
        Row(
            "-A INPUT -s fd00::1 -j DROP",
            "t.save:4:13: found 'fd00::1', expected an IPv4 address, with '/' and a length or mask "
                + "behind"),
        Row(
            "-A INPUT -j DNAT --to-destination 10.0.0.1",
            "t.save:4:13: found 'DNAT', expected 'DNAT' in the table nat only"),
        Row(
            "-A INPUT -m multiport --dports 80 -j DROP",
            "t.save:4:13: found 'multiport', expected '-p' and one of tcp, udp, udplite, sctp, dccp"
        ),
        Row(
            "-A INPUT -m comment --comment \"open",
            "t.save:4:31: found a quotation without end, expected '\"' before the end of the line"),
        Row(
            "-D INPUT -j DROP",
            "t.save:4:1: found '-D', expected '-A' and the chain; did you mean '-A'?"),
        Row(
            "-A INPUT --goto INPUT -j DROP",
            "t.save:4:23: found '-j', expected one target in a rule"),
        Row("-A INPUT -j", "t.save:4:10: found '-j', expected a value behind '-j'"),
        Row("-A INPUT ! -m tcp", "t.save:4:12: found '-m', expected '-m' without '!'"),
        Row(
            "-A INPUT -p tcp -m tcp --dport 70000 -j DROP",
            "t.save:4:32: found '70000', expected a port, a number from 0 to 65535"),
        Row(
            "-A INPUT -m statistic --mode random --probability 2 -j DROP",
            "t.save:4:51: found '2', expected a probability from 0 to 1"),
        Row("-A INPUT -j NOTRACK", "t.save:4:13: found 'NOTRACK', expected 'NOTRACK' in raw only"),
        Row("-A INPUT -j CT --zone 5", "t.save:4:13: found 'CT', expected 'CT' in raw only"),
        Row(
            "-A INPUT -j CT --timeout slow",
            "t.save:4:16: found '--timeout', expected a supported option of 'CT': --notrack, --zone, "
                + "--zone-orig, --zone-reply, --helper"),
        Row(
            "-A INPUT -j CT --ctevents new",
            "t.save:4:16: found '--ctevents', expected a supported option of 'CT': --notrack, "
                + "--zone, --zone-orig, --zone-reply, --helper"),
        Row(
            "-A INPUT -j LOG --log-level loud",
            "t.save:4:29: found 'loud', expected a level: 0 to 7, emerg, alert, crit, err, warn, "
                + "notice, info, debug"),
        Row(
            "-A INPUT -p tcp -j REJECT --reject-with icmp-nobody",
            "t.save:4:41: found 'icmp-nobody', expected one of icmp-net-unreachable, net-unreach, "
                + "icmp-host-unreachable, host-unreach, icmp-proto-unreachable, proto-unreach, "
                + "icmp-port-unreachable, port-unreach, icmp-net-prohibited, net-prohib, "
                + "icmp-host-prohibited, host-prohib, icmp-admin-prohibited, admin-prohib, tcp-reset"
        ),
    ]

    static let texts: [Row] = [
        Row(
            "*fliter\n",
            "t.save:1:1: found '*fliter', expected one of '*raw', '*mangle', '*nat', "
                + "'*filter', '*security'; did you mean '*filter'?"),
        Row("*filter\n:INPUT ACCEPT\n", "t.save:3:1: found the end of the text, expected 'COMMIT'"),
        Row(":INPUT ACCEPT\n", "t.save:1:1: found ':INPUT', expected a table before it: '*filter'"),
        Row(
            "*nat\n:FORWARD ACCEPT\nCOMMIT\n",
            "t.save:2:10: found 'ACCEPT', expected '-': only built-in chains of the table "
                + "(PREROUTING, INPUT, OUTPUT, POSTROUTING) have a policy"),
        Row(
            "*filter\n:A - [0:0]\n:INPUT ACCEPT\n-A A -j A\n-A INPUT -j A\nCOMMIT\n",
            "t.save:4:9: found a jump that leads back to its own chain, expected chains without "
                + "loops"),
        Row(
            "table ip filter {}\n",
            "t.save:1:1: found 'table', expected a line of iptables-save: '*table', ':CHAIN', '-A …' "
                + "or 'COMMIT' behind them"),
    ]

    private static func findings(_ text: String) -> [String] {
        do throws(RulesetError) {
            _ = try Ruleset(
                [RulesetSource(.iptablesSave, text, file: "t.save")], interfaces: ["lan"])
            return []
        } catch {
            return error.findings.map(\.description)
        }
    }

    @Test("In a rule, which stands on line 4", arguments: rules)
    func rule(_ row: Row) {
        let text = "# a comment\n*filter\n:INPUT ACCEPT [0:0]\n\(row.text)\nCOMMIT\n"
        #expect(Self.findings(text) == [row.finding])
    }

    @Test("In a text", arguments: texts)
    func text(_ row: Row) {
        #expect(Self.findings(row.text) == [row.finding])
    }

    @Test("Every prefix of a dump, and every dump with one byte changed, is read without a trap")
    func hostile() {
        let text = Array(
            "*nat\n:PREROUTING ACCEPT [0:0]\n:K - [0:0]\n[1:2] -A K ! -s 10.0.0.0/8 -p tcp -m tcp --dport 1:2 -m recent --set --name \"a b\" -j DNAT --to-destination [::1]:80-90/3\nCOMMIT\n"
                .utf8)
        for end in text.indices {
            _ = Self.findings(String(decoding: text[..<end], as: UTF8.self))
            for byte in [UInt8(ascii: "\""), UInt8(ascii: "!"), UInt8(ascii: "/"), 0xFF, 0] {
                var changed = text
                changed[end] = byte
                _ = Self.findings(String(decoding: changed, as: UTF8.self))
            }
        }
    }
}
