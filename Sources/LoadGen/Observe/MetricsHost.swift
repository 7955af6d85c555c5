internal import LinuxCalls

/// Another host, by what its node_exporter says about it; `curl` asks.
///
/// What node_exporter does not say is not known: the size of the hash array (unless `ctlab` wrote
/// it), and the counters it leaves out, `chaintoolong` and `clash_resolve` among them.
///
/// A class: `HostProbe` holds it beside others of its kind.
final class MetricsHost: RemoteHost {
    private let url: String
    private let program: Program

    init(_ url: String) throws(ProbeError) {
        guard let program = WebQuestion.program else { throw .remote(WebQuestion.missing) }
        self.url = url
        self.program = program
    }

    func sample() throws(ProbeError) -> HostSample {
        let before = MonotonicClock.now()
        let outcome: Program.Outcome
        do throws(SystemCallError) {
            outcome = try program.run(
                WebQuestion.arguments(
                    url, seconds: 0.9, ["--fail", "--max-filesize", "16777216"]))
        } catch {
            throw .call(error)
        }
        guard outcome.exitCode == 0 else {
            let reason = outcome.errors.split(separator: "\n").first.map(String.init)
            throw .remote(
                "\(url): \(reason ?? "curl ended with code \(outcome.exitCode)"); see that a "
                    + "node_exporter listens there")
        }
        let moment = before + (MonotonicClock.now() - before) / 2
        guard let sample = HostSample(metrics: MetricsText(outcome.output), moment: moment) else {
            throw .remote(
                "\(url): found no node_nf_conntrack_entries from 0 to 2^53, expected it from a host "
                    + "that tracks; "
                    + "load the tracker there: modprobe nf_conntrack")
        }
        return sample
    }

    func collect() throws(ProbeError) {
        throw .remote(
            "\(url) cannot list the table, which is what removes expired entries; use ssh:HOST")
    }
}

/// What an exporter said: Prometheus' text format, or OpenMetrics.
///
/// Lines that are none are passed over.
struct MetricsText {
    /// A value with its labels, as they were written: `mode="idle",cpu="0"`.
    struct Value: Hashable {
        var labels: String
        var value: Double
    }

    private var values: [String: [Value]] = [:]

    init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            let name = line.prefix { $0 != "{" && $0 != " " && $0 != "\t" }
            var rest = line.dropFirst(name.count)
            var labels = ""
            if rest.first == "{" {
                // A label's value may hold anything, but no number stands behind a last brace.
                guard let end = rest.lastIndex(of: "}") else { continue }
                labels = String(rest[rest.index(after: rest.startIndex)..<end])
                rest = rest[rest.index(after: end)...]
            }
            let words = rest.split { $0 == " " || $0 == "\t" }
            guard let value = words.first.flatMap({ Double($0) }), value.isFinite else { continue }
            values[String(name), default: []].append(Value(labels: labels, value: value))
        }
    }

    /// The labels of the values called `name`, in their order.
    func labels(of name: String) -> [String] { (values[name] ?? []).map(\.labels) }

    /// The sum of all values called `name` whose labels `matches` says yes to; `nil` without any.
    func sum(_ name: String, where matches: (String) -> Bool = { _ in true }) -> Double? {
        let found = (values[name] ?? []).filter { matches($0.labels) }
        return found.isEmpty ? nil : found.reduce(0) { $0 + $1.value }
    }

    /// As `sum`, a whole number; `nil` for one that no host counts up to.
    func count(_ name: String, where matches: (String) -> Bool = { _ in true }) -> Int? {
        sum(name, where: matches).flatMap { ToldCount.read($0) }
    }
}

extension HostSample {
    /// A host in node_exporter's words; `nil` if it says nothing of its table.
    ///
    /// A node_exporter may hand on what `ctlab` wrote of other tables, under the same names: its own
    /// series is the one that names no source. Where there is none, the first one is taken.
    init?(metrics: MetricsText, moment: UInt64) {
        let tables = metrics.labels(of: "node_nf_conntrack_entries")
        guard let table = tables.first(where: { !OpenMetricsText.namesSource($0) }) ?? tables.first,
            let count = metrics.count("node_nf_conntrack_entries", where: { $0 == table })
        else { return nil }
        func said(_ name: String) -> Int? { metrics.count(name) { $0 == table } }
        let values = TrackerStatistics.columns.map { column in
            said(OpenMetricsText.name(ofColumn: column)).map { UInt32(truncatingIfNeeded: $0) }
        }
        self.init(
            moment: moment, count: count,
            limit: said("node_nf_conntrack_entries_limit"),
            buckets: said(OpenMetricsText.buckets),
            statistics: TrackerStatistics.Reading(values: values, count: count))
        sockets.tcpAllocated = said("node_sockstat_TCP_alloc")
        sockets.tcpInUse = said("node_sockstat_TCP_inuse")
        sockets.tcpMemoryPages = said("node_sockstat_TCP_mem")
        sockets.tcpOrphans = said("node_sockstat_TCP_orphan")
        sockets.tcpTimeWait = said("node_sockstat_TCP_tw")
        sockets.udpInUse = said("node_sockstat_UDP_inuse")
        listenOverflows = NetstatText.sum([
            said("node_netstat_TcpExt_ListenOverflows"),
            said("node_netstat_TcpExt_TCPReqQFullDrop"),
        ])
        // Seconds; a hundredth is a clock tick.
        let idle = metrics.sum("node_cpu_seconds_total") {
            $0.contains("mode=\"idle\"") || $0.contains("mode=\"iowait\"")
        }
        if let idle, let total = metrics.sum("node_cpu_seconds_total"),
            let ticks = ToldCount.read(total * 100),
            let busy = ToldCount.read((total - idle) * 100)
        {
            processor = ProcessorUse(busy: busy, total: ticks)
        }
    }
}
