internal import Wire

// Comparisons: `tcp dport 80`, `ct state established,related`, `iifname "wan*"`.

extension RulesetCompiler {
    mutating func match(
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
        if let largest = left.largestValue { try check(right, isAtMost: largest) }
        if isSet || loaded.types.count > 1 {
            guard isSet else {
                throw fail(right, expected: "a set '{ … }' behind a concatenation")
            }
            try refuseOpenFamily(left)
            let isNegated = try negation(relation, left)
            guard !isDynamicSet(right) else {
                let set = try dynamicSet(right, keys: loaded.types)
                emit(.memberOfDynamic(0, set: set, isNegated: isNegated))
                return
            }
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
            guard let mask = type.mask(prefix: length) else {
                throw fail(right, expected: type.description)
            }
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

    /// As nft: what a generator or hash is compared with must be among its values.
    private mutating func check(
        _ right: Expression, isAtMost largest: UInt64
    ) throws(Stop) {
        switch right.kind {
        case .number(let number) where number <= largest: break
        case .range(let low, let high):
            try check(low, isAtMost: largest)
            try check(high, isAtMost: largest)
        case .set(let elements):
            for element in elements { try check(element.key, isAtMost: largest) }
        case .namedSet: break
        default:
            throw fail(right, expected: "a number the left side can have, at most \(largest)")
        }
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
            guard type.isBitmask, loaded.field != nil else {
                throw fail(left, expected: "'!=': '!' is for flags by themselves")
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
    mutating func match(
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
            guard let value = try? constant(element.key, .transportProtocol) else { continue }
            layers.transports.append(UInt8(truncatingIfNeeded: value.low))
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
}

extension Expression {
    /// The largest number a generator or hash yields.
    fileprivate var largestValue: UInt64? {
        switch kind {
        case .numberGenerator(_, let modulus, let offset), .hash(_, let modulus, let offset, _):
            UInt64(modulus) - 1 + UInt64(offset)
        case .binary(_, let left, _): left.largestValue
        default: nil
        }
    }
}
