internal import LinuxCalls

/// Another host, by what its node_exporter says about it; `curl` asks.
///
/// What node_exporter does not say counts 0: the size of the hash array (unless `ctlab` wrote it),
/// and the counters it leaves out, `chaintoolong` and `clash_resolve` among them.
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
                "\(url): found no node_nf_conntrack_entries, expected it from a host that tracks; "
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

    /// The sum of all values called `name` whose labels `matches` says yes to; `nil` without any.
    func sum(_ name: String, where matches: (String) -> Bool = { _ in true }) -> Double? {
        let found = (values[name] ?? []).filter { matches($0.labels) }
        return found.isEmpty ? nil : found.reduce(0) { $0 + $1.value }
    }

    /// As `sum`, a whole number; 0 without any.
    func count(_ name: String) -> Int { Int(exactly: (sum(name) ?? 0).rounded()) ?? 0 }
}

extension HostSample {
    /// A host in node_exporter's words; `nil` if it says nothing of its table.
    init?(metrics: MetricsText, moment: UInt64) {
        guard metrics.sum("node_nf_conntrack_entries") != nil else { return nil }
        let count = metrics.count("node_nf_conntrack_entries")
        let values = TrackerStatistics.columns.map {
            UInt32(truncatingIfNeeded: metrics.count("node_nf_conntrack_stat_\($0)"))
        }
        self.init(
            moment: moment, count: count,
            limit: metrics.count("node_nf_conntrack_entries_limit"),
            buckets: metrics.count("ctlab_nf_conntrack_buckets"),
            statistics: TrackerStatistics.Reading(values: values, count: count))
        sockets.tcpAllocated = metrics.count("node_sockstat_TCP_alloc")
        sockets.tcpInUse = metrics.count("node_sockstat_TCP_inuse")
        sockets.tcpMemoryPages = metrics.count("node_sockstat_TCP_mem")
        sockets.tcpOrphans = metrics.count("node_sockstat_TCP_orphan")
        sockets.tcpTimeWait = metrics.count("node_sockstat_TCP_tw")
        sockets.udpInUse = metrics.count("node_sockstat_UDP_inuse")
        listenOverflows =
            metrics.count("node_netstat_TcpExt_ListenOverflows")
            + metrics.count("node_netstat_TcpExt_TCPReqQFullDrop")
        // Seconds; a hundredth is a clock tick.
        let total = metrics.sum("node_cpu_seconds_total") ?? 0
        let idle =
            metrics.sum("node_cpu_seconds_total") {
                $0.contains("mode=\"idle\"") || $0.contains("mode=\"iowait\"")
            } ?? 0
        processor.total = Int(exactly: (total * 100).rounded()) ?? 0
        processor.busy = Int(exactly: ((total - idle) * 100).rounded()) ?? 0
    }
}
