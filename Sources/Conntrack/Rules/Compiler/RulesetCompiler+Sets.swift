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
            let compiled = try namedSet(index)
            if let node = mapNodes[compiled] {
                graph.addJump(from: chain, to: node, at: map.position)
            }
            return compiled
        case .set(let elements):
            guard !elements.isEmpty else { throw fail(map, expected: "elements in the map") }
            noteJumps(elements, from: chain)
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

    /// The place of a set that rules add elements to.
    mutating func dynamicSet(_ set: Expression, keys: [DataType]) throws(Stop) -> Int32 {
        guard case .namedSet(let name) = set.kind else { throw fail(set, expected: "a set") }
        let index = try namedIndex(name, set, keys: keys)
        guard syntax.tables[table].sets[index].isDynamic else {
            throw fail(set, expected: "a set with 'flags dynamic'")
        }
        return placeDynamicSet(index)
    }

    /// Whether the expression names a dynamic set of the rule's table.
    func isDynamicSet(_ expression: Expression) -> Bool {
        guard case .namedSet(let name) = expression.kind,
            let index = syntax.tables[table].setIndex[name]
        else { return false }
        return syntax.tables[table].sets[index].isDynamic
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

    /// A chain or a named map may go where the elements lead.
    mutating func noteJumps(_ elements: [ElementSyntax], from node: Int) {
        for element in elements {
            guard case .verdict(let verdict)? = element.data?.kind else { continue }
            switch verdict.kind {
            case .jump(let name), .goto(let name):
                guard let target = target(name) else { continue }
                graph.addJump(from: node, to: target, at: verdict.position)
            case .accept, .drop, .continue, .return: break
            }
        }
    }
}
