/// What messages call a ruleset's rules and chains: the part that evaluation never touches.
struct RuleNames: Sendable {
    struct Chain: Sendable {
        /// Family and name: `ip nat`.
        var table: String
        var name: String
        /// The hook's name, for a base chain.
        var hook: String?
        var dropsByDefault: Bool
    }

    struct Rule: Sendable {
        /// Into `chains`.
        var chain: Int
        var line: Int
        var text: String
    }

    struct Counter: Sendable {
        var rule: Int
    }

    var chains: [Chain] = []
    var rules: [Rule] = []
    /// One for each `counter` statement, in the order of the program.
    var counters: [Counter] = []
}

extension Ruleset {
    /// Names a rule for a person: `forward: ip flt f line 3: "ct state invalid drop"`, or
    /// `forward: ip flt f: policy drop`.
    public func describe(_ reference: RuleReference) -> String {
        guard names.chains.indices.contains(Int(reference.chain)) else { return "no such rule" }
        let base = names.chains[Int(reference.chain)]
        let hook = base.hook ?? "no hook"
        guard names.rules.indices.contains(Int(reference.rule)) else {
            let policy = base.dropsByDefault ? "drop" : "accept"
            return "\(hook): \(base.table) \(base.name): policy \(policy)"
        }
        return "\(hook): \(place(of: Int(reference.rule)))"
    }

    /// The counters of all rules that have one, a line each, in the order of the ruleset:
    /// `ip flt f line 3: packets 2 bytes 120: "ct state invalid counter drop"`.
    public func counterLines() -> [String] {
        names.counters.indices.map { index in
            let counter = state.counters[index]
            let rule = names.counters[index].rule
            let chain = names.chains[names.rules[rule].chain]
            let line = names.rules[rule].line
            return "\(chain.table) \(chain.name) line \(line): packets \(counter.packets) "
                + "bytes \(counter.bytes): \"\(names.rules[rule].text)\""
        }
    }

    private func place(of rule: Int) -> String {
        let name = names.rules[rule]
        let chain = names.chains[name.chain]
        return "\(chain.table) \(chain.name) line \(name.line): \"\(name.text)\""
    }
}
