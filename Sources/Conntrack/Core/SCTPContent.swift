// An SCTP packet as tracking sees it: its tag, which chunks it carries, and those that may move an
// association, in order. DATA, SACK and the like leave no trace but their presence. What makes it
// from a packet's chunks is in SCTPChunkWalk.swift.

/// The chunks that the transition table knows; raw values are its rows (spec protocols.md §7).
public enum SCTPChunkKind: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case initiation = 0
    case initiationAck = 1
    case abort = 2
    case shutdown = 3
    case shutdownAck = 4
    case error = 5
    case cookieEcho = 6
    case cookieAck = 7
    case shutdownComplete = 8
    case heartbeat = 9
    case heartbeatAck = 10

    /// The kind of a chunk by its type on the wire; `nil` for those that move nothing.
    public init?(type: UInt8) {
        switch type {
        case 1: self = .initiation
        case 2: self = .initiationAck
        case 4: self = .heartbeat
        case 5: self = .heartbeatAck
        case 6: self = .abort
        case 7: self = .shutdown
        case 8: self = .shutdownAck
        case 9: self = .error
        case 10: self = .cookieEcho
        case 11: self = .cookieAck
        case 14: self = .shutdownComplete
        default: return nil
        }
    }

    /// The chunk's type on the wire.
    var type: UInt8 {
        switch self {
        case .initiation: 1
        case .initiationAck: 2
        case .heartbeat: 4
        case .heartbeatAck: 5
        case .abort: 6
        case .shutdown: 7
        case .shutdownAck: 8
        case .error: 9
        case .cookieEcho: 10
        case .cookieAck: 11
        case .shutdownComplete: 14
        }
    }

    /// Whether a packet with this chunk may hold no other.
    var standsAlone: Bool {
        self == .initiation || self == .initiationAck || self == .shutdownComplete
    }

    /// Whether this chunk must be its packet's first.
    var comesFirst: Bool { self == .cookieEcho || self == .cookieAck }

    /// Whether the T flag says whose tag the packet carries.
    var heedsTagFlag: Bool { self == .abort || self == .shutdownComplete }
}

/// What a packet's chunks are, whatever their order.
public struct SCTPChunkSet: OptionSet, Sendable, Hashable, BitwiseCopyable {
    public let rawValue: UInt16

    @inlinable
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The set of one kind.
    ///
    /// Bits are those of the kinds' raw values.
    public init(_ kind: SCTPChunkKind) { rawValue = 1 << UInt16(kind.rawValue) }

    public static let data = SCTPChunkSet(rawValue: 1 << 11)
    /// SACK, or any other chunk that moves nothing.
    public static let other = SCTPChunkSet(rawValue: 1 << 12)
    /// The INIT or INIT ACK ends before its fixed part does, and so has no initiate tag.
    public static let shortInitiation = SCTPChunkSet(rawValue: 1 << 13)
}

/// The first chunk of a packet that may not be where or what it is, as the kernel log names it.
public struct SCTPDefect: Sendable, Hashable, BitwiseCopyable {
    /// Which chunk of the packet, from 0.
    public var number: UInt16
    public var type: UInt8
    /// The length field, in bytes.
    public var lengthField: UInt16
    /// Whether this chunk, or one before it, is one that must stand alone.
    public var standsAlone: Bool

    public init(number: UInt16, type: UInt8, lengthField: UInt16, standsAlone: Bool) {
        self.number = number
        self.type = type
        self.lengthField = lengthField
        self.standsAlone = standsAlone
    }
}

/// One chunk that may move an association.
struct SCTPStep: Hashable, BitwiseCopyable {
    var kind: SCTPChunkKind
    /// ABORT and SHUTDOWN COMPLETE: the packet carries the tag its receiver's peer chose.
    var reflectsTag: Bool

    /// Four bits; never 0.
    var code: UInt64 {
        UInt64(kind.rawValue) + 1 + (reflectsTag ? (kind == .abort ? 9 : 4) : 0)
    }

    init?(code: UInt64) {
        reflectsTag = code > 11
        let rawValue = code == 12 ? 2 : code == 13 ? 8 : code &- 1
        guard let kind = SCTPChunkKind(rawValue: UInt8(truncatingIfNeeded: rawValue)) else {
            return nil
        }
        self.kind = kind
    }

    init(_ kind: SCTPChunkKind, reflectsTag: Bool = false) {
        self.kind = kind
        self.reflectsTag = reflectsTag
    }
}

/// The fields of an SCTP packet that tracking reads.
public struct SCTPContent: Sendable, Hashable, BitwiseCopyable {
    public var verificationTag: UInt32 = 0
    /// What the INIT or INIT ACK chunk offers as its sender's tag.
    public internal(set) var initiateTag: UInt32 = 0
    /// The steps in order, four bits each, the first lowest; 0 ends them.
    private var codes: UInt64 = 0
    public internal(set) var present: SCTPChunkSet = []
    private(set) var stepCount: UInt8 = 0
    public internal(set) var defect: SCTPDefect? = nil

    public init() {}

    func contains(_ kind: SCTPChunkKind) -> Bool { present.contains(SCTPChunkSet(kind)) }

    /// The step at an index from 0; `nil` behind the last.
    @inline(__always)
    func step(_ index: Int) -> SCTPStep? {
        SCTPStep(code: codes >> (UInt64(index) * 4) & 0xf)
    }

    /// Appends a step.
    ///
    /// There is room for sixteen, and no packet needs more: see `SCTPChunkWalk`.
    mutating func append(_ step: SCTPStep) {
        codes |= step.code << (UInt64(stepCount) * 4)
        stepCount &+= 1
    }
}
