import Conntrack
import Wire

// What an application does with the network once: look a name up, connect, ask, wait, hold, close,
// and try again where it failed.

/// Why an attempt failed, as its application sees it.
public enum FailureReason: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    /// Nobody answered: SYNs, segments or queries were repeated in vain.
    case timeout
    /// A RST answered the SYN.
    case refused
    /// A RST ended the connection.
    case reset
    /// An ICMP message said that the destination cannot be reached.
    case unreachable
    /// The application gave up first.
    case applicationTimeout
    /// No free local port towards the destination.
    case noPort
    /// The peer closed before the answer was complete.
    case closedEarly
    /// The name could not be looked up.
    case noName

    /// The word in series and summaries.
    public var name: String {
        switch self {
        case .timeout: "timeout"
        case .refused: "refused"
        case .reset: "reset"
        case .unreachable: "unreachable"
        case .applicationTimeout: "app_timeout"
        case .noPort: "no_port"
        case .closedEarly: "closed_early"
        case .noName: "no_name"
        }
    }
}

/// Where an exchange stands.
enum ExchangePhase: UInt8, BitwiseCopyable {
    /// Waits for a name, for a free connection of a pool.
    case resolving, queueing
    case connecting, asking, thinking, holding, backingOff
}

/// One use of the network by an application, over all of its attempts.
struct Exchange: BitwiseCopyable {
    /// 0: the place is free.
    var generation: UInt32
    var workload: UInt32
    var phase = ExchangePhase.connecting
    /// Attempts made.
    var attempt: UInt8 = 0
    /// Questions that are not answered yet, a bit each.
    var openQuestions: UInt8 = 0
    /// Sends of the present question.
    var sends: UInt8 = 0
    var requestsLeft: UInt32 = 1
    var requests: UInt32 = 1
    /// Tells the latest step timer from those before it.
    var stamp: UInt16 = 0
    var socket: UInt32 = .max
    var socketGeneration: UInt32 = 0
    /// When the first and the present attempt began, and the connection was asked for.
    var began: UInt64
    var attemptBegan: UInt64
    var hold: UInt64 = 0
    var requestByteCount: UInt32 = 0
    var responseByteCount: UInt32 = 0
    var station: UInt16
    var family: Family
    var port: UInt16
    var source: Address
    var destination: Address
    /// The exchange that waits for this one: a lookup's, a proxied caller's.
    var parent = ExchangeReference.none
    /// A proxied caller's socket on the proxy, which gets the answer.
    var front: UInt32 = .max
    var frontGeneration: UInt32 = 0
}
