/// One thing wrong with a ruleset's text: where, what stands there, what could stand there.
public struct RulesetFinding: Sendable, Hashable, CustomStringConvertible {
    public var file: String
    /// From 1, as editors count; the text's first line has the number the caller gave it.
    public var line: Int
    /// Characters from 1.
    public var column: Int
    /// What stands there, words of the text in single quotes.
    public var found: String
    /// What could stand there.
    public var expected: String
    /// The known word nearest to what was found, if one is near enough to be meant.
    public var suggestion: String?

    public init(
        file: String, line: Int, column: Int, found: String, expected: String,
        suggestion: String? = nil
    ) {
        self.file = file
        self.line = line
        self.column = column
        self.found = found
        self.expected = expected
        self.suggestion = suggestion
    }

    /// As in `gateway.nft:3:14: found 'dprot', expected sport or dport; did you mean 'dport'?`.
    public var description: String {
        let hint = suggestion.map { "; did you mean '\($0)'?" } ?? ""
        return "\(file):\(line):\(column): found \(found), expected \(expected)\(hint)"
    }
}

/// Why a ruleset was refused: its findings in the order of the text, never none.
///
/// Each statement contributes its first finding; parsing goes on behind it, so that one run shows
/// what is wrong in the whole text, up to `RulesetLimits.findings`.
public struct RulesetError: Error, Sendable, Hashable, CustomStringConvertible {
    public var findings: [RulesetFinding]

    public init(findings: [RulesetFinding]) { self.findings = findings }

    /// The findings, one a line.
    public var description: String {
        findings.map(\.description).joined(separator: "\n")
    }
}

/// What a ruleset may hold at most.
///
/// Each limit is named in the finding that reports it.
public enum RulesetLimits {
    public static let textByteCount = 8 << 20
    /// Texts that make one ruleset together.
    public static let sources = 256
    /// One word, number or quotation of the text.
    public static let wordByteCount = 255
    public static let tables = 256
    public static let chains = 65_536
    public static let rules = 131_072
    public static let statementsPerRule = 64
    /// Elements of all sets and maps together, after interface wildcards are spelled out.
    public static let setElements = 1 << 20
    /// Elements of a dynamic set without `size`.
    public static let dynamicElements = 65_535
    /// Elements of a set of concatenations that has intervals: it is searched from end to end.
    public static let intervalConcatenations = 4096
    /// Parts of a concatenation.
    public static let concatenatedFields = 8
    /// Sets within sets, parentheses, defines within defines.
    public static let nestingDepth = 16
    public static let defines = 4096
    /// What one `define` may spell out to, in expressions.
    public static let defineSize = 65_536
    /// Chains entered by `jump` or `goto` on one way through a base chain, itself included.
    public static let jumpDepth = 16
    /// Interfaces of a node, as many as an interface index tells apart.
    public static let interfaces = 255
    public static let findings = 100
}
