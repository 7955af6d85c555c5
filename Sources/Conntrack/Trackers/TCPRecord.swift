// What is remembered of one TCP connection: spec tcp.md §1.1.

/// One side's view: what it sent, and what it was granted.
struct TCPSide: Hashable, BitwiseCopyable {
    /// One past the highest sequence number this side sent.
    var end: UInt32 = 0
    /// Right edge granted to this side.
    var maxEnd: UInt32 = 0
    /// Largest window this side ever advertised, scaled; 0: nothing seen from this side.
    var maxWindow: UInt32 = 0
    /// Highest acknowledgment sent; valid with `.acknowledged`.
    var maxAcknowledgment: UInt32 = 0
    /// Shift of this side's advertised window, 0...14.
    var scale: UInt8 = 0
    var flags: TCPSideFlags = []
}

/// A side's flag byte; the first six bits are what netlink shows.
public struct TCPSideFlags: OptionSet, Hashable, Sendable, BitwiseCopyable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let windowScale = TCPSideFlags(rawValue: 0x01)
    public static let sackPermitted = TCPSideFlags(rawValue: 0x02)
    /// This side's FIN moved the connection into FIN_WAIT.
    public static let closeInitiator = TCPSideFlags(rawValue: 0x04)
    public static let liberal = TCPSideFlags(rawValue: 0x08)
    public static let dataUnacknowledged = TCPSideFlags(rawValue: 0x10)
    /// `maxAcknowledgment` is valid.
    public static let acknowledged = TCPSideFlags(rawValue: 0x20)
    /// In `TCPRecord.lastFlags`: a challenge ACK is expected.
    public static let expectChallenge = TCPSideFlags(rawValue: 0x40)
    /// In `TCPRecord.lastFlags`: both sides sent a SYN.
    public static let simultaneousOpen = TCPSideFlags(rawValue: 0x80)
}

/// The kernel's TCP states, numbered as netlink shows them.
public enum TCPState: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case none = 0
    case synSent = 1
    case synReceived = 2
    case established = 3
    case finWait = 4
    case closeWait = 5
    case lastAck = 6
    case timeWait = 7
    case close = 8
    case synSent2 = 9

    /// The kernel's word for it, as `conntrack -L` prints it.
    public var name: String {
        switch self {
        case .none: "NONE"
        case .synSent: "SYN_SENT"
        case .synReceived: "SYN_RECV"
        case .established: "ESTABLISHED"
        case .finWait: "FIN_WAIT"
        case .closeWait: "CLOSE_WAIT"
        case .lastAck: "LAST_ACK"
        case .timeWait: "TIME_WAIT"
        case .close: "CLOSE"
        case .synSent2: "SYN_SENT2"
        }
    }
}

/// What a segment is to the transition table; raw values are the kernel's indices.
enum TCPClass: UInt8, Hashable, BitwiseCopyable {
    case syn = 0
    case synAck = 1
    case fin = 2
    case ack = 3
    case rst = 4
    case none = 5
}

/// A connection's TCP memory.
struct TCPRecord: Hashable, BitwiseCopyable {
    var original = TCPSide()
    var reply = TCPSide()
    var state: TCPState = .none
    var lastClass: TCPClass = .none
    var lastDirection: Direction = .original
    /// Identical ACKs in a row; wraps.
    var retransmissions: UInt8 = 0
    var lastSequence: UInt32 = 0
    var lastAcknowledgment: UInt32 = 0
    var lastEnd: UInt32 = 0
    /// As on the wire.
    var lastWindow: UInt16 = 0
    var lastScale: UInt8 = 0
    var lastFlags: TCPSideFlags = []

    subscript(direction: Direction) -> TCPSide {
        get { direction == .original ? original : reply }
        set { if direction == .original { original = newValue } else { reply = newValue } }
    }
}
