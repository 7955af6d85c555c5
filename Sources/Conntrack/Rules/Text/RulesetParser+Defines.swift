internal import Wire

// `define NAME = value`, and `$NAME` where it is used.

extension RulesetParser {
    mutating func pushScope() { scopes.append([:]) }

    mutating func popScope() { if scopes.count > 1 { scopes.removeLast() } }

    /// `define NAME = value`, `redefine NAME = value`.
    mutating func define() throws(Stop) {
        let isRedefinition = isWord("redefine")
        advance()
        let token = current
        _ = try name(of: "define")
        let last = scopes.count - 1
        if scopes[last][token.text] != nil, !isRedefinition {
            throw fail(at: token, expected: "a name that is not defined yet, or 'redefine'")
        }
        defineCount += 1
        guard defineCount <= RulesetLimits.defines else {
            throw fail(at: token, expected: "at most \(RulesetLimits.defines) defines")
        }
        try expect(sign: "=")
        let value = try rightSide()
        let measure = value.measure
        guard measure.size <= RulesetLimits.defineSize,
            measure.depth <= RulesetLimits.nestingDepth
        else {
            throw fail(
                at: token,
                expected: "a value of at most \(RulesetLimits.defineSize) parts, nested at most "
                    + "\(RulesetLimits.nestingDepth) deep")
        }
        scopes[last][token.text] = Define(expression: value, size: measure.size)
    }

    /// The command `undefine NAME`.
    mutating func undefine() throws(Stop) {
        advance()
        let token = current
        _ = try name(of: "define")
        guard scopes[scopes.count - 1].removeValue(forKey: token.text) != nil else {
            throw fail(at: token, expected: "a name that is defined")
        }
    }

    /// The value of the `$name` that is the current token.
    mutating func variable() throws(Stop) -> Expression {
        let token = current
        for scope in scopes.reversed() {
            guard let define = scope[token.text] else { continue }
            advance()
            return define.expression
        }
        let known = scopes.flatMap { $0.keys }.sorted()
        report(
            at: token.position, found: token.quotedText, expected: "a defined name",
            suggestion: Self.nearest(to: token.text, in: known).map { "$" + $0 })
        throw Stop()
    }
}

extension Expression {
    /// How many values it spells out to, and how deep they are nested.
    var measure: (size: Int, depth: Int) {
        switch kind {
        case .set(let elements):
            var size = 0
            var depth = 0
            for element in elements {
                let key = element.key.measure
                let data = element.data?.measure ?? (size: 0, depth: 0)
                size += key.size + data.size
                depth = max(depth, key.depth, data.depth)
            }
            return (size, depth + 1)
        case .list(let parts), .concatenation(let parts):
            let measures = parts.map(\.measure)
            return (
                measures.reduce(0) { $0 + $1.size },
                1 + measures.reduce(0) { max($0, $1.depth) }
            )
        case .binary(_, let left, let right), .range(let left, let right),
            .map(let left, let right):
            let (leftMeasure, rightMeasure) = (left.measure, right.measure)
            return (
                leftMeasure.size + rightMeasure.size,
                1 + max(leftMeasure.depth, rightMeasure.depth)
            )
        case .prefix(let inner, _), .hash(let inner, _, _, _): return inner.measure
        case .number, .word, .address, .namedSet, .selector, .numberGenerator, .verdict:
            return (1, 1)
        }
    }
}
