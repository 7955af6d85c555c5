import Conntrack

// What a run would need, before it starts: refused above `--max-memory`.

/// About how many bytes a run takes where all its load arrives, by the scenario's own figures.
public struct MemoryEstimate: Sendable, Hashable {
    /// Hash tables and entries of all nodes.
    public var tables = 0
    /// Flows that are alive at once, on both ends, with their waiting packets.
    public var flows = 0
    /// Samples of all series.
    public var series = 0

    /// The program itself.
    public static let programByteCount = 40 << 20

    public var total: Int { Self.programByteCount + tables + flows + series }

    /// Bytes one entry takes in the model, links included.
    static let entryByteCount = 320.0
    static let bucketByteCount = 8.0
    /// Bytes a flow's two sockets and its packets under way take.
    static let flowByteCount = 1024.0
    static let sampleByteCount = 8.0

    public init(_ scenario: Scenario) {
        let workloads = scenario.workloads.map { scenario.counted($0) }
        let arrivals = workloads.reduce(0.0) { $0 + $1.flowCount(in: scenario.duration) }
        var tables = 0.0
        for node in scenario.topology.nodes where node.tracking != .none {
            let initial =
                node.initialEntries.reduce(0.0) { $0 + Double($1.count) }
                + Double(node.savedTable?.lines.count ?? 0)
            let wanted = initial + arrivals
            let limit = Self.largestTable(of: node, in: scenario)
            let entries = min(wanted, limit ?? wanted)
            let table =
                entries * Self.entryByteCount
                + Double(node.sysctl.roundedBuckets) * Self.bucketByteCount
            tables += table * Double(node.replicas ?? 1)
        }
        let alive = workloads.reduce(0.0) { $0 + $1.aliveCount(in: scenario.duration) }
        let flows = min(alive, Double(scenario.bounds.flows)) * Self.flowByteCount
        let samples =
            Double(scenario.duration.nanoseconds)
            / Double(max(1, scenario.sampleInterval.nanoseconds))
        let catalogue = SeriesCatalogue(scenario)
        let count =
            catalogue.nodes.reduce(0) { $0 + catalogue.metrics(of: $1).count }
            + catalogue.workloads.count * SeriesCatalogue.workload.count
        self.tables = Self.whole(tables)
        self.flows = Self.whole(flows)
        series = Self.whole(samples * Double(count) * Self.sampleByteCount)
    }

    /// The largest `nf_conntrack_max` a node has in the run; `nil` is no limit.
    private static func largestTable(of node: Scenario.Node, in scenario: Scenario) -> Double? {
        var limits = [Double(node.sysctl.max)]
        for event in scenario.timeline {
            guard case .sysctl(let changes) = event.verb else { continue }
            limits += changes.filter {
                $0.node.hasPrefix(node.name) && $0.name.hasSuffix("conntrack_max")
            }
            .compactMap { Double($0.value) }
        }
        return limits.contains(0) ? nil : limits.max()
    }

    private static func whole(_ bytes: Double) -> Int {
        bytes < 1e18 ? Int(bytes) : Int.max / 4
    }
}

extension Scenario.Workload {
    /// Flows, or packets of a raw kind, the workload begins in all.
    func flowCount(in duration: Interval) -> Double {
        let seconds = Double(duration.nanoseconds) / 1e9
        var count: Double
        switch load.arrivals {
        case .trace(let times): count = Double(times.count)
        case .bursts(let size, let every):
            count = Double(size) * (seconds / (Double(every.nanoseconds) / 1e9) + 1)
        case .poisson, .uniform:
            count = load.stages.reduce(0) {
                $0 + ($1.from + $1.to) / 2 * Double($1.duration.nanoseconds) / 1e9
            }
        }
        if load.model == .closed {
            let held = load.stages.map { max($0.from, $0.to) }.max() ?? 0
            // A flow takes its hold time, and no less than a millisecond.
            var life = 1e-3
            if case .flows(let flow) = kind { life += min(flow.hold.mean / 1e9, seconds) }
            count = held * max(1, seconds / life)
        }
        if case .flows(let flow) = kind, flow.sourcePort == .perPacket {
            count *= flow.requests.mean
        }
        return min(count, total.map(Double.init) ?? .infinity)
    }

    /// Flows of the workload that are alive at once, at most.
    func aliveCount(in duration: Interval) -> Double {
        guard case .flows(let flow) = kind else { return 0 }
        let peak = load.stages.map { max($0.from, $0.to) }.max() ?? 0
        if load.model == .closed { return peak }
        // Failing connections stay until their last repeat.
        let life = min(flow.hold.mean, Double(duration.nanoseconds)) / 1e9 + 127
        guard case .bursts(let size, let every) = load.arrivals else {
            return min(flowCount(in: duration), max(peak * life, 1))
        }
        let bursts = life / max(1e-9, Double(every.nanoseconds) / 1e9) + 1
        return min(flowCount(in: duration), Double(size) * bursts)
    }
}
