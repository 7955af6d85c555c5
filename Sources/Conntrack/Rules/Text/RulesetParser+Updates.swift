// Statements that add elements to sets.

extension RulesetParser {
    /// A statement such as `update @set { ip saddr timeout 30s }`.
    mutating func updateSet() throws(Stop) -> StatementSyntax.Kind {
        let refreshes = isWord("update")
        advance()
        let set = current
        guard set.kind == .setName else { throw fail(expected: "'@' and the name of a set") }
        advance()
        try expect(sign: "{")
        skipNewline()
        let key = try leftSide()
        var timeout: UInt64?
        if take(word: "timeout") { timeout = try duration() }
        skipNewline()
        guard take(sign: "}") else {
            throw fail(expected: "'}': one key, with a 'timeout' at most")
        }
        return .updateSet(
            Expression(kind: .namedSet(set.text), position: set.position, text: "@" + set.text),
            key: key, timeoutMilliseconds: timeout, refreshes: refreshes)
    }

    /// A time such as `30s` or `1h5m`, in milliseconds.
    mutating func duration() throws(Stop) -> UInt64 {
        let token = current
        var milliseconds: UInt64?
        if case .number(let seconds) = token.kind, seconds <= UInt64(UInt32.max) {
            milliseconds = seconds * 1000
        } else if token.kind == .word {
            milliseconds = RulesetCompiler.milliseconds(token.text)
        }
        guard let milliseconds, milliseconds > 0 else {
            throw fail(expected: DataType.duration.description)
        }
        advance()
        return milliseconds
    }
}
