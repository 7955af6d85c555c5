internal import Wire

// Words, numbers and addresses as values of a data type.

extension RulesetCompiler {
    /// Why an expression is no value of a type.
    struct NoValue: Error {
        var expression: Expression
        var expected: String
        /// Words the expression may be a slip of.
        var near: [String]

        init(_ expression: Expression, _ type: DataType, _ expected: String? = nil) {
            self.expression = expression
            self.expected = expected ?? type.description
            near = type.symbols.map(\.name)
        }
    }

    /// A single value of `type`, with the finding written down where there is none.
    mutating func value(_ expression: Expression, _ type: DataType) throws(Stop) -> Address {
        do {
            return try constant(expression, type)
        } catch {
            throw fail(error.expression, expected: error.expected, near: error.near)
        }
    }

    /// A single value of `type`.
    func constant(_ expression: Expression, _ type: DataType) throws(NoValue) -> Address {
        switch expression.kind {
        case .number(let number): return try constant(number, expression, type)
        case .word(let word): return try constant(word, expression, type)
        case .address(let family, let address) where type.family == family: return address
        case .binary(let operation, let left, let right):
            return try fold(operation, left, right, type)
        case .list(let parts) where type.isBitmask:
            var bits = Address.zero
            for part in parts {
                let one = try constant(part, type)
                bits = Address(high: bits.high | one.high, low: bits.low | one.low)
            }
            return bits
        case .list:
            throw NoValue(
                expression, type, "\(type.description); several stand in a set '{ … }'")
        case .address, .prefix, .range, .set, .namedSet, .concatenation, .selector,
            .numberGenerator, .hash, .map, .verdict:
            throw NoValue(expression, type)
        }
    }

    private func constant(
        _ number: UInt64, _ expression: Expression, _ type: DataType
    ) throws(NoValue) -> Address {
        guard type.isNumber else { throw NoValue(expression, type) }
        if type == .connectionLabel {
            guard number < LabelSet.count else { throw NoValue(expression, type) }
            return LabelSet(UInt8(number)).bits
        }
        guard type == .duration else {
            guard Address(number) <= type.maximum else {
                let expected = "\(type.description), at most \(type.maximum.low)"
                throw NoValue(expression, type, expected)
            }
            return Address(number)
        }
        // A bare number of a time is seconds.
        let (milliseconds, isTooLong) = number.multipliedReportingOverflow(by: 1000)
        guard !isTooLong, Address(milliseconds) <= type.maximum else {
            throw NoValue(expression, type)
        }
        return Address(milliseconds)
    }

    private func constant(
        _ word: String, _ expression: Expression, _ type: DataType
    ) throws(NoValue) -> Address {
        switch type {
        case .interfaceIndex:
            // The loopback device is on every machine; no packet of a node crosses it.
            if word == "lo" { return Self.loopbackIndex }
            if let index = interfaces.firstIndex(of: word) { return Address(UInt64(index)) }
            var failure = NoValue(expression, type)
            failure.near = interfaces
            throw failure
        case .helperName:
            // A name no helper here has matches nothing.
            return Address(type.symbols.first { $0.name == word }?.value ?? UInt64(UInt8.max))
        case .duration:
            if let milliseconds = Self.milliseconds(word) { return Address(milliseconds) }
        case .transportProtocol:
            let lower = word.lowercased()
            if let symbol = type.symbols.first(where: { $0.name == lower }) {
                return Address(symbol.value)
            }
        default:
            if let symbol = type.symbols.first(where: { $0.name == word }) {
                return Address(symbol.value)
            }
        }
        // A quoted number is a number.
        guard let number = UInt64(word) else { throw NoValue(expression, type) }
        return try constant(number, expression, type)
    }

    /// Stands for a device that is none of the node's.
    static let loopbackIndex = Address(UInt64(UInt8.max) + 1)

    /// `1d2h30m10s500ms`, each unit at most once and in this order.
    static func milliseconds(_ word: String) -> UInt64? {
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
    ) throws(NoValue) -> Address {
        let one = try constant(left, type)
        let other = try constant(right, type)
        return switch operation {
        case .and: one.masked(by: other)
        case .or: Address(high: one.high | other.high, low: one.low | other.low)
        case .xor: Address(high: one.high ^ other.high, low: one.low ^ other.low)
        case .shiftLeft, .shiftRight:
            throw NoValue(left, type, "the shifted number itself")
        }
    }

    // MARK: Interfaces

    /// The indexes of the interfaces a name or a name with `*` behind it stands for.
    mutating func interfaces(_ expression: Expression) throws(Stop) -> [UInt8] {
        guard case .word(let pattern) = expression.kind else {
            throw fail(expression, expected: DataType.interfaceName.description)
        }
        let isQuoted = expression.text.hasPrefix("\"")
        guard isQuoted || pattern.utf8.first?.isDigit != true else {
            throw fail(expression, expected: "a name; one that begins with a digit in quotes")
        }
        guard isQuoted || !RulesetParser.reservedWords.contains(pattern) else {
            throw fail(expression, expected: "a name; a word of the language in quotes")
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
}
