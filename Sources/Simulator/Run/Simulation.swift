import Conntrack
import Scenario
import Wire

// One run: a world of machines, links and applications, and the loop that lets time pass in it. It
// is one thread, reads no clock and draws from its own dice; the same world gives the same bytes.
//
// Network/ moves packets, Hosts/ are the end systems' TCP and UDP, Applications/ what they do with
// it, Workloads/ when they do it, Timeline/ what happens to the world, Record/ what is taken down.

/// A world in virtual time.
struct Simulation: ~Copyable {
    /// Nanoseconds since the run began.
    var now: UInt64 = 0
    var queue = EventQueue()
    var dice: Dice

    // Machines.
    var facts: [StationFacts] = []
    var stats: [StationStats] = []
    var names: [StationNames] = []
    var prefixes: [RouteEntry] = []
    var routes: [[RouteEntry]] = []
    var listeners: [ListenerState] = []
    var pools: [PoolState] = []
    var links: [LinkDirection] = []
    var trackers: [TrackedNode] = []

    // What is going on.
    var flights = Pool<Flight>()
    var sockets = SocketTable()
    var exchanges = Pool<Exchange>()
    var workloads: [WorkloadState] = []

    var captures: [CapturePoint] = []
    /// The ctnetlink messages that were kept; `nil` where nobody listens.
    var events: EventBook?
    var timeline: [Scenario.TimelineEvent] = []
    var actions: [Action] = []
    var changes = RouteChanges()
    /// What the world was made from, for what changes while it runs.
    var builder: WorldBuilder?
    /// What happened at which moment, for people.
    var notes: [(at: UInt64, text: String)] = []

    /// Packets that hosts have sent, and packets put on links.
    var packetCount: UInt64 = 0
    var hops: UInt64 = 0
    var eventCount: UInt64 = 0

    /// What becomes of packets on links.
    var linkChance: Sampler

    init(seed: UInt64) {
        dice = Dice(seed: seed)
        linkChance = Sampler(seed: seed ^ 0x6c69_6e6b)
    }

    /// Prepares what happens by itself: collectors and workloads.
    mutating func start() {
        for index in trackers.indices { scheduleCollector(index) }
        scheduleTimeline()
        for index in workloads.indices where workloads[index].startsByItself {
            queue.push(
                Event(
                    .workloadStage, at: workloads[index].start, UInt32(index),
                    extra: workloads[index].generation))
        }
    }

    /// Lets time pass up to and including `end`.
    mutating func run(through end: UInt64) {
        while let event = queue.pop(through: end) {
            now = event.time
            eventCount &+= 1
            // Often enough that journals stay small.
            if eventCount & 0xfff == 0, events != nil { gatherEvents() }
            switch event.kind {
            case .arrival: arrival(event)
            case .processed: processed(event)
            case .confirmed: confirmed(event)
            case .socketTimer: socketTimer(event)
            case .flowTimer: flowTimer(event)
            case .answerDue: answerDue(event)
            case .workloadArrival: workloadArrival(event)
            case .workloadStage: workloadBegins(event)
            case .replacement: replacement(event)
            case .rawPacket: rawPacket(event)
            case .collector: collectorDue(event)
            case .timeline: timelineEvent(event)
            case .action: action(event)
            case .sample: break
            }
        }
        now = end
    }

    // MARK: Collectors

    /// Makes an event for a node's next run of the collector.
    mutating func scheduleCollector(_ tracker: Int) {
        let due = trackers[tracker].node.nextCollection.nanoseconds
        trackers[tracker].collectorAt = due
        queue.push(Event(.collector, at: max(due, now), UInt32(tracker)))
    }

    private mutating func collectorDue(_ event: Event) {
        let home = trackers[Int(event.index)]
        if home.collectorAt <= now, home.node.isBetweenCollections {
            home.collections.append(now)
        }
        home.node.advance(to: Instant(nanoseconds: now))
        scheduleCollector(Int(event.index))
    }
}
