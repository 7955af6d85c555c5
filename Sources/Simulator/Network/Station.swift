import Conntrack
import Report
import Scenario
import Wire

// The machines of a run. What every packet asks is in flat arrays; names and the like are kept
// apart.

/// What every packet asks about a machine.
struct StationFacts {
    /// Its place among the tracked nodes, or -1.
    var tracker: Int32 = -1
    /// Its links are those from `firstLink` on.
    var firstLink: UInt32 = 0
    var linkCount: UInt32 = 0
    /// Where among `prefixes` its own addresses begin.
    var firstPrefix: UInt32 = 0
    var prefixCount: UInt32 = 0
    var firstListener: UInt32 = 0
    var listenerCount: UInt32 = 0
    /// `ip_local_port_range`.
    var ports: ClosedRange<UInt16> = 32768...60999
    /// `tcp_syn_linear_timeouts`.
    var synLinearTimeouts: UInt8 = 0
    /// `tcp_syn_retries`, `tcp_synack_retries`, `tcp_retries2`.
    var synRetries: UInt8 = 6
    var synAckRetries: UInt8 = 5
    /// The timer wheel that repeats of a SYN wait for; `nil` fires on the nanosecond.
    var wheel: TickRate?
    var dataRetries: UInt8 = 15
    /// `tcp_fin_timeout`, nanoseconds.
    var finTimeout: UInt64 = 60_000_000_000
    /// `tcp_tw_reuse`.
    var reusesTimeWait = false
    /// Not there yet, or gone for good; about to go.
    var isAbsent = false
    var isLeaving = false
    /// It was there and will not come again by itself.
    var isGone = false
    /// Switched off: neither answers nor forwards.
    var isDead = false
    /// Answers what comes to closed ports.
    var rejectsClosedPorts = true
}

/// An address prefix, and what lies behind it.
struct RouteEntry: BitwiseCopyable {
    var prefix: Prefix
    var mask: Address
    /// The place of the link among the machine's.
    var link: UInt16

    init(_ prefix: Prefix, _ link: UInt16 = 0) {
        self.prefix = prefix
        self.link = link
        mask = Address.mask(prefix: prefix.length, prefix.family)
        self.prefix.address = prefix.address.masked(by: mask)
    }

    @inline(__always)
    func contains(_ address: Address, _ family: Family) -> Bool {
        prefix.family == family && address.masked(by: mask) == prefix.address
    }
}

/// Ports somebody listens on.
struct ListenerState {
    var protocolNumber: UInt8
    var ports: ClosedRange<UInt16>
    var behaviour: Behaviour
    /// Half-open connections it keeps at most.
    var backlog: UInt32 = 4096
    var halfOpenCount: UInt32 = 0
    /// SYNs that met a full backlog.
    var overflowCount: UInt32 = 0
    /// Nanoseconds from a request to its answer.
    var processing: Scenario.Distribution
    /// Requests in work at once, how many are, and who waits.
    var workers: Int?
    var busyCount = 0
    var waiting: [(socket: UInt32, generation: UInt32)] = []
    var waitingHead = 0
    var sampler: Sampler

    enum Behaviour: Hashable, BitwiseCopyable {
        case serve, silent, refuse
        /// Passes requests on by exchanges of a workload.
        case proxy(workload: Int)
    }
}

/// What a person calls a machine and its interfaces.
struct StationNames {
    var name: String
    /// Where its description stands in the topology.
    var node: Int
    var interfaces: [String]
}

/// A tracked machine: the node, and its CPUs.
///
/// A class, because a node cannot be copied into an array.
final class TrackedNode {
    var node: Node
    let station: Int
    /// Nanoseconds a CPU works on a packet up to source translation, and from there to confirmation;
    /// both 0: packets never overlap.
    var processing: Scenario.Distribution {
        didSet { isInstant = Self.isInstant(processing, confirming) }
    }
    var confirming: Scenario.Distribution {
        didSet { isInstant = Self.isInstant(processing, confirming) }
    }
    /// Whether packets go through at once and never overlap.
    private(set) var isInstant: Bool
    /// What the table began with, where that is from a file.
    var savedTable: SavedTableSummary?
    let steering: Scenario.Steering
    var cpus: [CPUState]
    private var turn = 0
    private var sampler: Sampler
    /// When each collector event is due, to know a stale one.
    var collectorAt: UInt64 = .max
    /// When its cycles began.
    var collections: [UInt64] = []
    /// Virtual addresses and ports whose ipvs front end wants no port used again early.
    var frontEnds: [FrontEnd] = []
    /// The first and the latest packet refused because the table was full, and what it held then.
    var firstRefusal: UInt64?
    var latestRefusal: UInt64?
    var contentsAtRefusal: TableContents?
    /// What besides packets has first changed the node since the run began, and when.
    private(set) var intervention: (at: UInt64, what: String)?

    init(_ node: consuming Node, station: Int, _ description: Scenario.Node, seed: UInt64) {
        self.node = node
        self.station = station
        processing = description.processing
        confirming = description.confirming
        isInstant = Self.isInstant(description.processing, description.confirming)
        steering = description.steering
        cpus = Array(repeating: CPUState(), count: max(1, description.cpus))
        sampler = Sampler(seed: seed)
    }

    /// Notes that something else than a packet changes the node.
    func isChanged(by what: String, at now: UInt64) {
        intervention = intervention ?? (now, what)
    }

    private static func isInstant(
        _ processing: Scenario.Distribution, _ confirming: Scenario.Distribution
    ) -> Bool {
        processing == .constant(0) && confirming == .constant(0)
    }

    /// Nanoseconds a CPU works on the next packet up to source translation.
    func processingTime() -> UInt64 { UInt64(sampler.draw(processing, limit: 1e12)) }

    /// Nanoseconds it then works up to confirmation.
    func confirmingTime() -> UInt64 { UInt64(sampler.draw(confirming, limit: 1e12)) }

    /// The CPU a packet goes to.
    func cpu(for tuple: Tuple) -> Int {
        if cpus.count == 1 { return 0 }
        switch steering {
        case .flowHash:
            let hash = SocketKey(receiving: tuple, at: 0).hash
            return Int(truncatingIfNeeded: (hash >> 20) % UInt64(cpus.count))
        case .roundRobin:
            turn = (turn + 1) % cpus.count
            return turn
        case .random: return Int(sampler.below(UInt32(cpus.count)))
        }
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
