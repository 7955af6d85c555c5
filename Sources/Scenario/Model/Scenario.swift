public import Conntrack

// What a scenario file says, as plain values. The simulator runs it in virtual time, the load
// generator drives its workloads over real sockets; neither sees YAML.
//
// Durations are `Interval` (nanoseconds), rates a `Double` per second, sizes bytes. Lists keep the
// order of the file, which is part of the run. The reader promises that every name resolves, that
// numbers are inside `ScenarioLimits`, and that stages fit into the duration.

/// One experiment: hosts, rules, load, events, and what must come out.
public struct Scenario: Sendable, Hashable {
    /// Lower-case words joined by hyphens; the file's name without `.yaml`.
    public var name: String
    /// One sentence, shown by `ctlab list`.
    public var about: String
    /// Where the incident was published; empty for lessons.
    public var sources: [String] = []
    public var seed: UInt64 = 1
    public var duration: Interval
    /// How often series are sampled.
    public var sampleInterval: Interval = .seconds(1)
    public var topology = Topology()
    public var services: [Service] = []
    public var workloads: [Workload] = []
    /// In order of time; events of one time keep the order of the file.
    public var timeline: [TimelineEvent] = []
    public var expectations: [Expectation] = []
    public var sweep: Sweep?
    public var bounds = RunBounds()

    public init(name: String, about: String, duration: Interval) {
        self.name = name
        self.about = about
        self.duration = duration
    }
}

extension Scenario {
    /// `limits:` of a file: where a run stops itself, and says so.
    public struct RunBounds: Sendable, Hashable {
        /// Packets that hosts may send.
        public var packets = 1_000_000_000
        /// Flows that may be alive at once.
        public var flows = 4_000_000
        /// Events that may wait in the queue.
        public var queuedEvents = 50_000_000

        public init() {}
    }
}
