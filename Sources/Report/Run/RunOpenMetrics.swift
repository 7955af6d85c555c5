// A run's end under node_exporter's own names, so that existing dashboards and alert rules work on a
// what-if.

/// OpenMetrics text of a run.
public enum RunOpenMetrics {
    public static func text(_ summary: RunSummary) -> String {
        var text = "# TYPE ctlab_run info\n# HELP ctlab_run What made these figures.\n"
        text += "ctlab_run_info{version=\"\(summary.version)\",seed=\"\(summary.seed)\","
        text += "scenario=\"\(summary.scenario)\",scenario_hash=\"\(summary.scenarioHash)\"} 1\n"
        func family(
            _ name: String, _ type: String, _ help: String, _ value: (NodeSummary) -> UInt64
        ) {
            text += "# TYPE \(name) \(type)\n# HELP \(name) \(help)\n"
            let suffix = type == "counter" ? "_total" : ""
            for node in summary.nodes {
                text += "\(name)\(suffix){instance=\"\(node.name)\"} \(value(node))\n"
            }
        }
        family(
            "node_nf_conntrack_entries", "gauge",
            "Number of currently allocated flow entries for connection tracking."
        ) { UInt64($0.count) }
        family(
            "node_nf_conntrack_entries_limit", "gauge",
            "Maximum size of connection tracking table."
        ) { UInt64($0.max) }
        // node_exporter's names of the columns of /proc/net/stat/nf_conntrack.
        let statistics = [
            ("found", "found"), ("invalid", "invalid"), ("insert", "insert"),
            ("insert_failed", "insert_failed"), ("drop", "drop"), ("early_drop", "early_drop"),
            ("search_restart", "search_restart"),
        ]
        for (name, counter) in statistics {
            family(
                "node_nf_conntrack_stat_\(name)", "gauge",
                "Number of \(name) of the connection tracking table."
            ) { $0.counters[counter] ?? 0 }
        }
        text += workloads(summary)
        return text + "# EOF\n"
    }

    private static func workloads(_ summary: RunSummary) -> String {
        var text = ""
        func family(_ name: String, _ help: String, _ value: (WorkloadSummary) -> UInt64) {
            text += "# TYPE ctlab_workload_\(name) counter\n"
            text += "# HELP ctlab_workload_\(name) \(help)\n"
            for workload in summary.workloads {
                text +=
                    "ctlab_workload_\(name)_total{workload=\"\(workload.name)\"} "
                    + "\(value(workload))\n"
            }
        }
        family("flows", "Flows begun.", \.started)
        family("connected", "Flows connected.", \.connected)
        family("completed", "Flows completed.", \.completed)
        family("failed", "Flows failed.", \.failedCount)
        family("retransmitted_syns", "SYNs sent again.", \.retransmittedSYNs)
        return text
    }
}
