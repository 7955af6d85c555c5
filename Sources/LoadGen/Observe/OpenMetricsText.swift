internal import LinuxCalls

/// A sample under node_exporter's names: existing dashboards and alert rules work on it.
///
/// The statistics are gauges, because that is what node_exporter makes of them.
public struct OpenMetricsText: Sendable {
    private static let statistics: [(column: String, name: String, help: String)] = [
        ("found", "found", "Number of searched entries which were successful."),
        ("invalid", "invalid", "Number of packets seen which can not be tracked."),
        (
            "ignore", "ignore",
            "Number of packets seen which are already connected to a conntrack entry."
        ),
        ("insert", "insert", "Number of entries inserted into the list."),
        (
            "insert_failed", "insert_failed",
            "Number of entries for which list insertion was attempted but failed."
        ),
        ("drop", "drop", "Number of packets dropped due to conntrack failure."),
        (
            "early_drop", "early_drop",
            "Number of dropped conntrack entries to make room for new ones, if maximum table size "
                + "was reached."
        ),
        (
            "search_restart", "search_restart",
            "Number of conntrack table lookups which had to be restarted due to hashtable resizes."
        ),
    ]

    private var text = ""

    public init(_ sample: HostSample) {
        gauge(
            "node_nf_conntrack_entries",
            "Number of currently allocated flow entries for connection tracking.", sample.count)
        gauge(
            "node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.",
            sample.limit)
        for (column, name, help) in Self.statistics {
            gauge(
                "node_nf_conntrack_stat_\(name)", help, Int(sample.statistics.value(column)))
        }
        for (name, value) in [
            ("TCP_alloc", sample.sockets.tcpAllocated), ("TCP_inuse", sample.sockets.tcpInUse),
            ("TCP_mem", sample.sockets.tcpMemoryPages), ("TCP_orphan", sample.sockets.tcpOrphans),
            ("TCP_tw", sample.sockets.tcpTimeWait), ("UDP_inuse", sample.sockets.udpInUse),
        ] {
            gauge("node_sockstat_\(name)", "Number of \(words(name)) sockets.", value)
        }
        gauge("ctlab_nf_conntrack_buckets", "Size of the table's hash array.", sample.buckets)
        if let states = sample.states, !states.isEmpty {
            head(
                "ctlab_nf_conntrack_state_entries", "Number of entries by protocol and state.")
            for state in states {
                text +=
                    "ctlab_nf_conntrack_state_entries{protocol=\"\(state.proto)\","
                    + "state=\"\(state.state)\"} \(state.count)\n"
            }
        }
    }

    /// The whole exposition, with its end mark.
    public var exposition: String { text + "# EOF\n" }

    private mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        head(name, help)
        text += "\(name) \(value)\n"
    }

    private mutating func head(_ name: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) gauge\n"
    }

    private func words(_ name: String) -> String {
        String(name.map { $0 == "_" ? " " : $0 })
    }
}
