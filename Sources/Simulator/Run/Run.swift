public import Conntrack
import Report
public import Scenario
import Wire

// The door of the room: a scenario in, sample by sample through its time, a record of it out.

/// How a scenario is run.
public struct RunOptions: Sendable {
    /// Instead of the scenario's.
    public var seed: UInt64?
    /// Nanoseconds after which the run ends; `nil`: the scenario's duration.
    public var end: Instant?
    /// When the table is listed besides the end.
    public var listAt: Instant?
    /// When the collectors begin their first cycle; `nil` is a second after the start, as after boot.
    public var firstCollection: Instant?
    /// How many ctnetlink messages are kept for `Run.writeEvents`; 0: nobody listens.
    public var eventLimit = 0

    public init() {}
}

/// A table at one moment.
public struct TableListing: Sendable {
    public var node: String
    public var at: Instant
    public var entries: [Entry]
    public var tickRate: TickRate
}

/// A scenario on its way through virtual time.
public struct Run: ~Copyable {
    public let scenario: Scenario
    public let seed: UInt64
    public let end: Instant
    var simulation: Simulation
    var recorder: Recorder
    private let step: UInt64
    private let listAt: UInt64?
    /// Tables listed at the moment that was asked for.
    public private(set) var listings: [TableListing] = []
    /// Why the run stopped before its end.
    public private(set) var stopReason: String?

    /// Builds the world of a scenario.
    ///
    /// - Throws: what keeps it from being run.
    public init(_ scenario: Scenario, _ options: RunOptions = RunOptions()) throws(WorldError) {
        self.scenario = scenario
        seed = options.seed ?? scenario.seed
        let duration = Instant.start + scenario.duration
        end = min(options.end ?? duration, duration)
        step = UInt64(max(1_000_000, scenario.sampleInterval.nanoseconds))
        listAt = options.listAt.map(\.nanoseconds)
        var builder = WorldBuilder(scenario, seed: seed)
        simulation = try builder.build()
        if let moment = options.firstCollection {
            for home in simulation.trackers { home.node.beginCollecting(at: moment) }
        }
        simulation.keepEvents(limit: options.eventLimit)
        recorder = Recorder(simulation, groups: builder.memberNames)
        simulation.start()
        recorder.sample(&simulation)
        if listAt == simulation.now { list() }
    }

    public var now: Instant { Instant(nanoseconds: simulation.now) }

    /// Lets time pass up to the next sample; false once the end is reached.
    public mutating func advance() -> Bool {
        guard simulation.now < end.nanoseconds, stopReason == nil else { return false }
        let next = min(simulation.now + step, end.nanoseconds)
        if let listAt, listAt > simulation.now, listAt <= next {
            simulation.run(through: listAt)
            list()
        }
        simulation.run(through: next)
        simulation.gatherEvents()
        recorder.sample(&simulation)
        checkBounds()
        return simulation.now < end.nanoseconds && stopReason == nil
    }

    private mutating func checkBounds() {
        let bounds = scenario.bounds
        if simulation.packetCount > UInt64(clamping: bounds.packets) {
            stopReason = "the run sent more than \(bounds.packets) packets (limits: packets)"
        } else if simulation.exchanges.count > bounds.flows {
            stopReason = "more than \(bounds.flows) flows were alive (limits: flows)"
        } else if simulation.queue.count > bounds.queuedEvents {
            stopReason =
                "more than \(bounds.queuedEvents) events were waiting (limits: queued_events)"
        }
    }

    private mutating func list() {
        for home in simulation.trackers {
            listings.append(
                TableListing(
                    node: simulation.names[home.station].name, at: now,
                    entries: home.node.list(at: now), tickRate: home.node.configuration.tickRate))
        }
    }

    // MARK: What can be watched

    /// How a run stands, for a line of progress.
    public struct Progress: Sendable {
        public var now: Instant
        public var end: Instant
        /// The fullest table.
        public var node: String
        public var count: UInt32
        public var max: UInt32
        public var drops: UInt64
        public var events: UInt64
        public var hops: UInt64
    }

    public var progress: Progress {
        var progress = Progress(
            now: now, end: end, node: "", count: 0, max: 0, drops: 0,
            events: simulation.eventCount, hops: simulation.hops)
        var fullest = -1.0
        for home in simulation.trackers {
            let max = home.node.configuration.sysctl.max
            let share = Double(home.node.count) / Double(Swift.max(1, max))
            progress.drops += UInt64(home.node.counters.drop)
            guard share > fullest else { continue }
            fullest = share
            progress.node = simulation.names[home.station].name
            progress.count = home.node.count
            progress.max = max
        }
        return progress
    }

    // MARK: What came out

    public var recorded: RecordedRun { recorder.run }

    /// The tables as `conntrack -L` would show them now, node by node.
    public mutating func tables() -> [TableListing] {
        simulation.trackers.map { home in
            TableListing(
                node: simulation.names[home.station].name, at: now,
                entries: home.node.list(at: now), tickRate: home.node.configuration.tickRate)
        }
    }

    /// The kernel logs, node by node.
    public var kernelLogs: [(node: String, lines: [KernelLog.Line])] {
        simulation.trackers.map {
            (simulation.names[$0.station].name, $0.node.kernelLog.lines)
        }
    }

    /// When the cycles of a node's collector began.
    public func collections(on node: String) -> [Instant] {
        let home = simulation.trackers.first { simulation.names[$0.station].name == node }
        return (home?.collections ?? []).map { Instant(nanoseconds: $0) }
    }

    /// What the expectations come to, in the order of the file.
    public func expectations() -> [ExpectationResult] {
        let catalogue = SeriesCatalogue(scenario)
        return scenario.expectations.compactMap {
            try? $0.evaluate(over: recorder.run, until: now, in: catalogue)
        }
    }
}
