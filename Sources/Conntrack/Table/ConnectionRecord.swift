internal import Wire

// One connection in memory: 64 bytes that every lookup touches, 64 that only the tracker does, and
// two side blocks that most connections never need. Together with its share of the bucket heads
// an IPv4 connection with TCP state takes 144 bytes.

/// Either of a connection's two places in the hash table: its slot and the direction.
struct Link: Hashable, BitwiseCopyable {
    let raw: UInt32

    @inline(__always)
    init(_ slot: Slot, _ direction: Direction) {
        raw = slot.index << 1 | UInt32(direction.rawValue)
    }

    private init(raw: UInt32) { self.raw = raw }

    // Computed: a stored constant is asked whether it has been made yet.
    static var none: Link { Link(raw: UInt32.max) }

    /// In a bucket head: there may be such a link, and only a walk can tell which.
    static var unknown: Link { Link(raw: UInt32.max - 1) }

    @inline(__always) var slot: Slot { Slot(raw >> 1) }
    @inline(__always) var direction: Direction { raw & 1 == 0 ? .original : .reply }
}

/// The hot half of a connection: 64 bytes, one cache line.
struct ConnectionRecord: BitwiseCopyable {
    // IPv4 addresses. For IPv6, `originalSource` is an index into the address blocks and the
    // other three are unused.
    var originalSource: UInt32
    var originalDestination: UInt32
    var replySource: UInt32
    var replyDestination: UInt32
    var originalSourcePart: UInt16
    var originalDestinationPart: UInt16
    var replySourcePart: UInt16
    var replyDestinationPart: UInt16
    var nextOriginal: Link = .none
    var nextReply: Link = .none
    /// Raw hashes; before confirmation the reply's is 0 while it is unknown.
    var hashOriginal: UInt32 = 0
    var hashReply: UInt32 = 0
    /// Absolute once confirmed, a duration in ticks before.
    var deadline: Tick = Tick(0)
    var mark: UInt32 = 0
    /// Index of the extension block, or `UInt32.max`.
    var extensionIndex: UInt32 = UInt32.max
    var status: Status = []
    var protocolNumber: UInt8
    var family: Family
    /// Zone in force for each direction.
    var zoneOriginal: UInt16 = 0
    var zoneReply: UInt16 = 0
    var namespace: NamespaceIndex
    /// One for the table, one for each packet in flight that is attached.
    var references: UInt8 = 1
    var pendingEvents: PendingEvents = []

    @inline(__always)
    func hash(_ direction: Direction) -> UInt32 {
        direction == .original ? hashOriginal : hashReply
    }
}

/// The cold half: what the protocol tracker and NAT keep.
///
/// 64 bytes.
struct ConnectionState: BitwiseCopyable {
    var tcp = TCPRecord()
    /// Next connection in the by-source index's chain; `.outside` while in none.
    var nextBySource: Slot = .outside

    /// UDP: the tick from which a reply makes the flow a stream.
    ///
    /// UDP has no TCP part, so the first word of that part serves.
    var streamStart: Tick {
        get { Tick(tcp.original.end) }
        set { tcp.original.end = newValue.raw }
    }

    /// GRE: the timeouts in ticks that the connection was made with; they lie where TCP's do.
    var greTimeouts: (unreplied: UInt32, stream: UInt32) {
        get { (tcp.original.end, tcp.original.maxEnd) }
        set { (tcp.original.end, tcp.original.maxEnd) = newValue }
    }

    /// SCTP: its whole memory lies where TCP's first side does.
    var sctp: SCTPRecord {
        get {
            SCTPRecord(
                tagOriginal: tcp.original.end, tagReply: tcp.original.maxEnd,
                state: SCTPState(rawValue: tcp.original.scale) ?? .none,
                history: SCTPHistory(rawValue: tcp.original.flags.rawValue))
        }
        set {
            tcp.original.end = newValue.tagOriginal
            tcp.original.maxEnd = newValue.tagReply
            tcp.original.scale = newValue.state.rawValue
            tcp.original.flags = TCPSideFlags(rawValue: newValue.history.rawValue)
        }
    }

    var isInBySource: Bool { nextBySource != .outside }
}

extension Slot {
    /// In `ConnectionState.nextBySource`: the connection is in no chain of the by-source index.
    static let outside = Slot(UInt32.max - 1)
}

/// The four addresses of an IPv6 connection.
struct AddressBlock: BitwiseCopyable {
    var originalSource: Address
    var originalDestination: Address
    var replySource: Address
    var replyDestination: Address
}

/// What the kernel keeps in a connection's extension block (spec memory.md §2).
struct ConnectionExtension: BitwiseCopyable {
    struct Parts: OptionSet, BitwiseCopyable {
        let rawValue: UInt8

        static let accounting = Parts(rawValue: 1)
        static let timestamp = Parts(rawValue: 2)
        static let events = Parts(rawValue: 4)
        static let nat = Parts(rawValue: 8)
        static let attachments = Parts(rawValue: 16)
    }

    var packetsOriginal: UInt64 = 0
    var bytesOriginal: UInt64 = 0
    var packetsReply: UInt64 = 0
    var bytesReply: UInt64 = 0
    var start: Instant = .start
    var stop: Instant = .start
    var parts: Parts
    /// Masquerade: the egress interface it was made for.
    var masqueradeInterface: InterfaceIndex = .none
    /// Index of the side block; meaningful with `.attachments`.
    var attachments = UInt32.max
}

/// Changes that wait for the packet to leave the last hook, to become one message.
struct PendingEvents: OptionSet, BitwiseCopyable {
    let rawValue: UInt8

    static let new = PendingEvents(rawValue: 1 << 0)
    static let related = PendingEvents(rawValue: 1 << 1)
    static let reply = PendingEvents(rawValue: 1 << 2)
    static let assured = PendingEvents(rawValue: 1 << 3)
    static let protocolInfo = PendingEvents(rawValue: 1 << 4)
    static let helper = PendingEvents(rawValue: 1 << 5)
    static let mark = PendingEvents(rawValue: 1 << 6)
    static let labels = PendingEvents(rawValue: 1 << 7)
}

/// A network namespace of the machine the table belongs to; 0 is the first one made.
public struct NamespaceIndex: Hashable, Sendable, BitwiseCopyable {
    public let raw: UInt16

    public init(_ raw: UInt16) { self.raw = raw }

    public static let initial = NamespaceIndex(0)
}

extension Slab where Element == Namespace {
    subscript(index: NamespaceIndex) -> Namespace {
        @inline(__always)
        _read { yield self[UInt32(index.raw)] }
        @inline(__always)
        _modify { yield &self[UInt32(index.raw)] }
    }
}
