public import Wire

/// A connection as seen from outside: a copy of everything a listing, an event or a rule can show.
public struct Entry: Sendable, Hashable, BitwiseCopyable {
    public var original: Tuple
    /// What an answer looks like on arrival, translation included.
    public var reply: Tuple
    public var status: Status
    /// Ticks until expiry; zero or less once expired.
    ///
    /// Before confirmation: the whole timeout.
    public var remainingTicks: Int32
    /// The kernel's state number: TCP 0...9, SCTP its own, others 0.
    public var protocolState: UInt8
    public var windowScaleOriginal: UInt8
    public var windowScaleReply: UInt8
    public var flagsOriginal: UInt8
    public var flagsReply: UInt8
    /// SCTP: the verification tags expected in each direction; 0 while not known.
    public var tagOriginal: UInt32
    public var tagReply: UInt32
    public var mark: UInt32
    /// Zone ids in force for each direction; 0 where the zone does not apply.
    public var zoneOriginal: UInt16
    public var zoneReply: UInt16
    /// Accounting; nil-like when `hasAccounting` is false.
    public var hasAccounting: Bool
    public var packetsOriginal: UInt64
    public var bytesOriginal: UInt64
    public var packetsReply: UInt64
    public var bytesReply: UInt64
    public var hasTimestamp: Bool
    public var start: Instant
    /// Meaningful in DESTROY events.
    public var stop: Instant
    public var identifier: UInt32
    public var labels = LabelSet()
    /// The helper that reads its payload.
    public var helper: HelperKind?
    /// The helper that expected it.
    public var masterHelper: HelperKind?
    /// What holds it in existence, as `use=` prints it.
    public var useCount: UInt32 = 1

    public var family: Family { original.family }
    public var protocolNumber: UInt8 { original.protocolNumber }

    public init(original: Tuple, reply: Tuple) {
        self.original = original
        self.reply = reply
        status = []
        remainingTicks = 0
        protocolState = 0
        windowScaleOriginal = 0
        windowScaleReply = 0
        flagsOriginal = 0
        flagsReply = 0
        tagOriginal = 0
        tagReply = 0
        mark = 0
        zoneOriginal = 0
        zoneReply = 0
        hasAccounting = false
        packetsOriginal = 0
        bytesOriginal = 0
        packetsReply = 0
        bytesReply = 0
        hasTimestamp = false
        start = .start
        stop = .start
        identifier = 0
    }
}
