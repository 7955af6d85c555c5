internal import Wire

// Words, numbers and addresses as values of a data type; and loading what a rule reads.

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
    // MARK: Constants

    /// A single value of `type`.
    func constant(_ expression: Expression, _ type: DataType) -> Result<Address, ValueFailure> {
        switch expression.kind {
        case .number(let number):
            if type.family != nil || type == .interfaceName || type == .interfaceIndex {
                return .failure(ValueFailure(expression, type))
            }
            if type == .duration {
                let (milliseconds, isTooLong) = number.multipliedReportingOverflow(by: 1000)
                guard !isTooLong, Address(milliseconds) <= type.maximum else {
                    return .failure(ValueFailure(expression, type))
                }
                return .success(Address(milliseconds))
            }
            guard Address(number) <= type.maximum else {
                return .failure(
                    ValueFailure(
                        expression, type, "\(type.description), at most \(type.maximum.low)"))
            }
            return .success(Address(number))
        case .address(let family, let address):
            guard type.family == family else { return .failure(ValueFailure(expression, type)) }
            return .success(address)
        case .word(let word): return constant(word: word, expression, type)
        case .binary(let operation, let left, let right):
            return fold(operation, left, right, type)
        case .list(let parts) where type.isBitmask:
            var bits: UInt64 = 0
            for part in parts {
                switch constant(part, type) {
                case .success(let value): bits |= value.low
                case .failure(let failure): return .failure(failure)
                }
            }
            return .success(Address(bits))
        case .prefix, .range, .list, .set, .namedSet, .concatenation, .selector,
            .numberGenerator, .hash, .map, .verdict:
            return .failure(ValueFailure(expression, type))
        }
    }

    struct ValueFailure: Error {
        var expression: Expression
        var expected: String
        var near: [String]

        init(_ expression: Expression, _ type: DataType, _ expected: String? = nil) {
            self.expression = expression
            self.expected = expected ?? type.description
            near = type.symbols.map(\.name)
        }
    }

    private func constant(
        word: String, _ expression: Expression, _ type: DataType
    ) -> Result<Address, ValueFailure> {
        if type == .interfaceIndex {
            // The loopback device is on every machine; no packet of a node crosses it.
            if word == "lo" { return .success(Self.loopbackIndex) }
            guard let index = interfaces.firstIndex(of: word) else {
                var failure = ValueFailure(expression, type)
                failure.near = interfaces
                return .failure(failure)
            }
            return .success(Address(UInt64(index)))
        }
        if type == .duration, let milliseconds = Self.milliseconds(word) {
            return .success(Address(milliseconds))
        }
        let lower = type == .transportProtocol ? word.lowercased() : word
        if let symbol = type.symbols.first(where: { $0.name == lower }) {
            return .success(Address(symbol.value))
        }
        // A quoted number is a number.
        if let number = UInt64(word), type.family == nil, type != .interfaceName,
            Address(number) <= type.maximum, type != .duration
        {
            return .success(Address(number))
        }
        return .failure(ValueFailure(expression, type))
    }

    /// Stands for a device that is none of the node's.
    static let loopbackIndex = Address(UInt64(UInt8.max) + 1)

    /// `1d2h30m10s500ms`, each unit at most once and in this order.
    private static func milliseconds(_ word: String) -> UInt64? {
        let units: [(name: String, milliseconds: UInt64)] = [
            ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
        ]
        var rest = Substring(word)
        var total: UInt64 = 0
        var nextUnit = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard let count = UInt64(digits), count <= 1 << 32 else { return nil }
            rest = rest.dropFirst(digits.count)
            let letters = rest.prefix { $0.isLetter }
            guard let unit = units[nextUnit...].firstIndex(where: { $0.name == letters }) else {
                return nil
            }
            total += count * units[unit].milliseconds
            nextUnit = unit + 1
            rest = rest.dropFirst(letters.count)
        }
        return nextUnit > 0 && total <= UInt64(UInt32.max) ? total : nil
    }

    private func fold(
        _ operation: BinaryOperator, _ left: Expression, _ right: Expression, _ type: DataType
    ) -> Result<Address, ValueFailure> {
        let leftValue: Address
        let rightValue: Address
        switch (constant(left, type), constant(right, type)) {
        case (.failure(let failure), _), (_, .failure(let failure)): return .failure(failure)
        case (.success(let one), .success(let other)):
            leftValue = one
            rightValue = other
        }
        let result: Address
        switch operation {
        case .and: result = leftValue.masked(by: rightValue)
        case .or:
            result = Address(
                high: leftValue.high | rightValue.high, low: leftValue.low | rightValue.low)
        case .xor:
            result = Address(
                high: leftValue.high ^ rightValue.high, low: leftValue.low ^ rightValue.low)
        case .shiftLeft, .shiftRight:
            guard type.bitCount <= 64, rightValue.low < UInt64(type.bitCount) else {
                return .failure(ValueFailure(right, type, "a shift within the value's width"))
            }
            result =
                operation == .shiftLeft
                ? Address(leftValue.low << rightValue.low).masked(by: type.maximum)
                : Address(leftValue.low >> rightValue.low)
        }
        return .success(result)
    }

    /// As `constant`, with the finding written down.
    mutating func value(_ expression: Expression, _ type: DataType) throws(Stop) -> Address {
        switch constant(expression, type) {
        case .success(let value): return value
        case .failure(let failure):
            throw fail(failure.expression, expected: failure.expected, near: failure.near)
        }
    }

    // MARK: Interfaces

    /// The indexes of the interfaces a name or a name with `*` behind it stands for.
    mutating func interfaces(_ expression: Expression) throws(Stop) -> [UInt8] {
        guard case .word(let pattern) = expression.kind else {
            throw fail(expression, expected: DataType.interfaceName.description)
        }
        guard !pattern.isEmpty, pattern != "*" else {
            throw fail(expression, expected: "a name, or the beginning of one before '*'")
        }
        let isPrefix = pattern.hasSuffix("*")
        let name = isPrefix ? String(pattern.dropLast()) : pattern
        guard name.utf8.count <= 15, !name.utf8.contains(UInt8(ascii: "*")) else {
            throw fail(expression, expected: "an interface name of at most 15 bytes")
        }
        return interfaces.indices
            .filter { isPrefix ? interfaces[$0].hasPrefix(name) : interfaces[$0] == name }
            .prefix(RulesetLimits.interfaces)
            .map { UInt8(truncatingIfNeeded: $0) }
    }

    // MARK: Loading

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

    // MARK: Layers

    /// Emits the checks a field takes that the rule has not made yet, and notes what it reads.
    mutating func require(
        _ selector: Selector, at expression: Expression
    ) throws(Stop) -> Selector {
        var selector = selector
        if selector.field.needsTracking { track() }
        if selector.field.needsEntry { graph.noteEntryRead(in: chain) }
        if selector.leavesFamilyOpen {
            guard let network = layers.network else {
                throw fail(
                    expression,
                    expected: "'ip' or 'ip6' before the address, in a table of both")
            }
            if network == .ipv6 { selector = selector.inIPv6 }
        } else if let family = selector.type.family, selector.network == nil,
            let known = layers.network, known != family
        {
            throw fail(expression, expected: "a field of the rule's network protocol")
        }
        if [.originalSourcePart, .originalDestinationPart, .replySourcePart,
            .replyDestinationPart].contains(selector.field),
            !layers.hasTransport
        {
            throw fail(
                expression, expected: "a match of the transport protocol before the ports")
        }
        if selector.field == .family, syntax.tables[table].family != .inet {
            throw fail(expression, expected: "'meta nfproto' in tables of family inet only")
        }
        if let family = selector.network { try require(family, at: expression) }
        if let transport = selector.transport { try require(transport, at: expression) }
        return selector
    }

    mutating func require(_ family: Family, at expression: Expression) throws(Stop) {
        if let known = layers.network {
            guard known == family else {
                throw fail(
                    expression,
                    expected: "a field of \(known == .ipv4 ? "IPv4" : "IPv6"), which the table or "
                        + "the rule asks for")
            }
            return
        }
        emit(.test(.family, mask: .max, .equal, UInt64(family.rawValue)))
        layers.network = family
    }

    mutating func require(_ transport: UInt8, at expression: Expression) throws(Stop) {
        let known = layers.transport ?? layers.transports.first { $0 != transport }
        if let known, known != transport {
            let name = Vocabulary.protocols.first { $0.value == UInt64(known) }?.name
            throw fail(
                expression,
                expected: "a field of protocol \(name ?? "\(known)"), which the rule asks for")
        }
        guard layers.transport == nil else { return }
        emit(.test(.transportProtocol, mask: .max, .equal, UInt64(transport)))
        layers.transport = transport
        layers.hasTransport = true
    }

    /// The rule needs the tracker (spec policy.md §2).
    mutating func track() {
        ruleset.tracked.formUnion(syntax.tables[table].family.families)
    }
}

extension DataType {
    /// Header fields are in network byte order in the kernel's registers, what it keeps itself is
    /// in the host's.
    var isNetworkOrder: Bool {
        switch self {
        case .mark, .interfaceIndex, .connectionState, .connectionStatus, .duration, .integer16,
            .integer32, .integer64:
            false
        default: true
        }
    }
}

extension Selector {
    /// The same address of an IPv6 flow.
    fileprivate var inIPv6: Selector {
        var copy = self
        copy.type = .ipv6Address
        switch field {
        case .originalSource4: copy.field = .originalSource6
        case .originalDestination4: copy.field = .originalDestination6
        case .replySource4: copy.field = .replySource6
        case .replyDestination4: copy.field = .replyDestination6
        default: break
        }
        return copy
    }
}
