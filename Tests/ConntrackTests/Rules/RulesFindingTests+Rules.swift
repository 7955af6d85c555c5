import Testing

@testable import Conntrack

extension RulesFindingTests {
    /// One rule of a base chain of table `inet t`, at forward.
    static let rules: [Row] = [
        Row(
            "tcp dprot 80 accept",
            "4:5: found 'dprot', expected one of the supported keys of 'tcp': "
                + "sport, dport, flags; did you mean 'dport'?"),
        Row(
            "acept",
            "4:1: found 'acept', expected \(statement); did you mean 'accept'?"),
        Row(
            "tcp dport 80 acept",
            "4:14: found 'acept', expected \(statement); did you mean 'accept'?"),
        Row(
            "tcp dport 70000",
            "4:11: found '70000', expected a port number or service name, at most 65535"),
        Row(
            "tcp dport httpd",
            "4:11: found 'httpd', expected a port number or service name; did you mean 'http'?"),
        Row(
            "tcp dport 10.0.0.1",
            "4:11: found '10.0.0.1', expected a port number or service name"),
        Row(
            "tcp dport 90-80",
            "4:11: found '90-80', expected a range that does not begin behind its end"),
        Row(
            "tcp dport { 80, 90-85 }",
            "4:17: found '90-85', expected a range that does not begin behind its end"),
        Row(
            "tcp dport { 80 90 }",
            "4:16: found '90', expected ',' or '}'"),
        Row(
            "tcp dport { 80 : accept }",
            "4:18: found 'accept', expected an element of a set, without ':'"),
        Row(
            "tcp dport 22,80",
            "4:11: found '22,80', expected a port number or service name; several "
                + "stand in a set '{ … }'"),
        Row(
            "ip saddr 10.0.0.256",
            "4:10: found '10.0.0.256', expected an IPv4 address"),
        Row(
            "ip saddr ::1",
            "4:10: found '::1', expected an IPv4 address"),
        Row(
            "ip saddr 10.0.0.0/33",
            "4:19: found '33', expected a prefix length, a number from 0 to 32"),
        Row(
            "ip6 saddr fe80:::1",
            "4:17: found ':', expected \(statement)"),
        Row(
            "ip saddr localhost",
            "4:10: found 'localhost', expected an IPv4 address"),
        Row(
            "ct state establised",
            "4:10: found 'establised', expected a conntrack state; did you mean 'established'?"),
        Row(
            "ct sate new",
            "4:4: found 'sate', expected one of the supported keys of 'ct': state, "
                + "direction, status, mark, expiration, zone, label, helper, packets, bytes, "
                + "original, reply; did you mean 'state'?"),
        Row(
            "ct original sadr 10.0.0.1",
            "4:13: found 'sadr', expected one of the supported keys of 'ct "
                + "original': saddr, daddr, ip saddr, ip daddr, ip6 saddr, ip6 daddr, "
                + "proto-src, proto-dst, packets, bytes, zone; did you mean 'saddr'?"),
        Row(
            "ct original saddr 10.0.0.1",
            "4:1: found 'ct original saddr', expected 'ip' or 'ip6' before the "
                + "address, in a table of both"),
        Row(
            "ct original proto-dst 80",
            "4:1: found 'ct original proto-dst', expected a match of the transport "
                + "protocol before the ports"),
        Row(
            "ct helper set \"ftp\"",
            "4:15: found 'ftp', expected a ct helper object of the table"),
        Row(
            "ct zone set 65536",
            "4:13: found '65536', expected a number, at most 65535"),
        Row(
            "ct zone set tcp dport",
            "4:13: found 'tcp dport', expected a number"),
        Row(
            "ct label set 128",
            "4:14: found '128', expected a label, a number from 0 to 127"),
        Row(
            "ct label 128",
            "4:10: found '128', expected a label, a number from 0 to 127"),
        Row(
            "ct timeout set \"x\"",
            "4:16: found 'x', expected a ct timeout object of the table"),
        Row(
            "ct timeout \"x\"",
            "4:12: found \"x\", expected 'set'"),
        Row(
            "ct count over 10",
            "4:4: found 'count', expected one of the supported keys of 'ct': state, direction, "
                + "status, mark, expiration, zone, label, helper, packets, bytes, original, reply; "
                + "'ct count' is not supported"),
        Row(
            "fib daddr oif \"lan\"",
            "4:11: found 'oif', expected 'type', the only supported result of 'fib'"),
        Row(
            "fib daddr type locl",
            "4:16: found 'locl', expected an address type; did you mean 'local'?"),
        Row(
            "update @s { ip saddr, ip daddr }",
            "4:21: found ',', expected '}': one key, with a 'timeout' at most"),
        Row(
            "queue num 1",
            "4:1: found 'queue', expected \(statement); 'queue' is not supported"),
        Row(
            "tcp option maxseg size set 1400",
            "4:5: found 'option', expected one of the supported keys of 'tcp': "
                + "sport, dport, flags"),
        Row(
            "accept counter",
            "4:8: found 'counter', expected the end of the rule: 'accept' ends it"),
        Row(
            "drop drop",
            "4:6: found 'drop', expected the end of the rule: 'drop' ends it"),
        Row(
            "counter name x",
            "4:9: found 'name', expected 'packets N bytes N', or nothing: named "
                + "counters are not supported"),
        Row(
            "limit rate 10 mbytes/second",
            "4:15: found 'mbytes/second', expected '/' and a unit of time: rates in "
                + "bytes are not supported"),
        Row(
            "limit rate 10/fortnight",
            "4:15: found 'fortnight', expected one of second, minute, hour, day, week"),
        Row(
            "limit rate 0/second",
            "4:12: found '0', expected a rate, a number from 1 to 4294967295"),
        Row(
            "log level warning",
            "4:11: found 'warning', expected one of emerg, alert, crit, err, warn, "
                + "notice, info, debug"),
        Row(
            "log group 1 level info",
            "4:1: found 'log', expected 'group' without 'level' and 'flags'"),
        Row(
            "reject with icmp type bad",
            "4:23: found 'bad', expected one of net-unreachable, host-unreachable, "
                + "prot-unreachable, port-unreachable, frag-needed, net-prohibited, "
                + "host-prohibited, admin-prohibited, or a number up to 255"),
        Row(
            "reject with tcp",
            "4:16: found the end of the line, expected 'reset'"),
        Row(
            "tcp dport 22 udp dport 53",
            "4:14: found 'udp dport', expected a field of protocol tcp, which the rule asks for"),
        Row(
            "ip saddr 10.0.0.1 ip6 daddr ::1",
            "4:19: found 'ip6 daddr', expected a field of IPv4, which the table or "
                + "the rule asks for"),
        Row(
            "meta l4proto { tcp, udp } tcp dport 53",
            "4:27: found 'tcp dport', expected a field that all protocols of the "
                + "rule's set have, such as 'th dport'"),
        Row(
            "iif eth9 accept",
            "4:5: found 'eth9', expected the name of one of the node's interfaces"),
        Row(
            "iifname \"*\"",
            "4:9: found '\"*\"', expected a name, or the beginning of one before '*'"),
        Row(
            "iifname \"averylonginterface\"",
            "4:9: found '\"averylonginterface\"', expected an interface name of at most 15 bytes"),
        Row(
            "jump nosuch",
            "4:6: found 'nosuch', expected a chain of this table"),
        Row(
            "jump drop",
            "4:6: found 'drop', expected the name of a chain, which cannot be a "
                + "word of the language"),
        Row(
            "goto c",
            "4:6: found a jump to a base chain, expected a chain without hook"),
        Row(
            "ip saddr @nosuch",
            "4:10: found '@nosuch', expected a set or map of this table"),
        Row(
            "ip saddr $nosuch",
            "4:10: found '$nosuch', expected a defined name"),
        Row(
            "meta mark set 5 5",
            "4:17: found '5', expected \(statement)"),
        Row(
            "meta mark set ip saddr",
            "4:15: found 'ip saddr', expected a mark"),
        Row(
            "tcp flags ! syn / fin,syn",
            "4:17: found '/', expected 'value / mask' only with '==' or '!='"),
        Row(
            "meta mark ! 5",
            "4:1: found 'meta mark', expected '!=': '!' is for flags by themselves"),
        Row(
            "tcp flags > syn",
            "4:1: found 'tcp flags', expected a number, which has an order"),
        Row(
            "tcp dport << 1 == 5",
            "4:1: found 'tcp dport << 1', expected a field without shift: only a "
                + "mark can be set to a shifted value"),
        Row(
            "meta mark set ct mark or meta mark",
            "4:26: found 'meta', expected a number: only one packet field can be in an operation"),
        Row(
            "numgen inc mod 0 1",
            "4:16: found '0', expected the modulus, a number from 1 to 4294967295"),
        Row(
            "numgen inc mod 2 5",
            "4:18: found '5', expected a number the left side can have, at most 1"),
        Row(
            "jhash iifname mod 2 0",
            "4:7: found 'iifname', expected fields other than interfaces to hash"),
        Row(
            "ip saddr . tcp dport { 10.0.0.1 }",
            "4:24: found '10.0.0.1', expected 2 parts: ipv4_addr . inet_service"),
        Row(
            "ip saddr . tcp dport 10.0.0.1 . 80",
            "4:22: found '10.0.0.1 . 80', expected a set '{ … }' behind a concatenation"),
        Row(
            "log prefix \"open",
            "4:12: found a quotation without end, expected '\"' before the end of the line"),
        Row(
            "tcp dport 99999999999999999999",
            "4:11: found '99999999999999999999', expected a number of at most 64 bits"),
        Row(
            "tcp dport 08",
            "4:11: found '08', expected an octal number behind the leading 0"),
        Row(
            "%",
            "4:1: found '%', expected a word, number, address or sign of nftables"),
        Row(
            "\"accept\"",
            "4:1: found \"accept\", expected \(statement)"),
        Row(
            "tcp dport",
            "4:10: found the end of the line, expected a value"),
        Row(
            "dnat to 10.0.0.1",
            "4:1: found 'dnat', expected 'dnat ip to' or 'dnat ip6 to' in a table of family inet",
            "4:1: found 'dnat' at hook forward, expected it in a chain of type nat "
                + "at one of the hooks prerouting, output"),
    ]
}
