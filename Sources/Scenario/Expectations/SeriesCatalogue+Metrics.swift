// What is recorded, in the order in which outputs show it.

extension SeriesCatalogue {
    /// Why a packet did not get further, as the replay's JSONL names it, and two more of links.
    public static let dropReasons = [
        "table_full", "rule", "rejected", "insert_failed", "chain_too_long", "clash", "nat",
        "nat_icmp_error", "no_route", "ttl", "too_big", "fragment_pending", "fragment_overflow",
        "malformed", "martian", "tracker", "link_loss", "link_queue", "link_down", "host_gone",
    ]

    /// Why a flow failed.
    public static let failureReasons = [
        "connect_timeout", "timeout", "refused", "reset", "unreachable", "no_port", "lookup",
    ]

    /// Of every node.
    public static let node: [Metric] =
        [
            .init("packets.received", .counter, "Packets that arrived."),
            .init("packets.forwarded", .counter, "Packets passed on."),
            .init("packets.local", .counter, "Packets for the node itself."),
            .init("packets.sent", .counter, "Packets the node made itself."),
            .init("packets.dropped", .counter, "Packets that ended here."),
            .init("packets.invalid", .counter, "Packets the tracker found INVALID."),
            .init("bytes.received", .counter, "Bytes that arrived.", .size),
            .init("bytes.forwarded", .counter, "Bytes passed on.", .size),
            .init("flows.accepted", .counter, "Connections and UDP flows its listeners took."),
            .init("flows.open", .gauge, "Connections and UDP flows its sockets hold."),
            .init("backlog.overflows", .counter, "SYNs and ACKs lost to a full backlog."),
            .init("ports.in_use", .gauge, "Local ports in use."),
            .init("cpu.busy", .gauge, "Share of CPU time spent on packets.", .count, .mean),
        ]
        + dropReasons.map {
            .init("packets.dropped.\($0)", .counter, "Packets that ended here for '\($0)'.")
        }

    /// Of nodes with a connection table.
    public static let tracker: [Metric] =
        [
            .init("conntrack.count", .gauge, "Entries, as nf_conntrack_count."),
            .init("conntrack.max", .gauge, "nf_conntrack_max."),
            .init("conntrack.buckets", .gauge, "nf_conntrack_buckets."),
            .init("conntrack.found", .counter, "conntrack -S: found."),
            .init("conntrack.invalid", .counter, "conntrack -S: invalid."),
            .init("conntrack.insert", .counter, "conntrack -S: insert."),
            .init("conntrack.insert_failed", .counter, "conntrack -S: insert_failed."),
            .init("conntrack.drop", .counter, "conntrack -S: drop."),
            .init("conntrack.early_drop", .counter, "conntrack -S: early_drop."),
            .init("conntrack.error", .counter, "conntrack -S: error."),
            .init("conntrack.search_restart", .counter, "conntrack -S: search_restart."),
            .init("conntrack.clash_resolve", .counter, "conntrack -S: clash_resolve."),
            .init("conntrack.chaintoolong", .counter, "conntrack -S: chaintoolong."),
            .init("conntrack.expect_new", .counter, "Expectations made."),
            .init("conntrack.expect_create", .counter, "Expectations that were met."),
            .init("conntrack.expect_delete", .counter, "Expectations deleted."),
            .init("conntrack.created", .counter, "Entries confirmed."),
            .init("conntrack.destroyed", .counter, "Entries removed."),
            .init("entries.tcp", .gauge, "Entries of TCP."),
            .init("entries.udp", .gauge, "Entries of UDP."),
            .init("entries.icmp", .gauge, "Entries of ICMP and ICMPv6."),
            .init("entries.other", .gauge, "Entries of other protocols."),
            .init("entries.assured", .gauge, "Entries early drop passes over."),
            .init("entries.unreplied", .gauge, "Entries without an answer."),
            .init("entries.expired", .gauge, "Entries past their time and not yet collected."),
        ]
        + [
            "syn_sent", "syn_recv", "established", "fin_wait", "close_wait", "last_ack",
            "time_wait", "close",
        ].map { .init("entries.\($0)", .gauge, "TCP entries in \($0.uppercased()).") }
        + [
            .init("chain.mean", .gauge, "Links in a bucket's chain.", .count, .mean),
            .init(
                "chain.p99", .gauge, "Links in the chain at the 99th percentile.", .count, .maximum),
            .init("chain.max", .gauge, "Links in the longest chain.", .count, .maximum),
            .init("lookups", .counter, "Lookups in the table."),
            .init("links_walked", .counter, "Links walked by lookups."),
            .init("nat.probes", .counter, "Tuples tried by port searches."),
            .init("nat.searches", .counter, "Port searches."),
            .init("nat.exhausted", .counter, "Port searches without a result."),
            .init("nat.refused", .counter, "Packets dropped because no port was free."),
            .init(
                "nat.ports_in_use", .gauge,
                "Translated ports in use towards the busiest "
                    + "destination.", .count, .maximum),
            .init("memory.kernel", .gauge, "What the kernel would have allocated.", .size),
            .init("memory.model", .gauge, "What the model has allocated.", .size),
            .init("log.lines", .counter, "Kernel log lines."),
            .init("log.table_full", .counter, "Lines 'table full, dropping packet'."),
            .init("log.suppressed", .counter, "Lines the limiter held back."),
        ]

    /// Of every workload.
    public static let workload: [Metric] =
        [
            .init("attempted", .counter, "Flows begun, or packets of a raw kind."),
            .init("connected", .counter, "Flows whose connection was made, or first answer came."),
            .init("completed", .counter, "Flows that went to their end."),
            .init("failed", .counter, "Flows that did not."),
            .init("active", .gauge, "Flows alive."),
            .init("skipped", .counter, "Flows that could not begin: no port, or a bound met."),
            .init("retried", .counter, "Attempts of the application after the first."),
            .init("requests", .counter, "Requests sent."),
            .init("responses", .counter, "Responses received."),
            .init("pushes", .counter, "Unasked messages of servers sent."),
            .init("pushes.received", .counter, "Unasked messages of servers that arrived."),
            .init("retransmitted.syn", .counter, "SYNs sent again."),
            .init("retransmitted.data", .counter, "Segments sent again."),
            .init("retransmitted.query", .counter, "Queries of resolvers sent again."),
            .init("packets.sent", .counter, "Packets sent, both ways."),
            .init("packets.delivered", .counter, "Packets that reached their host."),
            .init("packets.dropped", .counter, "Packets that ended on the way."),
            .init("bytes.sent", .counter, "Bytes sent, both ways.", .size),
            .init("connect", .histogram, "From the scheduled start to the connection.", .duration),
            .init("response", .histogram, "From a request to its response.", .duration),
            .init("completion", .histogram, "From the scheduled start to the end.", .duration),
            .init("lookup", .histogram, "Of one name, retries included.", .duration),
        ]
        + failureReasons.map { .init("failed.\($0)", .counter, "Flows that failed for '\($0)'.") }
        + dropReasons.map {
            .init("packets.dropped.\($0)", .counter, "Packets that ended for '\($0)'.")
        }

    /// Of the run.
    public static let run: [Metric] = [
        .init("packets", .counter, "Packets hosts have sent."),
        .init("flows", .gauge, "Flows alive."),
        .init("events", .counter, "Events of the simulation."),
    ]
}
