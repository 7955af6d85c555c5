internal import Wire

// Bitwise operations and parentheses, on either side of a comparison.

extension RulesetParser {
    typealias Operand = (inout RulesetParser) throws(Stop) -> Expression

    /// Bitwise operations, the tightest first: shifts, and, xor, or.
    mutating func operation(
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

    mutating func parenthesized(operand: Operand) throws(Stop) -> Expression {
        try enter()
        try expect(sign: "(")
        let inner = try operation(atLeast: 0, operand: operand)
        try expect(sign: ")")
        leave()
        return inner
    }

    mutating func enter() throws(Stop) {
        nesting += 1
        guard nesting <= RulesetLimits.nestingDepth else {
            throw fail(
                expected: "at most \(RulesetLimits.nestingDepth) nested parentheses, sets or hashes")
        }
    }

    mutating func leave() { nesting -= 1 }

    func expression(_ kind: Expression.Kind, from start: RulesetToken) -> Expression {
        Expression(kind: kind, position: start.position, text: text(from: start, limit: 48))
    }
}
