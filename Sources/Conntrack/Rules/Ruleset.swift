public import Wire

// The rules of a node: nftables text, compiled once and asked for every packet.
//
// Text goes through the lexer and the parser to `RulesetSyntax`, and through the compiler to
// `RuleProgram` (what never changes) and `RuleState` (counters, numgen, rate limits). Evaluation
// is in Ruleset+Evaluate.

/// Where a rule stands: for messages and for the `hook` key of the replay output.
public struct RuleReference: Sendable, Hashable, BitwiseCopyable {
    /// The rule, which may stand in a chain the base chain jumps to; -1 for the base chain's
    /// policy.
    public var rule: Int32
    /// The base chain that was asked: `BaseChain.index`.
    public var chain: Int32

    public init(rule: Int32, chain: Int32) {
        self.rule = rule
        self.chain = chain
    }
}

/// What a base chain said to a packet.
public enum RuleOutcome: Sendable, Hashable, BitwiseCopyable {
    case accept
    case drop(RuleReference)
    case reject(RejectAnswer, RuleReference)
    /// A nat chain set a mapping (which also ends its evaluation).
    case map(NATTarget, RuleReference)
}

/// What a `reject` sends back.
public enum RejectAnswer: Sendable, Hashable, BitwiseCopyable {
    case tcpReset
    /// ICMP destination unreachable with this code.
    case icmp(code: UInt8)
    case icmpv6(code: UInt8)
}

public enum ChainKind: Sendable, Hashable, BitwiseCopyable {
    case filter, nat, route
}

/// A base chain as the packet path needs it: where it stands and what it may ask for.
public struct BaseChain: Sendable, Hashable {
    /// What `Ruleset.evaluate` takes.
    public var index: Int
    public var kind: ChainKind
    public var hook: Hook
    public var priority: Int32
    public var families: Set<Family>
    /// Its number among the base chains in the order the text registers them.
    public var order: Int
    /// Whether a rule reachable from it reads more of the connection than the packet's `info`.
    public var readsEntry: Bool
}

/// What rules asked for besides a verdict.
///
/// The node carries it out.
public struct RuleEffects: Sendable {
    /// `ct mark set`: the new mark of the packet's connection.
    public var connectionMark: UInt32? {
        didSet { if let oldValue, oldValue != connectionMark { hasChangedMark = true } }
    }
    /// The mark was set to one value and then to another: a change, even if back to what it was.
    var hasChangedMark = false
    /// `log`: lines for the kernel log.
    public var logs: [RuleLog] = []
    /// Whether `matches` are wanted: every rule whose statements all held.
    var traces = false
    var matches: [RuleMatch] = []
    /// `ct label set`, `ct timeout set` and `ct helper set`: what the connection gets.
    private(set) var labels = LabelSet()
    private(set) var timeoutPolicy: Int32?
    private(set) var helper: HelperKind?
    /// Whether it gets any of the three.
    private(set) var attaches = false

    public init() {}

    mutating func add(_ labels: LabelSet) {
        self.labels.formUnion(labels)
        attaches = true
    }

    mutating func setTimeoutPolicy(_ index: Int32) {
        timeoutPolicy = index
        attaches = true
    }

    /// The first helper stays.
    mutating func setHelper(_ helper: HelperKind) {
        self.helper = self.helper ?? helper
        attaches = true
    }

    mutating func forgetAttachments() {
        labels = LabelSet()
        timeoutPolicy = nil
        helper = nil
        attaches = false
    }
}

/// A compiled ruleset: base chains by hook and family, and the rules behind them.
public struct Ruleset: Sendable {
    /// All base chains, in order of priority, last registered first among equals.
    public internal(set) var baseChains: [BaseChain] = []
    /// How the connection's lifetime in ticks becomes the milliseconds of `ct expiration`.
    public var tickRate = TickRate.reference

    var program = RuleProgram()
    var state = RuleState()
    var names = RuleNames()
    /// Of each family that is tracked, the last base chain registered before the tracker.
    var tracked: [Family: Int] = [:]

    public static let empty = Ruleset()

    init() {}

    /// Asks one base chain about a packet.
    ///
    /// As in the kernel: rules from the first to the last, statements from left to right; the
    /// first that does not match breaks its rule, and those before it have acted. `jump` comes
    /// back behind its rule, `goto` to where the last `jump` stood; the end of the base chain is
    /// its policy.
    ///
    /// - Parameters:
    ///   - chain: `BaseChain.index`.
    ///   - packet: `meta mark set` and `notrack` change it.
    ///   - entry: The packet's connection; asked for only where `BaseChain.readsEntry`.
    ///   - effects: What to do besides. A mark that is in it already counts for `ct mark`.
    public mutating func evaluate(
        _ chain: Int, _ packet: inout Packet, entry: Entry?, effects: inout RuleEffects,
        dice: inout Dice, at now: Instant
    ) -> RuleOutcome {
        var context = RuleContext(tickRate: tickRate, now: now)
        return program.evaluate(
            chain, &packet, &context, entry: entry, effects: &effects, dice: &dice,
            state: &state)
    }

    /// Tells the rules which addresses are the node's own, for `fib … type` and `addrtype`.
    mutating func learn(_ interfaces: [Interface]) {
        program.addressTypes = AddressTypes(interfaces)
    }

    /// Whether a rule needs the tracker for `family` (spec policy.md §2).
    ///
    /// Any rule of the family's tables that reads `ct`, sets a connection's mark or is a nat
    /// statement does, wherever it stands; notrack, and a nat chain without statement, do not.
    public func needsTracking(_ family: Family) -> Bool { tracked[family] != nil }

    /// The last base chain registered before the tracker: all of them where no rule needs it.
    func trackerOrder(_ family: Family) -> Int { tracked[family] ?? .max }

    /// When nat's stations were registered: with the first nat chain of the family.
    func natOrder(_ family: Family) -> Int {
        baseChains.filter { $0.kind == .nat && $0.families.contains(family) }.map(\.order).min()
            ?? .max
    }

    /// Whether a rule writes lines about packets.
    public var logsPackets: Bool { !program.logs.isEmpty }

    /// Whether a rule refuses packets and answers them.
    var rejectsPackets: Bool { program.rejects }

    /// Whether nat is at work for `family`: a base chain of type nat exists.
    ///
    /// Then all four nat hooks exist and make null bindings, whatever the chain's rules
    /// (spec nat.md §1).
    public func needsNAT(_ family: Family) -> Bool {
        baseChains.contains { $0.kind == .nat && $0.families.contains(family) }
    }
}
