internal import LinuxCalls
public import Report

/// One second of a run: what the host said and what the generator did in it.
///
/// A prediction in the same shape lies beside it line by line.
public struct SeriesRecord: Sendable {
    /// Seconds since the run's start.
    public var second: Int
    public var count: Int?
    public var limit: Int?
    public var buckets: Int?
    /// What moved in this second, under the names of `conntrack -S`.
    public var counters: [(name: String, count: Int)] = []
    /// Counters the host says something of, whether they moved or not.
    private var saidCounters: Set<String> = []
    public var tableFullLines: Int?
    public var listenOverflows: Int?
    public var busyPercent: Int?
    public var states: [StateCount]?
    /// Milliseconds since the run's start, where the record ends before its second does: the run's
    /// last one.
    public var endMilliseconds: Int?
    /// Processes of the generator that had not told of this second: their share comes later.
    public var lateWorkers: Int?
    /// Of each workload, this second's share.
    public var flows: [(workload: String, counts: FlowCounts)] = []

    public init(second: Int) { self.second = second }

    /// Adds what the host said at this second's end, `old` being what it said at its beginning.
    public mutating func add(_ sample: HostSample, since old: HostSample) {
        count = sample.count
        limit = sample.limit
        buckets = sample.buckets
        counters = sample.changes(since: old)
        saidCounters = Set(
            TrackerStatistics.columns.filter { sample.change($0, since: old) != nil })
        if let lines = sample.tableFullLines { tableFullLines = lines - (old.tableFullLines ?? 0) }
        listenOverflows = sample.listenOverflows(since: old)
        busyPercent = sample.busyPercent(since: old)
        states = sample.states
    }

    /// Adds what a workload did, `old` being its counts a second ago.
    public mutating func add(_ workload: String, _ counts: FlowCounts, since old: FlowCounts) {
        var change = counts.since(old)
        change.failures = []
        flows.append((workload, change))
    }

    // MARK: As text

    /// What stands over the lines of a run.
    public static let heading =
        tableHeading + "   active  started connected   failed"

    /// What stands over the lines of a host alone.
    public static let tableHeading =
        "second    count      max  use     drop early_drop  invalid  cpu"

    /// One line for a person: the host and the generator.
    public var line: String {
        let sums = flows.reduce(into: FlowCounts()) { $0 = $0 + $1.counts }
        return tableColumns
            + columns([
                ("\(sums.active)", 8), ("\(sums.started)", 8),
                ("\(sums.connected + sums.datagrams)", 9),
                ("\(sums.failed + sums.droppedStarts)", 8),
            ]) + remarks
    }

    /// One line for a person: the host alone.
    public var tableLine: String { tableColumns + remarks }

    private func moved(_ name: String) -> String {
        guard saidCounters.contains(name) else { return "-" }
        return "\(counters.first { $0.name == name }?.count ?? 0)"
    }

    private var tableColumns: String {
        let share = limit.flatMap { limit in
            count.flatMap { limit > 0 ? $0 * 100 / limit : nil }
        }
        let text = columns([
            ("\(second)", 6), (count.map { "\($0)" } ?? "-", 8), (limit.map { "\($0)" } ?? "-", 8),
            (share.map { "\($0)%" } ?? "-", 4), (moved("drop"), 8),
            (moved("early_drop"), 10), (moved("invalid"), 8),
            (busyPercent.map { "\($0)%" } ?? "-", 4),
        ])
        return String(text.dropFirst())
    }

    /// What happens seldom, and stands only where it does.
    private var remarks: String {
        var text = ""
        let shown = ["drop", "early_drop", "invalid"]
        for (name, count) in counters where !shown.contains(name) { text += "  \(name)+\(count)" }
        if let tableFullLines, tableFullLines > 0 { text += "  table-full-lines+\(tableFullLines)" }
        if let listenOverflows, listenOverflows > 0 {
            text += "  listen-overflows+\(listenOverflows)"
        }
        if let lateWorkers, lateWorkers > 0 { text += "  late-workers=\(lateWorkers)" }
        if let endMilliseconds { text += "  until \(endMilliseconds) ms" }
        for state in states ?? [] { text += "  \(state.proto)/\(state.state)=\(state.count)" }
        return text
    }

    private func columns(_ columns: [(text: String, width: Int)]) -> String {
        columns.map { text, width in
            " " + String(repeating: " ", count: max(0, width - text.count)) + text
        }.joined()
    }

    // MARK: As JSON

    public func write(to json: inout JSONText) {
        json.object { json in
            json.key("second")
            json.value(second)
            for (name, value) in [("count", count), ("max", limit), ("buckets", buckets)] {
                guard let value else { continue }
                json.key(name)
                json.value(value)
            }
            if !saidCounters.isEmpty {
                json.key("counters")
                json.object { json in
                    for (name, count) in counters {
                        json.key(name)
                        json.value(count)
                    }
                }
            }
            for (name, value) in [
                ("table_full_lines", tableFullLines), ("listen_overflows", listenOverflows),
                ("cpu_percent", busyPercent), ("end_ms", endMilliseconds),
                ("late_workers", lateWorkers),
            ] {
                guard let value else { continue }
                json.key(name)
                json.value(value)
            }
            if let states {
                json.key("states")
                json.array(states) { json, state in
                    json.object { json in
                        json.key("protocol")
                        json.value(state.proto)
                        json.key("state")
                        json.value(state.state)
                        json.key("count")
                        json.value(state.count)
                    }
                }
            }
            if !flows.isEmpty {
                json.key("workloads")
                json.object { json in
                    for (workload, counts) in flows {
                        json.key(workload)
                        counts.write(to: &json)
                    }
                }
            }
        }
        json.endLine()
    }
}

extension FlowCounts {
    func write(to json: inout JSONText) {
        json.object { json in
            for (name, value) in [
                ("started", started), ("dropped_starts", droppedStarts),
                ("starts_without_slot", startsWithoutSlot), ("connected", connected),
                ("completed", completed), ("failed", failed), ("lost", lost),
                ("unfinished", unfinished), ("orphaned", orphaned), ("active", active),
                ("standing", standing),
                ("datagrams", datagrams), ("answers", answers),
            ] {
                json.key(name)
                json.value(value)
            }
            if usedUpStarts > 0 {
                json.key("used_up_starts")
                json.value(usedUpStarts)
            }
            if lookups.asked > 0 {
                json.key("lookups")
                json.object { json in
                    for (name, count) in lookups.named {
                        json.key(name)
                        json.value(count)
                    }
                }
            }
            json.key("syn_retransmitted")
            json.array(retransmitted) { $0.value($1) }
            json.key("largest_lag_us")
            json.value(largestLag / 1000)
            if !failures.isEmpty {
                json.key("failures")
                json.array(failures) { json, failure in
                    json.object { json in
                        json.key("what")
                        json.value(failure.text)
                        json.key("count")
                        json.value(failure.count)
                    }
                }
            }
        }
    }
}
