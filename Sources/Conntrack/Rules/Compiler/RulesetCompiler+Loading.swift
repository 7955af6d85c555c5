internal import Wire

// What a rule reads, into registers.

/// What lies in the registers after a left side was loaded, one type a register.
struct Loaded {
    var types: [DataType]
    /// The registers from here on.
    var first: Register
    /// A plain packet field, without operation: what "any of these bits" and the shorter
    /// instructions are for.
    var field: Field?
}

extension RulesetCompiler {
    /// Emits what puts the expression's values into the registers from `first` on.
    mutating func load(_ expression: Expression, into first: Register) throws(Stop) -> Loaded {
        switch expression.kind {
        case .selector(let selector):
            let resolved = try require(selector, at: expression)
            emit(.load(resolved.field, first))
            return Loaded(types: [resolved.type], first: first, field: resolved.field)
        case .binary(let operation, let inner, let right):
            return try load(operation, inner, right, into: first)
        case .numberGenerator(let isRandom, let modulus, let offset):
            let index = ruleset.program.generators.count
            ruleset.program.generators.append(
                NumberGenerator(isRandom: isRandom, modulus: modulus, offset: offset))
            ruleset.state.generated.append(modulus - 1)
            emit(.numberGenerator(first, Int32(index)))
            return Loaded(types: [.integer32], first: first)
        case .hash(let key, let modulus, let offset, let seed):
            return try load(hashOf: key, modulus, offset, seed, into: first)
        case .concatenation(let parts):
            var types: [DataType] = []
            for (offset, part) in parts.enumerated() {
                let loaded = try load(part, into: first + Register(truncatingIfNeeded: offset))
                guard loaded.types.count == 1 else {
                    throw fail(part, expected: "a single value")
                }
                types += loaded.types
            }
            return Loaded(types: types, first: first)
        case .map(let key, let map):
            try refuseOpenFamily(key)
            let loaded = try load(key, into: first)
            let (table, data) = try mapTable(map, keys: loaded.types, wanted: nil)
            emit(.lookUp(first, table: table, into: first))
            return Loaded(types: data, first: first)
        case .number, .word, .address, .prefix, .range, .list, .set, .namedSet, .verdict:
            throw fail(expression, expected: "a packet field")
        }
    }

    private mutating func load(
        _ operation: BinaryOperator, _ inner: Expression, _ right: Expression,
        into first: Register
    ) throws(Stop) -> Loaded {
        let loaded = try load(inner, into: first)
        let type = loaded.types[0]
        guard loaded.types.count == 1, type != .interfaceName, type != .interfaceIndex else {
            throw fail(inner, expected: "a field that is a number")
        }
        let operand = try value(right, type)
        let all = type.maximum
        switch operation {
        case .and: emit(.bitwise(first, place(operand, .zero)))
        case .or:
            let keep = Address(
                high: all.high & ~operand.high, low: all.low & ~operand.low)
            emit(.bitwise(first, place(keep, operand)))
        case .xor: emit(.bitwise(first, place(all, operand)))
        case .shiftLeft, .shiftRight:
            guard type.bitCount <= 64, operand.low < UInt64(type.bitCount) else {
                throw fail(right, expected: "a shift within the value's width")
            }
            let count = UInt8(truncatingIfNeeded: operand.low)
            emit(
                operation == .shiftLeft
                    ? .shiftLeft(first, count, bits: UInt8(type.bitCount))
                    : .shiftRight(first, count))
        }
        return Loaded(types: [type], first: first)
    }

    private mutating func load(
        hashOf key: Expression, _ modulus: UInt32, _ offset: UInt32, _ seed: UInt32?,
        into first: Register
    ) throws(Stop) -> Loaded {
        guard key.isSelectors else { throw fail(key, expected: "packet fields to hash") }
        try refuseOpenFamily(key)
        let loaded = try load(key, into: first)
        var parts: [HashExpression.Part] = []
        for type in loaded.types {
            guard type != .interfaceName, type != .interfaceIndex else {
                throw fail(key, expected: "fields other than interfaces to hash")
            }
            parts.append(
                HashExpression.Part(
                    byteCount: UInt8(type.byteCount), isNetworkOrder: type.isNetworkOrder))
        }
        // Parts of a concatenation fill whole words; a single field is hashed as it is.
        let byteCount =
            parts.count == 1
            ? Int(parts[0].byteCount)
            : parts.reduce(0) { $0 + (Int($1.byteCount) + 3) / 4 * 4 }
        ruleset.program.hashes.append(
            HashExpression(
                firstRegister: first, parts: parts, byteCount: UInt32(byteCount),
                modulus: modulus, offset: offset))
        ruleset.state.seeds.append(seed)
        emit(.hash(first, Int32(ruleset.program.hashes.count - 1)))
        return Loaded(types: [.integer32], first: first)
    }

    /// As nft: in keys of sets the address says which family it is of.
    mutating func refuseOpenFamily(_ key: Expression) throws(Stop) {
        switch key.kind {
        case .selector(let selector) where selector.leavesFamilyOpen:
            throw fail(key, expected: "'ip' or 'ip6' before the address in the key of a set")
        case .concatenation(let parts):
            for part in parts { try refuseOpenFamily(part) }
        default: break
        }
    }
}

extension Expression {
    /// Plain packet fields, one or a concatenation.
    fileprivate var isSelectors: Bool {
        switch kind {
        case .selector: true
        case .concatenation(let parts): parts.allSatisfy(\.isSelectors)
        case .binary(_, let left, _): left.isSelectors
        default: false
        }
    }
}

extension DataType {
    /// Header fields are in network byte order in the kernel's registers, what it keeps itself is
    /// in the host's.
    var isNetworkOrder: Bool {
        switch self {
        case .mark, .interfaceIndex, .connectionState, .connectionStatus, .duration,
            .addressType, .integer16, .integer32, .integer64:
            false
        default: true
        }
    }
}
