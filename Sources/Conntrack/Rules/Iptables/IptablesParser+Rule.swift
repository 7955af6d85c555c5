internal import Wire

// One rule: its words are first sorted to the rule itself, its matches and its target; then each
// says what it means, in the order in which the kernel asks: the rule's own conditions, the
// matches from left to right, the counter, the target.

/// An option of a match or target as it stands in a rule.
struct IptablesArgument {
    /// The option's own word.
    var option: IptablesWord
    /// The option as the vocabulary spells it.
    var name: String
    var isNegated: Bool
    var values: [IptablesWord]
}

/// A match or target as it stands in a rule, with its options.
struct IptablesCall {
    var module: IptablesModule
    var word: IptablesWord
    var arguments: [IptablesArgument] = []

    /// The option, if it is there.
    func argument(_ names: String...) -> IptablesArgument? {
        arguments.first { names.contains($0.name) }
    }
}

extension IptablesParser {
    /// The words of a rule, sorted.
    struct Parts {
        var own: [IptablesArgument] = []
        var matches: [IptablesCall] = []
        var target: IptablesCall?
        /// The target is a chain of the table.
        var chain: (word: IptablesWord, isGoto: Bool)?
        var counter: (packets: UInt64, bytes: UInt64)?

        func own(_ name: String) -> IptablesArgument? { own.first { $0.name == name } }
    }

    mutating func rule(
        _ words: ArraySlice<IptablesWord>, _ counter: (packets: UInt64, bytes: UInt64)?
    ) throws(Stop) -> [StatementSyntax] {
        var parts = Parts()
        parts.counter = counter
        var rest = words
        while let word = rest.popFirst() { try sort(word, &rest, into: &parts) }
        var statements = try ownStatements(parts)
        for match in parts.matches { statements += try self.statements(match, parts) }
        if let counter = parts.counter {
            let start = words.first?.position ?? SourcePosition(line: 1, column: 1)
            statements.append(
                StatementSyntax(
                    kind: .counter(packets: counter.packets, bytes: counter.bytes),
                    position: start, text: "counter"))
        }
        if let chain = parts.chain {
            let verdict = VerdictSyntax(
                kind: chain.isGoto ? .goto(chain.word.text) : .jump(chain.word.text),
                position: chain.word.position)
            statements.append(
                StatementSyntax(
                    kind: .verdict(verdict), position: chain.word.position, text: chain.word.text))
        }
        if let target = parts.target { statements += try targetStatements(target, parts) }
        return statements
    }

    // MARK: Sorting

    private mutating func sort(
        _ first: IptablesWord, _ rest: inout ArraySlice<IptablesWord>, into parts: inout Parts
    ) throws(Stop) {
        var word = first
        let isNegated = word.text == "!" && !word.isQuoted
        if isNegated {
            guard let next = rest.popFirst() else {
                throw fail(word, expected: "an option behind '!'")
            }
            word = next
        }
        guard word.text.hasPrefix("-"), !word.isQuoted else {
            throw fail(word, expected: "an option, such as -s, -p, -m or -j")
        }
        if let own = IptablesModule.ruleOptions.first(where: { $0.names.contains(word.text) }) {
            let argument = try take(own.option, word, isNegated: isNegated, &rest)
            try sort(argument, into: &parts)
            return
        }
        if let target = parts.target,
            let option = target.module.options.first(where: { $0.name == word.text })
        {
            parts.target?.arguments.append(
                try take(option, word, isNegated: isNegated, &rest))
            return
        }
        for index in parts.matches.indices.reversed() {
            guard
                let option = parts.matches[index].module.options.first(where: {
                    $0.name == word.text
                })
            else { continue }
            parts.matches[index].arguments.append(
                try take(option, word, isNegated: isNegated, &rest))
            return
        }
        // `-p tcp --dport 80`: the match of the protocol comes by itself.
        if let own = parts.own("-p"), let transport = own.values.first,
            let module = IptablesModule.matches.first(where: { $0.name == transport.text }),
            let option = module.options.first(where: { $0.name == word.text })
        {
            let argument = try take(option, word, isNegated: isNegated, &rest)
            parts.matches.append(
                IptablesCall(module: module, word: transport, arguments: [argument]))
            return
        }
        throw failUnknownOption(word, parts)
    }

    private mutating func sort(_ argument: IptablesArgument, into parts: inout Parts) throws(Stop) {
        let value = argument.values[0]
        switch argument.name {
        case "-m":
            guard let module = IptablesModule.matches.first(where: { $0.name == value.text })
            else {
                let names = IptablesModule.matches.map(\.name)
                throw fail(
                    value, expected: "a supported match: \(names.joined(separator: ", "))",
                    near: names)
            }
            parts.matches.append(IptablesCall(module: module, word: value))
        case "-j", "-g":
            guard parts.target == nil, parts.chain == nil else {
                throw fail(argument.option, expected: "one target in a rule")
            }
            try setTarget(value, isGoto: argument.name == "-g", in: &parts)
        case "-c":
            guard let packets = UInt64(value.text), let bytes = UInt64(argument.values[1].text)
            else { throw fail(value, expected: "a packet count and a byte count") }
            parts.counter = (packets, bytes)
        default:
            guard parts.own(argument.name) == nil else {
                throw fail(argument.option, expected: "'\(argument.name)' once in a rule")
            }
            parts.own.append(argument)
        }
    }

    private mutating func setTarget(
        _ word: IptablesWord, isGoto: Bool, in parts: inout Parts
    ) throws(Stop) {
        let chains = table.map { syntax.tables[$0.index].chainIndex } ?? [:]
        if chains[word.text] != nil {
            parts.chain = (word, isGoto)
            return
        }
        let targets = IptablesModule.targets
        if !isGoto, let module = targets.first(where: { $0.name == word.text }) {
            parts.target = IptablesCall(module: module, word: word)
            return
        }
        let names = targets.map(\.name)
        throw fail(
            word,
            expected: isGoto
                ? "a chain of the table"
                : "a chain of the table or a target: \(names.joined(separator: ", "))",
            near: names + chains.keys.sorted())
    }

    private mutating func take(
        _ option: IptablesOption, _ word: IptablesWord, isNegated: Bool,
        _ rest: inout ArraySlice<IptablesWord>
    ) throws(Stop) -> IptablesArgument {
        if isNegated, !option.mayBeNegated {
            throw fail(word, expected: "'\(word.text)' without '!'")
        }
        var values: [IptablesWord] = []
        for _ in 0..<option.arguments {
            guard let value = rest.popFirst() else {
                throw fail(word, expected: "a value behind '\(word.text)'")
            }
            values.append(value)
        }
        return IptablesArgument(
            option: word, name: option.name, isNegated: isNegated, values: values)
    }

    private mutating func failUnknownOption(_ word: IptablesWord, _ parts: Parts) -> Stop {
        let calls = [parts.target].compactMap { $0 } + parts.matches.reversed()
        let known = calls.flatMap { $0.module.options.map(\.name) }
        guard let last = calls.first, !last.module.options.isEmpty else {
            return fail(
                word, expected: "an option of a rule (-s, -d, -p, -i, -o, -m, -j, -g)",
                near: IptablesModule.ruleOptions.flatMap(\.names))
        }
        let names = last.module.options.map(\.name).joined(separator: ", ")
        return fail(
            word, expected: "a supported option of '\(last.word.text)': \(names)", near: known)
    }
}
