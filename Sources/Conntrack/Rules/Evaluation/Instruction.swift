internal import Wire

// What rules become: flat values in flat arrays, so that evaluation walks memory forwards and
// allocates nothing. Names are resolved, words are numbers, interfaces are indexes.

/// A place for a value while a rule runs.
typealias Register = UInt8

enum Comparison: UInt8, Sendable, BitwiseCopyable {
    case equal, notEqual, less, greater, lessOrEqual, greaterOrEqual

    @inline(__always)
    func holds<Value: Comparable>(_ left: Value, _ right: Value) -> Bool {
        switch self {
        case .equal: left == right
        case .notEqual: left != right
        case .less: left < right
        case .greater: left > right
        case .lessOrEqual: left <= right
        case .greaterOrEqual: left >= right
        }
    }
}

/// What a verdict statement or a verdict map says.
enum RuleVerdict: Sendable, Hashable, BitwiseCopyable {
    case accept, drop, `continue`, `return`
    /// The target's index in `RuleProgram.chains`.
    case jump(Int32)
    case goto(Int32)
}

/// One step of a rule.
///
/// Wide constants live in `RuleProgram.constants` and are named by index.
/// Every step either passes on to the next one or breaks the rule: as in the kernel, a field the
/// packet lacks breaks it just like a comparison that fails.
enum Instruction: Sendable, BitwiseCopyable {
    /// Field and mask compared with a number; for fields of at most 64 bits.
    case test(Field, mask: UInt64, Comparison, UInt64)
    case testInterface(Field, mask: Int32, isNegated: Bool)
    case load(Field, Register)
    case constant(Register, Int32)
    /// value = (value and constant) xor the constant behind it
    case bitwise(Register, Int32)
    case shiftLeft(Register, UInt8, bits: UInt8)
    case shiftRight(Register, UInt8)
    case compare(Register, Comparison, Int32)
    /// Between a constant and the one behind it, both included.
    case within(Register, Int32, isNegated: Bool)
    case member(Register, table: Int32, isNegated: Bool)
    case lookUp(Register, table: Int32, into: Register)
    case verdictMap(Register, table: Int32)
    case memberOfDynamic(Register, set: Int32, isNegated: Bool)
    /// Enters the key into a dynamic set; breaks the rule where it is full.
    case updateSet(Register, update: Int32)
    /// Goes on behind the next `count` steps if the key is in the set.
    case skipIfMember(Register, table: Int32, count: Int32)
    /// Goes on behind the next `count` steps if the packet has no connection.
    case skipWithoutConnection(count: Int32)
    case exclusiveOr(Register, with: Register)
    case numberGenerator(Register, Int32)
    case hash(Register, Int32)
    case counter(Int32)
    case limit(Int32)
    case log(Int32)
    case notrack
    case setPacketMark(Register)
    case setConnectionMark(Register)
    /// For both directions, or for one.
    case setZone(Register, Direction?)
    /// Into `RuleProgram.templates`.
    case attachTemplate(Int32)
    case setLabel(UInt8)
    /// Into `RuleProgram.timeouts`.
    case setTimeoutPolicy(Int32, protocolNumber: UInt8)
    /// Into `RuleProgram.helpers`.
    case setHelper(Int32)
    case verdict(RuleVerdict)
    case reject(RejectKind)
    case translate(Int32)
}

enum RejectKind: Sendable, BitwiseCopyable {
    case tcpReset
    case icmp(UInt8)
    case icmpv6(UInt8)
    case icmpx(UInt8)

    /// The answer for a packet of `family`.
    func answer(_ family: Family) -> RejectAnswer {
        switch self {
        case .tcpReset: .tcpReset
        case .icmp(let code): .icmp(code: code)
        case .icmpv6(let code): .icmpv6(code: code)
        case .icmpx(let code):
            switch (code, family) {
            case (0, .ipv4): .icmp(code: 0)
            case (0, .ipv6): .icmpv6(code: 0)
            case (2, .ipv4): .icmp(code: 1)
            case (2, .ipv6): .icmpv6(code: 3)
            case (3, .ipv4): .icmp(code: 13)
            case (3, .ipv6): .icmpv6(code: 1)
            case (_, .ipv4): .icmp(code: 3)
            case (_, .ipv6): .icmpv6(code: 4)
            }
        }
    }
}

/// Which interfaces a rule means, one bit for each index.
struct InterfaceMask: Sendable, Hashable, BitwiseCopyable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    mutating func insert(_ index: UInt8) {
        let bit = UInt64(1) << UInt64(index & 63)
        switch index >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    func contains(_ index: UInt8) -> Bool {
        let word =
            switch index >> 6 {
            case 0: words.0
            case 1: words.1
            case 2: words.2
            default: words.3
            }
        return word >> UInt64(index & 63) & 1 == 1
    }

    static func == (left: InterfaceMask, right: InterfaceMask) -> Bool { left.words == right.words }

    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
}

/// `numgen`: where its count stands is in `RuleState`.
struct NumberGenerator: Sendable, BitwiseCopyable {
    var isRandom: Bool
    var modulus: UInt32
    var offset: UInt32
}

/// `jhash`: the parts of its key as they lie in the registers.
struct HashExpression: Sendable {
    struct Part: Sendable, BitwiseCopyable {
        var byteCount: UInt8
        /// The kernel holds it in network byte order.
        var isNetworkOrder: Bool
    }

    var firstRegister: Register
    var parts: [Part]
    var byteCount: UInt32
    var modulus: UInt32
    var offset: UInt32
}

/// `limit rate`: a bucket that fills with time.
///
/// It holds `burst` packets' worth of nanoseconds. How full it is stands in `RuleState`.
struct RateLimit: Sendable, BitwiseCopyable {
    var isOver: Bool
    /// Nanoseconds a packet costs.
    var cost: UInt64
    var maximum: UInt64
}

/// A nat statement: what it fixes, and where the rest lies when it runs.
struct Translation: Sendable, BitwiseCopyable {
    var kind: TranslationSyntax.Kind
    /// Only packets of this family are mapped; `nil`: both.
    var family: Family?
    var range: NATRange
    /// The register that holds the address, where a map chose it.
    var addressRegister: Register?
    var portRegister: Register?
}
