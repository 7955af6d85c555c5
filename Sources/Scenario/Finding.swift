// What is wrong with a file somebody wrote. All findings of a file are shown in one run, each with
// its place, what stands there and what could stand there.

/// One thing wrong with a file.
public struct Finding: Sendable, Hashable, CustomStringConvertible {
    public var file: String
    /// From 1.
    public var line: Int
    /// Characters from 1.
    public var column: Int
    /// What stands there, words of the file in single quotes.
    public var found: String
    /// What could stand there.
    public var expected: String
    /// The known word that was probably meant.
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

    /// As a line: `node.yaml:12:7: found 'mut', expected one of addresses, mtu; did you mean 'mtu'?`.
    public var description: String {
        let hint = suggestion.map { "; did you mean '\($0)'?" } ?? ""
        return "\(file):\(line):\(column): found \(found), expected \(expected)\(hint)"
    }
}

/// Why a file was refused: its findings in the order of the file, never none.
public struct FileError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Findings shown at most; a file that is wrong throughout says so in fewer lines.
    public static let findingLimit = 100

    public private(set) var findings: [Finding]

    public init(_ findings: [Finding]) {
        self.findings = Array(findings.prefix(Self.findingLimit))
    }

    /// The findings, one a line.
    public var description: String { findings.map(\.description).joined(separator: "\n") }
}
