import Conntrack
import Wire

// The machines of a run. What every packet asks is in flat arrays; names and the like are kept
// apart.

/// What every packet asks about a machine.
struct StationFacts: BitwiseCopyable {
    /// Its place among the tracked nodes, or -1.
    var tracker: Int32 = -1
    /// Its interfaces are the links from `firstLink` on.
    var firstLink: UInt32 = 0
    var linkCount: UInt32 = 0
    /// Where among `prefixes` its own addresses begin.
    var firstPrefix: UInt32 = 0
    var prefixCount: UInt32 = 0
    var firstListener: UInt32 = 0
    var listenerCount: UInt32 = 0
    var ports = PortRange()
    /// `tcp_syn_retries`.
    var synRetries: UInt8 = 6
    /// Switched off: neither answers nor forwards.
    var isDead = false
    /// Answers UDP datagrams to closed ports.
    var answersUnreachable = true
}

/// An address prefix, and what lies behind it.
struct RouteEntry: BitwiseCopyable {
    var prefix: Prefix
    var mask: Address
    var interface: UInt8

    init(_ prefix: Prefix, _ interface: UInt8 = 0) {
        self.prefix = prefix
        self.interface = interface
        mask = Address.mask(prefix: prefix.length, prefix.family)
        self.prefix.address = prefix.address.masked(by: mask)
    }

    @inline(__always)
    func contains(_ address: Address, _ family: Family) -> Bool {
        prefix.family == family && address.masked(by: mask) == prefix.address
    }
}

/// A port somebody listens on.
struct Listener: BitwiseCopyable {
    var protocolNumber: UInt8
    var port: UInt16
    /// Half-open connections it keeps at most.
    var backlog: UInt32 = 4096
    var halfOpenCount: UInt32 = 0
    /// SYNs that met a full backlog.
    var overflowCount: UInt32 = 0
    /// Nanoseconds the application takes for an answer.
    var serviceTime: UInt64 = 0
}

/// What a person calls a machine and its interfaces.
struct StationNames {
    var name: String
    var interfaces: [String]
}

/// A tracked machine: the node, and its CPUs.
///
/// A class, because a node cannot be copied into an array.
final class TrackedNode {
    var node: Node
    let station: Int
    /// Nanoseconds a CPU works on a packet; 0: none, and packets never overlap.
    var processingTime: UInt64
    var cpus: [CPUState]
    /// When each collector event is due, to know a stale one.
    var collectorAt: UInt64 = .max
    var stats = NodeStats()

    init(_ node: consuming Node, station: Int, cpus: Int, processingTime: UInt64) {
        self.node = node
        self.station = station
        self.processingTime = processingTime
        self.cpus = Array(repeating: CPUState(), count: max(1, cpus))
    }
}

/// One CPU of a tracked machine, and the packets that wait for it.
struct CPUState {
    var isBusy = false
    var waiting: [UInt32] = []
    var head = 0

    /// `net.core.netdev_max_backlog`.
    static let backlog = 1000
}

/// What a tracked node did with packets, beside the tracker's own counters.
struct NodeStats: Sendable {
    var received: UInt64 = 0
    var forwarded: UInt64 = 0
    var local: UInt64 = 0
    var sent: UInt64 = 0
    var dropped: UInt64 = 0
    var backlogDrops: UInt64 = 0
    /// By `DropReason`, in the order of `StepOutcome.reasons`.
    var droppedBy = [UInt64](repeating: 0, count: DropReason.inOrder.count)
    var invalid: UInt64 = 0
}

extension DropReason {
    /// Every reason, in the order of the JSONL contract.
    static let inOrder: [DropReason] = [
        .tableFull, .rule, .rejected, .insertFailed, .chainTooLong, .clash, .nat, .noRoute,
        .timeToLive, .tooBig, .fragmentPending, .fragmentOverflow, .fragmentInvalid, .malformed,
        .martian, .refusedOptions, .tracker, .natICMP,
    ]

    var place: Int { Self.inOrder.firstIndex(of: self) ?? 0 }
}
