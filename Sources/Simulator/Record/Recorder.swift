import Conntrack
import Scenario
import Wire

// Takes down what a world looks like, sample by sample. It looks and never touches: a run that is
// recorded more often goes the same way.

struct Recorder {
    private(set) var run: RecordedRun
    /// When each node's table first stood above 75 % of its maximum, by tracker.
    private(set) var alerts: [UInt64?]
    /// Largest figure of the kernel's memory, by tracker.
    private(set) var kernelPeaks: [UInt64]
    /// What each CPU time stood at, by station.
    private var busyBefore: [UInt64]
    private var latest: UInt64 = 0

    init(_ simulation: borrowing Simulation, groups: [String: [String]]) {
        run = RecordedRun(groups: groups)
        alerts = Array(repeating: nil, count: simulation.trackers.count)
        kernelPeaks = Array(repeating: 0, count: simulation.trackers.count)
        busyBefore = Array(repeating: 0, count: simulation.facts.count)
    }

    /// Takes a sample.
    mutating func sample(_ simulation: inout Simulation) {
        run.beginSample(at: Instant(nanoseconds: simulation.now))
        for station in simulation.facts.indices {
            sample(machine: station, simulation)
            let tracker = Int(simulation.facts[station].tracker)
            if tracker >= 0 {
                sample(
                    table: simulation.trackers[tracker], tracker, simulation.names[station].name,
                    at: Instant(nanoseconds: simulation.now))
            }
        }
        for place in simulation.workloads.indices where !simulation.workloads[place].isHidden {
            sample(workload: place, &simulation)
        }
        let metrics = SeriesCatalogue.run
        run.add("run", metrics[0], Double(simulation.packetCount))
        run.add("run", metrics[1], Double(simulation.exchanges.count))
        run.add("run", metrics[2], Double(simulation.eventCount))
        latest = simulation.now
    }

    /// Adds values in the order of some metrics of the catalogue.
    private mutating func add(_ owner: String, _ metrics: [Metric], _ values: [Double]) {
        precondition(metrics.count == values.count, "a value for each metric of the catalogue")
        for (metric, value) in zip(metrics, values) { run.add(owner, metric, value) }
    }

    // MARK: A machine

    private mutating func sample(machine station: Int, _ simulation: borrowing Simulation) {
        let stats = simulation.stats[station]
        let tracker = Int(simulation.facts[station].tracker)
        let span = Double(simulation.now - latest)
        let cpus = tracker >= 0 ? simulation.trackers[tracker].cpus.count : 1
        let busy = Double(stats.busy - busyBefore[station])
        busyBefore[station] = stats.busy
        let values: [Double] =
            [
                Double(stats.received), Double(stats.forwarded), Double(stats.local),
                Double(stats.sent), Double(stats.droppedCount), Double(stats.invalid),
                Double(stats.bytesReceived), Double(stats.bytesForwarded),
                Double(stats.accepted), Double(simulation.sockets.openCount(station)),
                Double(stats.backlogOverflows), Double(simulation.sockets.portCount(station)),
                span > 0 ? min(1, busy / span / Double(cpus)) : 0,
            ] + SeriesCatalogue.dropReasons.indices.map { Double(stats.dropped[$0]) }
        add(simulation.names[station].name, SeriesCatalogue.node, values)
    }

    // MARK: A table

    private mutating func sample(
        table home: TrackedNode, _ place: Int, _ name: String, at now: Instant
    ) {
        let sysctl = home.node.configuration.sysctl
        let census = home.node.census(at: now)
        let entries = home.node.count
        let counters = home.node.counters
        let removed = home.node.journal.removedCount
        if alerts[place] == nil, sysctl.max > 0, Double(entries) > 0.75 * Double(sysctl.max) {
            alerts[place] = now.nanoseconds
        }
        let chains = home.node.table.chainLengths()
        let kernel = KernelMemory(
            buckets: Int(sysctl.roundedBuckets), entries: Int(entries),
            extensions: KernelMemory.Extensions(sysctl, isListening: false))
        kernelPeaks[place] = max(kernelPeaks[place], UInt64(kernel.totalByteCount))
        let protocols = census.protocols
        let messages =
            protocols[Int(IPProtocol.icmp)] + protocols[Int(IPProtocol.icmpv6)]
        let known =
            protocols[Int(IPProtocol.tcp)] + protocols[Int(IPProtocol.udp)] + messages
        var values: [Double] = [Double(entries), Double(sysctl.max), Double(sysctl.roundedBuckets)]
        values += counters.named.map { Double($0.value) }
        values += [
            Double(removed + census.live + census.expired), Double(removed),
            Double(protocols[Int(IPProtocol.tcp)]), Double(protocols[Int(IPProtocol.udp)]),
            Double(messages), Double(census.live - known), Double(census.assured),
            Double(census.unreplied), Double(census.expired),
        ]
        values += (1...8).map { Double(census.tcpStates[$0]) }
        let searches = home.node.table.searches
        values += [
            chains.mean, Double(chains.p99), Double(chains.longest),
            Double(home.node.table.lookups), Double(home.node.table.linksWalked),
            Double(searches.probes), Double(searches.searches), Double(searches.failures),
            Double(searches.refusals),
            home.node.ruleset.needsNAT(.ipv4) || home.node.ruleset.needsNAT(.ipv6)
                ? Double(home.node.busiestPortCount(at: now)) : 0,
            Double(kernel.totalByteCount), Double(home.node.tableByteCount),
            Double(home.node.kernelLog.writtenCount),
            Double(home.node.kernelLog.tableFullCount),
            Double(home.node.kernelLog.suppressedCount),
        ]
        add(name, SeriesCatalogue.tracker, values)
    }

    // MARK: A workload

    private mutating func sample(workload place: Int, _ simulation: inout Simulation) {
        let workload = simulation.workloads[place]
        let stats = workload.stats
        // What is looked up for a workload is part of it.
        let resolver = workload.flow.resolver
        let lookup = resolver.map { simulation.workloads[$0].stats } ?? WorkloadStats()
        let isRaw = workload.isRaw
        let skipped = stats.failed[Int(FailureReason.noPort.rawValue)] + workload.skipped
        let dropped = zip(stats.dropped, lookup.dropped).map { $0 + $1 }
        let values: [Double] = [
            Double(isRaw ? stats.packetsSent : stats.started), Double(stats.connected),
            Double(stats.completed), Double(stats.failedCount), Double(workload.active),
            Double(skipped), Double(stats.attempted - stats.started), Double(stats.requests),
            Double(stats.responses), Double(stats.pushes), Double(stats.pushesReceived),
            Double(stats.retransmittedSYNs), Double(stats.retransmittedSegments),
            Double(stats.repeatedQueries + lookup.repeatedQueries),
            Double(stats.packetsSent + lookup.packetsSent),
            Double(stats.packetsDelivered + lookup.packetsDelivered),
            Double(dropped.reduce(0, +)), Double(stats.bytesSent + lookup.bytesSent),
        ]
        let metrics = SeriesCatalogue.workload
        add(workload.name, Array(metrics[..<values.count]), values)
        run.add(
            workload.name, metrics[values.count], simulation.workloads[place].stats.connect.take())
        run.add(
            workload.name, metrics[values.count + 1],
            simulation.workloads[place].stats.response.take())
        run.add(
            workload.name, metrics[values.count + 2],
            simulation.workloads[place].stats.completion.take())
        run.add(
            workload.name, metrics[values.count + 3],
            resolver.map { simulation.workloads[$0].stats.completion.take() } ?? ValueHistogram())
        let reasons = FailureReason.allCases.map { Double(stats.failed[Int($0.rawValue)]) }
        let drops = SeriesCatalogue.dropReasons.indices.map { Double(dropped[$0]) }
        add(workload.name, Array(metrics[(values.count + 4)...]), reasons + drops)
    }
}
