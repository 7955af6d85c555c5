// A look at a YAML file before it is parsed.

/// Finds what is not wanted in a YAML file: deep nesting, many anchors, keys that are no words.
///
/// Brackets within brackets cost the parser its stack, and so do anchors within anchors. The
/// parser compares keys by all they hold; a list of aliases as a key would cost it hours. Block scalars (a ruleset, say)
/// are passed over by their indentation, quoted text and comments by their marks.
struct YAMLScan {
    private(set) var findings: [Finding] = []
    private let file: String
    private var depth = 0
    private var anchorCount = 0
    /// Lines indented deeper than this belong to a block scalar.
    private var blockIndentation: Int?

    /// Scans until the first finding.
    init(lines: [Substring], file: String) {
        self.file = file
        for (index, line) in lines.enumerated() where findings.isEmpty {
            scan(line, number: index + 1)
        }
    }

    private mutating func scan(_ line: Substring, number: Int) {
        let indentation = line.prefix { $0 == " " }.count
        if let block = blockIndentation {
            if indentation > block || indentation == line.count { return }
            blockIndentation = nil
        }
        guard indentation <= Self.indentationLimit else {
            report(
                number, Self.indentationLimit, found: "\(indentation) blanks",
                expected: "at most \(Self.indentationLimit)")
            return
        }
        let meaningful = scanWords(line, number: number)
        if depth == 0, Self.opensBlock(meaningful) { blockIndentation = indentation }
    }

    private static let indentationLimit = 1000

    /// Returns the line up to its comment.
    private mutating func scanWords(_ line: Substring, number: Int) -> Substring {
        var quote: Character?
        var previous: Character = " "
        var dashes = 0
        for (offset, index) in line.indices.enumerated() {
            let character = line[index]
            defer { previous = character }
            if let open = quote {
                if character == open { quote = nil }
                continue
            }
            let startsNode = " [{,:-".contains(previous)
            switch character {
            case "\"", "'": if startsNode { quote = character }
            case "#" where previous == " ": return line[..<index]
            case "[", "{": depth += 1
            case "]", "}":
                depth = max(0, depth - 1)
                guard Self.isKeysEnd(line[index...]) else { break }
                report(
                    number, offset + 1, found: "a key that is no word", expected: "'key: value'")
                return line
            case "-" where previous == " ": dashes += 1
            case "&":
                guard startsNode, let next = line[index...].dropFirst().first,
                    next.isLetter || next.isNumber
                else { break }
                anchorCount += 1
                guard anchorCount <= YAMLDocument.anchorLimit else {
                    report(
                        number, offset + 1,
                        found: "more than \(YAMLDocument.anchorLimit) anchors", expected: "fewer")
                    return line
                }
            case "*" where startsNode && Self.isAliasAsKey(line[index...]),
                "?" where startsNode && line[index...].dropFirst().first.map { $0 == " " } ?? true:
                report(
                    number, offset + 1, found: "a key that is no word", expected: "'key: value'")
                return line
            default: break
            }
            guard max(depth, dashes) <= YAMLDocument.nestingLimit else {
                report(
                    number, offset + 1, found: "more than \(YAMLDocument.nestingLimit) levels",
                    expected: "fewer within each other")
                return line
            }
        }
        return line
    }

    /// Whether an alias is followed by the colon that makes it a key.
    private static func isAliasAsKey(_ rest: Substring) -> Bool {
        let after = rest.dropFirst().drop { !" ,]}".contains($0) }
        guard rest.dropFirst().first.map({ $0.isLetter || $0.isNumber }) == true else {
            return false
        }
        return after.drop { $0 == " " }.first == ":"
            || rest.dropFirst().contains(":")
                && {
                    let word = rest.dropFirst().prefix { !" ,]}".contains($0) }
                    return word.last == ":"
                }()
    }

    /// Whether a closing bracket is followed by the colon that makes a key of what it closes.
    private static func isKeysEnd(_ rest: Substring) -> Bool {
        rest.dropFirst().drop { $0 == " " || $0 == "\t" }.first == ":"
    }

    /// Whether the lines below a line belong to a block scalar: it ends in `|` or `>`, possibly
    /// with the signs and digits that may follow.
    private static func opensBlock(_ line: Substring) -> Bool {
        guard let word = line.split(separator: " ").last, let first = word.first else {
            return false
        }
        return "|>".contains(first) && word.dropFirst().allSatisfy { "+-123456789".contains($0) }
    }

    private mutating func report(_ line: Int, _ column: Int, found: String, expected: String) {
        findings.append(
            Finding(file: file, line: line, column: column, found: found, expected: expected))
    }
}
