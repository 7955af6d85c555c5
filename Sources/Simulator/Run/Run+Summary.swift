import Conntrack
public import Report
import Scenario
import Wire

// How a run ended, as values for outputs.

extension Run {
    /// The figures of the run; expectations and diagnosis are in it.
    public func summary(scenarioHash: String) -> RunSummary {
        var summary = RunSummary(
            scenario: scenario.name, about: scenario.about, scenarioHash: scenarioHash,
            seed: seed)
        summary.simulatedSeconds = Double(simulation.now) / 1e9
        summary.packets = simulation.packetCount
        summary.hops = simulation.hops
        summary.isPartial = simulation.now < end.nanoseconds
        summary.nodes = simulation.trackers.indices.map { node($0) }
        summary.workloads = simulation.workloads.indices.map { workload($0) }
        summary.expectations = expectations().map { result in
            var outcome = ExpectationSummary(
                that: result.expectation.that, isMet: result.holds,
                severity: result.expectation.severity.rawValue, found: result.observed)
            outcome.at = result.moment.map { Double($0.nanoseconds) / 1e9 }
            outcome.published = result.expectation.published
            return outcome
        }
        summary.timeline = simulation.notes.map {
            TimelineNote(at: Double($0.at) / 1e9, text: $0.text)
        }
        summary.diagnosis = Diagnosis.sentences(summary)
        return summary
    }

    private func node(_ tracker: Int) -> NodeSummary {
        let home = simulation.trackers[tracker]
        let stats = simulation.stats[home.station]
        let sysctl = home.node.configuration.sysctl
        var summary = NodeSummary(name: simulation.names[home.station].name)
        summary.count = home.node.count
        summary.peak = home.node.peakCount
        summary.max = sysctl.max
        summary.buckets = sysctl.roundedBuckets
        for (name, value) in home.node.counters.named { summary.counters[name] = UInt64(value) }
        for (place, name) in PacketFate.names.enumerated() where stats.dropped[place] > 0 {
            summary.drops[name] = stats.dropped[place]
        }
        summary.received = stats.received
        summary.forwarded = stats.forwarded
        summary.local = stats.local
        summary.sent = stats.sent
        summary.invalid = stats.invalid
        summary.lookups = home.node.table.lookups
        summary.portRefusals = home.node.table.searches.refusals
        summary.linksWalked = home.node.table.linksWalked
        summary.modelBytes = UInt64(home.node.tableByteCount)
        // Who keeps a run's messages is no listener on its machines.
        let extensions = KernelMemory.Extensions(sysctl, isListening: false)
        let buckets = Int(sysctl.roundedBuckets)
        summary.kernelBytes = UInt64(
            KernelMemory(
                buckets: buckets, entries: Int(home.node.count), extensions: extensions
            ).totalByteCount)
        summary.kernelPeakBytes = UInt64(
            KernelMemory(
                buckets: buckets, entries: Int(home.node.peakCount), extensions: extensions
            ).totalByteCount)
        summary.kernelLogLines = home.node.kernelLog.writtenCount
        summary.contents = home.contentsAtRefusal ?? simulation.contents(of: home)
        summary.alertAt = recorder.alerts[tracker].map { Double($0) / 1e9 }
        summary.savedTable = home.savedTable
        summary.firstRefusalAt = home.firstRefusal.map { Double($0) / 1e9 }
        summary.lastRefusalAt = home.latestRefusal.map { Double($0) / 1e9 }
        return summary
    }

    private func workload(_ place: Int) -> WorkloadSummary {
        let workload = simulation.workloads[place]
        let stats = workload.stats
        var summary = WorkloadSummary(name: workload.name)
        summary.started = stats.started
        summary.attempted = stats.attempted
        summary.connected = stats.connected
        summary.completed = stats.completed
        summary.active = UInt64(workload.active)
        summary.waiting = UInt64(waitingCount(place))
        for reason in FailureReason.allCases where stats.failed[Int(reason.rawValue)] > 0 {
            summary.failed[SeriesCatalogue.failureReasons[Int(reason.rawValue)]] =
                stats.failed[Int(reason.rawValue)]
        }
        summary.requests = stats.requests
        summary.responses = stats.responses
        summary.retransmittedSYNs = stats.retransmittedSYNs
        summary.retransmittedSegments = stats.retransmittedSegments
        summary.repeatedQueries = stats.repeatedQueries
        summary.packetsSent = stats.packetsSent
        summary.packetsDelivered = stats.packetsDelivered
        for (place, name) in PacketFate.names.enumerated() where stats.dropped[place] > 0 {
            summary.drops[name] = stats.dropped[place]
        }
        summary.isRaw = workload.isRaw
        summary.isDatagram = workload.raw?.isDatagram ?? workload.flow.isDatagram
        summary.isHidden = workload.isHidden
        summary.connect = latency("\(workload.name).connect")
        summary.response = latency("\(workload.name).response")
        summary.completion = latency("\(workload.name).completion")
        return summary
    }

    /// Exchanges of a workload that have waited for more than a second.
    private func waitingCount(_ place: Int) -> Int {
        let limit = simulation.now - min(simulation.now, 1_000_000_000)
        return simulation.exchanges.items.count { exchange in
            guard exchange.generation != 0, exchange.workload == UInt32(place) else { return false }
            switch exchange.phase {
            case .resolving, .queueing, .connecting, .backingOff:
                return exchange.attemptBegan < limit
            case .asking: return exchange.asked < limit
            case .thinking, .holding: return false
            }
        }
    }

    private func latency(_ name: String) -> LatencySummary? {
        guard case .histograms(let steps)? = recorder.run.series(named: name)?.values else {
            return nil
        }
        var total = ValueHistogram()
        for step in steps { total.merge(step) }
        func microseconds(_ part: Double) -> UInt64 {
            UInt64((total.quantile(part) ?? 0) / 1000)
        }
        guard !total.isEmpty else { return nil }
        return LatencySummary(
            count: total.count, p50: microseconds(0.5), p90: microseconds(0.9),
            p99: microseconds(0.99), p999: microseconds(0.999), max: total.maximum / 1000)
    }
}
