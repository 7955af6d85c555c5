import Conntrack
import LoadGen
import Report
import Scenario
import Simulator
import Wire

/// What a scenario says a table will do: the model's run, in the shape of a measurement.
struct Prediction {
    var curve: TableCurve
    var load: ComparisonReport.Load
    /// When the collector's cycles began, in seconds.
    var collections: [Double]

    /// Runs the scenario in virtual time.
    ///
    /// - Parameters:
    ///   - firstCollection: Seconds to the collector's first cycle; `nil` is the model's own.
    ///   - background: Entries that were there before; they count.
    init(
        _ predicted: PredictedScenario, firstCollection: Double?, background: Int
    ) throws {
        let scenario = predicted.scenario
        var options = RunOptions()
        options.listAt = Instant.start + scenario.duration
        options.firstCollection = firstCollection.map {
            Instant(nanoseconds: UInt64(max(0, min($0, 1e9)) * 1e9))
        }
        var run = try Simulator.Run(scenario, options)
        while run.advance() {}
        if let reason = run.stopReason { throw Failure(code: .usage, text: reason) }
        let before = Double(background)
        func series(_ metric: String, plus offset: Double = 0) -> Curve {
            guard let series = run.recorded.series(named: "\(predicted.node).\(metric)"),
                case .samples(let values) = series.values
            else { return Curve() }
            // The table was listed before the last sample, which removed what had expired.
            return Curve(
                zip(series.times, values).dropLast().map {
                    Curve.Point(Double($0.nanoseconds) / 1e9, $1 + offset)
                })
        }
        curve = TableCurve(
            count: series("conntrack.count", plus: before),
            limit: series("conntrack.max", plus: before), drop: series("conntrack.drop"),
            earlyDrop: series("conntrack.early_drop"))
        curve.states = run.listings.first { $0.node == predicted.node }.map {
            Self.states($0.entries)
        }
        collections = run.collections(on: predicted.node).map { Double($0.nanoseconds) / 1e9 }
        load = ComparisonReport.Load([])
        for workload in run.summary(scenarioHash: "").workloads where !workload.isHidden {
            load.started += Int(clamping: workload.started)
            load.completed += Int(clamping: workload.completed)
            load.failed += Int(clamping: workload.failed.values.reduce(0, +))
            if workload.isDatagram {
                load.datagrams += Int(clamping: workload.started)
            } else {
                load.connected += Int(clamping: workload.connected)
            }
        }
    }

    /// Live entries by protocol and state, under the sampler's names.
    private static func states(_ entries: [Entry]) -> [StateCount] {
        var counts: [StateCount] = []
        for entry in entries where entry.remainingTicks > 0 {
            let one = StateCount(
                protocolNumber: entry.original.protocolNumber, tcpState: entry.protocolState,
                hasReply: entry.status.contains(.seenReply), count: 1)
            if let place = counts.firstIndex(where: {
                $0.proto == one.proto && $0.state == one.state
            }) {
                counts[place].count += 1
            } else {
                counts.append(one)
            }
        }
        return counts
    }
}
