internal import LinuxCalls

/// A sample under node_exporter's names: existing dashboards and alert rules work on it.
///
/// The statistics are gauges, and the help is word for word node_exporter's, because its textfile
/// collector takes no family whose help or type is another than that of its own collectors.
public struct OpenMetricsText: Sendable {
    private static let statistics: [(column: String, help: String)] = [
        ("found", "Number of searched entries which were successful."),
        ("invalid", "Number of packets seen which can not be tracked."),
        (
            "ignore",
            "Number of packets seen which are already connected to a conntrack entry."
        ),
        ("insert", "Number of entries inserted into the list."),
        (
            "insert_failed",
            "Number of entries for which list insertion was attempted but failed."
        ),
        ("drop", "Number of packets dropped due to conntrack failure."),
        (
            "early_drop",
            "Number of dropped conntrack entries to make room for new ones, if maximum table size "
                + "was reached."
        ),
        (
            "search_restart",
            "Number of conntrack table lookups which had to be restarted due to hashtable resizes."
        ),
    ]

    /// Columns node_exporter leaves out.
    private static let own: [(column: String, help: String)] = [
        ("chaintoolong", "Number of packets dropped because a chain of the hash was too long."),
        ("clash_resolve", "Number of insertions that met an entry like theirs and took its place."),
    ]
    /// The size of the table's hash array, which node_exporter leaves out, too.
    static let buckets = "ctlab_nf_conntrack_buckets"

    /// What counts a column of `TrackerStatistics.columns`.
    static func name(ofColumn column: String) -> String {
        let isTheirs = statistics.contains { $0.column == column }
        return (isTheirs ? "node" : "ctlab") + "_nf_conntrack_stat_\(column)"
    }

    /// Whether a series with these labels is one of `ctlab`'s, and not node_exporter's own.
    static func namesSource(_ labels: String) -> Bool { labels.contains("source=\"") }

    /// Every series names its source: node_exporter's own series of the same names have none, so
    /// that neither is in the other's way.
    private let source: String
    private var text = ""

    /// - Parameter place: Where the sample is from, as `Vantage` reads it: `netns:ctlab-gw`.
    public init(_ sample: HostSample, of place: String) {
        source = "source=\"\(Self.escaped(place))\""
        gauge(
            "node_nf_conntrack_entries",
            "Number of currently allocated flow entries for connection tracking.", sample.count)
        gauge(
            "node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.",
            sample.limit)
        for (column, help) in Self.statistics + Self.own {
            gauge(
                Self.name(ofColumn: column), help, sample.statistics.value(column).map { Int($0) })
        }
        let sockets = sample.sockets
        for (name, state, value) in [
            ("TCP", "alloc", sockets.tcpAllocated), ("TCP", "inuse", sockets.tcpInUse),
            ("TCP", "mem", sockets.tcpMemoryPages), ("TCP", "orphan", sockets.tcpOrphans),
            ("TCP", "tw", sockets.tcpTimeWait), ("UDP", "inuse", sockets.udpInUse),
        ] {
            gauge(
                "node_sockstat_\(name)_\(state)", "Number of \(name) sockets in state \(state).",
                value)
        }
        gauge(Self.buckets, "Size of the table's hash array.", sample.buckets)
        if let states = sample.states, !states.isEmpty {
            head(
                "ctlab_nf_conntrack_state_entries", "Number of entries by protocol and state.")
            for state in states {
                text +=
                    "ctlab_nf_conntrack_state_entries{\(source),protocol=\"\(state.proto)\","
                    + "state=\"\(state.state)\"} \(state.count)\n"
            }
        }
    }

    /// The whole exposition, with its end mark.
    public var exposition: String { text + "# EOF\n" }

    /// What was not said has no line.
    private mutating func gauge(_ name: String, _ help: String, _ value: Int?) {
        guard let value else { return }
        head(name, help)
        text += "\(name){\(source)} \(value)\n"
    }

    private mutating func head(_ name: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) gauge\n"
    }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { text, letter in
            if letter == "\\" || letter == "\"" { text += "\\" }
            text += letter == "\n" ? "\\n" : String(letter)
        }
    }
}
