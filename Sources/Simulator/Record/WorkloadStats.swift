import Conntrack

/// What became of a workload's exchanges.
struct WorkloadStats {
    /// Exchanges begun, and attempts made for them.
    var started: UInt64 = 0
    var attempted: UInt64 = 0
    /// Handshakes that succeeded, and exchanges that came to a good end.
    var connected: UInt64 = 0
    var completed: UInt64 = 0
    /// Exchanges that failed for good, and attempts that failed, by `FailureReason`.
    var failed = [UInt64](repeating: 0, count: FailureReason.allCases.count)
    var attemptsFailed = [UInt64](repeating: 0, count: FailureReason.allCases.count)
    var retransmittedSYNs: UInt64 = 0
    /// Datagrams: sent, delivered to the service, answered; refused by the sender's own host.
    var sent: UInt64 = 0
    var delivered: UInt64 = 0
    var answers: UInt64 = 0
    var refusedSends: UInt64 = 0
    var unanswered: UInt64 = 0
    var repeatedQuestions: UInt64 = 0
    var unreachable: UInt64 = 0
    /// Packets that nodes dropped, by `DropReason.inOrder`.
    var droppedBy = [UInt64](repeating: 0, count: DropReason.inOrder.count)
    var connect = Latency()
    var completion = Latency()

    /// An exchange has its last answer.
    mutating func answered(_ nanoseconds: UInt64) { completion.record(nanoseconds) }

    var failedCount: UInt64 { failed.reduce(0, +) }
    var droppedCount: UInt64 { droppedBy.reduce(0, +) }
}
