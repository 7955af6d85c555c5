// Words of the language that mean something wherever they stand.

extension RulesetParser {
    /// Words that cannot name a table, chain, set or define, as observed with nft 1.0.6.
    static let reservedWords: Set<String> = [
        "accept", "add", "ah", "all", "and", "arp", "auto-merge", "bridge", "cgroup", "chain",
        "comment", "comp", "constant", "continue", "counter", "cpu", "create", "ct", "day",
        "dccp", "define", "delete", "describe", "device", "devices", "dnat", "drop", "dst",
        "dup", "dynamic", "ecn", "element", "elements", "eq", "esp", "ether", "exists",
        "expires", "export", "fib", "flags", "flow", "flowtable", "flush", "frag", "fwd",
        "gc-interval", "ge", "goto", "gt", "handle", "hbh", "hook", "hour", "ibriport",
        "ibrname", "icmp", "icmpv6", "igmp", "iif", "iifgroup", "iifname", "iiftype", "import",
        "include", "index", "inet", "insert", "interval", "ip", "ip6", "ipsec", "jhash", "jump",
        "le", "limit", "list", "log", "lshift", "lt", "map", "mark", "masquerade", "meta",
        "meter", "mh", "missing", "monitor", "ne", "netdev", "nftrace", "not", "notrack",
        "numgen", "obriport", "obrname", "offload", "oif", "oifgroup", "oifname", "oiftype",
        "or", "osf", "pkttype", "policy", "position", "priority", "queue", "quota", "random",
        "redefine", "redirect", "reject", "rename", "replace", "reset", "return", "rshift",
        "rt", "rtclassid", "rule", "ruleset", "sctp", "secmark", "set", "size", "skgid",
        "skuid", "snat", "socket", "srh", "symhash", "synproxy", "table", "tcp", "th", "time",
        "timeout", "tproxy", "type", "typeof", "udp", "udplite", "undefine", "update", "vlan",
        "vmap", "xor", "xt",
    ]
}
