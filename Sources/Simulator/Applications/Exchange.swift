import Conntrack
import Wire

// What an application does with the network once: look a name up, connect, ask, wait, hold, close,
// and try again where it failed.

/// Why an attempt failed, as its application sees it; in the order of the catalogue's names.
enum FailureReason: UInt8, Hashable, CaseIterable, BitwiseCopyable {
    /// Nobody answered the SYNs.
    case connectTimeout
    /// Nobody answered in time: segments or queries were sent in vain, or the application gave up.
    case timeout
    /// A RST answered the SYN.
    case refused
    /// A RST ended the connection, or the peer closed before the answer was complete.
    case reset
    /// An ICMP message said that the destination cannot be reached.
    case unreachable
    /// No free local port towards the destination.
    case noPort
    /// The name could not be looked up.
    case lookup
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
    /// When the present request was sent.
    var asked: UInt64 = 0
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
