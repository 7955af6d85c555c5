internal import Wire

// nftables text to tokens. Every token is the longest that fits at its place, as with nft's own
// scanner: `10.0.0.1-10.0.0.9` is an address, a dash and an address, `ssh-http` is one word.

/// Where a token begins: line and column from 1, columns in characters.
struct SourcePosition: Hashable, Comparable, Sendable, BitwiseCopyable {
    var line: Int
    var column: Int
    /// Which of the ruleset's texts: their number from 0.
    var source: UInt16 = 0

    static func < (left: SourcePosition, right: SourcePosition) -> Bool {
        (left.source, left.line, left.column) < (right.source, right.line, right.column)
    }
}

struct RulesetToken: Sendable {
    enum Kind: Sendable, Hashable {
        case word
        /// The text between double quotes.
        case quoted
        case number(UInt64)
        case address(Family, Address)
        /// `$name`; the token's text is the name.
        case variable
        /// `@name`; the token's text is the name.
        case setName
        /// One of `RulesetLexer.signs` or `.doubleSigns`.
        case sign
        case newline
        case end
        /// Where no token could be read; the finding is written down already.
        case unreadable
    }

    var kind: Kind
    /// The characters that carry the meaning: without quotes, `$` and `@`.
    var text: String
    var position: SourcePosition
    /// Bytes of the source the token covers.
    var bytes: Range<Int>

    /// How a message names the token.
    var quotedText: String {
        switch kind {
        case .newline: "the end of the line"
        case .end: "the end of the text"
        case .quoted: "\"\(text)\""
        case .variable: "'$\(text)'"
        case .setName: "'@\(text)'"
        case .word, .number, .address, .sign, .unreadable: "'\(text)'"
        }
    }
}

struct RulesetLexer {
    private static let signs = Array("{}()[],:=!<>&|^/-.*+;~".utf8)
    private static let doubleSigns = ["==", "!=", "<=", ">=", "<<", ">>", "&&"].map {
        Array($0.utf8)
    }

    private let source: [UInt8]
    private var offset = 0
    private var line: Int
    /// The column that `columnOffset` stands at; both only move forward within a line.
    private var column = 1
    private var columnOffset = 0
    private let sourceNumber: UInt16

    init(_ source: [UInt8], firstLine: Int, sourceNumber: UInt16 = 0) {
        self.source = source
        self.sourceNumber = sourceNumber
        line = firstLine
    }

    /// A character or number no token can begin with, or a token that does not end.
    struct Failure: Error {
        var position: SourcePosition
        var bytes: Range<Int>
        var found: String
        var expected: String
    }

    /// The next token; `.end` at the end of the text, again and again.
    mutating func next() throws(Failure) -> RulesetToken {
        skipBlanks()
        let start = offset
        let position = moveColumn()
        guard let byte = peek() else { return token(.end, "", start, position) }
        if byte == UInt8(ascii: "\n") {
            offset += 1
            let found = token(.newline, "\n", start, position)
            startLine()
            return found
        }
        if byte == UInt8(ascii: "\"") { return try quoted(from: position) }
        if byte == UInt8(ascii: "$") || byte == UInt8(ascii: "@") {
            return try named(byte, from: position)
        }
        if let address = matchAddress(at: start) {
            offset = address.end
            return token(
                .address(address.family, address.value), text(start, offset), start, position)
        }
        if byte.isDigit { return try number(from: position) }
        if byte.startsWord {
            return try word(from: position)
        }
        offset += 1
        if Self.signs.contains(byte) {
            if let second = peek(), Self.doubleSigns.contains([byte, second]) { offset += 1 }
            return token(.sign, text(start, offset), start, position)
        }
        while let next = peek(), next & 0xC0 == 0x80 { offset += 1 }
        throw Failure(
            position: position, bytes: start..<offset, found: "'\(printable(start, offset))'",
            expected: "a word, number, address or sign of nftables")
    }

    private mutating func skipBlanks() {
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): offset += 1
            case UInt8(ascii: "#"):
                while offset < source.count, source[offset] != UInt8(ascii: "\n") { offset += 1 }
            case UInt8(ascii: "\\") where continuationEnd() != nil:
                offset = continuationEnd() ?? offset
                startLine()
            default: return
            }
        }
    }

    /// Where the line after a `\` at the end of a line begins.
    private func continuationEnd() -> Int? {
        var end = offset + 1
        if end < source.count, source[end] == UInt8(ascii: "\r") { end += 1 }
        guard end < source.count, source[end] == UInt8(ascii: "\n") else { return nil }
        return end + 1
    }

    private mutating func quoted(from position: SourcePosition) throws(Failure) -> RulesetToken {
        let start = offset
        offset += 1
        while let byte = peek(), byte != UInt8(ascii: "\n") {
            offset += 1
            if byte == UInt8(ascii: "\"") {
                try checkLength(from: start, position)
                return token(.quoted, text(start + 1, offset - 1), start, position)
            }
        }
        throw Failure(
            position: position, bytes: start..<offset, found: "a quotation without end",
            expected: "'\"' before the end of the line")
    }

    private mutating func named(
        _ sigil: UInt8, from position: SourcePosition
    ) throws(Failure) -> RulesetToken {
        let start = offset
        offset += 1
        guard let first = peek(), first.startsWord else {
            throw Failure(
                position: position, bytes: start..<offset,
                found: "'\(printable(start, offset))' without a name",
                expected: "a name right behind it")
        }
        skip { $0.continuesWord }
        try checkLength(from: start, position)
        let kind: RulesetToken.Kind = sigil == UInt8(ascii: "$") ? .variable : .setName
        return token(kind, text(start + 1, offset), start, position)
    }

    /// Digits, `0x…`; or a word that begins with digits, such as the time `10s`.
    private mutating func number(from position: SourcePosition) throws(Failure) -> RulesetToken {
        let start = offset
        skip { $0.isDigit || $0.isLetter }
        try checkLength(from: start, position)
        let spelled = text(start, offset)
        let isHex = spelled.hasPrefix("0x") || spelled.hasPrefix("0X")
        let digits = isHex ? spelled.dropFirst(2) : spelled[...]
        let isNumber =
            !digits.isEmpty
            && digits.utf8.allSatisfy { isHex ? $0.isHexDigit : $0.isDigit }
        guard isNumber else { return token(.word, spelled, start, position) }
        let isOctal = !isHex && digits.count > 1 && digits.hasPrefix("0")
        guard let value = UInt64(digits, radix: isHex ? 16 : isOctal ? 8 : 10) else {
            throw Failure(
                position: position, bytes: start..<offset, found: "'\(spelled)'",
                expected: isOctal
                    ? "an octal number behind the leading 0" : "a number of at most 64 bits")
        }
        return token(.number(value), spelled, start, position)
    }

    private mutating func word(from position: SourcePosition) throws(Failure) -> RulesetToken {
        let start = offset
        skip { $0.continuesWord }
        if peek() == UInt8(ascii: "*") { offset += 1 }
        try checkLength(from: start, position)
        return token(.word, text(start, offset), start, position)
    }

    private func checkLength(from start: Int, _ position: SourcePosition) throws(Failure) {
        guard offset - start <= RulesetLimits.wordByteCount else {
            throw Failure(
                position: position, bytes: start..<offset,
                found: "a word of \(offset - start) bytes",
                expected: "at most \(RulesetLimits.wordByteCount) bytes")
        }
    }

    /// The longest address that begins at `start`.
    private func matchAddress(at start: Int) -> (family: Family, value: Address, end: Int)? {
        let (colon, dot) = (UInt8(ascii: ":"), UInt8(ascii: "."))
        guard source[start].isHexDigit || source[start] == colon else { return nil }
        // Not further than the colons of one address reach: a text of colons is not read for ever.
        var colons = 0
        let candidate = source[start...].prefix(45).prefix {
            if $0 == colon { colons += 1 }
            return colons <= 8 && ($0.isHexDigit || $0 == colon || $0 == dot)
        }
        if colons >= 2 {
            for end in stride(from: candidate.endIndex, to: start + 1, by: -1) {
                if let (family, value) = Address.parse(text(start, end)), family == .ipv6 {
                    return (family, value, end)
                }
            }
        }
        let dotted = candidate.prefix { $0.isDigit || $0 == dot }
        guard dotted.count(where: { $0 == dot }) == 3,
            let (family, value) = Address.parse(text(start, dotted.endIndex))
        else { return nil }
        return (family, value, dotted.endIndex)
    }

    private mutating func skip(while isPart: (UInt8) -> Bool) {
        while let byte = peek(), isPart(byte) { offset += 1 }
    }

    private func peek() -> UInt8? { offset < source.count ? source[offset] : nil }

    private mutating func startLine() {
        line += 1
        column = 1
        columnOffset = offset
    }

    /// The position of `offset`.
    ///
    /// Continuation bytes of UTF-8 are no characters of their own.
    private mutating func moveColumn() -> SourcePosition {
        column += source[columnOffset..<offset].count { $0 & 0xC0 != 0x80 }
        columnOffset = offset
        return SourcePosition(line: line, column: column, source: sourceNumber)
    }

    private func token(
        _ kind: RulesetToken.Kind, _ text: String, _ start: Int, _ position: SourcePosition
    ) -> RulesetToken {
        RulesetToken(kind: kind, text: text, position: position, bytes: start..<offset)
    }

    private func text(_ start: Int, _ end: Int) -> String {
        String(decoding: source[start..<end], as: UTF8.self)
    }

    /// The bytes as a message can show them.
    private func printable(_ start: Int, _ end: Int) -> String {
        let spelled = text(start, end)
        if let only = spelled.utf8.first, only < 32 || only == 127 {
            return "byte \(only)"
        }
        return spelled
    }
}

extension UInt8 {
    var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }

    var isLetter: Bool {
        let lower = self | 0x20
        return lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z")
    }

    var startsWord: Bool { isLetter || self == UInt8(ascii: "_") }

    var continuesWord: Bool {
        isLetter || isDigit || self == UInt8(ascii: "_") || self == UInt8(ascii: "-")
            || self == UInt8(ascii: ".") || self == UInt8(ascii: "/")
    }

    var isHexDigit: Bool {
        let lower = self | 0x20
        return isDigit || (lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "f"))
    }
}
