internal import Wire

// Values: what a rule compares, and with what.

extension RulesetParser {
    // MARK: Left side

    /// What a rule reads: `ip saddr . tcp dport`, `meta mark & 0xff`, `numgen inc mod 2`,
    /// `jhash …`; with `map` behind it, what the map holds for it.
    mutating func leftSide() throws(Stop) -> Expression {
        let start = current
        let value = try concatenatedLeft()
        guard take(word: "map") else { return value }
        let set = try mapOperand()
        return expression(.map(value, set), from: start)
    }

    /// The `{ … }` or `@name` behind `map` and `vmap`.
    mutating func mapOperand() throws(Stop) -> Expression {
        if isSign("{") { return try setLiteral() }
        let token = current
        if token.kind == .setName {
            advance()
            return Expression(
                kind: .namedSet(token.text), position: token.position, text: "@" + token.text)
        }
        throw fail(expected: "'{ key : value, … }' or '@' and the name of a map")
    }

    private mutating func concatenatedLeft() throws(Stop) -> Expression {
        let start = current
        var parts = [try operation(atLeast: 0, operand: Self.leftOperand)]
        while take(sign: ".") {
            parts.append(try operation(atLeast: 0, operand: Self.leftOperand))
            try checkConcatenation(parts)
        }
        guard parts.count > 1 else { return parts[0] }
        return expression(.concatenation(parts), from: start)
    }

    private mutating func checkConcatenation(_ parts: [Expression]) throws(Stop) {
        guard parts.count <= RulesetLimits.concatenatedFields else {
            throw fail(
                expected: "at most \(RulesetLimits.concatenatedFields) parts in a concatenation")
        }
    }

    private static func leftOperand(_ parser: inout RulesetParser) throws(Stop) -> Expression {
        let start = parser.current
        if parser.isSign("(") {
            return try parser.parenthesized(operand: leftOperand)
        }
        if parser.take(word: "numgen") { return try parser.numberGenerator(from: start) }
        if parser.take(word: "jhash") { return try parser.hash(from: start) }
        let selector = try parser.selector()
        return parser.expression(.selector(selector), from: start)
    }

    mutating func numberGenerator(from start: RulesetToken) throws(Stop) -> Expression {
        let isRandom = isWord("random")
        guard isRandom || isWord("inc") else {
            throw fail(expected: "'inc' or 'random'", near: ["inc", "random"])
        }
        advance()
        try expect(word: "mod")
        let modulus = UInt32(try number(1...UInt64(UInt32.max), "the modulus"))
        var offset: UInt32 = 0
        if take(word: "offset") {
            offset = UInt32(try number(0...UInt64(UInt32.max - modulus + 1), "the offset"))
        }
        return expression(
            .numberGenerator(isRandom: isRandom, modulus: modulus, offset: offset), from: start)
    }

    mutating func hash(from start: RulesetToken) throws(Stop) -> Expression {
        let key = try concatenatedLeft()
        try expect(word: "mod")
        let modulus = UInt32(try number(1...UInt64(UInt32.max), "the modulus"))
        var seed: UInt32?
        if take(word: "seed") {
            seed = UInt32(try number(0...UInt64(UInt32.max), "the seed"))
        }
        var offset: UInt32 = 0
        if take(word: "offset") {
            offset = UInt32(try number(0...UInt64(UInt32.max - modulus + 1), "the offset"))
        }
        return expression(
            .hash(key, modulus: modulus, offset: offset, seed: seed), from: start)
    }

    /// `tcp dport`, `ct original ip saddr`, `iifname`.
    mutating func selector() throws(Stop) -> Selector {
        let token = current
        guard token.kind == .word else { throw fail(expected: Self.anyStatement) }
        if token.text == "ct" {
            advance()
            return try connectionSelector()
        }
        let isBare = Selector.bareMetaKeys.contains(token.text)
        guard let keys = Selector.keys(after: isBare ? "meta" : token.text) else {
            throw failUnknownWord(token)
        }
        if !isBare { advance() }
        return try key(of: token.text, in: keys)
    }

    private mutating func key(
        of head: String, in keys: [(key: String, selector: Selector)]
    ) throws(Stop) -> Selector {
        let token = current
        if token.kind == .word, let found = keys.first(where: { $0.key == token.text }) {
            advance()
            return found.selector
        }
        let names = keys.map(\.key)
        throw fail(
            expected: "one of the supported keys of '\(head)': \(names.joined(separator: ", "))",
            near: names)
    }

    private mutating func connectionSelector() throws(Stop) -> Selector {
        let directions = ["original", "reply"]
        guard current.kind == .word, directions.contains(current.text) else {
            let names = Selector.connectionKeys.map(\.key)
            if current.kind == .word, names.contains(current.text) {
                return try key(of: "ct", in: Selector.connectionKeys)
            }
            let all = names + directions
            throw fail(
                expected: "one of the supported keys of 'ct': \(all.joined(separator: ", "))",
                near: all)
        }
        let direction = current.text
        let keys = direction == "original" ? Selector.originalKeys : Selector.replyKeys
        advance()
        // `ct original saddr` leaves the family to the table or to the rule.
        if let bare = ["saddr", "daddr"].first(where: isWord) {
            advance()
            guard let four = keys.first(where: { $0.key == "ip " + bare })?.selector else {
                throw fail(expected: "'ip \(bare)' or 'ip6 \(bare)'")
            }
            var open = four
            open.name = "ct \(direction) \(bare)"
            open.leavesFamilyOpen = true
            return open
        }
        for family in ["ip", "ip6"] where isWord(family) {
            advance()
            guard let word = ["saddr", "daddr"].first(where: isWord),
                let found = keys.first(where: { $0.key == "\(family) \(word)" })
            else { throw fail(expected: "saddr or daddr", near: ["saddr", "daddr"]) }
            advance()
            return found.selector
        }
        guard current.kind == .word,
            let found = keys.first(where: { $0.key == current.text })
        else {
            let names = ["saddr", "daddr"] + keys.map(\.key)
            throw fail(
                expected: "one of the supported keys of 'ct \(direction)': "
                    + names.joined(separator: ", "), near: names)
        }
        advance()
        return found.selector
    }

    // MARK: Right side

    /// What a rule compares with: a value, range, prefix, list, set or concatenation.
    mutating func rightSide() throws(Stop) -> Expression {
        let start = current
        if isSign("{") { return try setLiteral() }
        if start.kind == .setName {
            advance()
            return expression(.namedSet(start.text), from: start)
        }
        var parts = [try concatenatedRight()]
        while isSign(",") {
            advance()
            parts.append(try concatenatedRight())
            guard parts.count <= 64 else {
                throw fail(expected: "at most 64 values in a list; a set '{ … }' takes more")
            }
        }
        guard parts.count > 1 else { return parts[0] }
        return expression(.list(parts), from: start)
    }

    /// Values with ` . ` between them: a key or a datum of a set, or the right side of a match.
    mutating func concatenatedRight() throws(Stop) -> Expression {
        let start = current
        var parts = [try rangeOrValue()]
        while take(sign: ".") {
            parts.append(try rangeOrValue())
            try checkConcatenation(parts)
        }
        guard parts.count > 1 else { return parts[0] }
        return expression(.concatenation(parts), from: start)
    }

    /// A value, `low-high`, or `address/length`.
    mutating func rangeOrValue() throws(Stop) -> Expression {
        let start = current
        let value = try operation(atLeast: 0, operand: Self.rightOperand)
        if take(sign: "-") {
            let high = try operation(atLeast: 0, operand: Self.rightOperand)
            return expression(.range(value, high), from: start)
        }
        guard isSign("/"), case .address(let family, _) = value.kind else { return value }
        advance()
        let length = try number(0...UInt64(family.addressBits), "a prefix length")
        return expression(.prefix(value, Int(length)), from: start)
    }

    private static func rightOperand(_ parser: inout RulesetParser) throws(Stop) -> Expression {
        let token = parser.current
        switch token.kind {
        case .number(let value):
            parser.advance()
            return parser.expression(.number(value), from: token)
        case .address(let family, let value):
            parser.advance()
            return parser.expression(.address(family, value), from: token)
        case .word, .quoted:
            parser.advance()
            return parser.expression(.word(token.text), from: token)
        case .variable:
            return try parser.variable()
        case .sign where token.text == "(":
            return try parser.parenthesized(operand: rightOperand)
        case .setName, .sign, .newline, .end, .unreadable:
            throw parser.fail(expected: "a value")
        }
    }

    /// `{ … }`, over as many lines as it likes.
    mutating func setLiteral() throws(Stop) -> Expression {
        let start = current
        try enter()
        try expect(sign: "{")
        skipNewline()
        var elements: [ElementSyntax] = []
        repeat {
            elements.append(try element())
            try count(elements: 1)
            skipNewline()
            guard take(sign: ",") else { break }
            skipNewline()
        } while !isSign("}")
        guard isSign("}") else { throw fail(expected: "',' or '}'") }
        advance()
        leave()
        return expression(.set(elements), from: start)
    }

    mutating func count(elements: Int) throws(Stop) {
        elementCount += elements
        guard elementCount <= RulesetLimits.setElements else {
            throw fail(expected: "at most \(RulesetLimits.setElements) elements in all sets")
        }
    }

    private mutating func element() throws(Stop) -> ElementSyntax {
        if isSign("{") { return ElementSyntax(key: try setLiteral()) }
        if isSign("*") {
            throw fail(expected: "a key: catch-all elements are not supported yet")
        }
        let key = try concatenatedRight()
        if take(word: "comment") { _ = try quotedText("a comment", limit: 128) }
        guard take(sign: ":") else { return ElementSyntax(key: key) }
        let start = current
        if let verdict = try verdictIfAny() {
            return ElementSyntax(key: key, data: expression(.verdict(verdict), from: start))
        }
        return ElementSyntax(key: key, data: try concatenatedRight())
    }

    // MARK: Operators

    typealias Operand = (inout RulesetParser) throws(Stop) -> Expression

    /// Bitwise operations, the tightest first: shifts, and, xor, or.
    private mutating func operation(
        atLeast precedence: Int, operand: Operand
    ) throws(Stop) -> Expression {
        let start = current
        var left = try operand(&self)
        var count = 0
        while let next = binaryOperator, next.precedence >= precedence {
            advance()
            let right = try operation(
                atLeast: next.precedence + 1, operand: Self.secondOperand)
            left = expression(.binary(next.operation, left, right), from: start)
            count += 1
            guard count <= RulesetLimits.nestingDepth else {
                throw fail(expected: "at most \(RulesetLimits.nestingDepth) operators in a row")
            }
        }
        return left
    }

    private static func secondOperand(_ parser: inout RulesetParser) throws(Stop) -> Expression {
        let token = parser.current
        if token.kind == .word, ["ct", "meta", "ip", "ip6"].contains(token.text) {
            throw parser.fail(expected: "a number: only one packet field can be in an operation")
        }
        return try rightOperand(&parser)
    }

    private var binaryOperator: (operation: BinaryOperator, precedence: Int)? {
        guard current.kind == .sign || current.kind == .word else { return nil }
        return switch current.text {
        case "<<", "lshift": (.shiftLeft, 4)
        case ">>", "rshift": (.shiftRight, 4)
        case "&", "and": (.and, 3)
        case "^", "xor": (.xor, 2)
        case "|", "or": (.or, 1)
        default: nil
        }
    }

    private mutating func parenthesized(operand: Operand) throws(Stop) -> Expression {
        try enter()
        try expect(sign: "(")
        let inner = try operation(atLeast: 0, operand: operand)
        try expect(sign: ")")
        leave()
        return inner
    }

    private mutating func enter() throws(Stop) {
        nesting += 1
        guard nesting <= RulesetLimits.nestingDepth else {
            throw fail(expected: "at most \(RulesetLimits.nestingDepth) nested parentheses or sets")
        }
    }

    private mutating func leave() { nesting -= 1 }

    func expression(_ kind: Expression.Kind, from start: RulesetToken) -> Expression {
        Expression(kind: kind, position: start.position, text: text(from: start, limit: 48))
    }
}
