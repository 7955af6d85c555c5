import Conntrack

/// What became of a workload's exchanges and packets.
struct WorkloadStats {
    /// Exchanges begun, and attempts made for them.
    var started: UInt64 = 0
    var attempted: UInt64 = 0
    /// Handshakes that succeeded, or first answers that came.
    var connected: UInt64 = 0
    /// Exchanges that came to a good end, and those that failed for good, by `FailureReason`.
    var completed: UInt64 = 0
    var failed = [UInt64](repeating: 0, count: FailureReason.allCases.count)
    var requests: UInt64 = 0
    var responses: UInt64 = 0
    var pushes: UInt64 = 0
    var pushesReceived: UInt64 = 0
    var retransmittedSYNs: UInt64 = 0
    var retransmittedSegments: UInt64 = 0
    var repeatedQueries: UInt64 = 0
    /// Packets of both directions.
    var packetsSent: UInt64 = 0
    var packetsDelivered: UInt64 = 0
    var bytesSent: UInt64 = 0
    /// Packets that ended on the way, by `PacketFate`.
    var dropped = [UInt64](repeating: 0, count: PacketFate.count)
    var connect = Latency()
    var response = Latency()
    var completion = Latency()

    var failedCount: UInt64 { failed.reduce(0, +) }
    var droppedCount: UInt64 { dropped.reduce(0, +) }
}

/// Why a packet did not get further: a node's reasons, and those of links and hosts.
enum PacketFate {
    /// In the order of `SeriesCatalogue.dropReasons`, and two the catalogue does not name.
    static let names: [String] = [
        "table_full", "rule", "rejected", "insert_failed", "chain_too_long", "clash", "nat",
        "nat_icmp_error", "no_route", "ttl", "too_big", "fragment_pending", "fragment_overflow",
        "malformed", "martian", "tracker", "link_loss", "link_queue", "link_down", "host_gone",
        "cpu_backlog",
    ]
    static let count = 21

    static let linkLoss = 16
    static let linkQueue = 17
    static let linkDown = 18
    static let hostGone = 19
    static let backlog = 20

    static func of(_ reason: DropReason) -> Int {
        switch reason {
        case .tableFull: 0
        case .rule: 1
        case .rejected: 2
        case .insertFailed: 3
        case .chainTooLong: 4
        case .clash: 5
        case .nat: 6
        case .natICMP: 7
        case .noRoute: 8
        case .timeToLive: 9
        case .tooBig: 10
        case .fragmentPending: 11
        case .fragmentOverflow: 12
        case .fragmentInvalid, .malformed, .refusedOptions: 13
        case .martian: 14
        case .tracker, .helper: 15
        }
    }
}

/// What a machine did with packets.
struct StationStats {
    var received: UInt64 = 0
    var forwarded: UInt64 = 0
    var local: UInt64 = 0
    /// Of those sent, answers of rules that refuse.
    var answers: UInt64 = 0
    var sent: UInt64 = 0
    var invalid: UInt64 = 0
    var bytesReceived: UInt64 = 0
    var bytesForwarded: UInt64 = 0
    var accepted: UInt64 = 0
    var backlogOverflows: UInt64 = 0
    /// Nanoseconds its CPUs were busy.
    var busy: UInt64 = 0
    /// By `PacketFate`.
    var dropped = [UInt64](repeating: 0, count: PacketFate.count)

    var droppedCount: UInt64 { dropped.reduce(0, +) }
}
