internal import Wire

// One packet's way, step by step, written down where it happens and told by `PacketStory`. Steps
// hold values as they were; nothing here decides anything, and nothing is written while
// `Journal.explains` is off.

/// A rule that matched, and what it said.
struct RuleMatch: Sendable {
    enum Word: Sendable {
        case verdict(RuleVerdict)
        case reject
        case map
    }

    /// Into `RuleNames.rules`.
    var rule: Int32
    var word: Word
}

/// Something that happened to a packet.
enum TraceStep: Sendable {
    case hook(Hook, Packet)
    /// A base chain was asked: its index in the program, the rules that matched, the outcome.
    case chain(Int, [RuleMatch], RuleOutcome)
    case lookup(LookupTrace)
    case made(LookupTrace)
    case tableFull
    /// No connection for the packet, and the tracker's words about it.
    case unlinked(TrackerRemark.Text?)
    /// An ICMP error belongs to the connection of the packet it quotes.
    case related(Entry)
    case followed(TrackerTrace)
    /// A rule gave the connection a timeout policy: the lifetime in ticks that it begins with, or
    /// `nil` for a connection that is in the table and keeps what it has.
    case policy(Int32?)
    case route(Routing.Destination, Packet)
    case decision(MappingTrace)
    /// A tuple a mapping might have led to, as the packet would look.
    case probe(Tuple, isTaken: Bool)
    /// The closed connection whose tuple a mapping takes over.
    case evicted(Tuple)
    case translated(Tuple, into: Tuple)
    case confirmed(ConfirmOutcome)
    case answered(Packet)
    case helped(HelperTrace)
}

/// What a helper did, or what one did for a packet.
enum HelperTrace: Sendable {
    /// It read a payload that announces no connection, or nothing it may follow.
    case silent
    /// The payload begins in the middle of a line.
    case outOfStep
    case unreadable
    /// An address that is not the sender's own.
    case foreign(Address, Family)
    case expects(Tuple, announcedPort: UInt16)
    case refused
    case replaced(before: String, after: String)
    /// Numbers as they came and as they leave.
    case shifted(sequence: UInt32, UInt32, acknowledgment: UInt32, UInt32)
    /// The connection was expected by this one.
    case fulfilled(master: Tuple)
}

struct LookupTrace: Sendable {
    var tuple: Tuple
    var zones = ZonePair.none
    var bucket: Int
    var linksWalked: UInt64
    /// Expired connections that went, or those that early drop removed.
    var removed: Int
    var direction: Direction?
    var entry: Entry?
}

struct TrackerTrace: Sendable {
    var packet: Packet
    var direction: Direction
    var isNew: Bool
    var before: ConnectionState
    var after: ConnectionState
    var statusBefore: Status
    var result: TrackerResult
    /// Whether the lifetimes are those of a timeout policy that a rule gave the entry.
    var hasPolicy: Bool
}

struct MappingTrace: Sendable {
    var kind: NATKind
    var range: NATRange
    /// The rule that asked for it; `nil` where none did.
    var rule: RuleReference?
    /// How the packet's connection looked on this side before and after.
    var before: Tuple
    var after: Tuple
}
