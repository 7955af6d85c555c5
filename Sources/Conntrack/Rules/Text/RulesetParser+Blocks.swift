internal import Wire

// Tables and chains in block form: `table ip nat { chain c { … } }`.

extension RulesetParser {
    /// The items of a block, up to its `}`.
    mutating func block(
        _ item: (inout RulesetParser) throws(Stop) -> Void
    ) throws(Stop) {
        try expect(sign: "{")
        pushScope()
        defer { popScope() }
        while !isSign("}") {
            if current.kind == .newline || isSign(";") {
                advance()
                continue
            }
            guard current.kind != .end else { throw fail(expected: "'}'") }
            guard findings.count < RulesetLimits.findings else { throw Stop() }
            recovering { parser throws(Stop) in
                try item(&parser)
                try parser.endOfStatement()
            }
        }
        advance()
    }

    mutating func tableBlock(_ index: Int) throws(Stop) {
        try block { parser throws(Stop) in try parser.tableItem(index) }
    }

    private mutating func tableItem(_ index: Int) throws(Stop) {
        let items = ["chain", "set", "map", "ct", "comment", "define"]
        switch current.text {
        case "chain" where current.kind == .word:
            advance()
            try chain(in: index)
        case "set" where current.kind == .word:
            advance()
            try set(in: index, isMap: false)
        case "map" where current.kind == .word:
            advance()
            try set(in: index, isMap: true)
        case "ct" where current.kind == .word:
            advance()
            let kind = try objectKind()
            try object(kind, in: index)
        case "define", "redefine": try define()
        case "comment":
            advance()
            _ = try quotedText("a comment", limit: 128)
        default:
            let refused = [
                "flags", "counter", "quota", "limit", "flowtable", "secmark", "synproxy",
            ]
            let hint =
                refused.contains(current.text) ? "; '\(current.text)' is not supported here" : ""
            throw fail(
                expected: "one of \(items.joined(separator: ", "))\(hint)", near: items)
        }
    }

    /// The chain's name and, if there is one, its block.
    mutating func chain(in table: Int) throws(Stop) {
        let name = try name(of: "chain")
        let index: Int
        let isNew = syntax.tables[table].chainIndex[name.text] == nil
        if let known = syntax.tables[table].chainIndex[name.text] {
            index = known
        } else {
            chainCount += 1
            guard chainCount <= RulesetLimits.chains else {
                throw fail(
                    at: name.position, found: "one chain more",
                    expected: "at most \(RulesetLimits.chains) chains")
            }
            index = syntax.tables[table].chains.count
            syntax.tables[table].chains.append(
                ChainSyntax(name: name.text, position: name.position))
            syntax.tables[table].chainIndex[name.text] = index
        }
        guard isSign("{") else { return }
        let wasBase = isNew || syntax.tables[table].chains[index].base != nil
        try block { parser throws(Stop) in try parser.chainItem(table, index) }
        let chain = syntax.tables[table].chains[index]
        if let base = chain.base, !wasBase {
            throw fail(
                at: base.position, found: "a hook for a chain that has been added without one",
                expected: "type, hook and priority where the chain is first named")
        }
        if let position = chain.policyPosition, chain.base == nil {
            throw fail(
                at: position, found: "a policy in a chain without hook",
                expected: "'type … hook … priority …' in the same chain")
        }
    }

    private mutating func chainItem(_ table: Int, _ chain: Int) throws(Stop) {
        switch current.text {
        case "type" where current.kind == .word: try hook(table, chain)
        case "policy" where current.kind == .word: try policy(table, chain)
        case "define", "redefine": try define()
        case "comment" where current.kind == .word:
            advance()
            _ = try quotedText("a comment", limit: 128)
        default:
            let rule = try rule()
            syntax.tables[table].chains[chain].rules.append(rule)
        }
    }

    private mutating func policy(_ table: Int, _ chain: Int) throws(Stop) {
        let start = current
        guard syntax.tables[table].chains[chain].policyPosition == nil else {
            throw fail(expected: "one policy for a chain")
        }
        advance()
        var word = current.text
        if current.kind == .variable {
            let token = current
            guard case .word(let text) = try variable().kind else {
                throw fail(at: token, expected: "a define that holds accept or drop")
            }
            word = text
        } else {
            guard isWord("accept") || isWord("drop") else {
                throw fail(expected: "accept or drop", near: ["accept", "drop"])
            }
            advance()
        }
        guard word == "accept" || word == "drop" else {
            throw fail(at: start, expected: "a policy of accept or drop")
        }
        syntax.tables[table].chains[chain].dropsByDefault = word == "drop"
        syntax.tables[table].chains[chain].policyPosition = start.position
    }

    /// The line `type filter hook forward priority filter - 5`.
    private mutating func hook(_ table: Int, _ chain: Int) throws(Stop) {
        let position = current.position
        advance()
        let kinds: [(word: String, kind: ChainKind)] = [
            ("filter", .filter), ("nat", .nat), ("route", .route),
        ]
        guard let kind = kinds.first(where: { isWord($0.word) })?.kind else {
            throw fail(expected: "filter, nat or route", near: kinds.map(\.word))
        }
        let kindToken = current
        advance()
        try expect(word: "hook")
        guard current.kind == .word,
            let hook = Hook.allCases.first(where: { isWord($0.name) })
        else {
            let names = Hook.allCases.map(\.name)
            throw fail(expected: "one of \(names.joined(separator: ", "))", near: names)
        }
        let hookToken = current
        advance()
        if kind == .nat, hook == .forward {
            throw fail(at: hookToken, expected: "prerouting, input, output or postrouting")
        }
        if kind == .route, hook != .output {
            throw fail(at: hookToken, expected: "output, the only hook of type route")
        }
        try expect(word: "priority")
        let priorityToken = current
        let priority = try priority(at: hook)
        if kind == .nat, priority <= HookPriority.conntrack {
            throw fail(
                at: priorityToken.position, found: "'\(text(from: priorityToken, limit: 48))'",
                expected: "a priority above \(HookPriority.conntrack) for a chain of type nat")
        }
        let base = BaseChainSyntax(
            kind: kind, hook: hook, priority: priority, position: position)
        if let known = syntax.tables[table].chains[chain].base {
            guard known.kind == kind, known.hook == hook, known.priority == priority else {
                throw fail(
                    at: kindToken, expected: "the type, hook and priority the chain has already")
            }
            return
        }
        syntax.chainsRegistered += 1
        syntax.tables[table].chains[chain].order = syntax.chainsRegistered
        syntax.tables[table].chains[chain].base = base
    }

    private static let priorities: [(word: String, value: Int32, hook: Hook?)] = [
        ("raw", HookPriority.raw, nil), ("mangle", HookPriority.mangle, nil),
        ("dstnat", HookPriority.destinationNAT, .prerouting),
        ("filter", HookPriority.filter, nil), ("security", HookPriority.security, nil),
        ("srcnat", HookPriority.sourceNAT, .postrouting),
    ]

    /// A number, a name, or a name and a distance: `mangle + 10`.
    private mutating func priority(at hook: Hook) throws(Stop) -> Int32 {
        let names = Self.priorities.map(\.word)
        if take(sign: "-") {
            return Int32(-Int64(try number(0...UInt64(Int32.max) + 1, "a priority")))
        }
        if case .number = current.kind {
            return Int32(try number(0...UInt64(Int32.max), "a priority"))
        }
        guard let base = Self.priorities.first(where: { isWord($0.word) }) else {
            throw fail(
                expected: "a number or one of \(names.joined(separator: ", "))", near: names)
        }
        if let only = base.hook, only != hook {
            throw fail(
                expected: "\(base.value): the name '\(base.word)' is known at hook "
                    + "\(only.name) only")
        }
        advance()
        guard isSign("-") || isSign("+") else { return base.value }
        let isNegative = isSign("-")
        advance()
        let distance = Int64(try number(0...1_000_000, "a distance"))
        return Int32(Int64(base.value) + (isNegative ? -distance : distance))
    }
}
