import Wire
import Yams

// What every reader of a file does: report where something is wrong, and go on.

/// A walk through a document that collects everything that is wrong with it.
protocol DocumentReader {
    var document: YAMLDocument { get }
    var findings: [Finding] { get set }
}

/// Why a value was refused; its place is added by whoever read it.
public struct ValueProblem: Error, Hashable, CustomStringConvertible {
    public var found: String
    public var expected: String
    public var suggestion: String?

    public init(found: String, expected: String, suggestion: String? = nil) {
        self.found = found
        self.expected = expected
        self.suggestion = suggestion
    }

    /// As `found '5', expected a duration with its unit, as 300ms (…); did you mean '5s'?`.
    public var description: String {
        let hint = suggestion.map { "; did you mean '\($0)'?" } ?? ""
        return "found \(found), expected \(expected)\(hint)"
    }
}

/// Hands over a file that another file names.
typealias FileLoader = (_ name: String, _ limit: Int) throws(NodeFile.Unreadable) -> String

extension DocumentReader {
    mutating func report(
        _ node: YAMLNode, found: String, expected: String, suggestion: String? = nil
    ) {
        findings.append(
            document.finding(
                at: node, found: found, expected: expected, suggestion: suggestion))
    }

    mutating func report(_ node: YAMLNode, _ problem: ValueProblem) {
        report(
            node, found: problem.found, expected: problem.expected,
            suggestion: problem.suggestion)
    }

    static func mark(_ node: YAMLNode) -> (line: Int, column: Int) {
        (node.mark?.line ?? 1, node.mark?.column ?? 1)
    }

    /// What a finding shows of a value.
    static func shown(_ node: YAMLNode) -> String {
        switch node {
        case .scalar(let scalar):
            scalar.string.isEmpty ? "nothing" : "'\(scalar.string.prefix(60))'"
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }

    /// The known word nearest to `word`, if it is near enough to be a slip.
    static func nearest(_ word: String, in known: [String]) -> String? {
        Spelling.nearest(word, in: known)
    }

    /// The text of the file a node names; `nil`, with a finding, where there is none.
    mutating func text(named node: YAMLNode, limit: Int, _ load: FileLoader) -> String? {
        guard let name = node.string, !name.isEmpty else {
            report(node, found: Self.shown(node), expected: "the name of a file")
            return nil
        }
        do {
            return try load(name, limit)
        } catch {
            report(node, found: "'\(name)' (\(error.reason))", expected: "a readable file")
            return nil
        }
    }
}

/// Slips of the pen.
enum Spelling {
    /// The known word nearest to `word`, if it is near enough to be a slip.
    static func nearest(_ word: String, in known: [String]) -> String? {
        // A word of any length is not compared with hundreds of names.
        guard word.utf8.count <= 100 else { return nil }
        let distances = known.map { ($0, EditDistance.between($0, word)) }
        guard let best = distances.min(by: { $0.1 < $1.1 }) else { return nil }
        if best.1 <= Swift.max(2, word.count / 3) { return best.0 }
        // A word that goes on, or stops early: `warning` for `warn`.
        return word.count < 3
            ? nil
            : known.first { $0.count >= 3 && ($0.hasPrefix(word) || word.hasPrefix($0)) }
    }

    /// As a finding lists words: `a, b or c`.
    static func listed(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.first ?? "nothing" }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }
}
