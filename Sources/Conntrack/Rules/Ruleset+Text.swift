extension Ruleset {
    /// Reads nftables text.
    ///
    /// - Parameters:
    ///   - text: What `nft -f` would be given, or what `nft list ruleset` printed.
    ///   - file: The name findings carry.
    ///   - firstLine: The line of `file` the text begins at.
    ///   - interfaces: The node's interfaces, in the order of their indexes.
    /// - Throws: `RulesetError` with everything that is wrong, in the order of the text.
    public init(
        nftables text: String, file: String, firstLine: Int = 1, interfaces: [String]
    ) throws(RulesetError) {
        let source = RulesetSource(.nftables, text, file: file, firstLine: firstLine)
        try self.init([source], interfaces: interfaces)
    }

    /// Reads several texts that make one ruleset together, as if they were loaded in this order.
    ///
    /// - Parameter interfaces: The node's interfaces, in the order of their indexes.
    /// - Throws: `RulesetError` with everything that is wrong, text after text.
    public init(_ sources: [RulesetSource], interfaces: [String]) throws(RulesetError) {
        precondition(sources.count <= RulesetLimits.sources, "more texts than a ruleset may have")
        var syntax = RulesetSyntax()
        var findings: [(source: UInt16, finding: RulesetFinding)] = []
        for (number, source) in sources.enumerated() {
            let number = UInt16(number)
            switch source.language {
            case .nftables:
                var parser = RulesetParser(
                    source.text, file: source.file, firstLine: source.firstLine,
                    sourceNumber: number, syntax: syntax)
                syntax = parser.parse()
                findings += parser.findings.map { (number, $0) }
            case .iptablesSave:
                var parser = IptablesParser(source, number: number, syntax: syntax)
                syntax = parser.parse()
                findings += parser.findings.map { (number, $0) }
            }
        }
        var compiler = RulesetCompiler(
            syntax, files: sources.map(\.file), interfaces: interfaces)
        let ruleset = compiler.compile()
        findings += compiler.findings
        guard findings.isEmpty else {
            let ordered = findings.sorted {
                ($0.source, $0.finding.line, $0.finding.column)
                    < ($1.source, $1.finding.line, $1.finding.column)
            }
            throw RulesetError(findings: ordered.prefix(RulesetLimits.findings).map(\.finding))
        }
        self = ruleset
    }
}
