// What is remembered of one SCTP association: spec protocols.md §7.

/// The kernel's SCTP states, numbered as netlink shows them.
public enum SCTPState: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case none = 0
    case closed = 1
    case cookieWait = 2
    case cookieEchoed = 3
    case established = 4
    case shutdownSent = 5
    case shutdownReceived = 6
    case shutdownAckSent = 7
    case heartbeatSent = 8
}

/// What else an association's past says.
struct SCTPHistory: OptionSet, Hashable, BitwiseCopyable {
    let rawValue: UInt8

    /// An INIT of that side awaits its cookie exchange.
    static let initiatedByOriginal = SCTPHistory(rawValue: 1)
    static let initiatedByReply = SCTPHistory(rawValue: 2)
    static let initiatedByBoth: SCTPHistory = [.initiatedByOriginal, .initiatedByReply]
    /// The last HEARTBEAT whose tag was not the expected one awaits its answer: it came from the
    /// original side, or from the reply side.
    static let strayHeartbeatFromOriginal = SCTPHistory(rawValue: 4)
    static let strayHeartbeatFromReply = SCTPHistory(rawValue: 8)

    static func initiated(by direction: Direction) -> SCTPHistory {
        direction == .original ? .initiatedByOriginal : .initiatedByReply
    }
}

/// A connection's SCTP memory.
struct SCTPRecord: Hashable, BitwiseCopyable {
    /// The tag expected of packets in each direction; 0 while it is not known.
    var tagOriginal: UInt32 = 0
    var tagReply: UInt32 = 0
    var state: SCTPState = .none
    var history: SCTPHistory = []

    /// The tag expected in a direction.
    subscript(direction: Direction) -> UInt32 {
        get { direction == .original ? tagOriginal : tagReply }
        set { if direction == .original { tagOriginal = newValue } else { tagReply = newValue } }
    }

    /// The direction of the last HEARTBEAT with a tag that was not expected, until it is answered
    /// or one with the right tag comes.
    ///
    /// `nil` for none.
    var strayHeartbeat: Direction? {
        get {
            if history.contains(.strayHeartbeatFromOriginal) { return .original }
            return history.contains(.strayHeartbeatFromReply) ? .reply : nil
        }
        set {
            history.subtract([.strayHeartbeatFromOriginal, .strayHeartbeatFromReply])
            guard let newValue else { return }
            history.insert(
                newValue == .original ? .strayHeartbeatFromOriginal : .strayHeartbeatFromReply)
        }
    }
}
