// What can happen in a run, as flat values: an event names its subject by index and never holds it,
// so that a million of them are 24 MB and none costs an allocation.

/// What an event is about.
enum EventKind: UInt8, BitwiseCopyable {
    /// A packet reaches the far end of a link; `index`: the packet in flight.
    case arrival
    /// A CPU of a tracked node has brought a packet to its last hook; `index`: the packet, `small`:
    /// the CPU.
    case processed
    /// The same, to its confirmation.
    case confirmed
    /// A socket's timer; `index`: the socket, `extra`: its generation.
    case socketTimer
    /// An application's timer; `index`: the flow, `extra`: its generation.
    case flowTimer
    /// The next arrival of a workload; `index`: the workload, `extra`: its generation.
    case workloadArrival
    /// A workload goes on to its next stage; `index`: the workload, `extra`: its generation.
    case workloadStage
    /// The collector of a tracked node is due; `index`: the node.
    case collector
    /// A line of the timeline; `index`: its place.
    case timeline
    /// A step of a rollout, a failover or a kill in progress; `index`: the action.
    case action
    /// The recorder takes a sample.
    case sample
    /// A closed workload puts an exchange in the place of one that ended; `index`: the workload.
    case replacement
    /// A service has made its answer to a datagram; `index`: the packet in flight.
    case answerDue
    /// A packet of a raw flood, a scan or a replayed capture; `index`: the workload.
    case rawPacket
}

/// One thing that will happen.
struct Event: BitwiseCopyable {
    /// Nanoseconds since the run began.
    var time: UInt64
    var index: UInt32
    var extra: UInt32
    var small: UInt16
    var kind: EventKind

    init(
        _ kind: EventKind, at time: UInt64, _ index: UInt32 = 0, extra: UInt32 = 0,
        small: UInt16 = 0
    ) {
        self.time = time
        self.kind = kind
        self.index = index
        self.extra = extra
        self.small = small
    }
}
