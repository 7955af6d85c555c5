internal import Wire

// Statements that only iptables has.

extension RulesetCompiler {
    /// `-m conntrack`: the state first; the other conditions only for a packet with a connection.
    mutating func match(_ syntax: ConnectionMatchSyntax) throws(Stop) {
        track()
        if let states = syntax.states {
            let readsTranslation = states & ConnectionMatchSyntax.translatedBits != 0
            if readsTranslation { graph.noteEntryRead(in: chain) }
            emit(
                .test(
                    readsTranslation ? .stateAndTranslation : .state, mask: states,
                    syntax.isNegated ? .equal : .notEqual, 0))
        }
        guard !syntax.conditions.isEmpty else { return }
        let start = ruleset.program.instructions.count
        // Where no state is asked for, a packet without direction, hence without connection, breaks
        // the rule here.
        emit(
            syntax.states == nil
                ? .test(.direction, mask: 0, .equal, 0) : .skipWithoutConnection(count: 0))
        for condition in syntax.conditions { try compile(condition) }
        guard syntax.states != nil else { return }
        let count = ruleset.program.instructions.count - start - 1
        ruleset.program.instructions[start] = .skipWithoutConnection(count: Int32(count))
    }

    /// `-m multiport --ports`.
    mutating func matchEitherPort(
        _ elements: [ElementSyntax], isNegated: Bool, _ statement: StatementSyntax
    ) throws(Stop) {
        guard layers.hasTransport else {
            throw fail(
                at: statement.position, found: "'\(statement.text)'",
                expected: "a match of the transport protocol before the ports")
        }
        let table = try elementTable(
            elements, keys: [.port], data: .none, overlaps: .merged)
        emit(.load(.sourcePort, 0))
        emit(.load(.destinationPort, 1))
        if isNegated {
            emit(.member(0, table: table, isNegated: true))
            emit(.member(1, table: table, isNegated: true))
        } else {
            emit(.skipIfMember(0, table: table, count: 1))
            emit(.member(1, table: table, isNegated: false))
        }
    }

    /// Copies a mark: `target = (target & ~clears) ^ (source & mask)`.
    mutating func copyMark(_ copy: MarkCopySyntax) throws(Stop) {
        track()
        let all = UInt64(UInt32.max)
        _ = try load(copy.from, into: 0)
        if copy.fromMask != all { emit(.bitwise(0, place(Address(copy.fromMask), .zero))) }
        if copy.clears != all {
            _ = try load(copy.to, into: 1)
            emit(.bitwise(1, place(Address(all & ~copy.clears), .zero)))
            emit(.exclusiveOr(0, with: 1))
        }
        emit(copy.toConnection ? .setConnectionMark(0) : .setPacketMark(0))
    }

    /// The statements `update @set { key }` and `add @set { key }`.
    mutating func updateSet(
        _ set: Expression, _ key: Expression, _ timeoutMilliseconds: UInt64?, refreshes: Bool
    ) throws(Stop) {
        try refuseOpenFamily(key)
        let loaded = try load(key, into: 0)
        let index = try dynamicSet(set, keys: loaded.types)
        emit(.updateSet(0, update: Int32(ruleset.program.updates.count)))
        ruleset.program.updates.append(
            SetUpdate(
                set: index, timeoutNanoseconds: timeoutMilliseconds.map { $0 * 1_000_000 },
                refreshes: refreshes))
    }
}
