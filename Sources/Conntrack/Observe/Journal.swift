// What happened, written down as it happens and read by whoever drives the node. A journal is told
// and never asked: nothing in the packet path depends on what it holds. It costs nothing while
// nobody listens, and its buffers keep their capacity, so that listening allocates nothing either
// once they have grown.

/// The kinds of ctnetlink messages about connections.
public enum EventKind: UInt8, Sendable, Hashable, BitwiseCopyable {
    case new, update, destroy

    /// The word the JSONL contract uses.
    public var name: String {
        switch self {
        case .new: "NEW"
        case .update: "UPDATE"
        case .destroy: "DESTROY"
        }
    }
}

/// One ctnetlink message: what `conntrack -E` prints a line for.
public struct ConntrackEvent: Sendable, Hashable, BitwiseCopyable {
    public var kind: EventKind
    /// Whether the message has a protocol part (TCP state, scales, flags).
    public var hasProtocolPart: Bool
    public var at: Instant
    public var entry: Entry

    public init(_ kind: EventKind, _ entry: Entry, hasProtocolPart: Bool, at: Instant) {
        self.kind = kind
        self.entry = entry
        self.hasProtocolPart = hasProtocolPart
        self.at = at
    }
}

/// Everything written down since it was last emptied.
public struct Journal: Sendable {
    /// Whether a ctnetlink listener exists: with `nf_conntrack_events = 2` only entries created
    /// while it does carry event state.
    ///
    /// `Node.isListening` sets it.
    public internal(set) var isListening = false
    /// Whether the tracker's own remarks (the texts of `nf_conntrack_log_invalid`) are wanted.
    public var wantsRemarks = false
    public internal(set) var events: [ConntrackEvent] = []
    public internal(set) var remarks: [TrackerRemark] = []
    /// Whether every step of a packet's way is wanted: what `Node.story` tells.
    public var explains = false
    var steps: [TraceStep] = []
    /// What `conntrack -E expect` prints a line for.
    public internal(set) var expectationEvents: [ExpectationEvent] = []
    /// Entries removed from the table, for whatever reason.
    public internal(set) var removedCount = 0

    public init() {}

    /// Forgets the messages, which their reader has taken; counts go on.
    public mutating func clearEvents() { events.removeAll(keepingCapacity: true) }

    /// Forgets what was written; keeps the memory.
    public mutating func clear() {
        if !events.isEmpty { events.removeAll(keepingCapacity: true) }
        if !remarks.isEmpty { remarks.removeAll(keepingCapacity: true) }
        if !steps.isEmpty { steps.removeAll(keepingCapacity: true) }
        if !expectationEvents.isEmpty { expectationEvents.removeAll(keepingCapacity: true) }
        removedCount = 0
    }
}
