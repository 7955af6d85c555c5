internal import Wire

// nftables text to `RulesetSyntax`: the grammar. Nothing is skipped: a word the subset does not
// know is a finding, and parsing goes on behind the statement that holds it, so that all findings
// of a text come in one run.

/// Reads one text.
///
/// `parse()` is called once; what it could not read is in `findings`.
struct RulesetParser {
    private let source: [UInt8]
    private let file: String
    private var lexer: RulesetLexer
    private(set) var current: RulesetToken
    private(set) var following: RulesetToken
    /// The end of the last consumed token, as an offset into the source.
    private var consumedEnd = 0
    /// Open braces before `current`.
    private(set) var braces = 0
    var scopes: [[String: Define]] = [[:]]
    var defineCount = 0

    private(set) var findings: [RulesetFinding] = []
    var syntax: RulesetSyntax
    var ruleCount = 0
    var chainCount = 0
    var elementCount = 0
    var nesting = 0
    /// In `tcp flags 0x2 / 0x2,0x10` the slash does not make a prefix of the number.
    var slashBeginsMask = false

    struct Define {
        var expression: Expression
        var size: Int
    }

    /// A finding is written down; the statement cannot go on.
    struct Stop: Error {}

    /// `syntax` is what texts before this one held: they make one ruleset together.
    init(
        _ text: String, file: String, firstLine: Int, sourceNumber: UInt16 = 0,
        syntax: RulesetSyntax = RulesetSyntax()
    ) {
        source = Array(text.utf8)
        self.file = file
        self.syntax = syntax
        lexer = RulesetLexer(source, firstLine: firstLine, sourceNumber: sourceNumber)
        let start = SourcePosition(line: firstLine, column: 1)
        let nothing = RulesetToken(kind: .newline, text: "", position: start, bytes: 0..<0)
        current = nothing
        following = nothing
        guard source.count <= RulesetLimits.textByteCount else {
            lexer = RulesetLexer([], firstLine: firstLine)
            report(
                at: start, found: "a text of \(source.count) bytes",
                expected: "at most \(RulesetLimits.textByteCount) bytes")
            return
        }
        advance()
        advance()
        braces = 0
        consumedEnd = 0
    }

    /// Reads the whole text.
    mutating func parse() -> RulesetSyntax {
        while current.kind != .end, findings.count < RulesetLimits.findings {
            if current.kind == .newline || isSign(";") {
                advance()
                continue
            }
            recovering { parser throws(Stop) in
                try parser.command()
                try parser.endOfStatement()
            }
        }
        return syntax
    }

    // MARK: Tokens

    mutating func advance() {
        consumedEnd = current.bytes.upperBound
        if isSign("{") { braces += 1 }
        if isSign("}") { braces = max(0, braces - 1) }
        current = following
        do {
            following = try lexer.next()
        } catch {
            report(at: error.position, found: error.found, expected: error.expected)
            following = RulesetToken(
                kind: .unreadable, text: "", position: error.position, bytes: error.bytes)
        }
    }

    func isSign(_ text: String) -> Bool { current.kind == .sign && current.text == text }

    func isWord(_ text: String) -> Bool { current.kind == .word && current.text == text }

    /// Consumes the sign if it is next.
    mutating func take(sign text: String) -> Bool {
        guard isSign(text) else { return false }
        advance()
        return true
    }

    /// Consumes the word if it is next.
    mutating func take(word text: String) -> Bool {
        guard isWord(text) else { return false }
        advance()
        return true
    }

    mutating func expect(sign text: String) throws(Stop) {
        guard take(sign: text) else { throw fail(expected: "'\(text)'") }
    }

    mutating func expect(word text: String) throws(Stop) {
        guard take(word: text) else { throw fail(expected: "'\(text)'", near: [text]) }
    }

    /// Inside a set nft takes one line end at a time, and no blank lines.
    mutating func skipNewline() {
        if current.kind == .newline { advance() }
    }

    /// A name of a table, chain or set.
    mutating func name(of what: String) throws(Stop) -> (text: String, position: SourcePosition) {
        let token = current
        guard token.kind == .word, token.text.utf8.first?.startsWord == true,
            !token.text.utf8.contains(UInt8(ascii: "*"))
        else {
            throw fail(expected: "the name of a \(what)")
        }
        guard !Self.reservedWords.contains(token.text) else {
            throw fail(
                expected: "the name of a \(what), which cannot be a word of the language")
        }
        advance()
        return (token.text, token.position)
    }

    mutating func number(
        _ range: ClosedRange<UInt64>, _ what: String
    ) throws(Stop) -> UInt64 {
        guard case .number(let value) = current.kind, range.contains(value) else {
            throw fail(
                expected: "\(what), a number from \(range.lowerBound) to \(range.upperBound)")
        }
        advance()
        return value
    }

    mutating func quotedText(_ what: String, limit: Int) throws(Stop) -> String {
        let token = current
        let isBareWord =
            token.kind == .word && !Self.reservedWords.contains(token.text)
            && token.text.utf8.first?.isDigit == false
        guard token.kind == .quoted || isBareWord else {
            throw fail(expected: "\(what) in double quotes")
        }
        guard token.text.utf8.count <= limit else {
            throw fail(expected: "\(what) of at most \(limit) bytes")
        }
        advance()
        return token.text
    }

    /// The source from a token's first byte to the last consumed one, blanks squeezed, cut with
    /// `…` where it is longer than `limit` bytes.
    func text(from start: RulesetToken, limit: Int) -> String {
        guard start.bytes.lowerBound < consumedEnd else { return "" }
        var squeezed: [UInt8] = []
        for byte in source[start.bytes.lowerBound..<consumedEnd] {
            let isBlank = byte <= 32
            if isBlank, squeezed.last == 32 { continue }
            squeezed.append(isBlank ? 32 : byte)
            if squeezed.count > limit {
                while let last = squeezed.popLast(), last & 0xC0 == 0x80 {}
                return String(decoding: squeezed, as: UTF8.self) + "…"
            }
        }
        return String(decoding: squeezed, as: UTF8.self)
    }

    // MARK: Statement ends and recovery

    /// A newline, a `;`, or (which newer nft takes as well) the block's closing brace.
    mutating func endOfStatement() throws(Stop) {
        if current.kind == .newline || isSign(";") {
            advance()
            return
        }
        guard current.kind == .end || (isSign("}") && braces > 0) else {
            throw fail(expected: "';' or the end of the line")
        }
    }

    /// Runs one statement; after a finding, goes on behind the statement's end.
    mutating func recovering(_ body: (inout RulesetParser) throws(Stop) -> Void) {
        let depth = braces
        let scopeCount = scopes.count
        do {
            try body(&self)
        } catch {
            nesting = 0
            slashBeginsMask = false
            scopes.removeLast(scopes.count - scopeCount)
            while current.kind != .end {
                if braces <= depth {
                    if current.kind == .newline || isSign(";") { break }
                    if isSign("}"), depth > 0 { break }
                }
                advance()
            }
        }
    }

    // MARK: Findings

    /// Writes down what is wrong with `token` (by default the current one).
    func finding(
        at position: SourcePosition, found: String, expected: String,
        suggestion: String? = nil
    ) -> RulesetFinding {
        RulesetFinding(
            file: file, line: position.line, column: position.column, found: found,
            expected: expected, suggestion: suggestion)
    }

    mutating func report(
        at position: SourcePosition, found: String, expected: String, suggestion: String? = nil
    ) {
        guard findings.count < RulesetLimits.findings else { return }
        findings.append(
            finding(at: position, found: found, expected: expected, suggestion: suggestion))
    }

    /// The finding "something else stands here"; `near` are the words it may be a slip of.
    mutating func fail(expected: String, near words: [String] = []) -> Stop {
        fail(at: current, expected: expected, near: words)
    }

    mutating func fail(
        at token: RulesetToken, expected: String, near words: [String] = []
    ) -> Stop {
        guard token.kind != .unreadable else { return Stop() }
        report(
            at: token.position, found: token.quotedText, expected: expected,
            suggestion: token.kind == .word ? Self.nearest(to: token.text, in: words) : nil)
        return Stop()
    }

    mutating func fail(
        at position: SourcePosition, found: String, expected: String, near words: [String] = []
    ) -> Stop {
        report(at: position, found: found, expected: expected)
        return Stop()
    }

    /// The one of `words` that `word` is most likely a slip of.
    static func nearest(to word: String, in words: [String]) -> String? {
        var best: (word: String, distance: Int)?
        for candidate in words where candidate != word {
            var distance = EditDistance.between(candidate, word)
            // Two letters the wrong way round are one slip.
            if distance == 2, candidate.utf8.sorted() == word.utf8.sorted() { distance = 1 }
            if distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        guard let best, best.distance <= max(1, word.utf8.count / 3) else { return nil }
        return best.word
    }
}
