import Wire
import Yams

// YAML as far as files of this project need it: mappings, lists and scalars with their places.
// Anchors and aliases are refused, because a small file can spell out to an endless one with them.

/// A parsed YAML file.
struct YAMLDocument {
    let file: String
    let root: YAMLNode
    private let lines: [Substring]

    /// Files beyond this are not read: a node is described in a page or two, its ruleset included.
    static let byteLimit = 4 << 20
    /// Brackets and dashes within each other.
    static let nestingLimit = 32

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
    }

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
