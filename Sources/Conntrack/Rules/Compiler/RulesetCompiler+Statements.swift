internal import Wire

// One statement of a rule to instructions.

extension RulesetCompiler {
    mutating func compile(_ statement: StatementSyntax) throws(Stop) {
        switch statement.kind {
        case .match(let left, let relation, let right):
            try match(left, relation, right)
        case .matchMasked(let left, let isNegated, let value, let mask):
            try match(left, isNegated: isNegated, value, mask)
        case .verdict(let syntax):
            let verdict = try verdict(syntax)
            switch verdict {
            case .jump(let target), .goto(let target):
                graph.addJump(from: chain, to: Int(target), at: syntax.position)
            case .accept, .drop, .continue, .return: break
            }
            emit(.verdict(verdict))
        case .verdictMap(let key, let map):
            try refuseOpenFamily(key)
            let loaded = try load(key, into: 0)
            emit(.verdictMap(0, table: try verdictTable(map, keys: loaded.types)))
        case .counter(let packets, let bytes):
            emit(.counter(Int32(ruleset.state.counters.count)))
            ruleset.state.counters.append(RuleState.Counter(packets: packets, bytes: bytes))
            ruleset.names.counters.append(
                RuleNames.Counter(rule: ruleset.names.rules.count - 1))
        case .limit(let isOver, let count, let unitSeconds, let burst):
            try limit(
                isOver: isOver, count: count, unitSeconds: unitSeconds, burst: burst,
                at: statement.position)
        case .log(let log):
            emit(.log(Int32(ruleset.program.logs.count)))
            ruleset.program.logs.append(log)
        case .reject(let syntax): try reject(syntax, statement)
        case .translate(let syntax): try translate(syntax, statement)
        case .notrack: emit(.notrack)
        case .setPacketMark(let expression):
            try loadMark(expression)
            emit(.setPacketMark(0))
        case .setConnectionMark(let expression):
            track()
            try loadMark(expression)
            emit(.setConnectionMark(0))
        case .setZone(let expression, let direction): try setZone(expression, direction)
        case .attachTemplate(let definition): attachTemplate(definition)
        case .setLabel(let label):
            track()
            emit(.setLabel(label))
        case .setObject(let kind, let name, let position):
            try setObject(kind, named: name, at: position)
        case .copyMark(let copy): try copyMark(copy)
        case .updateSet(let set, let key, let timeout, let refreshes):
            try updateSet(set, key, timeout, refreshes: refreshes)
        case .connection(let match): try self.match(match)
        case .eitherPort(let elements, let isNegated):
            try matchEitherPort(elements, isNegated: isNegated, statement)
        }
    }

    private mutating func loadMark(_ expression: Expression) throws(Stop) {
        switch expression.kind {
        case .selector, .numberGenerator, .hash:
            let loaded = try load(expression, into: 0)
            guard loaded.types == [.mark] || loaded.types == [.integer32] else {
                throw fail(expression, expected: DataType.mark.description)
            }
        case .map(let key, let map):
            let loaded = try load(key, into: 0)
            let table = try mapTable(map, keys: loaded.types, wanted: [.mark]).table
            emit(.lookUp(0, table: table, into: 0))
        case .binary(_, let left, _) where !left.isConstant:
            let loaded = try load(expression, into: 0)
            guard loaded.types == [.mark] else {
                throw fail(expression, expected: DataType.mark.description)
            }
        default:
            emit(.constant(0, place(try value(expression, .mark))))
        }
    }

    /// A bucket of `burst` packets that refills at `count` packets in `unitSeconds`.
    private mutating func limit(
        isOver: Bool, count: UInt32, unitSeconds: UInt32, burst: UInt32,
        at position: SourcePosition
    ) throws(Stop) {
        let nanoseconds = UInt64(unitSeconds) * 1_000_000_000
        let cost = nanoseconds / UInt64(count)
        let product = nanoseconds.multipliedReportingOverflow(by: UInt64(burst))
        guard !product.overflow else {
            throw fail(
                at: position, found: "a burst of \(burst) packets",
                expected: "one that, times the unit, fits 64 bits of nanoseconds")
        }
        let maximum = product.partialValue / UInt64(count)
        emit(.limit(Int32(ruleset.program.limits.count)))
        ruleset.program.limits.append(RateLimit(isOver: isOver, cost: cost, maximum: maximum))
        ruleset.state.buckets.append(RuleState.Bucket(tokens: maximum, last: nil))
    }

    // MARK: Reject

    private mutating func reject(
        _ syntax: RejectSyntax, _ statement: StatementSyntax
    ) throws(Stop) {
        let here = Expression(
            kind: .word(statement.text), position: statement.position, text: statement.text)
        let family = self.syntax.tables[table].family
        ruleset.program.rejects = true
        graph.add(
            ChainGraph.Restricted(
                position: statement.position, word: statement.text,
                hooks: [.prerouting, .input, .forward, .output], needsNAT: false),
            in: chain)
        switch syntax {
        case .standard:
            switch family {
            case .ip: emit(.reject(.icmp(3)))
            case .ip6: emit(.reject(.icmpv6(4)))
            case .inet: emit(.reject(.icmpx(1)))
            }
        case .tcpReset:
            try require(IPProtocol.tcp, at: here)
            emit(.reject(.tcpReset))
        case .icmp(let code):
            try require(.ipv4, at: here)
            emit(.reject(.icmp(code)))
        case .icmpv6(let code):
            try require(.ipv6, at: here)
            emit(.reject(.icmpv6(code)))
        case .icmpx(let code):
            guard family == .inet else {
                throw fail(here, expected: "icmp or icmpv6: icmpx is for tables of family inet")
            }
            emit(.reject(.icmpx(code)))
        }
    }
}

extension Expression {
    /// Made of numbers and words only.
    fileprivate var isConstant: Bool {
        switch kind {
        case .number, .word, .address: true
        case .binary(_, let left, let right): left.isConstant && right.isConstant
        default: false
        }
    }
}
