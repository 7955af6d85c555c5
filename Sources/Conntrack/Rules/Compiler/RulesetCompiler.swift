internal import Wire

// `RulesetSyntax` to `Ruleset`: names become indexes, words become numbers, and everything that
// the grammar allows and the kernel would refuse is refused here.

struct RulesetCompiler {
    /// What the texts are called, by their numbers.
    private let files: [String]
    let interfaces: [String]
    let syntax: RulesetSyntax

    private(set) var findings: [(source: UInt16, finding: RulesetFinding)] = []
    var ruleset = Ruleset()
    /// Of each table, the index of its first chain in the program.
    private(set) var firstChain: [Int] = []
    var graph = ChainGraph()
    private var compiledSets: [SetPlace: Int32] = [:]
    var elementCount = 0
    /// The named verdict maps among the graph's nodes, by their tables in the program.
    var mapNodes: [Int32: Int] = [:]

    // The rule being compiled.
    var table = 0
    var chain = 0
    var layers = Layers()

    private struct SetPlace: Hashable {
        var table: Int
        var set: Int
    }

    /// A finding is written down; the rule cannot go on.
    struct Stop: Error {}

    init(_ syntax: RulesetSyntax, files: [String], interfaces: [String]) {
        self.syntax = syntax
        self.files = files
        self.interfaces = interfaces
    }

    mutating func compile() -> Ruleset {
        guard interfaces.count <= RulesetLimits.interfaces else {
            report(
                at: SourcePosition(line: 1, column: 1), found: "\(interfaces.count) interfaces",
                expected: "at most \(RulesetLimits.interfaces)")
            return ruleset
        }
        placeChains()
        for table in syntax.tables.indices {
            for set in syntax.tables[table].sets.indices {
                self.table = table
                do { _ = try namedSet(set) } catch {}
            }
            for chain in syntax.tables[table].chains.indices { compile(chain, of: table) }
        }
        listBaseChains()
        return ruleset
    }

    // MARK: Chains

    /// Gives every chain its index before any rule refers to one.
    private mutating func placeChains() {
        for table in syntax.tables {
            firstChain.append(ruleset.program.chains.count)
            for chain in table.chains {
                ruleset.program.chains.append(
                    RuleProgram.Chain(first: 0, end: 0, dropsByDefault: chain.dropsByDefault))
                ruleset.names.chains.append(
                    RuleNames.Chain(
                        table: "\(table.family.rawValue) \(table.name)", name: chain.name,
                        hook: chain.base?.hook.name, dropsByDefault: chain.dropsByDefault))
                graph.addChain()
            }
        }
    }

    private mutating func compile(_ chain: Int, of table: Int) {
        self.table = table
        self.chain = firstChain[table] + chain
        let first = ruleset.program.rules.count
        for rule in syntax.tables[table].chains[chain].orderedRules {
            ruleset.names.rules.append(
                RuleNames.Rule(chain: self.chain, line: rule.position.line, text: rule.text))
            let firstInstruction = ruleset.program.instructions.count
            layers = Layers(syntax.tables[table].family)
            do {
                for statement in rule.statements { try compile(statement) }
            } catch {}
            ruleset.program.rules.append(
                RuleProgram.Rule(
                    first: Int32(firstInstruction),
                    end: Int32(ruleset.program.instructions.count)))
        }
        ruleset.program.chains[self.chain].first = Int32(first)
        ruleset.program.chains[self.chain].end = Int32(ruleset.program.rules.count)
    }

    /// Sorts the base chains, and looks at what can be reached from each.
    ///
    /// Observed on 6.18: what is registered later stands before what has its priority already, in one
    /// transaction or several, for nat chains too.
    private mutating func listBaseChains() {
        var bases: [(syntax: BaseChainSyntax, order: Int, chain: Int, families: Set<Family>)] = []
        for (table, tableSyntax) in syntax.tables.enumerated() {
            for (chain, chainSyntax) in tableSyntax.chains.enumerated() {
                guard let base = chainSyntax.base else { continue }
                bases.append(
                    (
                        base, chainSyntax.order, firstChain[table] + chain,
                        tableSyntax.family.families
                    ))
            }
        }
        bases.sort {
            ($0.syntax.priority, $1.order) < ($1.syntax.priority, $0.order)
        }
        for problem in graph.check(bases.map { ($0.chain, $0.syntax.kind, $0.syntax.hook) }) {
            report(at: problem.position, found: problem.found, expected: problem.expected)
        }
        let readers = graph.entryReaders()
        ruleset.baseChains = bases.map { base in
            BaseChain(
                index: base.chain, kind: base.syntax.kind, hook: base.syntax.hook,
                priority: base.syntax.priority, families: base.families,
                order: base.order, readsEntry: readers[base.chain])
        }
    }

    /// The chain's index in the program.
    func target(_ name: String) -> Int? {
        syntax.tables[table].chainIndex[name].map { firstChain[table] + $0 }
    }

    // MARK: Sets

    /// A dynamic set's place in the program.
    mutating func placeDynamicSet(_ index: Int) -> Int32 {
        let key = SetPlace(table: table, set: index)
        if let known = compiledSets[key] { return known }
        let set = syntax.tables[table].sets[index]
        let place = Int32(ruleset.program.sets.count)
        compiledSets[key] = place
        ruleset.program.sets.append(
            DynamicSet(
                fieldCount: Int32(set.keys.count),
                timeoutNanoseconds: set.timeoutMilliseconds.map { $0 * 1_000_000 },
                size: Int32(set.size ?? RulesetLimits.dynamicElements)))
        ruleset.state.elements.append([:])
        return place
    }

    /// The named set's place in the program; compiled when it is first asked for.
    mutating func namedSet(_ index: Int) throws(Stop) -> Int32 {
        let key = SetPlace(table: table, set: index)
        if let known = compiledSets[key] {
            guard known >= 0 else { throw Stop() }  // Its finding is written down already.
            return known
        }
        let set = syntax.tables[table].sets[index]
        guard !set.isDynamic else {
            guard set.keys.count <= SetKey.fieldLimit else {
                throw fail(
                    at: set.position, found: "\(set.keys.count) parts in the key of '\(set.name)'",
                    expected: "at most \(SetKey.fieldLimit) in a dynamic set")
            }
            return placeDynamicSet(index)
        }
        compiledSets[key] = -1
        if let size = set.size, set.elements.count > size {
            throw fail(
                at: set.position, found: "\(set.elements.count) elements in '\(set.name)'",
                expected: "at most its size, \(size)")
        }
        let compiled = try elementTable(
            set.elements, keys: set.keys, data: set.data,
            overlaps: set.hasIntervals
                ? set.mergesOverlaps ? .merged : .refused : .intervalsRefused)
        compiledSets[key] = compiled
        if case .verdict = set.data {
            let node = graph.addMap()
            mapNodes[compiled] = node
            noteJumps(set.elements, from: node)
        }
        return compiled
    }

    // MARK: Findings

    mutating func report(
        at position: SourcePosition, found: String, expected: String, suggestion: String? = nil
    ) {
        guard findings.count < RulesetLimits.findings else { return }
        let finding = RulesetFinding(
            file: files[Int(position.source)], line: position.line, column: position.column,
            found: found, expected: expected, suggestion: suggestion)
        findings.append((position.source, finding))
    }

    mutating func fail(
        at position: SourcePosition, found: String, expected: String, suggestion: String? = nil
    ) -> Stop {
        report(at: position, found: found, expected: expected, suggestion: suggestion)
        return Stop()
    }

    mutating func fail(_ expression: Expression, expected: String, near: [String] = []) -> Stop {
        var suggestion: String?
        if case .word(let word) = expression.kind {
            suggestion = RulesetParser.nearest(to: word, in: near)
        }
        return fail(
            at: expression.position, found: "'\(expression.text)'", expected: expected,
            suggestion: suggestion)
    }

    // MARK: Program

    mutating func emit(_ instruction: Instruction) {
        ruleset.program.instructions.append(instruction)
    }

    /// Puts constants behind each other; the index of the first.
    mutating func place(_ constants: Address...) -> Int32 {
        ruleset.program.constants += constants
        return Int32(ruleset.program.constants.count - constants.count)
    }
}
