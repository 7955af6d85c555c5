// A run's end for people: what a person reads in ten seconds, then the diagnosis.

/// The text of a run's summary.
public struct RunText: Sendable {
    let summary: RunSummary
    let colours: Bool

    public init(_ summary: RunSummary, isColoured: Bool) {
        self.summary = summary
        colours = isColoured
    }

    public var text: String {
        var lines = [
            "\(summary.scenario): \(summary.about)",
            "ctlab \(summary.version), seed \(summary.seed), scenario \(summary.scenarioHash)"
                + (summary.isPartial ? ", partial" : ""),
            "",
        ]
        lines += workloads
        lines += nodes
        if !summary.expectations.isEmpty {
            lines.append("")
            lines += summary.expectations.map(line)
        }
        lines.append("")
        lines += summary.diagnosis.map { wrapped($0) }
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: Tables

    private var workloads: [String] {
        let shown = summary.workloads.filter { $0.packetsSent > 0 || !$0.isHidden }
        guard !shown.isEmpty else { return [] }
        var rows = [
            [
                "workload", "flows", "connected", "completed", "failed", "SYNs again",
                "connect p50",
                "p99",
            ]
        ]
        for workload in shown {
            if workload.isRaw {
                rows.append([
                    workload.name, "-", "-", "-", "-", "-", "-",
                    "\(NumberText.grouped(workload.packetsSent)) packets",
                ])
                continue
            }
            rows.append([
                workload.name, NumberText.grouped(workload.started),
                NumberText.grouped(workload.connected), NumberText.grouped(workload.completed),
                NumberText.grouped(workload.failedCount),
                NumberText.grouped(workload.retransmittedSYNs),
                workload.connect.map { NumberText.latency($0.p50) } ?? "-",
                workload.connect.map { NumberText.latency($0.p99) } ?? "-",
            ])
        }
        return TextColumns.aligned(rows)
    }

    private var nodes: [String] {
        guard !summary.nodes.isEmpty else { return [] }
        var rows = [
            [
                "node", "count", "peak", "max", "drop", "early_drop", "insert_failed", "invalid",
                "kernel memory",
            ]
        ]
        for node in summary.nodes {
            rows.append([
                node.name, NumberText.grouped(UInt64(node.count)),
                NumberText.grouped(UInt64(node.peak)), NumberText.grouped(UInt64(node.max)),
                NumberText.grouped(node.counters["drop"] ?? 0),
                NumberText.grouped(node.counters["early_drop"] ?? 0),
                NumberText.grouped(node.counters["insert_failed"] ?? 0),
                NumberText.grouped(node.counters["invalid"] ?? 0),
                NumberText.bytes(node.kernelPeakBytes),
            ])
        }
        return [""] + TextColumns.aligned(rows)
    }

    // MARK: Expectations

    private func line(_ expectation: ExpectationSummary) -> String {
        let isWarning = expectation.severity == "warn"
        let mark = expectation.isMet ? "ok  " : isWarning ? "warn" : "FAIL"
        let colour = expectation.isMet ? 32 : isWarning ? 33 : 31
        let published = expectation.published.map { " (published: \($0))" } ?? ""
        let detail = expectation.isMet ? expectation.that : expectation.found
        return painted(mark, colour) + "  " + detail + published
    }

    private func painted(_ text: String, _ colour: Int) -> String {
        colours ? "\u{1b}[\(colour)m\(text)\u{1b}[0m" : text
    }

    /// A sentence in lines of at most 100 characters, the following ones indented.
    private func wrapped(_ sentence: String) -> String {
        var lines: [String] = []
        var line = "- "
        for word in sentence.split(separator: " ") {
            if line.count + word.count > 99 {
                lines.append(line)
                line = "  "
            }
            line += line.last == " " ? String(word) : " " + word
        }
        lines.append(line)
        return lines.joined(separator: "\n")
    }
}

/// Rows as columns of text.
public enum TextColumns {
    /// Columns: the first to the left, the others to the right.
    public static func aligned(_ rows: [[String]]) -> [String] {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + padding : padding + cell
            }
            return cells.joined(separator: "  ")
        }
    }
}
