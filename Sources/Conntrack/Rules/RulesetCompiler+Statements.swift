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
        }
    }

    // MARK: Matches

    private mutating func match(
        _ left: Expression, _ relation: RelationalOperator, _ right: Expression
    ) throws(Stop) {
        let isSet: Bool
        switch right.kind {
        case .set, .namedSet: isSet = true
        default: isSet = false
        }
        if !isSet, case .selector(let selector) = left.kind, selector.type == .interfaceName {
            try matchInterface(selector, left, relation, right)
            return
        }
        if case .binary(.shiftLeft, _, _) = left.kind { throw failShift(left) }
        if case .binary(.shiftRight, _, _) = left.kind { throw failShift(left) }
        let start = ruleset.program.instructions.count
        let loaded = try load(left, into: 0)
        if isSet || loaded.types.count > 1 {
            guard isSet else {
                throw fail(right, expected: "a set '{ … }' behind a concatenation")
            }
            try refuseOpenFamily(left)
            let isNegated = try negation(relation, left)
            emit(.member(0, table: try setTable(right, keys: loaded.types), isNegated: isNegated))
            learnSet(left, right, isNegated: isNegated)
            return
        }
        let type = loaded.types[0]
        guard type != .interfaceName else {
            throw fail(left, expected: "an interface name by itself or in a set")
        }
        switch right.kind {
        case .prefix(let inner, let length):
            let isNegated = try negation(relation, left)
            guard let family = type.family else { throw fail(right, expected: type.description) }
            let mask = Address.mask(prefix: length, family)
            let wanted = try value(inner, type).masked(by: mask)
            emit(.bitwise(0, place(mask, .zero)))
            emit(.compare(0, isNegated ? .notEqual : .equal, place(wanted)))
        case .range(let low, let high):
            let isNegated = try negation(relation, left)
            let bounds = try (value(low, type), value(high, type))
            guard bounds.0 <= bounds.1 else {
                throw fail(right, expected: "a range that does not begin behind its end")
            }
            emit(.within(0, place(bounds.0, bounds.1), isNegated: isNegated))
        default:
            let wanted = try value(right, type)
            try compare(loaded, relation, wanted, left, right)
            if relation == .implicit || relation == .equal { learn(left, wanted) }
        }
        shorten(from: start, type)
    }

    /// nft compares a shifted field with nothing it could be given.
    private mutating func failShift(_ left: Expression) -> Stop {
        fail(left, expected: "a field without shift: only a mark can be set to a shifted value")
    }

    private mutating func compare(
        _ loaded: Loaded, _ relation: RelationalOperator, _ wanted: Address, _ left: Expression,
        _ right: Expression
    ) throws(Stop) {
        let type = loaded.types[0]
        var isList = false
        if case .list = right.kind { isList = true }
        switch relation {
        case .implicit where type.isBitmask && (loaded.field != nil || isList):
            emit(.bitwise(0, place(wanted, .zero)))
            emit(.compare(0, .notEqual, place(.zero)))
        case .not:
            guard type.isBitmask else {
                throw fail(left, expected: "'!=': '!' is for flags only")
            }
            emit(.bitwise(0, place(wanted, .zero)))
            emit(.compare(0, .equal, place(.zero)))
        case .implicit, .equal: emit(.compare(0, .equal, place(wanted)))
        case .notEqual: emit(.compare(0, .notEqual, place(wanted)))
        case .less, .greater, .lessOrEqual, .greaterOrEqual:
            guard !type.isBitmask, type != .interfaceIndex else {
                throw fail(left, expected: "a number, which has an order")
            }
            let comparison: Comparison =
                switch relation {
                case .less: .less
                case .greater: .greater
                case .lessOrEqual: .lessOrEqual
                default: .greaterOrEqual
                }
            emit(.compare(0, comparison, place(wanted)))
        }
    }

    /// `tcp flags syn / syn,ack`: of the mask's bits, exactly the value's.
    private mutating func match(
        _ left: Expression, isNegated: Bool, _ wanted: Expression, _ mask: Expression
    ) throws(Stop) {
        let start = ruleset.program.instructions.count
        let loaded = try load(left, into: 0)
        let type = loaded.types[0]
        guard loaded.types.count == 1, type.isBitmask else {
            throw fail(left, expected: "flags, which 'value / mask' is for")
        }
        let bits = try value(mask, type)
        let value = try value(wanted, type)
        emit(.bitwise(0, place(bits, .zero)))
        emit(.compare(0, isNegated ? .notEqual : .equal, place(value)))
        shorten(from: start, type)
    }

    private mutating func negation(
        _ relation: RelationalOperator, _ left: Expression
    ) throws(Stop) -> Bool {
        switch relation {
        case .implicit, .equal: return false
        case .notEqual: return true
        case .less, .greater, .lessOrEqual, .greaterOrEqual, .not:
            throw fail(left, expected: "'==' or '!=' with a set, range or prefix")
        }
    }

    private mutating func matchInterface(
        _ selector: Selector, _ left: Expression, _ relation: RelationalOperator,
        _ right: Expression
    ) throws(Stop) {
        let isNegated = try negation(relation, left)
        var mask = InterfaceMask()
        for index in try interfaces(right) { mask.insert(index) }
        let count = ruleset.program.interfaceMasks.count
        let index = ruleset.program.interfaceMasks.firstIndex(of: mask) ?? count
        if index == count { ruleset.program.interfaceMasks.append(mask) }
        emit(.testInterface(selector.field, mask: Int32(index), isNegated: isNegated))
    }

    /// A match of a protocol tells the rest of the rule what it is about.
    private mutating func learn(_ left: Expression, _ wanted: Address) {
        guard case .selector(let selector) = left.kind else { return }
        switch selector.field {
        case .transportProtocol:
            layers.transport = UInt8(truncatingIfNeeded: wanted.low)
            layers.hasTransport = true
        case .family:
            if let family = Family(rawValue: UInt8(truncatingIfNeeded: wanted.low)) {
                layers.network = family
            }
        default: break
        }
    }

    /// As nft: behind `meta l4proto { tcp, udp }` ports can be mapped, but only the fields all of
    /// the protocols have can be read.
    private mutating func learnSet(_ left: Expression, _ right: Expression, isNegated: Bool) {
        guard case .selector(let selector) = left.kind, selector.tellsTransport, !isNegated else {
            return
        }
        guard case .set(let elements) = right.kind else { return }
        layers.hasTransport = true
        for element in elements {
            if case .success(let value) = constant(element.key, .transportProtocol) {
                layers.transports.append(UInt8(truncatingIfNeeded: value.low))
            }
        }
    }

    /// Puts `load` and the comparison behind it into one instruction, where the field is narrow.
    private mutating func shorten(from start: Int, _ type: DataType) {
        let end = ruleset.program.instructions.count
        guard type.bitCount <= 64, end > start,
            case .compare(_, let comparison, let wanted) = ruleset.program.instructions[end - 1]
        else { return }
        var mask = UInt64.max
        var load = end - 2
        if load > start, case .bitwise(_, let constant) = ruleset.program.instructions[load] {
            guard ruleset.program.constants[Int(constant) + 1] == .zero else { return }
            mask = ruleset.program.constants[Int(constant)].low
            load -= 1
        }
        guard load >= start, case .load(let field, _) = ruleset.program.instructions[load] else {
            return
        }
        ruleset.program.instructions.removeSubrange(load...)
        emit(.test(field, mask: mask, comparison, ruleset.program.constants[Int(wanted)].low))
    }

    // MARK: Values and limits

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

    // MARK: Translation

    private mutating func translate(
        _ syntax: TranslationSyntax, _ statement: StatementSyntax
    ) throws(Stop) {
        track()
        let hooks: [Hook] =
            switch syntax.kind {
            case .source: [.postrouting, .input]
            case .masquerade: [.postrouting]
            case .destination, .redirect: [.prerouting, .output]
            }
        graph.add(
            ChainGraph.Restricted(
                position: statement.position, word: statement.text, hooks: hooks, needsNAT: true),
            in: chain)
        var translation = Translation(kind: syntax.kind, family: nil, range: NATRange())
        translation.range.flags = syntax.flags
        if let address = syntax.address {
            let family = try addressFamily(syntax, statement)
            translation.family = family
            try target(address, family, syntax, &translation)
        }
        if let port = syntax.port {
            guard layers.hasTransport else {
                throw fail(
                    port, expected: "ports only behind a match of the transport protocol")
            }
            try targetPort(port, &translation)
        }
        emit(.translate(Int32(ruleset.program.translations.count)))
        ruleset.program.translations.append(translation)
    }

    private mutating func addressFamily(
        _ syntax: TranslationSyntax, _ statement: StatementSyntax
    ) throws(Stop) -> Family {
        let here = Expression(
            kind: .word(statement.text), position: statement.position, text: statement.text)
        switch (self.syntax.tables[table].family, syntax.family) {
        case (.ip, .ipv6?), (.ip6, .ipv4?):
            throw fail(here, expected: "the family of its table")
        case (.ip, _): return .ipv4
        case (.ip6, _): return .ipv6
        case (.inet, let family?):
            guard layers.network == nil || layers.network == family else {
                throw fail(here, expected: "the family the rule asks for")
            }
            return family
        case (.inet, nil):
            if let family = layers.network { return family }
            throw fail(
                here,
                expected: "'\(statement.text) ip to' or '\(statement.text) ip6 to' in a table of "
                    + "family inet")
        }
    }

    private mutating func target(
        _ expression: Expression, _ family: Family, _ syntax: TranslationSyntax,
        _ translation: inout Translation
    ) throws(Stop) {
        let type = DataType.address(family)
        switch expression.kind {
        case .map(let key, let map):
            try target(key, map, type, syntax, &translation)
            return
        case .range(let low, let high):
            translation.range.firstAddress = try value(low, type)
            translation.range.lastAddress = try value(high, type)
            guard translation.range.firstAddress <= translation.range.lastAddress else {
                throw fail(expression, expected: "a range that does not begin behind its end")
            }
        case .prefix(let inner, let length):
            let mask = Address.mask(prefix: length, family)
            let low = try value(inner, type).masked(by: mask)
            translation.range.firstAddress = low
            translation.range.lastAddress = Address(
                high: low.high | (type.maximum.high & ~mask.high),
                low: low.low | (type.maximum.low & ~mask.low))
        default:
            translation.range.firstAddress = try value(expression, type)
            translation.range.lastAddress = translation.range.firstAddress
        }
        translation.range.flags.insert(.addresses)
    }

    /// `to … map`: the map holds addresses, or addresses and ports.
    private mutating func target(
        _ key: Expression, _ map: Expression, _ type: DataType, _ syntax: TranslationSyntax,
        _ translation: inout Translation
    ) throws(Stop) {
        let loaded = try load(key, into: 0)
        var holdsPort = syntax.wantsPort
        switch map.kind {
        case .set(let elements):
            if case .concatenation? = elements.first?.data?.kind { holdsPort = true }
        case .namedSet(let name):
            if let index = self.syntax.tables[table].setIndex[name],
                case .values(let types) = self.syntax.tables[table].sets[index].data
            {
                holdsPort = types.count > 1
            }
        default: break
        }
        let wanted: [DataType] = holdsPort ? [type, .port] : [type]
        let table = try mapTable(map, keys: loaded.types, wanted: wanted).table
        emit(.lookUp(0, table: table, into: 0))
        translation.addressRegister = 0
        if holdsPort {
            guard layers.hasTransport else {
                throw fail(
                    map, expected: "ports only behind a match of the transport protocol")
            }
            translation.portRegister = 1
        }
    }

    private mutating func targetPort(
        _ expression: Expression, _ translation: inout Translation
    ) throws(Stop) {
        guard translation.portRegister == nil else {
            throw fail(expression, expected: "no port: the map holds ports already")
        }
        switch expression.kind {
        case .map(let key, let map):
            // Behind the address a map may have chosen.
            let loaded = try load(key, into: 2)
            let table = try mapTable(map, keys: loaded.types, wanted: [.port]).table
            emit(.lookUp(2, table: table, into: 2))
            translation.portRegister = 2
            return
        case .range(let low, let high):
            let bounds = try (value(low, .port), value(high, .port))
            guard bounds.0 <= bounds.1 else {
                throw fail(expression, expected: "a range that does not begin behind its end")
            }
            translation.range.firstPort = UInt16(truncatingIfNeeded: bounds.0.low)
            translation.range.lastPort = UInt16(truncatingIfNeeded: bounds.1.low)
        default:
            let port = UInt16(truncatingIfNeeded: try value(expression, .port).low)
            translation.range.firstPort = port
            translation.range.lastPort = port
        }
        translation.range.flags.insert(.ports)
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
