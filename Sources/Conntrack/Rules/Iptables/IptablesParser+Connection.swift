internal import Wire

// The matches of connections: `conntrack`, `state`, and `recent`, which keeps sets of addresses.

/// `-m conntrack` with all of its options: spec policy.md §4.
///
/// A packet without connection is matched by its state alone: where states are asked for, the
/// other conditions do not count for it; where none are, it never matches.
struct ConnectionMatchSyntax: Sendable {
    /// Bits of `ct state`, and those of `translatedBits`; `nil` where no state is asked for.
    var states: UInt64?
    var isNegated = false
    /// All of these must hold for a packet that has a connection.
    var conditions: [StatementSyntax] = []

    /// SNAT and DNAT, beside the bits of `ct state`.
    static let translatedBits: UInt64 = 0x300
}

extension IptablesParser {
    private static let states: [(name: String, value: UInt64)] = [
        ("INVALID", 1), ("ESTABLISHED", 2), ("RELATED", 4), ("NEW", 8), ("UNTRACKED", 64),
        ("SNAT", 0x100), ("DNAT", 0x200),
    ]

    private static let statuses: [(name: String, value: UInt64)] = [
        ("NONE", 0), ("EXPECTED", 1), ("SEEN_REPLY", 2), ("ASSURED", 4), ("CONFIRMED", 8),
    ]

    private mutating func bits(
        _ word: IptablesWord, of names: [(name: String, value: UInt64)], _ what: String
    ) throws(Stop) -> UInt64 {
        var bits: UInt64 = 0
        for name in word.text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let known = names.first(where: { $0.name == name }) else {
                let list = names.map(\.name)
                throw fail(
                    word, expected: "\(what): \(list.joined(separator: ", "))",
                    near: list.contains { $0 == word.text.uppercased() }
                        ? [word.text.uppercased()] : list)
            }
            bits |= known.value
        }
        return bits
    }

    mutating func state(_ call: IptablesCall) throws(Stop) -> [StatementSyntax] {
        guard let argument = call.argument("--state") else {
            throw fail(call.word, expected: "'--state' behind it")
        }
        let known = Array(Self.states.prefix(5))
        let match = ConnectionMatchSyntax(
            states: try bits(argument.values[0], of: known, "connection states"),
            isNegated: argument.isNegated)
        return [statement(.connection(match), argument.option)]
    }

    mutating func connection(_ call: IptablesCall) throws(Stop) -> StatementSyntax {
        var match = ConnectionMatchSyntax()
        for argument in call.arguments {
            let word = argument.values[0]
            switch argument.name {
            case "--ctstate":
                match.states = try bits(word, of: Self.states, "connection states")
                match.isNegated = argument.isNegated
            case "--ctstatus":
                let wanted = try bits(word, of: Self.statuses, "connection statuses")
                let read = connectionField(Selector.connectionKeys, "status", word)
                // NONE asks for a connection without any of the others.
                let all = expression(.number(0xf), word)
                let none = self.match(
                    expression(.binary(.and, read, all), word), isNegated: argument.isNegated,
                    expression(.number(0), word), argument.option)
                match.conditions.append(
                    wanted == 0
                        ? none
                        : statement(
                            .match(
                                read, argument.isNegated ? .not : .implicit,
                                expression(.number(wanted), word)), argument.option))
            case "--ctdir":
                guard let direction = ["ORIGINAL", "REPLY"].firstIndex(of: word.text) else {
                    throw fail(
                        word, expected: "ORIGINAL or REPLY", near: ["ORIGINAL", "REPLY"])
                }
                match.conditions.append(
                    self.match(
                        connectionField(Selector.connectionKeys, "direction", word),
                        isNegated: false, expression(.number(UInt64(direction)), word),
                        argument.option))
            case "--ctproto":
                guard let number = try transport(word) else { continue }
                match.conditions.append(
                    self.match(
                        field("meta", "l4proto", word), isNegated: argument.isNegated,
                        expression(.number(number), word), argument.option))
            case "--ctexpire":
                match.conditions.append(try expiry(argument))
            default:
                if let condition = try tupleCondition(argument) {
                    match.conditions.append(condition)
                }
            }
        }
        guard match.states != nil || !match.conditions.isEmpty else {
            throw fail(call.word, expected: "an option behind it, such as --ctstate")
        }
        return statement(.connection(match), call.word)
    }

    /// Whole seconds, rounded down: `--ctexpire 10` holds from 10 000 to 10 999 ms.
    private mutating func expiry(_ argument: IptablesArgument) throws(Stop) -> StatementSyntax {
        let word = argument.values[0]
        let parts = word.text.split(separator: ":", maxSplits: 1)
        guard let first = parts.first, let last = parts.last else {
            throw fail(word, expected: "seconds, or a range of them")
        }
        let most = UInt64(UInt32.max) / 1000 - 1
        let low = try number(first, word, atMost: most, "seconds")
        let high = try number(last, word, atMost: most, "seconds")
        let range = expression(
            .range(
                expression(.word("\(low * 1000)ms"), word),
                expression(.word("\(high * 1000 + 999)ms"), word)), word)
        return match(
            connectionField(Selector.connectionKeys, "expiration", word),
            isNegated: argument.isNegated, range, argument.option)
    }

    /// `--ctorigsrc`, `--ctrepldstport` and so on.
    private mutating func tupleCondition(
        _ argument: IptablesArgument
    ) throws(Stop) -> StatementSyntax? {
        let word = argument.values[0]
        let keys =
            argument.name.hasPrefix("--ctorig") ? Selector.originalKeys : Selector.replyKeys
        let isSource = argument.name.contains("src")
        guard !argument.name.hasSuffix("port") else {
            let read = connectionField(keys, isSource ? "proto-src" : "proto-dst", word)
            return match(
                read, isNegated: argument.isNegated, try ports(word.text, word), argument.option)
        }
        let network = family == .ipv4 ? "ip" : "ip6"
        let read = connectionField(keys, "\(network) \(isSource ? "saddr" : "daddr")", word)
        return try addressMatch(read, isNegated: argument.isNegated, word)
    }

    // MARK: recent

    /// Addresses that were seen, by the list's name: a set of the table whose elements live as long
    /// as the rules ask for.
    ///
    /// `--set` always matches and enters the address; `--rcheck` matches an address entered within
    /// `--seconds`; `--update` does both, and enters only what is there.
    mutating func recent(_ call: IptablesCall) throws(Stop) -> [StatementSyntax] {
        guard let table else { return [] }
        let verbs = call.arguments.filter {
            ["--set", "--rcheck", "--update"].contains($0.name)
        }
        guard verbs.count == 1, let verb = verbs.first else {
            throw fail(call.word, expected: "one of '--set', '--rcheck', '--update' behind it")
        }
        if let mask = call.argument("--mask")?.values[0] {
            let all = Address.mask(prefix: family.addressBits, family)
            guard Address.parse(mask.text)?.1 == all else {
                throw fail(mask, expected: "the mask of a whole address: others are not supported")
            }
        }
        let list = call.argument("--name")?.values[0]
        let name = "recent " + (list?.text ?? "DEFAULT")
        var lifetime: UInt64?
        if let word = call.argument("--seconds")?.values[0] {
            lifetime = try number(word.text, word, atMost: 1 << 31, "seconds") * 1000
        }
        let index = recentSet(name, in: table.index, at: list ?? call.word)
        if let lifetime {
            let known = syntax.tables[table.index].sets[index].timeoutMilliseconds
            guard known == nil || known == lifetime else {
                throw fail(
                    call.word, expected: "the same '--seconds' in all rules of one list")
            }
            syntax.tables[table.index].sets[index].timeoutMilliseconds = lifetime
        }
        let key = field(
            family == .ipv4 ? "ip" : "ip6",
            call.argument("--rdest") == nil ? "saddr" : "daddr", call.word)
        let set = expression(.namedSet(name), list ?? call.word)
        let check = match(key, isNegated: verb.isNegated, set, verb.option)
        let enter = statement(
            .updateSet(set, key: key, timeoutMilliseconds: nil, refreshes: true), verb.option)
        switch verb.name {
        case "--set": return [enter]
        case "--rcheck": return [check]
        default: return verb.isNegated ? [check] : [check, enter]
        }
    }

    private mutating func recentSet(
        _ name: String, in table: Int, at word: IptablesWord
    ) -> Int {
        if let known = syntax.tables[table].setIndex[name] { return known }
        var set = SetSyntax(name: name, position: word.position, isMap: false)
        set.keys = [DataType.address(family)]
        set.isDynamic = true
        let index = syntax.tables[table].sets.count
        syntax.tables[table].sets.append(set)
        syntax.tables[table].setIndex[name] = index
        return index
    }
}
