internal import Histogram
internal import LinuxCalls
public import Report

/// What a run came to, for people and for programs.
public struct LoadSummary: Sendable {
    private let plan: Plan
    private let result: LoadResult
    private let first: HostSample?
    private let last: HostSample?
    private let peak: Int

    public init(
        plan: Plan, result: LoadResult, first: HostSample?, last: HostSample?, peak: Int
    ) {
        self.plan = plan
        self.result = result
        self.first = first
        self.last = last
        self.peak = peak
    }

    private static let percentiles: [(String, Double)] = [
        ("p50", 50), ("p90", 90), ("p99", 99), ("p999", 99.9), ("max", 100),
    ]

    // MARK: For people

    public var lines: [String] {
        var lines = [""]
        for (index, workload) in plan.workloads.enumerated() {
            let flows = result.flows[index]
            lines.append("\(workload.name): " + Self.outcome(flows, workload))
            for failure in flows.failures.sorted(by: { $0.count > $1.count }) {
                lines.append("  \(failure.count) × \(failure.text)")
            }
            lines += remarks(flows, index)
            lines += Self.lines(result.latencies[index])
        }
        for (index, seconds) in result.lateSeconds.enumerated() where seconds > 0 {
            lines.append(
                "worker \(index + 1) answered late in \(seconds) "
                    + (seconds == 1 ? "second: " : "seconds: ")
                    + (result.isLost(index)
                        ? "what it did after it told last is not known"
                        : "what it did in them is counted in later ones"))
        }
        if let first, let last {
            let moved = last.changes(since: first).map { "\($0.name)+\($0.count)" }
            lines.append(
                "table: \(first.count) entries before, \(peak) at most, \(last.count) after, of "
                    + (last.limit.map { "\($0)" } ?? "-")
                    + (moved.isEmpty ? "" : "; " + moved.joined(separator: " ")))
        }
        // Busy processors alone explain no flow that did not come about.
        if let evidence, ![.unknown, .processor].contains(evidence.limit) {
            lines.append(
                "limit: \(evidence.limit.rawValue); to move it: \(evidence.remedy)")
        }
        let flows = result.flows.reduce(0) { $0 + $1.started }
        if flows > 0 {
            lines.append(
                "generator: \(result.processor.total / UInt64(flows) / 10 * 10) ns of CPU a flow ("
                    + "\(result.processor.user / UInt64(flows) / 10 * 10) in its own code), seed "
                    + "\(plan.seed), ctlab \(ProductVersion.text)")
        }
        return lines
    }

    /// What speaks for a limit, where flows did not come about.
    private var evidence: LimitEvidence? {
        var evidence = LimitEvidence()
        evidence.before = first
        evidence.after = last
        evidence.flows = result.flows.reduce(FlowCounts(), +)
        let flows = evidence.flows
        let isWhole = flows.failed + flows.droppedStarts + flows.unfinished == 0
        return isWhole ? nil : evidence
    }

    private static func outcome(_ flows: FlowCounts, _ workload: LoadWorkload) -> String {
        var parts = ["\(flows.started) started"]
        if workload.transport == .tcp {
            parts.append("\(flows.connected) connected")
            parts.append("\(flows.completed) completed")
        } else if workload.lookup != nil {
            parts.append("\(flows.completed) answered in full")
        } else {
            parts.append("\(flows.datagrams) datagrams sent")
            parts.append("\(flows.answers) answers")
        }
        for (what, count) in [
            ("failed", flows.failed), ("broken off by the peer", flows.lost),
            ("cut off by the end", flows.unfinished),
            ("gone with their worker", flows.orphaned), ("starts dropped", flows.droppedStarts),
        ] where count > 0 {
            parts.append("\(count) \(what)")
        }
        return parts.joined(separator: ", ")
    }

    private func remarks(_ flows: FlowCounts, _ index: Int) -> [String] {
        let workload = plan.workloads[index]
        var lines: [String] = []
        let lookups = flows.lookups
        if lookups.asked > 0 {
            lines.append(
                "  queries: asked \(lookups.asked) times, \(flows.datagrams) sent, \(flows.answers) "
                    + "answers; \(lookups.answered) answered in full, \(lookups.partlyAnswered) by "
                    + "one of two, \(lookups.unanswered) by none, \(lookups.lostAnswers) answers lost"
                    + (lookups.unfinished > 0 ? ", \(lookups.unfinished) cut off by the end" : ""))
        }
        if flows.usedUpStarts > 0 {
            let tuples = plan.tupleCount(ofWorkload: index, processes: result.processCount)
            lines.append(
                "  \(flows.usedUpStarts) starts found none of the \(tuples) five-tuples "
                    + "free (--reuse \(workload.reuse.text)); more --source-ports or targets help")
        }
        if flows.retransmitted.contains(where: { $0 > 0 }) {
            lines.append(
                "  SYNs sent again: \(flows.retransmitted[0]) once, \(flows.retransmitted[1]) "
                    + "twice, \(flows.retransmitted[2]) more often")
        }
        if flows.startsWithoutSlot > 0 {
            lines.append(
                "  the schedule was not kept: no connection slot was free for "
                    + "\(flows.startsWithoutSlot) starts; more --processes help")
        }
        let cut = flows.droppedStarts - flows.startsWithoutSlot - flows.usedUpStarts
        if cut > 0 {
            lines.append(
                result.wasInterrupted || result.healthFailure != nil
                    ? "  \(cut) starts were due when the run was stopped, and were not made"
                    : "  the schedule was not kept: \(cut) starts were still due at the end, and the "
                        + "generator was behind by up to \(flows.largestLag / 1_000_000) ms; more "
                        + "--processes may help")
        } else if flows.largestLag > 100_000_000 {
            lines.append(
                "  the generator was behind its schedule by up to \(flows.largestLag / 1_000_000) "
                    + "ms; more --processes may help")
        }
        return lines
    }

    /// Latencies of those that succeeded, of those that did not, and of all of them.
    private static func lines(_ latencies: Latencies) -> [String] {
        var lines: [String] = []
        for (title, histogram) in [
            ("lookup   (of \(latencies.lookup.totalCount) answered) ", latencies.lookup),
            ("connect  (of \(latencies.connect.totalCount) that stood) ", latencies.connect),
            ("complete (of \(latencies.complete.totalCount) answered) ", latencies.complete),
            ("gave up  (on \(latencies.gaveUp.totalCount) flows) after ", latencies.gaveUp),
        ] where histogram.totalCount > 0 {
            lines.append("  " + title + text { "\(milliseconds(histogram.valueAtPercentile($0)))" })
        }
        guard latencies.gaveUp.totalCount > 0 else { return lines }
        let all = text { percentile in
            switch latencies.ofAllAttempts(percentile) {
            case .within(let value): milliseconds(value)
            case .moreThan(let value): ">" + milliseconds(value)
            }
        }
        return lines + ["  all      (of \(latencies.attemptCount) attempts) " + all]
    }

    private static func text(_ value: (Double) -> String) -> String {
        percentiles.map { name, percentile in "\(name) \(value(percentile)) ms" }
            .joined(separator: "  ")
    }

    private static func milliseconds(_ microseconds: UInt64) -> String {
        "\(microseconds / 1000).\(padded(microseconds % 1000))"
    }

    private static func padded(_ value: UInt64) -> String {
        let text = String(value)
        return String(repeating: "0", count: 3 - text.count) + text
    }

    // MARK: For programs

    public func write(to json: inout JSONText) {
        json.object { json in
            json.key("final")
            json.object { json in
                json.key("version")
                json.value(ProductVersion.text)
                json.key("seed")
                json.value(plan.seed)
                json.key("elapsed_ms")
                json.value(result.elapsed / 1_000_000)
                json.key("cpu_us")
                json.value(result.processor.total / 1000)
                json.key("cpu_user_us")
                json.value(result.processor.user / 1000)
                json.key("partial")
                json.value(result.isPartial)
                json.key("interrupted")
                json.value(result.wasInterrupted)
                json.key("health_failure")
                if let failure = result.healthFailure { json.value(failure) } else { json.null() }
                json.key("lost_workers")
                json.array(result.lostProcesses) { $0.value($1) }
                json.key("late_seconds")
                json.array(result.lateSeconds) { $0.value($1) }
                if let first, let last { table(first, last, &json) }
                json.key("workloads")
                json.object { json in
                    for (index, workload) in plan.workloads.enumerated() {
                        json.key(workload.name)
                        json.object { json in
                            json.key("flows")
                            result.flows[index].write(to: &json)
                            json.key("connect_us")
                            Self.write(result.latencies[index].connect, to: &json)
                            json.key("complete_us")
                            Self.write(result.latencies[index].complete, to: &json)
                            json.key("gave_up_us")
                            Self.write(result.latencies[index].gaveUp, to: &json)
                            json.key("attempts_us")
                            Self.writeAll(result.latencies[index], to: &json)
                            if workload.lookup != nil {
                                json.key("lookup_us")
                                Self.write(result.latencies[index].lookup, to: &json)
                            }
                        }
                    }
                }
            }
        }
        json.endLine()
    }

    private func table(_ first: HostSample, _ last: HostSample, _ json: inout JSONText) {
        json.key("table")
        json.object { json in
            for (name, value) in [
                ("before", first.count), ("peak", peak), ("after", last.count),
                ("max", last.limit), ("buckets", last.buckets),
            ] {
                guard let value else { continue }
                json.key(name)
                json.value(value)
            }
            json.key("counters")
            json.object { json in
                for (name, count) in last.changes(since: first) {
                    json.key(name)
                    json.value(count)
                }
            }
        }
    }

    private static func write(_ histogram: Histogram<UInt32>, to json: inout JSONText) {
        json.object { json in
            json.key("count")
            json.value(histogram.totalCount)
            guard histogram.totalCount > 0 else { return }
            for (name, percentile) in percentiles {
                json.key(name)
                json.value(histogram.valueAtPercentile(percentile))
            }
        }
    }

    /// Of all attempts; percentiles among those that came to nothing stand in `more_than`.
    private static func writeAll(_ latencies: Latencies, to json: inout JSONText) {
        json.object { json in
            json.key("count")
            json.value(latencies.attemptCount)
            guard latencies.attemptCount > 0 else { return }
            var bounds: [(String, UInt64)] = []
            for (name, percentile) in percentiles {
                switch latencies.ofAllAttempts(percentile) {
                case .within(let value):
                    json.key(name)
                    json.value(value)
                case .moreThan(let value): bounds.append((name, value))
                }
            }
            guard !bounds.isEmpty else { return }
            json.key("more_than")
            json.object { json in
                for (name, bound) in bounds {
                    json.key(name)
                    json.value(bound)
                }
            }
        }
    }
}
