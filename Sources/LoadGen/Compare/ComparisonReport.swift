internal import FoundationEssentials
internal import Report

// What a comparison says, to people and to programs.

/// A comparison with everything it was made from.
public struct ComparisonReport: Sendable, Codable {
    /// What the generator did, all workloads together.
    public struct Load: Sendable, Codable, Hashable {
        public var started = 0
        public var connected = 0
        public var completed = 0
        public var failed = 0
        public var droppedStarts = 0
        public var datagrams = 0
        /// The longest a flow began behind its moment.
        public var largestLagMilliseconds = 0

        public init(_ flows: [FlowCounts]) {
            let sum = flows.reduce(FlowCounts()) { $0 + $1 }
            started = sum.started
            connected = sum.connected
            completed = sum.completed
            failed = sum.failed
            droppedStarts = sum.droppedStarts
            datagrams = sum.datagrams
            largestLagMilliseconds = Int(clamping: sum.largestLag / 1_000_000)
        }

        /// Beyond this the measurement is of another load than the predicted one.
        static let tolerableLagMilliseconds = 250

        /// Whether the schedule was kept.
        public var wasOnTime: Bool {
            droppedStarts == 0 && largestLagMilliseconds <= Self.tolerableLagMilliseconds
        }
    }

    public var version = ProductVersion.text
    public var scenario: String
    public var scenarioHash: String
    public var seed: UInt64
    public var target: String
    public var node: String
    /// The observed machine's own settings, which the prediction was made with.
    public var settings: TargetSettings
    /// The generator's.
    public var client: TargetSettings
    /// Entries that were there before.
    public var background: Int
    /// Seconds at which the collector's cycles began; `nil` where nobody could tell, and the
    /// prediction assumes the first a second after the start.
    public var collections: [Double]?
    public var predictedCollections: [Double]
    public var load: Load
    public var predictedLoad: Load
    public var comparison: Comparison
    public var isWithin: Bool
    public var notes: [String]

    public init(
        scenario: String, scenarioHash: String, seed: UInt64, target: String, node: String,
        settings: TargetSettings, client: TargetSettings, background: Int,
        collections: [Double]?, predictedCollections: [Double], load: Load, predictedLoad: Load,
        comparison: Comparison,
        notes: [String]
    ) {
        self.scenario = scenario
        self.scenarioHash = scenarioHash
        self.seed = seed
        self.target = target
        self.node = node
        self.settings = settings
        self.client = client
        self.background = background
        self.collections = collections
        self.predictedCollections = predictedCollections
        self.load = load
        self.predictedLoad = predictedLoad
        self.comparison = comparison
        self.notes = notes
        isWithin = comparison.isWithin
    }

    // MARK: For programs

    /// One JSON object; the curves are pairs of seconds and values.
    public func json(isPretty: Bool) throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting =
            isPretty
            ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            : [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }

    // MARK: For people

    public var lines: [String] {
        var lines = head
        lines +=
            CurveChart(
                predicted: comparison.predicted.count, measured: comparison.measured.count,
                limit: comparison.measured.limit.points.last?.value, seconds: comparison.seconds
            ).lines
        lines.append("")
        lines += figureLines
        if let distance = comparison.distance {
            lines.append(
                "curve: at most \(FigureText.whole(distance.largest)) entries apart (at "
                    + "\(FigureText.short(distance.largestAt)) s), RMSE "
                    + "\(FigureText.whole(distance.rootMeanSquare)), over \(distance.points) "
                    + "samples")
        }
        lines += stateLines
        lines.append(loadLine)
        lines.append(collectorLine)
        return lines + notes.map { "note: \($0)" }
    }

    /// One line of a table of many comparisons: predicted, measured and error of each figure.
    public var tableLine: String {
        let columns = comparison.figures.prefix(3).map { figure in
            FigureText.right(Self.text(figure.predicted, figure.kind), 9)
                + FigureText.right(Self.text(figure.measured, figure.kind), 10)
                + FigureText.right(Self.percent(figure.errorPercent), 8)
        }
        return FigureText.left(scenario, 20) + columns.joined(separator: "  ")
            + (isWithin ? "  within" : "  OUTSIDE")
    }

    private var head: [String] {
        let limit = comparison.measured.limit.points.last?.value ?? 0
        let buckets = settings.value(of: "net.netfilter.nf_conntrack_buckets") ?? "?"
        let hertz = settings.hertz.map { "\($0)" } ?? "?"
        return [
            "\(scenario), seed \(seed): \(FigureText.short(comparison.seconds)) s against \(target)",
            "there: nf_conntrack_max \(FigureText.whole(limit)), \(buckets) buckets, HZ \(hertz), "
                + "Linux \(settings.release); \(background) entries before",
            "",
        ]
    }

    private var figureLines: [String] {
        var lines = ["                predicted    measured     error   allowed"]
        for figure in comparison.figures {
            lines.append(
                FigureText.left(figure.kind.name, 14)
                    + FigureText.right(Self.text(figure.predicted, figure.kind), 11)
                    + FigureText.right(Self.text(figure.measured, figure.kind), 12)
                    + FigureText.right(Self.percent(figure.errorPercent), 10)
                    + FigureText.right(
                        figure.withinPercent.map { FigureText.short($0) + " %" } ?? "", 10)
                    + (figure.isWithin ? "" : "   outside"))
        }
        return lines
    }

    private static func text(_ value: Double?, _ kind: ComparedFigure.Kind) -> String {
        guard let value else { return kind == .timeToFull ? "never" : "-" }
        return kind == .timeToFull ? FigureText.fixed(value, 2) + " s" : FigureText.whole(value)
    }

    private static func percent(_ value: Double?) -> String {
        value.map { FigureText.fixed($0, 1) + " %" } ?? "-"
    }

    /// The states both know of, in the order of the measurement.
    private var stateLines: [String] {
        guard let measured = comparison.measured.states,
            let predicted = comparison.predicted.states
        else { return [] }
        let names = measured.map { "\($0.proto) \($0.state)" }
        let others = predicted.map { "\($0.proto) \($0.state)" }.filter { !names.contains($0) }
        func count(_ states: [StateCount], _ name: String) -> Int {
            states.first { "\($0.proto) \($0.state)" == name }?.count ?? 0
        }
        let parts = (names + others).map {
            "\($0) \(count(predicted, $0)) → \(count(measured, $0))"
        }
        return parts.isEmpty
            ? [] : ["live at the end, predicted → measured: " + parts.joined(separator: ", ")]
    }

    private var loadLine: String {
        var line =
            "load: \(load.started) flows begun (predicted \(predictedLoad.started)), "
            + "\(load.connected + load.datagrams) made "
            + "(\(predictedLoad.connected + predictedLoad.datagrams)), "
            + "at most \(load.largestLagMilliseconds) ms late"
        if load.droppedStarts > 0 { line += ", \(load.droppedStarts) starts dropped" }
        if !load.wasOnTime {
            line += ": the schedule was not kept, so that this compares two loads"
        }
        return line
    }

    private var collectorLine: String {
        guard let collections else {
            return
                "collector: not seen (that needs root and tracefs on this machine); its phase is assumed"
        }
        return "collector: came by at \(moments(collections)), predicted "
            + moments(predictedCollections)
    }

    private func moments(_ all: [Double]) -> String {
        let within = all.filter { $0 <= comparison.seconds }.map { FigureText.short($0) }
        return within.isEmpty ? "no time" : within.joined(separator: ", ") + " s"
    }
}
