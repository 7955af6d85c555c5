public import Wire

/// Where a rule stands: for messages and for the `hook` key of the replay output.
public struct RuleReference: Sendable, Hashable, BitwiseCopyable {
    /// Index into `Ruleset.rules`; -1 for a chain's policy.
    public var rule: Int32
    /// Index into `Ruleset.chains`.
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
    public var index: Int
    public var kind: ChainKind
    public var hook: Hook
    public var priority: Int32
    public var families: Set<Family>
    /// Whether a rule reachable from it reads more of the connection than the packet's `info`.
    public var readsEntry: Bool
}

/// What rules asked for besides a verdict. The node carries it out.
public struct RuleEffects: Sendable {
    /// `ct mark set`: the new mark of the packet's connection.
    public var connectionMark: UInt32?
    /// `log`: lines for the kernel log.
    public var logs: [RuleLog] = []

    public init() {}
}

/// One `log` statement met by a packet.
public struct RuleLog: Sendable, Hashable {
    public var prefix: String

    public init(prefix: String) { self.prefix = prefix }
}

/// A compiled ruleset: base chains by hook and family, and the rules behind them.
public struct Ruleset: Sendable {
    /// All base chains, in order of priority, first registered first among equals.
    public var baseChains: [BaseChain] = []

    public static let empty = Ruleset()

    init() {}

    /// Whether a rule needs the tracker for `family` (spec policy.md §2).
    /// Whether a rule reachable from the base chain reads more of the connection than `info`.
    public func readsEntry(_ chain: Int) -> Bool { false }

    public func needsTracking(_ family: Family) -> Bool { false }

    /// Whether a nat chain with a nat statement exists for `family`.
    public func needsNAT(_ family: Family) -> Bool { false }

    /// Asks one base chain. `entry` is the packet's connection, if it has one and the chain reads it.
    public mutating func evaluate(
        _ chain: Int, _ packet: inout Packet, entry: Entry?, effects: inout RuleEffects,
        dice: inout Dice, at now: Instant
    ) -> RuleOutcome {
        .accept
    }
}
