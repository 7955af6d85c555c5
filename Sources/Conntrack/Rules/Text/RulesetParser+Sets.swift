internal import Wire

// Named sets and maps: their types, flags and elements.

extension RulesetParser {
    /// A set's or map's name and, if there is one, its block.
    mutating func set(in table: Int, isMap: Bool) throws(Stop) {
        let what = isMap ? "map" : "set"
        let name = try name(of: what)
        var set = SetSyntax(name: name.text, position: name.position, isMap: isMap)
        guard isSign("{") else { throw fail(expected: "'{' and the \(what)'s type") }
        var known: Set<String> = []
        let findingCount = findings.count
        try block { parser throws(Stop) in
            try parser.setItem(&set, known: &known)
        }
        guard findings.count == findingCount else { return }
        try checkDynamic(set)
        guard !set.keys.isEmpty else {
            throw fail(
                at: name.position, found: "\(what) '\(name.text)' without a type",
                expected: "'type …' or 'typeof …' in its block")
        }
        guard let index = syntax.tables[table].setIndex[name.text] else {
            syntax.tables[table].setIndex[name.text] = syntax.tables[table].sets.count
            syntax.tables[table].sets.append(set)
            return
        }
        guard syntax.tables[table].sets[index].hasShape(of: set) else {
            throw fail(
                at: name.position, found: "another '\(name.text)' of a different kind",
                expected: "the type and flags it has already")
        }
        syntax.tables[table].sets[index].elements += set.elements
    }

    /// What only dynamic sets have, and what they have not here.
    private mutating func checkDynamic(_ set: SetSyntax) throws(Stop) {
        guard set.isDynamic else {
            guard set.timeoutMilliseconds == nil else {
                throw fail(
                    at: set.position, found: "a timeout in '\(set.name)'",
                    expected: "'flags dynamic' with it: elements of other sets do not expire here")
            }
            return
        }
        guard !set.isMap, !set.hasIntervals, set.elements.isEmpty else {
            throw fail(
                at: set.position, found: "'flags dynamic' in '\(set.name)'",
                expected: "a set of single values without elements, which rules add")
        }
    }

    private mutating func setItem(
        _ set: inout SetSyntax, known: inout Set<String>
    ) throws(Stop) {
        let items = [
            "type", "typeof", "flags", "elements", "size", "policy", "auto-merge", "timeout",
            "gc-interval", "comment",
        ]
        let start = current
        guard start.kind == .word, items.contains(start.text) else {
            let refused = ["counter"].contains(start.text)
            let hint = refused ? "; '\(start.text)' is not supported" : ""
            throw fail(
                expected: "one of \(items.joined(separator: ", "))\(hint)", near: items)
        }
        guard known.insert(start.text).inserted else {
            throw fail(expected: "'\(start.text)' once in a set")
        }
        advance()
        switch start.text {
        case "type": try setType(&set) { parser throws(Stop) in try parser.namedType() }
        case "typeof": try setType(&set) { parser throws(Stop) in try parser.typeOfSelector() }
        case "flags": try setFlags(&set)
        case "elements":
            try expect(sign: "=")
            set.elements += try setElements()
        case "size":
            set.size = Int(try number(1...UInt64(RulesetLimits.setElements), "a size"))
        case "policy":
            guard take(word: "performance") || take(word: "memory") else {
                throw fail(expected: "performance or memory", near: ["performance", "memory"])
            }
        case "auto-merge": set.mergesOverlaps = true
        case "timeout": set.timeoutMilliseconds = try duration()
        case "gc-interval": _ = try duration()
        default: _ = try quotedText("a comment", limit: 128)
        }
    }

    /// `A . B`, and for a map `: C`.
    private mutating func setType(
        _ set: inout SetSyntax, _ part: (inout RulesetParser) throws(Stop) -> DataType
    ) throws(Stop) {
        guard set.keys.isEmpty else { throw fail(expected: "one type for a set") }
        set.keys = try dotted(part)
        guard set.isMap else { return }
        try expect(sign: ":")
        if take(word: "verdict") {
            set.data = .verdict
            return
        }
        set.data = .values(try dotted(part))
    }

    private mutating func dotted(
        _ part: (inout RulesetParser) throws(Stop) -> DataType
    ) throws(Stop) -> [DataType] {
        var types: [DataType] = []
        repeat {
            types.append(try part(&self))
            guard types.count <= RulesetLimits.concatenatedFields else {
                throw fail(
                    expected: "at most \(RulesetLimits.concatenatedFields) parts in a type")
            }
        } while take(sign: ".")
        return types
    }

    private mutating func namedType() throws(Stop) -> DataType {
        guard current.kind == .word, let type = DataType.named(current.text) else {
            let names = DataType.allCases.compactMap(\.keyword)
            throw fail(
                expected: "a supported type: \(names.joined(separator: ", "))", near: names)
        }
        advance()
        return type
    }

    private mutating func typeOfSelector() throws(Stop) -> DataType {
        let start = current
        if take(word: "numgen") {
            _ = try numberGenerator(from: start)
            return .integer32
        }
        if take(word: "jhash") {
            _ = try hash(from: start)
            return .integer32
        }
        let selector = try selector()
        guard !selector.leavesFamilyOpen else {
            throw fail(at: start, expected: "'ip' or 'ip6' before the address")
        }
        return selector.type
    }

    private mutating func setFlags(_ set: inout SetSyntax) throws(Stop) {
        repeat {
            switch current.text {
            case "interval": set.hasIntervals = true
            case "dynamic": set.isDynamic = true
            case "constant", "timeout": break
            default:
                let flags = ["interval", "constant", "dynamic", "timeout"]
                throw fail(expected: "one of \(flags.joined(separator: ", "))", near: flags)
            }
            advance()
        } while take(sign: ",")
    }

    private mutating func setElements() throws(Stop) -> [ElementSyntax] {
        let token = current
        if token.kind == .variable {
            guard case .set(let elements) = try variable().kind else {
                throw fail(at: token, expected: "a define that holds '{ … }'")
            }
            try count(elements: elements.count)
            return elements
        }
        guard case .set(let elements) = try setLiteral().kind else { return [] }
        return elements
    }

    /// The command `add element ip t s { … }`, from the set's name on.
    mutating func addElements(in table: Int) throws(Stop) {
        let name = try name(of: "set")
        guard let index = syntax.tables[table].setIndex[name.text] else {
            throw fail(
                at: name.position, found: "set '\(name.text)'",
                expected: "a set or map that is added before")
        }
        let elements = try setElements()
        syntax.tables[table].sets[index].elements += elements
    }
}
