import Testing

@testable import Conntrack

extension RulesFindingTests {
    /// Whole texts.
    static let texts: [Row] = [
        Row(
            "table ip t {\nchain c {\ntype filter hook forward priority 0\nreject "
                + "with icmpx 1\n}\n}",
            "4:1: found 'reject', expected icmp or icmpv6: icmpx is for tables of family inet"),
        Row(
            "table ip t {\nchain c {\ntype filter hook forward priority 0\nip6 saddr ::1\n}\n}",
            "4:1: found 'ip6 saddr', expected a field of IPv4, which the table or "
                + "the rule asks for"),
        Row(
            "table ip t {\nchain c {\ntype filter hook forward priority 0\nmeta "
                + "nfproto ipv4\n}\n}",
            "4:1: found 'meta nfproto', expected 'meta nfproto' in tables of family inet only"),
        Row(
            "table inet t {\nchain c {\ntype nat hook prerouting priority "
                + "dstnat\ndnat to 10.0.0.1\n}\n}",
            "4:1: found 'dnat', expected 'dnat ip to' or 'dnat ip6 to' in a table of family inet"),
        Row(
            "table ip t {\nchain c {\ntype nat hook prerouting priority "
                + "dstnat\ndnat to 10.0.0.1:80\n}\n}",
            "4:18: found '80', expected ports only behind a match of the transport protocol"),
        Row(
            "table ip t {\nchain c {\ntype nat hook prerouting priority dstnat\nmasquerade\n}\n}",
            "4:1: found 'masquerade' at hook prerouting, expected it in a chain of "
                + "type nat at one of the hooks postrouting"),
        Row(
            "table ip t {\nchain c {\ntype nat hook prerouting priority "
                + "dstnat\nsnat to 10.0.0.1\n}\n}",
            "4:1: found 'snat' at hook prerouting, expected it in a chain of type "
                + "nat at one of the hooks postrouting, input"),
        Row(
            "table ip t {\nchain c {\ntype nat hook prerouting priority dstnat\ntcp "
                + "dport 80 dnat to 10.0.0.9-10.0.0.1\n}\n}",
            "4:22: found '10.0.0.9-10.0.0.1', expected a range that does not begin "
                + "behind its end"),
        Row(
            "table ip t {\nchain c {\ntype nat hook prerouting priority dstnat\ntcp "
                + "dport 80 dnat to 10.0.0.1:70000\n}\n}",
            "4:31: found '70000', expected a port number or service name, at most 65535"),
        Row(
            "table ip t {\nchain c {\ntype nat hook prerouting priority "
                + "dstnat\ndnat ip6 to ::1\n}\n}",
            "4:1: found 'dnat', expected 'dnat to', for an address of IPv4"),
        Row(
            "table ip t {\nchain c {\ntype nat hook postrouting priority "
                + "srcnat\nsnat ip prefix to 10.0.0.0/24\n}\n}",
            "4:9: found 'prefix', expected 'to': mappings of whole prefixes and "
                + "intervals are not supported"),
        Row(
            "table ip t {\nchain c {\ntype filter hook postrouting priority 0\nreject\n}\n}",
            "4:1: found 'reject' at hook postrouting, expected it at one of the "
                + "hooks prerouting, input, forward, output"),
        Row(
            "table ip t {\nchain c {\ntype nat hook prerouting priority "
                + "dstnat\ndnat to tcp dport map { 80 : 10.0.0.1 . 80, 81 : 10.0.0.2 "
                + "}\n}\n}",
            "4:50: found '10.0.0.2', expected 2 parts: ipv4_addr . inet_service"),
        Row(
            "table ip6 t {\nchain c {\ntype nat hook prerouting priority "
                + "dstnat\ntcp dport 80 dnat to [::1\n}\n}",
            "4:26: found the end of the line, expected ']'"),
        Row(
            "table arp t { }",
            "1:7: found 'arp', expected one of the supported families ip, ip6, inet"),
        Row(
            "tabel ip t { }",
            "1:1: found 'tabel', expected \(command); did you mean 'table'?"),
        Row(
            "table ip accept { }",
            "1:10: found 'accept', expected the name of a table, which cannot be a "
                + "word of the language"),
        Row(
            "table ip t { chian c { } }",
            "1:14: found 'chian', expected one of chain, set, map, ct, comment, define; "
                + "did you mean 'chain'?"),
        Row(
            "table ip t { chain c { type filter hook forwad priority 0; } }",
            "1:41: found 'forwad', expected one of prerouting, input, forward, "
                + "output, postrouting; did you mean 'forward'?"),
        Row(
            "table ip t { chain c { type nat hook forward priority 0; } }",
            "1:38: found 'forward', expected prerouting, input, output or postrouting"),
        Row(
            "table ip t { chain c { type route hook input priority 0; } }",
            "1:40: found 'input', expected output, the only hook of type route"),
        Row(
            "table ip t { chain c { type filter hook input priority dstnat; } }",
            "1:56: found 'dstnat', expected -100: the name 'dstnat' is known at "
                + "hook prerouting only"),
        Row(
            "table ip t { chain c { type filter hook input priority fliter; } }",
            "1:56: found 'fliter', expected a number or one of raw, mangle, dstnat, "
                + "filter, security, srcnat; did you mean 'filter'?"),
        Row(
            "table ip t { chain c { type nat hook prerouting priority -200; } }",
            "1:58: found '-200', expected a priority above -200 for a chain of type nat"),
        Row(
            "table ip t { chain c { policy drop; } }",
            "1:24: found a policy in a chain without hook, expected 'type … hook … "
                + "priority …' in the same chain"),
        Row(
            "table ip t { chain c { type filter hook input priority 0; policy reject; } }",
            "1:66: found 'reject', expected accept or drop"),
        Row(
            "table ip t { flags dormant; }",
            "1:14: found 'flags', expected one of chain, set, map, ct, comment, define; "
                + "'flags' is not supported here"),
        Row(
            "table ip t { ct helper x { } }",
            "1:24: found helper 'x' without a type, expected 'type \"ftp\" protocol tcp' in its "
                + "block"),
        Row(
            "table ip t { ct helper x { type \"sip\" protocol udp; } }",
            "1:33: found \"sip\", expected a helper that is modelled: \"ftp\""),
        Row(
            "table ip t { ct helper x { type \"ftp\" protocol udp; } }",
            "1:24: found helper 'x' over udp, expected 'type \"ftp\" protocol tcp'"),
        Row(
            "table ip t { ct helper x { type \"ftp\" protocol tcp; l3proto ip6; } }",
            "1:61: found 'ip6', expected ip, the table's own protocol"),
        Row(
            "table ip t { ct helper x { protocol tcp; } }",
            "1:28: found 'protocol', expected one of type, l3proto, comment"),
        Row(
            "table ip t { ct expectation x { } }",
            "1:17: found 'expectation', expected helper or timeout; 'ct expectation' is not "
                + "supported"),
        Row(
            "table ip t { ct timeout x { policy = { close : 3 }; } }",
            "1:25: found timeout 'x' without a protocol, expected 'protocol tcp' or 'protocol udp' "
                + "in its block"),
        Row(
            "table ip t { ct timeout x { protocol icmp; } }",
            "1:38: found 'icmp', expected tcp or udp"),
        Row(
            "table ip t { ct timeout x { protocol tcp; policy = { clsoe : 3 }; } }",
            "1:54: found 'clsoe', expected one of syn_sent, syn_recv, established, fin_wait, "
                + "close_wait, last_ack, time_wait, close, syn_sent2, retrans, unack; did you mean "
                + "'close'?"),
        Row(
            "table ip t { ct timeout x { protocol udp; policy = { replied : 3s }; } }",
            "1:64: found '3s', expected seconds, a number from 0 to 4294967295"),
        Row(
            "table ip t { ct timeout x { protocol udp; }; ct timeout x { protocol tcp; } }",
            "1:57: found another timeout 'x', expected the one that is there already"),
        Row(
            "table ip t { chain c { accept }",
            "1:32: found the end of the text, expected '}'"),
        Row(
            "table ip t { set s { type ipv4_adr; } }",
            "1:27: found 'ipv4_adr', expected a supported type: ipv4_addr, "
                + "ipv6_addr, inet_service, inet_proto, nf_proto, ether_type, mark, "
                + "ifname, iface_index, icmp_type, icmpv6_type, icmp_code, icmpv6_code, "
                + "ct_state, ct_status, ct_dir, ct_label, tcp_flag, dscp; did you mean 'ipv4_addr'?"
        ),
        Row(
            "table ip t { set s { elements = { 10.0.0.1 } } }",
            "1:18: found set 's' without a type, expected 'type …' or 'typeof …' in its block"),
        Row(
            "table ip t { set s { type ipv4_addr; elements = { 10.0.0.0/8 } } }",
            "1:51: found '10.0.0.0/8', expected a single value, or 'flags interval' in the set"),
        Row(
            "table ip t { set s { type ipv4_addr; flags interval; elements = { "
                + "10.0.0.0/8, 10.1.0.0/16 } } }",
            "1:79: found an element that overlaps another, expected elements that do not overlap"),
        Row(
            "table ip t { set s { type ipv4_addr; flags timeout; } }",
            "1:44: found 'timeout', expected interval or constant; timeout and "
                + "dynamic are not supported"),
        Row(
            "table ip t { set s { type ipv4_addr; size 1; elements = { 10.0.0.1, 10.0.0.2 } } }",
            "1:18: found 2 elements in 's', expected at most its size, 1"),
        Row(
            "table ip t { map m { type ipv4_addr : verdict; elements = { 10.0.0.1 } } }",
            "1:61: found '10.0.0.1', expected a key, ':' and a verdict"),
        Row(
            "table ip t { map m { type ipv4_addr : verdict; elements = { 10.0.0.1 : "
                + "accept, 10.0.0.1 : drop } } }",
            "1:80: found an element that overlaps another, expected elements that do not overlap"),
        Row(
            "table ip t { set ports { type inet_service; }\nchain c { ip saddr @ports\n} }",
            "2:20: found '@ports' of type inet_service, expected one of type ipv4_addr"),
        Row(
            "table ip t { set s { type ipv4_addr; }\nchain c { ip saddr vmap @s\n} }",
            "2:25: found '@s', expected a map that holds verdicts"),
        Row(
            "add rule ip t c accept",
            "1:13: found table 'ip t', expected a table that is added before"),
        Row(
            "table ip t\nadd rule ip t c accept",
            "2:15: found chain 'c', expected a chain that is added before"),
        Row(
            "include \"x\"",
            "1:1: found 'include', expected the text itself: included files are not read"),
        Row(
            "list ruleset",
            "1:1: found 'list', expected \(command)"),
        Row(
            "define x = 5\ndefine x = 6",
            "2:8: found 'x', expected a name that is not defined yet, or 'redefine'"),
        Row(
            "define x 5",
            "1:10: found '5', expected '='"),
        Row(
            "table ip t { chain a { type filter hook input priority 0; jump b; "
                + "}\nchain b { jump c\n}\nchain c { jump b\n} }",
            "4:16: found a jump that leads back to its own chain, expected chains without loops"),
        Row(
            "table ip t { chain a { type filter hook input priority 0; }\nchain b { jump a\n} }",
            "2:16: found a jump to a base chain, expected a chain without hook"),
        Row(
            "table ip t { chain c { accept; drop; tpc dport 5; udp dprot 5; } }\nfoo",
            "1:38: found 'tpc', expected \(statement); did you mean 'tcp'?",
            "1:55: found 'dprot', expected one of the supported keys of 'udp': "
                + "sport, dport; did you mean 'dport'?",
            "2:1: found 'foo', expected \(command)"),
        Row(
            "table ip t { chain c {\n\ttcp dport 80 acept\n} }",
            "2:15: found 'acept', expected \(statement); did you mean 'accept'?"),
        Row(
            "table ip t { comment \"über\"; foo; }",
            "1:30: found 'foo', expected one of chain, set, map, ct, comment, define"),
    ]
}
