// How a run ended, as values: summary.json is this, and the text for people is made from it.

/// What came out of a scenario.
public struct RunSummary: Codable, Sendable, Hashable {
    public var version = ProductVersion.text
    public var scenario: String
    public var about: String
    /// FNV-1a over the scenario's text and what was set besides, 16 hexadecimal digits.
    public var scenarioHash: String
    public var seed: UInt64
    public var simulatedSeconds: Double
    public var packets: UInt64
    /// Packets put on links, one a hop.
    public var hops: UInt64
    public var isPartial = false
    public var nodes: [NodeSummary] = []
    public var workloads: [WorkloadSummary] = []
    public var expectations: [ExpectationSummary] = []
    public var diagnosis: [String] = []
    public var timeline: [TimelineNote] = []

    public init(scenario: String, about: String, scenarioHash: String, seed: UInt64) {
        self.scenario = scenario
        self.about = about
        self.scenarioHash = scenarioHash
        self.seed = seed
        simulatedSeconds = 0
        packets = 0
        hops = 0
    }

    enum CodingKeys: String, CodingKey {
        case version, scenario, about, seed, packets, hops, nodes, workloads, expectations
        case diagnosis, timeline
        case scenarioHash = "scenario_hash"
        case simulatedSeconds = "simulated_seconds"
        case isPartial = "partial"
    }
}

/// A tracked machine at the end of a run.
public struct NodeSummary: Codable, Sendable, Hashable {
    public var name: String
    public var count: UInt32
    public var peak: UInt32
    public var max: UInt32
    public var buckets: UInt32
    public var counters: [String: UInt64]
    /// Packets dropped, by reason.
    public var drops: [String: UInt64]
    public var received: UInt64
    public var forwarded: UInt64
    public var local: UInt64
    public var sent: UInt64
    public var invalid: UInt64
    /// Packets that translation found no free port for: part of the drops by `insert_failed`.
    public var portRefusals: UInt64
    public var lookups: UInt64
    public var linksWalked: UInt64
    public var modelBytes: UInt64
    public var kernelBytes: UInt64
    /// At the peak.
    public var kernelPeakBytes: UInt64
    public var kernelLogLines: Int
    /// What the table held when a packet was refused first, or else at the end.
    public var contents: TableContents
    /// Seconds; absent where it never happened.
    public var alertAt: Double?
    public var firstRefusalAt: Double?
    public var lastRefusalAt: Double?
    /// Absent where the table began empty, or with entries made up.
    public var savedTable: SavedTableSummary?

    public init(name: String) {
        self.name = name
        count = 0
        peak = 0
        max = 0
        buckets = 0
        counters = [:]
        drops = [:]
        received = 0
        forwarded = 0
        local = 0
        sent = 0
        invalid = 0
        portRefusals = 0
        lookups = 0
        linksWalked = 0
        modelBytes = 0
        kernelBytes = 0
        kernelPeakBytes = 0
        kernelLogLines = 0
        contents = TableContents()
    }

    enum CodingKeys: String, CodingKey {
        case name, count, peak, max, buckets, counters, drops, received, forwarded, local, sent
        case invalid, lookups, contents
        case portRefusals = "port_refusals"
        case linksWalked = "links_walked"
        case modelBytes = "model_bytes"
        case kernelBytes = "kernel_bytes"
        case kernelPeakBytes = "kernel_peak_bytes"
        case kernelLogLines = "kernel_log_lines"
        case alertAt = "alert_at"
        case firstRefusalAt = "first_refusal_at"
        case lastRefusalAt = "last_refusal_at"
        case savedTable = "saved_table"
    }
}

/// What became of the entries of a saved table when a run began with them.
public struct SavedTableSummary: Codable, Sendable, Hashable {
    public var file: String
    public var entries: Int
    /// Those that did not go in: the table was full, or had them already.
    public var refused = 0
    /// Those that went in without the helper they had: what it saw before is not in the file.
    public var withoutHelper = 0

    public init(file: String, entries: Int) {
        self.file = file
        self.entries = entries
    }

    enum CodingKeys: String, CodingKey {
        case file, entries, refused
        case withoutHelper = "without_helper"
    }
}

/// What a table held at one moment.
public struct TableContents: Codable, Sendable, Hashable {
    public struct Share: Codable, Sendable, Hashable {
        public var name: String
        public var count: UInt64

        public init(_ name: String, _ count: UInt64) {
            self.name = name
            self.count = count
        }
    }

    /// Seconds into the run.
    public var at: Double = 0
    public var entries: UInt64 = 0
    public var assured: UInt64 = 0
    public var expired: UInt64 = 0
    /// Largest first.
    public var protocols: [Share] = []
    public var states: [Share] = []
    public var workloads: [Share] = []

    public init() {}
}

/// A workload at the end of a run.
public struct WorkloadSummary: Codable, Sendable, Hashable {
    public var name: String
    public var started: UInt64 = 0
    public var attempted: UInt64 = 0
    public var connected: UInt64 = 0
    public var completed: UInt64 = 0
    public var active: UInt64 = 0
    /// Of them, those that have waited for a connection or an answer for more than a second.
    public var waiting: UInt64 = 0
    public var failed: [String: UInt64] = [:]
    public var requests: UInt64 = 0
    public var responses: UInt64 = 0
    public var retransmittedSYNs: UInt64 = 0
    public var retransmittedSegments: UInt64 = 0
    public var repeatedQueries: UInt64 = 0
    /// Of both directions.
    public var packetsSent: UInt64 = 0
    public var packetsDelivered: UInt64 = 0
    /// Packets that ended on the way, by reason.
    public var drops: [String: UInt64] = [:]
    public var connect: LatencySummary?
    public var response: LatencySummary?
    public var completion: LatencySummary?
    /// Raw packets, without an application.
    public var isRaw = false
    public var isDatagram = false
    /// Works for another workload: a lookup, the back of a proxy.
    public var isHidden = false

    public init(name: String) { self.name = name }

    public var failedCount: UInt64 { failed.values.reduce(0, +) }

    enum CodingKeys: String, CodingKey {
        case name, started, attempted, connected, completed, active, waiting, failed, requests
        case responses
        case drops, connect, response, completion
        case retransmittedSYNs = "retransmitted_syns"
        case retransmittedSegments = "retransmitted_segments"
        case repeatedQueries = "repeated_queries"
        case packetsSent = "packets_sent"
        case packetsDelivered = "packets_delivered"
        case isRaw = "raw"
        case isDatagram = "datagram"
        case isHidden = "hidden"
    }
}

/// A latency's distribution, in microseconds.
public struct LatencySummary: Codable, Sendable, Hashable {
    public var count: UInt64
    public var p50: UInt64
    public var p90: UInt64
    public var p99: UInt64
    public var p999: UInt64
    public var max: UInt64

    public init(
        count: UInt64, p50: UInt64, p90: UInt64, p99: UInt64, p999: UInt64, max: UInt64
    ) {
        self.count = count
        self.p50 = p50
        self.p90 = p90
        self.p99 = p99
        self.p999 = p999
        self.max = max
    }
}

/// What became of an expectation.
public struct ExpectationSummary: Codable, Sendable, Hashable {
    public var that: String
    public var isMet: Bool
    /// `fail` or `warn`.
    public var severity: String
    /// What was found, in words.
    public var found: String
    /// Seconds of the moment it was broken, where there is one.
    public var at: Double?
    public var published: String?

    public init(that: String, isMet: Bool, severity: String, found: String) {
        self.that = that
        self.isMet = isMet
        self.severity = severity
        self.found = found
    }

    enum CodingKeys: String, CodingKey {
        case that, severity, found, at, published
        case isMet = "met"
    }
}

/// Something that happened at a moment of the run.
public struct TimelineNote: Codable, Sendable, Hashable {
    /// Seconds into the run.
    public var at: Double
    public var text: String

    public init(at: Double, text: String) {
        self.at = at
        self.text = text
    }
}
