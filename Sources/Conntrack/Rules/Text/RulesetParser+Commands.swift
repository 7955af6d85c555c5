internal import Wire

// What stands at the top of a text: whole tables, or commands such as `add rule …`.

extension RulesetParser {
    private static let commands = [
        "table", "chain", "rule", "set", "map", "element", "ct", "add", "create", "insert",
        "delete",
        "flush", "define", "redefine", "undefine",
    ]

    /// One statement at the top of the text.
    mutating func command() throws(Stop) {
        guard current.kind == .word else {
            throw fail(expected: "a command (\(Self.commands.joined(separator: ", ")))")
        }
        switch current.text {
        case "define", "redefine": try define()
        case "undefine": try undefine()
        case "table", "chain", "rule", "set", "map", "element", "ct": try object(inserts: false)
        case "add", "create":
            advance()
            try object(inserts: false)
        case "insert":
            advance()
            guard isWord("rule") else { throw fail(expected: "'rule'", near: ["rule"]) }
            try object(inserts: true)
        case "flush": try flush()
        case "delete": try delete()
        case "include":
            throw fail(expected: "the text itself: included files are not read")
        default:
            throw fail(
                expected: "a command (\(Self.commands.joined(separator: ", ")))",
                near: Self.commands)
        }
    }

    private mutating func object(inserts: Bool) throws(Stop) {
        let kinds = ["table", "chain", "rule", "set", "map", "element", "ct"]
        guard current.kind == .word, kinds.contains(current.text) else {
            throw fail(expected: "one of \(kinds.joined(separator: ", "))", near: kinds)
        }
        let kind = current.text
        advance()
        let objectKind = kind == "ct" ? try objectKind() : nil
        let family = try tableFamily()
        let table = try name(of: "table")
        if kind == "table" {
            let index = try addTable(family, table.text, table.position)
            if isSign("{") { try tableBlock(index) }
            return
        }
        guard let index = existingTable(family, table.text) else {
            throw fail(
                at: table.position, found: "table '\(family.rawValue) \(table.text)'",
                expected: "a table that is added before")
        }
        if let objectKind {
            try object(objectKind, in: index)
            return
        }
        switch kind {
        case "chain": try chain(in: index)
        case "set": try set(in: index, isMap: false)
        case "map": try set(in: index, isMap: true)
        case "element": try addElements(in: index)
        default: try addRule(in: index, inserts: inserts)
        }
    }

    /// `ip`, `ip6`, `inet`, or nothing, which is `ip`.
    private mutating func tableFamily() throws(Stop) -> TableSyntax.Family {
        guard current.kind == .word else { return .ip }
        if let family = TableSyntax.Family(rawValue: current.text) {
            advance()
            return family
        }
        if ["arp", "bridge", "netdev"].contains(current.text) {
            throw fail(expected: "one of the supported families ip, ip6, inet")
        }
        return .ip
    }

    private func existingTable(_ family: TableSyntax.Family, _ name: String) -> Int? {
        syntax.tables.firstIndex { $0.family == family && $0.name == name }
    }

    private mutating func addTable(
        _ family: TableSyntax.Family, _ name: String, _ position: SourcePosition
    ) throws(Stop) -> Int {
        if let index = existingTable(family, name) { return index }
        guard syntax.tables.count < RulesetLimits.tables else {
            throw fail(
                at: position, found: "one table more",
                expected: "at most \(RulesetLimits.tables) tables")
        }
        syntax.tables.append(TableSyntax(family: family, name: name))
        return syntax.tables.count - 1
    }

    private mutating func addRule(in table: Int, inserts: Bool) throws(Stop) {
        let name = try name(of: "chain")
        guard let chain = syntax.tables[table].chainIndex[name.text] else {
            throw fail(
                at: name.position, found: "chain '\(name.text)'",
                expected: "a chain that is added before")
        }
        for word in ["position", "handle", "index"] where isWord(word) {
            throw fail(expected: "the rule itself: '\(word)' is not supported")
        }
        let rule = try rule()
        if inserts {
            syntax.tables[table].chains[chain].inserted.append(rule)
        } else {
            syntax.tables[table].chains[chain].rules.append(rule)
        }
    }

    private mutating func flush() throws(Stop) {
        advance()
        if take(word: "ruleset") {
            if let family = ["ip", "ip6", "inet"].first(where: isWord) {
                advance()
                syntax.tables.removeAll { $0.family.rawValue == family }
            } else {
                syntax.tables.removeAll()
            }
            return
        }
        let isTable = isWord("table")
        guard isTable || isWord("chain") else {
            throw fail(expected: "ruleset, table or chain", near: ["ruleset", "table", "chain"])
        }
        advance()
        let table = try knownTable()
        if isTable {
            for chain in syntax.tables[table].chains.indices {
                syntax.tables[table].chains[chain].removeRules()
            }
            return
        }
        let name = try name(of: "chain")
        guard let chain = syntax.tables[table].chainIndex[name.text] else {
            throw fail(
                at: name.position, found: "chain '\(name.text)'",
                expected: "a chain that is added before")
        }
        syntax.tables[table].chains[chain].removeRules()
    }

    private mutating func delete() throws(Stop) {
        advance()
        guard take(word: "table") else {
            throw fail(expected: "table: nothing else can be deleted", near: ["table"])
        }
        syntax.tables.remove(at: try knownTable())
    }

    private mutating func knownTable() throws(Stop) -> Int {
        let family = try tableFamily()
        let table = try name(of: "table")
        guard let index = existingTable(family, table.text) else {
            throw fail(
                at: table.position, found: "table '\(family.rawValue) \(table.text)'",
                expected: "a table that is added before")
        }
        return index
    }
}
