import Wire
import Yams

// YAML as far as files of this project need it: mappings, lists and scalars with their places.
// Anchors, aliases and merge keys work, within bounds: a small file can spell out to an endless one
// with them.

/// A parsed YAML file.
struct YAMLDocument {
    let file: String
    private(set) var root: YAMLNode
    /// Values that came from the command line, in the order they were applied.
    private(set) var overrides: [Override] = []
    private let lines: [Substring]

    /// Files beyond this are not read: a node is described in a page or two, its ruleset included.
    static let byteLimit = 4 << 20
    /// Brackets and dashes within each other.
    static let nestingLimit = 32
    static let anchorLimit = 64

    init(_ text: String, file: String) throws(FileError) {
        self.file = file
        guard text.utf8.count <= Self.byteLimit else {
            throw FileError([
                Finding(
                    file: file, line: 1, column: 1, found: "\(text.utf8.count) bytes",
                    expected: "at most \(Self.byteLimit)")
            ])
        }
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let findings = YAMLScan(lines: lines, file: file).findings
        guard findings.isEmpty else { throw FileError(findings) }
        let node: YAMLNode?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            throw FileError([Self.finding(error, file: file)])
        }
        guard let node else {
            throw FileError([
                Finding(
                    file: file, line: 1, column: 1, found: "nothing", expected: "'version: 1'")
            ])
        }
        root = node
        var tree = YAMLTree(self)
        if let flat = tree.flattened(node) { root = flat }
        guard tree.findings.isEmpty else { throw FileError(tree.findings) }
    }

    // MARK: Overrides

    var lineCount: Int { lines.count }

    /// A value from the command line, as `--set path=value`.
    struct Override: Sendable, Hashable {
        var path: String
        var value: String

        var place: String { "--set \(path)=\(value)" }
    }

    /// Puts a value from the command line into the tree.
    mutating func apply(_ override: Override) throws(FileError) {
        overrides.append(override)
        root = try OverridePath(override, number: overrides.count, in: self).applied(to: root)
    }

    /// A finding at a node's place, which may be an option of the command line.
    func finding(
        at node: YAMLNode, found: String, expected: String, suggestion: String? = nil
    ) -> Finding {
        let mark = node.mark
        let line = mark?.line ?? 1
        let number = line - lineCount - 2
        guard overrides.indices.contains(number) else {
            return Finding(
                file: file, line: line, column: mark?.column ?? 1, found: found,
                expected: expected, suggestion: suggestion)
        }
        return Finding(
            file: overrides[number].place, line: 1, column: mark?.column ?? 1, found: found,
            expected: expected, suggestion: suggestion)
    }

    // MARK: Text blocks

    /// Where the text of a literal block (`|`) stands in the file: the line of its first line, and
    /// how many characters stand before each.
    ///
    /// `nil` for scalars of other styles, whose lines do not correspond to the file's.
    func place(of scalar: YAMLNode.Scalar) -> (firstLine: Int, indentation: Int)? {
        guard scalar.style == .literal, let mark = scalar.mark else { return nil }
        let text = scalar.string.split(separator: "\n", omittingEmptySubsequences: false)
        guard let index = text.firstIndex(where: { !$0.allSatisfy { $0 == " " } }),
            lines.indices.contains(mark.line + index)
        else { return (mark.line + 1, 0) }
        let inFile = lines[mark.line + index].prefix { $0 == " " }.count
        let inText = text[index].prefix { $0 == " " }.count
        return (mark.line + 1, max(0, inFile - inText))
    }

    private static func finding(_ error: any Error, file: String) -> Finding {
        var place = (line: 1, column: 1)
        var found = "'\(error)'"
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            place = (mark.line, mark.column)
            found = "text that is no YAML (\(problem))"
        case .duplicatedKeysInMapping(let duplicates, let context):
            place = (context.mark.line, context.mark.column)
            found = "the key '\(duplicates.first ?? "")' more than once"
            return Finding(
                file: file, line: place.line, column: place.column, found: found,
                expected: "each key once")
        case .reader(let problem, _, _, _): found = "text that is no YAML (\(problem))"
        default: break
        }
        return Finding(
            file: file, line: place.line, column: place.column, found: found,
            expected: "'key: value' lines")
    }
}

/// A value of a YAML file with its place; named so that it is not taken for a machine.
typealias YAMLNode = Yams.Node
