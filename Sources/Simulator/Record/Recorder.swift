import Conntrack
import Report
import Wire

// Takes down what a world looks like, sample by sample. It looks and never touches: a run that is
// recorded more often goes the same way.

/// The series of a run.
struct Recorder {
    private(set) var series = SeriesTable()
    private(set) var latencies: [LatencySeries] = []
    /// Figures as they stood at the sample before, for columns that count.
    private var before: [Double] = []
    private var row: [Double] = []
    private var cursor = 0
    /// When each node's table first stood above 75 % of its maximum.
    private(set) var alerts: [UInt64?] = []
    /// Largest figure of the kernel's memory, by node.
    private(set) var kernelPeaks: [UInt64] = []

    /// Takes a sample.
    mutating func sample(_ simulation: inout Simulation) {
        let isFirst = series.columns.isEmpty
        cursor = 0
        series.times.append(simulation.now)
        if isFirst {
            alerts = Array(repeating: nil, count: simulation.trackers.count)
            kernelPeaks = Array(repeating: 0, count: simulation.trackers.count)
        }
        for (place, home) in simulation.trackers.enumerated() {
            let name = simulation.names[home.station].name
            sample(home, place, name, at: Instant(nanoseconds: simulation.now))
        }
        var latency = 0
        for place in simulation.workloads.indices {
            let name = simulation.workloads[place].name
            sample(simulation.workloads[place], name)
            take(&simulation.workloads[place].stats.connect, name + ".connect", &latency)
            take(&simulation.workloads[place].stats.completion, name + ".completion", &latency)
        }
        let active = simulation.sockets.count
        gauge("run.sockets", Double(active))
        gauge("run.events", Double(simulation.queue.count))
        count("run.hops", Double(simulation.hops))
    }

    private mutating func take(_ latency: inout Latency, _ name: String, _ place: inout Int) {
        if latencies.count == place { latencies.append(LatencySeries(name)) }
        latencies[place].steps.append(
            latency.takeStep().map {
                LatencySeries.Value(microseconds: $0.microseconds, count: $0.count)
            })
        place += 1
    }

    // MARK: A node

    private mutating func sample(
        _ home: TrackedNode, _ place: Int, _ name: String, at now: Instant
    ) {
        let sysctl = home.node.configuration.sysctl
        let census = home.node.census(at: now)
        let conntrack = name + ".conntrack."
        let entries = home.node.count
        gauge(conntrack + "count", Double(entries))
        gauge(conntrack + "max", Double(sysctl.max))
        gauge(conntrack + "buckets", Double(sysctl.roundedBuckets))
        if alerts[place] == nil, sysctl.max > 0, Double(entries) > 0.75 * Double(sysctl.max) {
            alerts[place] = now.nanoseconds
        }
        for (counter, value) in home.node.counters.named {
            count(conntrack + counter, Double(value))
        }
        gauge(conntrack + "tcp", Double(census.protocols[Int(IPProtocol.tcp)]))
        gauge(conntrack + "udp", Double(census.protocols[Int(IPProtocol.udp)]))
        gauge(
            conntrack + "icmp",
            Double(
                census.protocols[Int(IPProtocol.icmp)] + census.protocols[Int(IPProtocol.icmpv6)])
        )
        for state in UInt8(1)..<10 {
            gauge(
                conntrack + "tcp." + StateName.tcp(state), Double(census.tcpStates[Int(state)]))
        }
        gauge(conntrack + "assured", Double(census.assured))
        gauge(conntrack + "unreplied", Double(census.unreplied))
        gauge(conntrack + "expired", Double(census.expired))
        gauge(conntrack + "unconfirmed", Double(census.unconfirmed))
        let chains = home.node.table.chainLengths()
        gauge(name + ".chain.mean", chains.mean)
        gauge(name + ".chain.p99", Double(chains.p99))
        gauge(name + ".chain.max", Double(chains.longest))
        count(name + ".lookups", Double(home.node.table.lookups))
        count(name + ".links_walked", Double(home.node.table.linksWalked))
        let kernel = KernelMemory(
            buckets: Int(sysctl.roundedBuckets), entries: Int(entries),
            extensions: KernelMemory.Extensions(sysctl, isListening: home.node.isListening))
        kernelPeaks[place] = max(kernelPeaks[place], UInt64(kernel.totalByteCount))
        gauge(name + ".memory.kernel", Double(kernel.totalByteCount))
        gauge(name + ".memory.model", Double(home.node.tableByteCount))
        count(name + ".kernel_log", Double(home.node.kernelLog.writtenCount))
        let stats = home.stats
        count(name + ".packets.received", Double(stats.received))
        count(name + ".packets.forwarded", Double(stats.forwarded))
        count(name + ".packets.local", Double(stats.local))
        count(name + ".packets.sent", Double(stats.sent))
        count(name + ".packets.invalid", Double(stats.invalid))
        count(name + ".packets.dropped", Double(stats.dropped))
        count(name + ".drop.backlog", Double(stats.backlogDrops))
        for (place, reason) in DropReason.inOrder.enumerated() {
            count(name + ".drop." + reason.rawValue, Double(stats.droppedBy[place]))
        }
    }

    // MARK: A workload

    private mutating func sample(_ workload: WorkloadState, _ name: String) {
        let stats = workload.stats
        gauge(name + ".active", Double(workload.active))
        count(name + ".started", Double(stats.started))
        count(name + ".attempted", Double(stats.attempted))
        count(name + ".connected", Double(stats.connected))
        count(name + ".completed", Double(stats.completed))
        count(name + ".failed", Double(stats.failedCount))
        for reason in FailureReason.allCases {
            count(name + ".failed." + reason.name, Double(stats.failed[Int(reason.rawValue)]))
        }
        count(name + ".failed_attempts", Double(stats.attemptsFailed.reduce(0, +)))
        count(name + ".retransmitted_syns", Double(stats.retransmittedSYNs))
        count(name + ".sent", Double(stats.sent))
        count(name + ".delivered", Double(stats.delivered))
        count(name + ".answers", Double(stats.answers))
        count(name + ".unanswered", Double(stats.unanswered))
        count(name + ".dropped", Double(stats.droppedCount))
        for (place, reason) in DropReason.inOrder.enumerated() {
            count(name + ".dropped." + reason.rawValue, Double(stats.droppedBy[place]))
        }
    }

    // MARK: Columns

    private mutating func gauge(_ name: @autoclosure () -> String, _ value: Double) {
        if cursor == series.columns.count {
            series.columns.append(SeriesTable.Column(name(), .gauge))
            before.append(0)
        }
        series.columns[cursor].values.append(value)
        cursor += 1
    }

    private mutating func count(_ name: @autoclosure () -> String, _ total: Double) {
        if cursor == series.columns.count {
            series.columns.append(SeriesTable.Column(name(), .count))
            before.append(0)
        }
        series.columns[cursor].values.append(total - before[cursor])
        before[cursor] = total
        cursor += 1
    }
}
