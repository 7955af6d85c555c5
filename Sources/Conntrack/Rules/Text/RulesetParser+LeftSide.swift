internal import Wire

// What a rule reads.

extension RulesetParser {
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

    mutating func checkConcatenation(_ parts: [Expression]) throws(Stop) {
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
        if parser.take(word: "fib") { return try parser.addressType(from: start) }
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
        try enter()
        let key = try concatenatedLeft()
        leave()
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

    /// The words behind `fib` in `fib daddr type`.
    private mutating func addressType(from start: RulesetToken) throws(Stop) -> Expression {
        guard let address = ["saddr", "daddr"].first(where: isWord) else {
            throw fail(expected: "saddr or daddr", near: ["saddr", "daddr"])
        }
        advance()
        guard take(word: "type") else {
            throw fail(expected: "'type', the only supported result of 'fib'", near: ["type"])
        }
        let selector = address == "saddr" ? Selector.sourceType : Selector.destinationType
        return expression(.selector(selector), from: start)
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

    /// The supported keys of `ct`, for messages.
    static let connectionKeyNames =
        (Selector.connectionKeys.map(\.key) + ["original", "reply"]).joined(separator: ", ")

    private mutating func connectionSelector() throws(Stop) -> Selector {
        let directions = ["original", "reply"]
        guard current.kind == .word, directions.contains(current.text) else {
            let names = Selector.connectionKeys.map(\.key)
            if current.kind == .word, names.contains(current.text) {
                return try key(of: "ct", in: Selector.connectionKeys)
            }
            throw fail(
                expected: "one of the supported keys of 'ct': \(Self.connectionKeyNames)",
                near: names + directions)
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
}
