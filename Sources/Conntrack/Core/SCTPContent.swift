// An SCTP packet as tracking sees it: its tag, which chunks it carries, and the order of those that
// may move an association. The chunks in between (DATA, SACK, …) leave no trace but their presence,
// and a run of equal chunks counts once: the state machine takes the second as it took the first.

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

    /// The set of one kind. Bits are those of the kinds' raw values.
    public init(_ kind: SCTPChunkKind) { rawValue = 1 << UInt16(kind.rawValue) }

    public static let data = SCTPChunkSet(rawValue: 1 << 11)
    /// SACK, or any other chunk that moves nothing.
    public static let other = SCTPChunkSet(rawValue: 1 << 12)
    /// The INIT or INIT ACK ends before its fixed part does, and so has no initiate tag.
    public static let shortInitiation = SCTPChunkSet(rawValue: 1 << 13)
    /// More steps than `SCTPContent.stepLimit`; those beyond are missing.
    public static let cut = SCTPChunkSet(rawValue: 1 << 14)
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
}

/// One chunk that may move an association.
struct SCTPStep: Hashable, BitwiseCopyable {
    var kind: SCTPChunkKind
    /// ABORT and SHUTDOWN COMPLETE: the packet carries the tag its receiver's peer chose.
    var reflectsTag: Bool

    /// Four bits; never 0.
    fileprivate var code: UInt64 {
        UInt64(kind.rawValue) + 1 + (reflectsTag ? (kind == .abort ? 9 : 4) : 0)
    }

    fileprivate init?(code: UInt64) {
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
    public private(set) var initiateTag: UInt32 = 0
    /// The steps in order, four bits each, the first lowest; 0 ends them.
    private var codes: UInt64 = 0
    public private(set) var defect: SCTPDefect? = nil
    public private(set) var present: SCTPChunkSet = []
    private var chunkCount: UInt16 = 0
    private var stepCount: UInt8 = 0

    /// Steps that are kept of one packet: docs/deviations.md, "SCTP bundles".
    public static let stepLimit = 16

    public init() {}

    /// Appends a chunk as the kernel's walk meets it. Behind a defect nothing is looked at.
    ///
    /// - Parameters:
    ///   - initiateTag: of an INIT or INIT ACK; `nil` where the packet ends before it.
    ///
    /// Kernel: `do_basic_checks()`; spec protocols.md §7 step 2.
    public mutating func append(
        type: UInt8, flags: UInt8 = 0, lengthField: UInt16, initiateTag: UInt32? = nil
    ) {
        guard defect == nil else { return }
        let kind = SCTPChunkKind(type: type)
        let standsAlone = !present.isDisjoint(with: Self.lonely) || kind?.standsAlone == true
        let isFirst = chunkCount == 0
        if lengthField == 0 || (!isFirst && (standsAlone || kind?.comesFirst == true)) {
            defect = SCTPDefect(
                number: chunkCount, type: type, lengthField: lengthField,
                standsAlone: standsAlone)
            return
        }
        chunkCount &+= 1
        guard let kind else {
            present.insert(type == 0 ? .data : .other)
            return
        }
        present.insert(SCTPChunkSet(kind))
        if kind == .initiation || kind == .initiationAck {
            if let initiateTag {
                self.initiateTag = initiateTag
            } else {
                present.insert(.shortInitiation)
            }
        }
        append(SCTPStep(kind, reflectsTag: kind.heedsTagFlag && flags & 1 != 0))
    }

    private static let lonely: SCTPChunkSet = [
        SCTPChunkSet(.initiation), SCTPChunkSet(.initiationAck), SCTPChunkSet(.shutdownComplete),
    ]

    private mutating func append(_ step: SCTPStep) {
        // The second stray HEARTBEAT of a packet is refused, so two are kept of a run of those.
        let runLimit = step.kind == .heartbeat ? 2 : 1
        if run(of: step.code) == runLimit { return }
        guard stepCount < Self.stepLimit else {
            present.insert(.cut)
            return
        }
        codes |= step.code << (UInt64(stepCount) * 4)
        stepCount += 1
    }

    /// How many of the last two steps, counted from the end, have this code.
    private func run(of wanted: UInt64) -> Int {
        for place in 1...2 {
            guard stepCount >= place, code(at: Int(stepCount) - place) == wanted
            else { return place - 1 }
        }
        return 2
    }

    func contains(_ kind: SCTPChunkKind) -> Bool { present.contains(SCTPChunkSet(kind)) }

    /// The step at an index from 0; `nil` behind the last.
    @inline(__always)
    func step(_ index: Int) -> SCTPStep? {
        index < Int(stepCount) ? SCTPStep(code: code(at: index)) : nil
    }

    @inline(__always)
    private func code(at index: Int) -> UInt64 { codes >> (UInt64(index) * 4) & 0xf }
}
