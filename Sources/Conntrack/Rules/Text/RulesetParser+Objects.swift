internal import Wire

// `ct helper` and `ct timeout` objects, and the statements that give a connection one of them, a
// label, or a packet its zone. Grammar as observed with nft 1.0.6.

/// A `ct helper` or `ct timeout` object.
struct ConnectionObjectSyntax: Sendable, Hashable {
    enum Kind: String, Sendable, Hashable {
        case helper, timeout
    }

    enum Content: Sendable, Hashable {
        case helper(HelperDefinition)
        case timeout(TimeoutDefinition)
    }

    var kind: Kind
    var name: String
    var content: Content
}

extension RulesetParser {
    /// `helper` or `timeout`, behind `ct`.
    mutating func objectKind() throws(Stop) -> ConnectionObjectSyntax.Kind {
        guard current.kind == .word,
            let kind = ConnectionObjectSyntax.Kind(rawValue: current.text)
        else {
            let hint = isWord("expectation") ? "; 'ct expectation' is not supported" : ""
            throw fail(expected: "helper or timeout\(hint)", near: ["helper", "timeout"])
        }
        advance()
        return kind
    }

    /// The object's name and block.
    mutating func object(_ kind: ConnectionObjectSyntax.Kind, in table: Int) throws(Stop) {
        let name = try name(of: "ct \(kind.rawValue)")
        let findingCount = findings.count
        var parts = ObjectParts()
        try block { parser throws(Stop) in
            try parser.objectItem(kind, &parts, in: parser.syntax.tables[table].family)
        }
        guard findings.count == findingCount else { return }
        let content: ConnectionObjectSyntax.Content
        switch kind {
        case .helper: content = .helper(try helper(parts, at: name, in: table))
        case .timeout: content = .timeout(try timeout(parts, at: name))
        }
        let object = ConnectionObjectSyntax(kind: kind, name: name.text, content: content)
        let known = syntax.tables[table].objects.first {
            $0.kind == kind && $0.name == object.name
        }
        guard known == nil || known == object else {
            throw fail(
                at: name.position, found: "another \(kind.rawValue) '\(name.text)'",
                expected: "the one that is there already")
        }
        if known == nil { syntax.tables[table].objects.append(object) }
    }

    /// What an object's block says, in whatever order.
    private struct ObjectParts {
        var helper: HelperKind?
        var protocolNumber: UInt8?
        var family: Family?
        var policy: [(name: RulesetToken, seconds: UInt32)] = []
    }

    private mutating func objectItem(
        _ kind: ConnectionObjectSyntax.Kind, _ parts: inout ObjectParts,
        in family: TableSyntax.Family
    ) throws(Stop) {
        let items =
            kind == .helper
            ? ["type", "l3proto", "comment"] : ["protocol", "l3proto", "policy", "comment"]
        let item = current
        guard item.kind == .word, items.contains(item.text) else {
            throw fail(expected: "one of \(items.joined(separator: ", "))", near: items)
        }
        advance()
        switch item.text {
        case "type":
            parts.helper = try helperType()
            try expect(word: "protocol")
            parts.protocolNumber = try objectProtocol()
        case "protocol": parts.protocolNumber = try objectProtocol()
        case "l3proto": parts.family = try objectFamily(kind, in: family)
        case "policy": parts.policy += try policy()
        default: _ = try quotedText("a comment", limit: 128)
        }
    }

    private mutating func helperType() throws(Stop) -> HelperKind {
        let names = HelperKind.allCases.map(\.name)
        guard current.kind == .quoted,
            let helper = HelperKind.allCases.first(where: { $0.name == current.text })
        else {
            let quoted = names.map { "\"\($0)\"" }.joined(separator: ", ")
            throw fail(expected: "a helper that is modelled: \(quoted)", near: names)
        }
        advance()
        return helper
    }

    private mutating func objectProtocol() throws(Stop) -> UInt8 {
        if take(word: "tcp") { return IPProtocol.tcp }
        if take(word: "udp") { return IPProtocol.udp }
        throw fail(expected: "tcp or udp", near: ["tcp", "udp"])
    }

    /// `nil` for `inet`: both.
    ///
    /// A helper of a table of one network protocol can only be for that one.
    private mutating func objectFamily(
        _ kind: ConnectionObjectSyntax.Kind, in family: TableSyntax.Family
    ) throws(Stop) -> Family? {
        let names = ["ip", "ip6", "inet"]
        guard current.kind == .word, let word = TableSyntax.Family(rawValue: current.text) else {
            throw fail(expected: "one of \(names.joined(separator: ", "))", near: names)
        }
        guard kind == .timeout || family == .inet || family == word else {
            throw fail(expected: "\(family.rawValue), the table's own protocol")
        }
        advance()
        switch word {
        case .ip: return .ipv4
        case .ip6: return .ipv6
        case .inet: return nil
        }
    }

    /// `= { name : seconds, … }`, on one line.
    private mutating func policy() throws(Stop) -> [(name: RulesetToken, seconds: UInt32)] {
        try expect(sign: "=")
        try expect(sign: "{")
        var settings: [(name: RulesetToken, seconds: UInt32)] = []
        repeat {
            let name = current
            guard name.kind == .word else { throw fail(expected: "the name of a timeout") }
            advance()
            try expect(sign: ":")
            let seconds = try number(0...UInt64(UInt32.max), "seconds")
            settings.append((name, UInt32(seconds)))
        } while take(sign: ",")
        try expect(sign: "}")
        return settings
    }

    private mutating func helper(
        _ parts: ObjectParts, at name: (text: String, position: SourcePosition), in table: Int
    ) throws(Stop) -> HelperDefinition {
        guard let helper = parts.helper, let protocolNumber = parts.protocolNumber else {
            throw fail(
                at: name.position, found: "helper '\(name.text)' without a type",
                expected: "'type \"ftp\" protocol tcp' in its block")
        }
        guard protocolNumber == helper.protocolNumber else {
            throw fail(
                at: name.position, found: "helper '\(name.text)' over udp",
                expected: "'type \"\(helper.name)\" protocol tcp'")
        }
        let family: Family? =
            switch syntax.tables[table].family {
            case .ip: .ipv4
            case .ip6: .ipv6
            case .inet: parts.family
            }
        return HelperDefinition(helper: helper, protocolNumber: protocolNumber, family: family)
    }

    private mutating func timeout(
        _ parts: ObjectParts, at name: (text: String, position: SourcePosition)
    ) throws(Stop) -> TimeoutDefinition {
        guard let protocolNumber = parts.protocolNumber else {
            throw fail(
                at: name.position, found: "timeout '\(name.text)' without a protocol",
                expected: "'protocol tcp' or 'protocol udp' in its block")
        }
        var definition = TimeoutDefinition(protocolNumber: protocolNumber)
        let names = TimeoutDefinition.names(protocolNumber)
        for setting in parts.policy {
            guard let known = names.first(where: { $0.word == setting.name.text }) else {
                let words = names.map(\.word)
                throw fail(
                    at: setting.name, expected: "one of \(words.joined(separator: ", "))",
                    near: words)
            }
            definition.settings.append(
                TimeoutDefinition.Setting(name: known.name, seconds: setting.seconds))
        }
        return definition
    }

    // MARK: Statements

    /// `ct timeout set NAME`.
    mutating func timeoutStatement() throws(Stop) -> StatementSyntax.Kind {
        advance()
        advance()
        try expect(word: "set")
        return try objectStatement(.timeout)
    }

    /// `set …` behind a key of `ct` that a packet or its connection gets; `nil` for any other.
    mutating func attachingStatement(_ selector: Selector) throws(Stop) -> StatementSyntax.Kind? {
        switch selector.field {
        case .zone, .zoneOriginal, .zoneReply:
            advance()
            let direction: Direction? =
                selector.field == .zone
                ? nil : selector.field == .zoneOriginal ? .original : .reply
            return .setZone(try setValue(), direction)
        case .labels:
            advance()
            return .setLabel(UInt8(try number(0...UInt64(LabelSet.count - 1), "a label")))
        case .helper:
            advance()
            return try objectStatement(.helper)
        default: return nil
        }
    }

    private mutating func objectStatement(
        _ kind: ConnectionObjectSyntax.Kind
    ) throws(Stop) -> StatementSyntax.Kind {
        let name = current
        guard name.kind == .quoted || name.kind == .word else {
            throw fail(expected: "the name of a ct \(kind.rawValue) object")
        }
        advance()
        return .setObject(kind, name: name.text, at: name.position)
    }
}
