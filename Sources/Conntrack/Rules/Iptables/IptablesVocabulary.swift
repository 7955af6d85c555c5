// The matches and targets of `iptables-save` output that are supported, with their options.

/// An option and how many words follow it.
struct IptablesOption {
    var name: String
    var arguments: Int
    /// `!` may stand before it.
    var mayBeNegated: Bool

    init(_ name: String, _ arguments: Int = 1, negatable: Bool = false) {
        self.name = name
        self.arguments = arguments
        mayBeNegated = negatable
    }
}

/// A match (`-m`) or target (`-j`) that is written with options.
struct IptablesModule {
    var name: String
    var options: [IptablesOption]

    init(_ name: String, _ options: [IptablesOption]) {
        self.name = name
        self.options = options
    }
}

extension IptablesModule {
    private static let ports = [
        IptablesOption("--sport", negatable: true), IptablesOption("--dport", negatable: true),
        IptablesOption("--source-port", negatable: true),
        IptablesOption("--destination-port", negatable: true),
    ]

    private static let connection = [
        "--ctstate", "--ctproto", "--ctorigsrc", "--ctorigdst", "--ctreplsrc", "--ctrepldst",
        "--ctorigsrcport", "--ctorigdstport", "--ctreplsrcport", "--ctrepldstport", "--ctstatus",
        "--ctexpire",
    ].map { IptablesOption($0, negatable: true) }

    static let matches: [IptablesModule] = [
        IptablesModule("conntrack", connection + [IptablesOption("--ctdir")]),
        IptablesModule("state", [IptablesOption("--state", negatable: true)]),
        IptablesModule(
            "tcp",
            ports + [
                IptablesOption("--tcp-flags", 2, negatable: true),
                IptablesOption("--syn", 0, negatable: true),
            ]),
        IptablesModule("udp", ports),
        IptablesModule("udplite", ports),
        IptablesModule("sctp", ports),
        IptablesModule("icmp", [IptablesOption("--icmp-type", negatable: true)]),
        IptablesModule("icmp6", [IptablesOption("--icmpv6-type", negatable: true)]),
        IptablesModule(
            "multiport",
            ["--sports", "--dports", "--ports"].map { IptablesOption($0, negatable: true) }),
        IptablesModule("comment", [IptablesOption("--comment")]),
        IptablesModule("mark", [IptablesOption("--mark", negatable: true)]),
        IptablesModule("connmark", [IptablesOption("--mark", negatable: true)]),
        IptablesModule(
            "statistic",
            [
                IptablesOption("--mode"), IptablesOption("--probability", negatable: true),
                IptablesOption("--every", negatable: true), IptablesOption("--packet"),
            ]),
        IptablesModule(
            "addrtype",
            [
                IptablesOption("--src-type", negatable: true),
                IptablesOption("--dst-type", negatable: true),
            ]),
        IptablesModule("limit", [IptablesOption("--limit"), IptablesOption("--limit-burst")]),
        IptablesModule(
            "recent",
            [
                IptablesOption("--set", 0), IptablesOption("--rcheck", 0, negatable: true),
                IptablesOption("--update", 0, negatable: true), IptablesOption("--seconds"),
                IptablesOption("--reap", 0), IptablesOption("--name"), IptablesOption("--mask"),
                IptablesOption("--rsource", 0), IptablesOption("--rdest", 0),
            ]),
    ]

    private static let translation = [
        IptablesOption("--random", 0), IptablesOption("--random-fully", 0),
        IptablesOption("--persistent", 0),
    ]

    static let targets: [IptablesModule] = [
        IptablesModule("ACCEPT", []), IptablesModule("DROP", []), IptablesModule("RETURN", []),
        IptablesModule("REJECT", [IptablesOption("--reject-with")]),
        IptablesModule("DNAT", [IptablesOption("--to-destination")] + translation),
        IptablesModule("SNAT", [IptablesOption("--to-source")] + translation),
        IptablesModule("MASQUERADE", [IptablesOption("--to-ports")] + translation),
        IptablesModule("REDIRECT", [IptablesOption("--to-ports")] + translation),
        IptablesModule("NOTRACK", []),
        IptablesModule(
            "CT",
            [
                IptablesOption("--notrack", 0), IptablesOption("--zone"),
                IptablesOption("--zone-orig"), IptablesOption("--zone-reply"),
                IptablesOption("--helper"),
            ]),
        IptablesModule(
            "MARK",
            ["--set-mark", "--set-xmark", "--and-mark", "--or-mark", "--xor-mark"].map {
                IptablesOption($0)
            }),
        IptablesModule(
            "CONNMARK",
            [
                "--set-mark", "--set-xmark", "--and-mark", "--or-mark", "--xor-mark", "--nfmask",
                "--ctmask", "--mask",
            ].map { IptablesOption($0) } + [
                IptablesOption("--save-mark", 0), IptablesOption("--restore-mark", 0),
            ]),
        IptablesModule(
            "LOG",
            [
                IptablesOption("--log-prefix"), IptablesOption("--log-level"),
                IptablesOption("--log-tcp-sequence", 0), IptablesOption("--log-tcp-options", 0),
                IptablesOption("--log-ip-options", 0), IptablesOption("--log-uid", 0),
                IptablesOption("--log-macdecode", 0),
            ]),
        IptablesModule(
            "NFLOG", [IptablesOption("--nflog-group"), IptablesOption("--nflog-prefix")]),
    ]

    /// Options of a rule itself.
    static let ruleOptions: [(names: [String], option: IptablesOption)] = [
        (["-s", "--source", "--src"], IptablesOption("-s", negatable: true)),
        (["-d", "--destination", "--dst"], IptablesOption("-d", negatable: true)),
        (["-p", "--protocol", "--proto"], IptablesOption("-p", negatable: true)),
        (["-i", "--in-interface"], IptablesOption("-i", negatable: true)),
        (["-o", "--out-interface"], IptablesOption("-o", negatable: true)),
        (["-m", "--match"], IptablesOption("-m")),
        (["-j", "--jump"], IptablesOption("-j")),
        (["-g", "--goto"], IptablesOption("-g")),
        (["-c", "--set-counters"], IptablesOption("-c", 2)),
    ]
}

/// What a built-in chain is as a base chain.
struct IptablesHook {
    var table: String
    var chain: String
    var kind: ChainKind
    var hook: Hook
    var priority: Int32

    private static let hooks: [(name: String, hook: Hook)] = [
        ("PREROUTING", .prerouting), ("INPUT", .input), ("FORWARD", .forward),
        ("OUTPUT", .output), ("POSTROUTING", .postrouting),
    ]

    private static let tables: [(name: String, kind: ChainKind, priority: Int32, hooks: [Hook])] =
        [
            ("raw", .filter, HookPriority.raw, [.prerouting, .output]),
            ("mangle", .filter, HookPriority.mangle, Hook.allCases),
            ("nat", .nat, HookPriority.destinationNAT, [.prerouting, .output]),
            ("nat", .nat, HookPriority.sourceNAT, [.input, .postrouting]),
            ("filter", .filter, HookPriority.filter, [.input, .forward, .output]),
            ("security", .filter, HookPriority.security, [.input, .forward, .output]),
        ]

    static let tableNames = ["raw", "mangle", "nat", "filter", "security"]

    /// The built-in chain of this name, if the table has one.
    init?(_ table: String, _ chain: String) {
        guard let hook = Self.hooks.first(where: { $0.name == chain })?.hook,
            let row = Self.tables.first(where: { $0.name == table && $0.hooks.contains(hook) })
        else { return nil }
        self.table = table
        self.chain = chain
        self.hook = hook
        kind = table == "mangle" && hook == .output ? .route : row.kind
        priority = row.priority
    }

    static func chains(of table: String) -> [String] {
        hooks.map(\.name).filter { IptablesHook(table, $0) != nil }
    }
}
