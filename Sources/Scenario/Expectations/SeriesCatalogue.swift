// The names of everything a run records: the contract between the simulator, which fills the
// series, expectations, which read them, and outputs, which print them.
//
// A name is its owner's, a dot, and a metric: `gw.conntrack.count`, `shoppers.connect`. Owners are
// nodes (a group's series sum up its members, which have series of their own: `web-0.…`) and
// workloads; `run` owns what belongs to nobody.

/// What a series holds, and how it may be read.
public enum SeriesKind: String, Sendable, Hashable {
    /// A level: samples stand for themselves.
    case gauge
    /// A total that only grows, from 0 at the start.
    case counter
    /// Single values, kept per sample as a distribution.
    case histogram
}

/// The unit of a series' values as they are recorded.
public enum SeriesUnit: String, Sendable, Hashable {
    case count
    /// Nanoseconds.
    case duration
    /// Bytes.
    case size
}

/// One thing that is recorded for every owner of a kind.
public struct Metric: Sendable, Hashable {
    /// What a group's series makes of its members'.
    public enum Grouping: String, Sendable, Hashable { case sum, maximum, mean }

    /// Behind the owner's name and a dot.
    public var name: String
    public var kind: SeriesKind
    public var unit: SeriesUnit
    public var grouping: Grouping
    /// One sentence.
    public var summary: String

    init(
        _ name: String, _ kind: SeriesKind, _ summary: String, _ unit: SeriesUnit = .count,
        _ grouping: Grouping = .sum
    ) {
        self.name = name
        self.kind = kind
        self.unit = unit
        self.grouping = grouping
        self.summary = summary
    }
}

/// One series by its full name.
public struct SeriesName: Sendable, Hashable, CustomStringConvertible {
    public var owner: String
    public var metric: Metric

    public var description: String { "\(owner).\(metric.name)" }
}

/// The series a scenario's run records.
public struct SeriesCatalogue: Sendable {
    /// Nodes, groups and members of groups, in the order of the file.
    public private(set) var nodes: [String]
    /// Of `nodes`: those with a connection table.
    public private(set) var trackers: Set<String>
    public private(set) var workloads: [String]

    public init(_ scenario: Scenario) {
        self.init(scenario, workloads: scenario.workloads.map(\.name), tracksAll: false)
    }

    /// The catalogue of a scenario that could only be read in part.
    init(_ scenario: Scenario, workloads: [String], tracksAll: Bool) {
        let topology = scenario.topology
        nodes = []
        trackers = []
        for node in topology.nodes {
            var names = [node.name]
            // Members that a rollout or a larger scale brings have series too, but no names here.
            if let replicas = node.replicas { names += (0..<replicas).map { "\(node.name)-\($0)" } }
            nodes += names
            if tracksAll || node.tracking != .none { trackers.formUnion(names) }
        }
        self.workloads = workloads
    }

    /// Every series, in the order of `nodes`, `workloads`, then `run`.
    public var names: [SeriesName] {
        nodes.flatMap { owner in metrics(of: owner).map { SeriesName(owner: owner, metric: $0) } }
            + workloads.flatMap { owner in
                Self.workload.map { SeriesName(owner: owner, metric: $0) }
            } + Self.run.map { SeriesName(owner: "run", metric: $0) }
    }

    /// What is recorded for an owner; empty for a name nobody has.
    public func metrics(of owner: String) -> [Metric] {
        if trackers.contains(owner) { return Self.node + Self.tracker }
        if nodes.contains(owner) { return Self.node }
        if workloads.contains(owner) { return Self.workload }
        return owner == "run" ? Self.run : []
    }

    /// The series of this name.
    public func series(named name: String) -> SeriesName? {
        guard let dot = name.firstIndex(of: ".") else { return nil }
        let owner = String(name[..<dot])
        let rest = name[name.index(after: dot)...]
        return metrics(of: owner).first { $0.name == rest }.map {
            SeriesName(owner: owner, metric: $0)
        }
    }

    /// Why `name` is no series: what stands there, what could, and what was probably meant.
    func problem(with name: String) -> ValueProblem {
        let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let owner = String(parts[0])
        let owners = nodes + workloads + ["run"]
        let rest = parts.count == 2 ? String(parts[1]) : ""
        guard owners.contains(owner) else {
            let near = Spelling.nearest(owner, in: owners)
            return ValueProblem(
                found: "the series '\(name)'",
                expected: "a node or workload of this file before the dot "
                    + "(\(owners.prefix(12).joined(separator: ", ")))",
                suggestion: near.map { rest.isEmpty ? $0 : "\($0).\(rest)" })
        }
        let metrics = metrics(of: owner)
        if !trackers.contains(owner), Self.tracker.contains(where: { $0.name == rest }) {
            return ValueProblem(
                found: "the series '\(name)'",
                expected: "a node with a connection table ('\(owner)' has 'tracking: none')")
        }
        let names = metrics.map(\.name)
        return ValueProblem(
            found: "the series '\(name)'",
            expected: "what '\(owner)' records (\(Self.shortList(names)))",
            suggestion: Spelling.nearest(rest, in: names).map { "\(owner).\($0)" })
    }

    private static func shortList(_ names: [String]) -> String {
        names.prefix(8).joined(separator: ", ")
            + (names.count > 8 ? ", and \(names.count - 8) more" : "")
    }
}
