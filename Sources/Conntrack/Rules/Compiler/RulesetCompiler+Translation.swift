internal import Wire

// `snat`, `dnat`, `masquerade`, `redirect` to the ranges of spec nat.md §2.

extension RulesetCompiler {
    mutating func translate(
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
        if let basePort = syntax.basePort {
            translation.range.basePort = basePort
            translation.range.flags.insert(.shifted)
        }
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
        case (.ip, .ipv6?):
            throw fail(here, expected: "'\(statement.text) to', for an address of IPv4")
        case (.ip6, .ipv4?):
            throw fail(here, expected: "'\(statement.text) to', for an address of IPv6")
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
