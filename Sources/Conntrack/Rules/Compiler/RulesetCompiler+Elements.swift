internal import Wire

// Elements of sets and maps: what each stands for, and in which order they are kept.

extension RulesetCompiler {
    /// One element, as an interval for each field of its key.
    struct Element {
        var lows: [Address]
        var highs: [Address]
        var data: [Address] = []
        var verdict: RuleVerdict?
        var position: SourcePosition

        /// Whether some key belongs to both.
        func overlaps(_ other: Element) -> Bool {
            lows.indices.allSatisfy { lows[$0] <= other.highs[$0] && other.lows[$0] <= highs[$0] }
        }
    }

    mutating func collect(
        _ syntax: [ElementSyntax], keys: [DataType], data: SetSyntax.Data, overlaps: Overlaps,
        into elements: inout [Element]
    ) throws(Stop) {
        for element in syntax {
            // `{ $ports, 8080 }`: the define's own elements.
            if case .set(let inner) = element.key.kind, element.data == nil {
                try collect(inner, keys: keys, data: data, overlaps: overlaps, into: &elements)
                continue
            }
            let datum = try datum(element, data)
            let fields = try fields(element.key, keys, overlaps)
            try spell(fields, datum, element.key.position, into: &elements)
        }
    }

    /// One element for each combination of its fields' intervals: a field has several only where
    /// it names interfaces.
    private mutating func spell(
        _ fields: [[ClosedRange<Address>]], _ datum: (data: [Address], verdict: RuleVerdict?),
        _ position: SourcePosition, into elements: inout [Element]
    ) throws(Stop) {
        var combinations: [Element] = [
            Element(
                lows: [], highs: [], data: datum.data, verdict: datum.verdict,
                position: position)
        ]
        for field in fields {
            guard elementCount + combinations.count * field.count <= RulesetLimits.setElements
            else {
                throw fail(
                    at: position, found: "one element more",
                    expected: "at most \(RulesetLimits.setElements) elements in all sets")
            }
            var longer: [Element] = []
            for start in combinations {
                for interval in field {
                    var element = start
                    element.lows.append(interval.lowerBound)
                    element.highs.append(interval.upperBound)
                    longer.append(element)
                }
            }
            combinations = longer
        }
        elementCount += combinations.count
        elements += combinations
    }

    /// The intervals each part of a key stands for.
    private mutating func fields(
        _ key: Expression, _ types: [DataType], _ overlaps: Overlaps
    ) throws(Stop) -> [[ClosedRange<Address>]] {
        var parts = [key]
        if case .concatenation(let several) = key.kind { parts = several }
        guard parts.count == types.count else {
            throw fail(key, expected: "\(types.count) parts: \(Self.names(types))")
        }
        var fields: [[ClosedRange<Address>]] = []
        for (part, type) in zip(parts, types) {
            let intervals = try intervals(part, type)
            if case .intervalsRefused = overlaps,
                intervals.contains(where: \.hasSeveral) || part.isWildcard
            {
                throw fail(part, expected: "a single value, or 'flags interval' in the set")
            }
            fields.append(intervals)
        }
        return fields
    }

    private mutating func intervals(
        _ part: Expression, _ type: DataType
    ) throws(Stop) -> [ClosedRange<Address>] {
        if type == .interfaceName {
            return try interfaces(part).map { Address($0)...Address($0) }
        }
        switch part.kind {
        case .prefix(let inner, let length):
            guard let mask = type.mask(prefix: length) else {
                throw fail(part, expected: type.description)
            }
            let low = try value(inner, type).masked(by: mask)
            let all = type.maximum
            return [
                low...Address(
                    high: low.high | (all.high & ~mask.high), low: low.low | (all.low & ~mask.low)
                )
            ]
        case .range(let low, let high):
            let bounds = try (value(low, type), value(high, type))
            guard bounds.0 <= bounds.1 else {
                throw fail(part, expected: "a range that does not begin behind its end")
            }
            return [bounds.0...bounds.1]
        default:
            let value = try value(part, type)
            return [value...value]
        }
    }

    private mutating func datum(
        _ element: ElementSyntax, _ data: SetSyntax.Data
    ) throws(Stop) -> (data: [Address], verdict: RuleVerdict?) {
        switch data {
        case .none:
            if let datum = element.data {
                throw fail(datum, expected: "an element of a set, without ':'")
            }
            return ([], nil)
        case .verdict:
            guard let datum = element.data, case .verdict(let verdict) = datum.kind else {
                throw fail(element.data ?? element.key, expected: "a key, ':' and a verdict")
            }
            return ([], try self.verdict(verdict))
        case .values(let types):
            guard let datum = element.data else {
                throw fail(element.key, expected: "a key, ':' and a value")
            }
            var parts = [datum]
            if case .concatenation(let several) = datum.kind { parts = several }
            guard parts.count == types.count else {
                throw fail(datum, expected: "\(types.count) parts: \(Self.names(types))")
            }
            var values: [Address] = []
            for (part, type) in zip(parts, types) { values.append(try value(part, type)) }
            return (values, nil)
        }
    }

    mutating func verdict(_ syntax: VerdictSyntax) throws(Stop) -> RuleVerdict {
        switch syntax.kind {
        case .accept: return .accept
        case .drop: return .drop
        case .continue: return .continue
        case .return: return .return
        case .jump(let name): return .jump(Int32(try knownTarget(name, syntax.position)))
        case .goto(let name): return .goto(Int32(try knownTarget(name, syntax.position)))
        }
    }

    private mutating func knownTarget(
        _ name: String, _ position: SourcePosition
    ) throws(Stop) -> Int {
        if let target = target(name) { return target }
        let known = syntax.tables[table].chains.map(\.name)
        throw fail(
            at: position, found: "'\(name)'", expected: "a chain of this table",
            suggestion: RulesetParser.nearest(to: name, in: known))
    }
}

extension Expression {
    /// A name with `*` behind it.
    fileprivate var isWildcard: Bool {
        if case .word(let word) = kind { word.hasSuffix("*") } else { false }
    }
}

extension ClosedRange where Bound == Address {
    /// Whether it holds more than one value.
    fileprivate var hasSeveral: Bool { lowerBound != upperBound }
}
