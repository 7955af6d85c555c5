public import Conntrack
public import Scenario

// Everything a run has recorded, column by column, under the names of the catalogue.

/// The series of a run.
public struct RecordedRun: SeriesSource, Sendable {
    /// One series of a machine, a workload or the run.
    public struct Column: Sendable {
        public var name: String
        public var metric: Metric
        public var values: RecordedSeries.Values
    }

    public private(set) var times: [Instant] = []
    public private(set) var columns: [Column] = []
    /// Members of each group, whose series are made of theirs.
    private let groups: [String: [String]]
    private var places: [String: Int] = [:]
    private var cursor = 0

    init(groups: [String: [String]]) { self.groups = groups }

    // MARK: Recording

    mutating func beginSample(at time: Instant) {
        times.append(time)
        cursor = 0
    }

    mutating func add(
        _ owner: @autoclosure () -> String, _ metric: @autoclosure () -> Metric, _ value: Double
    ) {
        if cursor == columns.count { open(owner(), metric(), .samples([])) }
        if case .samples(var samples) = columns[cursor].values {
            columns[cursor].values = .samples([])
            samples.append(value)
            columns[cursor].values = .samples(samples)
        }
        cursor += 1
    }

    mutating func add(
        _ owner: @autoclosure () -> String, _ metric: @autoclosure () -> Metric,
        _ histogram: ValueHistogram
    ) {
        if cursor == columns.count { open(owner(), metric(), .histograms([])) }
        if case .histograms(var histograms) = columns[cursor].values {
            columns[cursor].values = .histograms([])
            histograms.append(histogram)
            columns[cursor].values = .histograms(histograms)
        }
        cursor += 1
    }

    private mutating func open(_ owner: String, _ metric: Metric, _ values: RecordedSeries.Values) {
        let name = "\(owner).\(metric.name)"
        places[name] = columns.count
        columns.append(Column(name: name, metric: metric, values: values))
    }

    // MARK: Reading

    public func series(named name: String) -> RecordedSeries? {
        if let place = places[name] { return series(columns[place]) }
        guard let dot = name.firstIndex(of: "."), let members = groups[String(name[..<dot])] else {
            return nil
        }
        let rest = name[dot...]
        let parts = members.compactMap { places["\($0)\(rest)"] }.map { columns[$0] }
        guard let first = parts.first else { return nil }
        return series(merged(parts, first.metric))
    }

    private func series(_ column: Column) -> RecordedSeries {
        RecordedSeries(
            column.metric.kind, column.metric.unit, times: times, column.values)
    }

    /// A group's series, made of its members' as the metric says.
    private func merged(_ parts: [Column], _ metric: Metric) -> Column {
        var sums = [Double](repeating: 0, count: times.count)
        for part in parts {
            guard case .samples(let samples) = part.values else { continue }
            for (place, value) in samples.enumerated() {
                sums[place] =
                    metric.grouping == .maximum ? max(sums[place], value) : sums[place] + value
            }
        }
        if metric.grouping == .mean { sums = sums.map { $0 / Double(parts.count) } }
        return Column(name: metric.name, metric: metric, values: .samples(sums))
    }

    /// The last value of a series; 0 where nothing was recorded.
    func last(_ name: String) -> Double {
        guard case .samples(let samples)? = series(named: name)?.values else { return 0 }
        return samples.last ?? 0
    }
}
