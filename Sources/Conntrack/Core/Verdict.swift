internal import Wire

/// How a packet's way through a node ended.
public enum Verdict: String, Sendable, Hashable, BitwiseCopyable {
    case forwarded, local, dropped
}

/// Why a packet was dropped.
///
/// Raw values are the words of the JSONL contract.
public enum DropReason: String, Sendable, Hashable, BitwiseCopyable {
    case tableFull = "table_full"
    case rule
    case rejected
    case insertFailed = "insert_failed"
    case chainTooLong = "chain_too_long"
    case clash
    case nat
    case noRoute = "no_route"
    case timeToLive = "ttl"
    case tooBig = "too_big"
    case fragmentPending = "fragment_pending"
    case fragmentOverflow = "fragment_overflow"
    case fragmentInvalid = "fragment_invalid"
    case malformed
    case martian
    case refusedOptions = "ip_options"
    case tracker
    case natICMP = "nat_icmp_error"
    case helper
}

/// A packet that left a node.
public struct Transmission: Sendable, Hashable {
    public var interface: InterfaceIndex
    /// The network-layer packet, without link-layer header.
    public var bytes: [UInt8]

    public init(interface: InterfaceIndex, bytes: [UInt8]) {
        self.interface = interface
        self.bytes = bytes
    }
}

/// A stretch of a packet's payload that a helper has replaced.
public struct PayloadChange: Sendable, Hashable {
    public var before: [UInt8]
    public var after: [UInt8]
}

/// What became of one packet that was given to a node as bytes.
public struct Delivery: Sendable {
    public var verdict: Verdict
    public var reason: DropReason?
    /// The rule that decided, for `.rule` and `.rejected`.
    public var rule: RuleReference?
    public var info: ConntrackInfo
    public var inInterface: InterfaceIndex
    /// As the packet arrived; `nil` where no tuple could be read.
    public var tuple: Tuple?
    /// What a lookup of that tuple (for an ICMP error: of the flow it quotes) finds afterwards.
    public var entry: Entry?
    public var out: [Transmission]
    /// What the node itself sent because a rule refused the packet.
    public var answers: [Transmission] = []
    /// What a helper changed in the payload.
    public var payload: PayloadChange?

    public init(verdict: Verdict, info: ConntrackInfo, inInterface: InterfaceIndex) {
        self.verdict = verdict
        self.info = info
        self.inInterface = inInterface
        out = []
    }
}
