public import Conntrack
import Report
import Scenario

// Series as tables for other programs.

extension RecordedRun {
    /// CSV: seconds, then a column for every series in which something happened; of distributions
    /// the count and the percentiles of each sample, in seconds.
    public var csv: String {
        var text = ""
        writeRows { text += $0 }
        return text
    }

    /// Hands over the lines of the CSV, each with its line feed.
    public func writeRows(_ write: (String) -> Void) {
        let shown = columns.filter { Self.says($0) }
        write("time" + shown.map(Self.head).joined() + "\n")
        for (row, time) in times.enumerated() {
            var line = NumberText.seconds(time.nanoseconds)
            for column in shown { line += Self.cells(column, row) }
            write(line + "\n")
        }
    }

    private static func says(_ column: Column) -> Bool {
        switch column.values {
        case .samples(let samples): samples.contains { $0 != 0 }
        case .histograms(let histograms): histograms.contains { !$0.isEmpty }
        }
    }

    private static let percentiles: [(name: String, part: Double)] = [
        ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1),
    ]

    private static func head(_ column: Column) -> String {
        switch column.values {
        case .samples: ",\(column.name)"
        case .histograms:
            ",\(column.name).count" + percentiles.map { ",\(column.name).\($0.name)" }.joined()
        }
    }

    private static func cells(_ column: Column, _ row: Int) -> String {
        switch column.values {
        case .samples(let samples): "," + NumberText.plain(samples[row])
        case .histograms(let histograms):
            ",\(histograms[row].count)"
                + percentiles.map { percentile in
                    ","
                        + (histograms[row].quantile(percentile.part)
                            .map { NumberText.plain($0 / 1e9) } ?? "")
                }.joined()
        }
    }

    /// One JSON object a sample: `{"time": 1, "gw.conntrack.count": 17, …}`, what is 0 left out.
    public func writeObjects(_ write: (String) -> Void) {
        let shown = columns.filter { Self.says($0) }
        for (row, time) in times.enumerated() {
            var line = "{\"time\":" + NumberText.seconds(time.nanoseconds)
            for column in shown {
                switch column.values {
                case .samples(let samples):
                    guard samples[row] != 0 else { continue }
                    line += ",\"\(column.name)\":" + NumberText.plain(samples[row])
                case .histograms(let histograms):
                    guard !histograms[row].isEmpty else { continue }
                    line += ",\"\(column.name).count\":\(histograms[row].count)"
                    for percentile in Self.percentiles {
                        guard let value = histograms[row].quantile(percentile.part) else {
                            continue
                        }
                        line +=
                            ",\"\(column.name).\(percentile.name)\":"
                            + NumberText.plain(value / 1e9)
                    }
                }
            }
            write(line + "}\n")
        }
    }

    /// The samples of some series around a moment, as lines of text: what failed, and when.
    public func excerpt(of names: [String], around moment: Instant, samples: Int = 5) -> [String] {
        guard let place = times.lastIndex(where: { $0 <= moment }) else { return [] }
        let rows = max(0, place - samples)..<min(times.count, place + samples + 1)
        let found = names.compactMap { name in series(named: name).map { (name, $0) } }
        guard !found.isEmpty else { return [] }
        var table = [["time"] + found.map(\.0)]
        for row in rows {
            table.append(
                [NumberText.seconds(times[row].nanoseconds) + " s"]
                    + found.map { _, series in
                        switch series.values {
                        case .samples(let samples):
                            row < samples.count ? NumberText.plain(samples[row]) : ""
                        case .histograms(let histograms):
                            histograms[row].quantile(0.99)
                                .map { NumberText.latency(UInt64($0 / 1000)) } ?? "-"
                        }
                    })
        }
        return TextColumns.aligned(table)
    }
}
