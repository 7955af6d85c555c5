internal import Wire

// What a rule compares with, and the elements of sets.

extension RulesetParser {
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
        guard isSign("/") else { return value }
        switch value.kind {
        case .address(let family, _):
            advance()
            let length = try number(0...UInt64(family.addressBits), "a prefix length")
            return expression(.prefix(value, Int(length)), from: start)
        case .number where !slashBeginsMask:
            advance()
            let length = try number(0...128, "a prefix length")
            return expression(.prefix(value, Int(length)), from: start)
        default: return value  // `tcp flags syn / syn,ack`
        }
    }

    /// Words of the language that are values too: protocols, ICMP types, states.
    private static let valueWords: Set<String> = [
        "ip", "ip6", "arp", "vlan", "tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6",
        "igmp", "esp", "ah", "comp", "redirect", "snat", "dnat", "ecn", "reset",
    ]

    static func rightOperand(_ parser: inout RulesetParser) throws(Stop) -> Expression {
        let token = parser.current
        switch token.kind {
        case .number(let value):
            parser.advance()
            return parser.expression(.number(value), from: token)
        case .address(let family, let value):
            parser.advance()
            return parser.expression(.address(family, value), from: token)
        case .word where !valueWords.contains(token.text) && reservedWords.contains(token.text):
            throw parser.fail(expected: "a value, which cannot be a word of the language")
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
            throw fail(expected: "a key: catch-all elements are not supported")
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
}
