internal import Wire

// A ruleset as it is written: what the parser makes of the text and the compiler makes a program
// of. Every part knows where it stands, because most of what can be wrong shows only when the
// parts are put together.

/// A value, or something that yields one, with the place of its first word.
struct Expression: Sendable {
    indirect enum Kind: Sendable {
        case number(UInt64)
        /// A word whose meaning depends on what it is compared with; quoted or not.
        case word(String)
        case address(Family, Address)
        case prefix(Expression, Int)
        case range(Expression, Expression)
        /// `a,b,c`: flags of a bitmask.
        case list([Expression])
        /// `{ … }`
        case set([ElementSyntax])
        /// `@name`
        case namedSet(String)
        case concatenation([Expression])
        case binary(BinaryOperator, Expression, Expression)
        case selector(Selector)
        case numberGenerator(isRandom: Bool, modulus: UInt32, offset: UInt32)
        case hash(Expression, modulus: UInt32, offset: UInt32, seed: UInt32?)
        /// `key map set`
        case map(Expression, Expression)
        /// The data of a verdict map's element.
        case verdict(VerdictSyntax)
    }

    var kind: Kind
    var position: SourcePosition
    /// The words as they stand in the text, for messages.
    var text: String
}

enum BinaryOperator: Sendable {
    case and, or, xor, shiftLeft, shiftRight
}

/// One element of a set, map or verdict map.
struct ElementSyntax: Sendable {
    var key: Expression
    var data: Expression?
}

struct VerdictSyntax: Sendable {
    enum Kind: Sendable, Hashable {
        case accept, drop, `continue`, `return`
        case jump(String)
        case goto(String)
    }

    var kind: Kind
    /// Of the chain's name, if there is one.
    var position: SourcePosition
}

enum RelationalOperator: Sendable, Hashable {
    /// None written: equality, or for bitmasks "any of these bits".
    case implicit
    case equal, notEqual, less, greater, lessOrEqual, greaterOrEqual
    /// `tcp flags ! syn`: none of these bits.
    case not
}

struct StatementSyntax: Sendable {
    enum Kind: Sendable {
        case match(Expression, RelationalOperator, Expression)
        /// `tcp flags syn / syn,ack`: value and mask.
        case matchMasked(Expression, isNegated: Bool, value: Expression, mask: Expression)
        case verdict(VerdictSyntax)
        case verdictMap(Expression, Expression)
        case counter(packets: UInt64, bytes: UInt64)
        case limit(isOver: Bool, count: UInt32, unitSeconds: UInt32, burst: UInt32)
        case log(RuleLog)
        case reject(RejectSyntax)
        case translate(TranslationSyntax)
        case notrack
        case setPacketMark(Expression)
        case setConnectionMark(Expression)
        /// For both directions, or for one.
        case setZone(Expression, Direction?)
        /// The `CT` target of iptables.
        case attachTemplate(TemplateDefinition)
        case setLabel(UInt8)
        case setObject(ConnectionObjectSyntax.Kind, name: String, at: SourcePosition)
        case copyMark(MarkCopySyntax)
        /// `update @set { key }` and `add @set { key }`.
        case updateSet(
            Expression, key: Expression, timeoutMilliseconds: UInt64?, refreshes: Bool)
        case connection(ConnectionMatchSyntax)
        /// `-m multiport --ports`: one of both ports is in the set.
        case eitherPort([ElementSyntax], isNegated: Bool)
    }

    var kind: Kind
    var position: SourcePosition
    /// The statement's first word, for messages.
    var text: String
}

enum RejectSyntax: Sendable {
    case standard
    case tcpReset
    case icmp(UInt8)
    case icmpv6(UInt8)
    case icmpx(UInt8)
}

struct TranslationSyntax: Sendable {
    enum Kind: Sendable, Hashable {
        case source, destination, masquerade, redirect
    }

    var kind: Kind
    /// `snat ip to`, `dnat ip6 to`.
    var family: Family?
    /// `dnat ip addr . port to`: the map's data must have both.
    var wantsPort = false
    /// An address, range, prefix or map; `nil` where only ports change.
    var address: Expression?
    var port: Expression?
    /// The port that is mapped to the first of a range, the others as far behind it.
    var basePort: UInt16?
    var flags: NATRange.Flags = []
}

struct RuleSyntax: Sendable {
    var statements: [StatementSyntax]
    var comment: String?
    var position: SourcePosition
    /// The rule's words, blanks squeezed.
    var text: String
}

struct BaseChainSyntax: Sendable {
    var kind: ChainKind
    var hook: Hook
    var priority: Int32
    var position: SourcePosition
}

struct ChainSyntax: Sendable {
    var name: String
    var position: SourcePosition
    var base: BaseChainSyntax?
    /// `policy drop`; accept where nothing is said.
    var dropsByDefault = false
    var policyPosition: SourcePosition?
    var rules: [RuleSyntax] = []
    /// Rules that `insert` put before all others, the first one last.
    var inserted: [RuleSyntax] = []
    /// When it was registered, among all base chains of the ruleset.
    var order = 0

    /// All rules in the order they are evaluated.
    var orderedRules: [RuleSyntax] { inserted.reversed() + rules }

    mutating func removeRules() {
        rules.removeAll()
        inserted.removeAll()
    }
}

struct SetSyntax: Sendable {
    enum Data: Sendable, Hashable {
        case none
        case verdict
        case values([DataType])
    }

    var name: String
    var position: SourcePosition
    var isMap: Bool
    var keys: [DataType] = []
    var data = Data.none
    var hasIntervals = false
    var mergesOverlaps = false
    /// Rules add elements: `flags dynamic`.
    var isDynamic = false
    /// How long an element lives; `nil`: for ever.
    var timeoutMilliseconds: UInt64?
    /// `size N`: the most elements it may hold.
    var size: Int?
    var elements: [ElementSyntax] = []

    /// Whether `other` may be the same set, named again to add to it.
    func hasShape(of other: SetSyntax) -> Bool {
        isMap == other.isMap && keys == other.keys && data == other.data
            && hasIntervals == other.hasIntervals && isDynamic == other.isDynamic
    }
}

struct TableSyntax: Sendable {
    enum Family: String, Sendable, Hashable {
        case ip, ip6, inet

        /// The network protocols its chains see.
        var families: Set<Wire.Family> {
            switch self {
            case .ip: [.ipv4]
            case .ip6: [.ipv6]
            case .inet: [.ipv4, .ipv6]
            }
        }
    }

    var family: Family
    var name: String
    var chains: [ChainSyntax] = []
    var sets: [SetSyntax] = []
    var objects: [ConnectionObjectSyntax] = []
    /// Positions of chains and sets by name.
    var chainIndex: [String: Int] = [:]
    var setIndex: [String: Int] = [:]
}

/// All tables of a text, in the order they were first named.
struct RulesetSyntax: Sendable {
    var tables: [TableSyntax] = []
    var chainsRegistered = 0
}

/// A mark copied between packet and connection, some of its bits only: what `CONNMARK` does.
struct MarkCopySyntax: Sendable {
    var toConnection: Bool
    var from: Expression
    var fromMask: UInt64
    var to: Expression
    /// Bits of the target that are cleared before.
    var clears: UInt64
}
