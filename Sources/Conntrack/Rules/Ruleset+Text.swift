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
        var parser = RulesetParser(text, file: file, firstLine: firstLine)
        let syntax = parser.parse()
        var compiler = RulesetCompiler(syntax, file: file, interfaces: interfaces)
        let ruleset = compiler.compile()
        let findings = parser.findings + compiler.findings
        guard findings.isEmpty else {
            let ordered = findings.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
            throw RulesetError(findings: Array(ordered.prefix(RulesetLimits.findings)))
        }
        self = ruleset
    }
}
