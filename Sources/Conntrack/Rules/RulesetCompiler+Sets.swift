internal import Wire

// Sets and maps: elements become sorted intervals.

extension RulesetCompiler {
    /// What elements that overlap mean.
    enum Overlaps {
        /// Anonymous sets, and `auto-merge`.
        case merged
        case refused
        /// Single values only: the set has no `flags interval`.
        case intervalsRefused
    }

    fileprivate struct Element {
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

    /// Compiles elements into a table of the program.
    mutating func elementTable(
        _ syntax: [ElementSyntax], keys: [DataType], data: SetSyntax.Data, overlaps: Overlaps
    ) throws(Stop) -> Int32 {
        var elements: [Element] = []
        try collect(syntax, keys: keys, data: data, overlaps: overlaps, into: &elements)
        let layout: ElementTables.Layout
        if keys.count == 1 {
            layout = .intervals
            elements = try disjoint(elements, data: data, overlaps: overlaps)
        } else if elements.allSatisfy({ $0.lows == $0.highs }) {
            layout = .exact
            elements = try unique(elements, data: data)
        } else {
            layout = .scan
            elements = try apart(elements)
        }
        var datumFieldCount = 0
        if case .values(let types) = data { datumFieldCount = types.count }
        var firstDatum = ruleset.program.tables.data.count
        if case .verdict = data { firstDatum = ruleset.program.tables.verdicts.count }
        ruleset.program.tables.tables.append(
            ElementTables.Table(
                layout: layout, fieldCount: Int32(keys.count), count: Int32(elements.count),
                firstKey: Int32(ruleset.program.tables.lows.count),
                firstDatum: Int32(firstDatum), datumFieldCount: Int32(datumFieldCount)))
        for element in elements {
            ruleset.program.tables.lows += element.lows
            ruleset.program.tables.highs += element.highs
            ruleset.program.tables.data += element.data
            if let verdict = element.verdict { ruleset.program.tables.verdicts.append(verdict) }
        }
        return Int32(ruleset.program.tables.tables.count - 1)
    }

    /// The table behind a `map` or `vmap`, and the types of its data.
    ///
    /// - Parameter wanted: What the data must be; `nil` where the map decides (a named one), or
    ///   where it has to be guessed from the first datum of an anonymous one.
    mutating func mapTable(
        _ map: Expression, keys: [DataType], wanted: [DataType]?
    ) throws(Stop) -> (table: Int32, data: [DataType]) {
        switch map.kind {
        case .namedSet(let name):
            let index = try namedIndex(name, map, keys: keys)
            guard case .values(let types) = syntax.tables[table].sets[index].data else {
                throw fail(map, expected: "a map that holds values")
            }
            if let wanted, wanted != types {
                throw fail(map, expected: "a map that holds \(Self.names(wanted))")
            }
            return (try namedSet(index), types)
        case .set(let elements):
            guard let wanted else { throw fail(map, expected: "the name of a map") }
            guard !elements.isEmpty else { throw fail(map, expected: "elements in the map") }
            let table = try elementTable(
                elements, keys: keys, data: .values(wanted), overlaps: .refused)
            return (table, wanted)
        default: throw fail(map, expected: "a map")
        }
    }

    mutating func verdictTable(_ map: Expression, keys: [DataType]) throws(Stop) -> Int32 {
        switch map.kind {
        case .namedSet(let name):
            let index = try namedIndex(name, map, keys: keys)
            guard case .verdict = syntax.tables[table].sets[index].data else {
                throw fail(map, expected: "a map that holds verdicts")
            }
            // A map lives in its table, and its jumps are made from every rule that asks it.
            noteJumps(syntax.tables[table].sets[index].elements)
            return try namedSet(index)
        case .set(let elements):
            guard !elements.isEmpty else { throw fail(map, expected: "elements in the map") }
            noteJumps(elements)
            return try elementTable(elements, keys: keys, data: .verdict, overlaps: .refused)
        default: throw fail(map, expected: "a verdict map")
        }
    }

    /// The set behind `@name` or `{ … }` in a comparison.
    mutating func setTable(_ set: Expression, keys: [DataType]) throws(Stop) -> Int32 {
        switch set.kind {
        case .namedSet(let name):
            let index = try namedIndex(name, set, keys: keys)
            guard !syntax.tables[table].sets[index].isMap else {
                throw fail(set, expected: "a set, not a map")
            }
            return try namedSet(index)
        case .set(let elements):
            guard !elements.isEmpty else { throw fail(set, expected: "elements in the set") }
            return try elementTable(elements, keys: keys, data: .none, overlaps: .merged)
        default: throw fail(set, expected: "a set")
        }
    }

    private mutating func namedIndex(
        _ name: String, _ expression: Expression, keys: [DataType]
    ) throws(Stop) -> Int {
        guard let index = syntax.tables[table].setIndex[name] else {
            let known = syntax.tables[table].sets.map(\.name)
            throw fail(
                at: expression.position, found: "'@\(name)'",
                expected: "a set or map of this table",
                suggestion: RulesetParser.nearest(to: name, in: known).map { "@" + $0 })
        }
        let set = syntax.tables[table].sets[index]
        guard set.keys == keys else {
            throw fail(
                at: expression.position, found: "'@\(name)' of type \(Self.names(set.keys))",
                expected: "one of type \(Self.names(keys))")
        }
        return index
    }

    static func names(_ types: [DataType]) -> String {
        types.map { $0.keyword ?? "integer" }.joined(separator: " . ")
    }

    /// The rule being compiled may go where the map's elements lead.
    private mutating func noteJumps(_ elements: [ElementSyntax]) {
        for jump in jumps(elements) {
            graph.addJump(from: chain, to: jump.target, at: jump.position)
        }
    }

    mutating func noteMapJumps(_ elements: [ElementSyntax]) {
        for jump in jumps(elements) { graph.addMapJump(to: jump.target, at: jump.position) }
    }

    private func jumps(
        _ elements: [ElementSyntax]
    ) -> [(target: Int, position: SourcePosition)] {
        elements.compactMap { element in
            guard case .verdict(let verdict)? = element.data?.kind else { return nil }
            switch verdict.kind {
            case .jump(let name), .goto(let name):
                return target(name).map { ($0, verdict.position) }
            case .accept, .drop, .continue, .return: return nil
            }
        }
    }

    // MARK: Elements

    private mutating func collect(
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
            guard elementCount + combinations.count <= RulesetLimits.setElements else {
                throw fail(
                    at: position, found: "one element more",
                    expected: "at most \(RulesetLimits.setElements) elements in all sets")
            }
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
            guard let family = type.family else { throw fail(part, expected: type.description) }
            let mask = Address.mask(prefix: length, family)
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
            if let datum = element.data { throw fail(datum, expected: "an element of a set, without ':'") }
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

    // MARK: Order

    /// Sorts single-field elements and deals with those that overlap.
    private mutating func disjoint(
        _ elements: [Element], data: SetSyntax.Data, overlaps: Overlaps
    ) throws(Stop) -> [Element] {
        // Stable, so that of equal elements the first stays.
        let sorted = elements.enumerated().sorted {
            ($0.element.lows[0], $0.element.highs[0], $0.offset)
                < ($1.element.lows[0], $1.element.highs[0], $1.offset)
        }
        var result: [Element] = []
        for (_, element) in sorted {
            guard let last = result.last, element.lows[0] <= last.highs[0] else {
                result.append(element)
                continue
            }
            let isSame = element.lows == last.lows && element.highs == last.highs
            let holdsSame = element.data == last.data && element.verdict == last.verdict
            if isSame, holdsSame { continue }
            guard case .merged = overlaps else {
                throw fail(
                    at: max(element.position, last.position), found: "an element that overlaps another",
                    expected: "elements that do not overlap")
            }
            result[result.count - 1].highs[0] = max(last.highs[0], element.highs[0])
        }
        return result
    }

    /// Sorts elements of several single values.
    private mutating func unique(
        _ elements: [Element], data: SetSyntax.Data
    ) throws(Stop) -> [Element] {
        let sorted = elements.enumerated().sorted {
            $0.element.lows == $1.element.lows
                ? $0.offset < $1.offset
                : $0.element.lows.lexicographicallyPrecedes($1.element.lows)
        }
        var result: [Element] = []
        for (_, element) in sorted {
            if let last = result.last, last.lows == element.lows {
                guard last.data == element.data, last.verdict == element.verdict else {
                    throw fail(
                        at: element.position, found: "a key that stands in the map already",
                        expected: "each key once")
                }
                continue
            }
            result.append(element)
        }
        return result
    }
}

extension RulesetCompiler {
    /// Concatenations with intervals: no two may hold the same key.
    private mutating func apart(_ elements: [Element]) throws(Stop) -> [Element] {
        guard elements.count <= RulesetLimits.intervalConcatenations else {
            throw fail(
                at: elements[0].position,
                found: "\(elements.count) concatenations with intervals among them",
                expected: "at most \(RulesetLimits.intervalConcatenations) in a set")
        }
        var result: [Element] = []
        for (_, element) in elements.enumerated().sorted(by: {
            ($0.element.lows[0], $0.offset) < ($1.element.lows[0], $1.offset)
        }) {
            var isKnown = false
            for other in result where element.overlaps(other) {
                isKnown =
                    element.lows == other.lows && element.highs == other.highs
                    && element.data == other.data && element.verdict == other.verdict
                guard isKnown else {
                    throw fail(
                        at: max(element.position, other.position),
                        found: "an element that overlaps another",
                        expected: "elements that do not overlap")
                }
                break
            }
            if !isKnown { result.append(element) }
        }
        return result
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

extension SourcePosition: Comparable {
    static func < (left: SourcePosition, right: SourcePosition) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}
