import Foundation
import LinuxCalls
import LoadGen
import Report

/// Tells a run as it goes, and what it came to.
struct LoadTelling: ~Copyable {
    private let plan: Plan
    private let target: String
    private let format: LoadCommand.Format
    private var probe: HostProbe?
    private var first: HostSample?
    private var last: HostSample?
    private var flows: [FlowCounts]
    private(set) var peak = 0
    /// What became of the output: where nobody reads, or nothing can be written, the run stops.
    private var isRead = true
    private var failure: Failure?
    /// The first second of those, up to now, in which the target refused all connections.
    private var refusingSince: Int?

    init(
        plan: Plan, target: String, format: LoadCommand.Format, probe: consuming HostProbe?
    ) throws(Failure) {
        self.plan = plan
        self.target = target
        self.format = format
        self.probe = probe
        flows = plan.workloads.map { _ in FlowCounts() }
        first = try? self.probe?.sample()
        last = first
        if format == .text { try Output.line(SeriesRecord.heading) }
    }

    mutating func tick(_ tick: LoadTick) -> [LoadWish] {
        var record = SeriesRecord(second: tick.seconds)
        if let sample = try? probe?.sample() {
            if let last { record.add(sample, since: last) }
            last = sample
            peak = max(peak, sample.count)
        }
        for (index, counts) in tick.flows.enumerated() {
            record.add(plan.workloads[index].name, counts, since: flows[index])
        }
        watchRefusals(tick, record)
        flows = tick.flows
        do throws(Failure) {
            isRead = try write(record)
        } catch {
            failure = error
        }
        return isRead && failure == nil ? [] : [.stop]
    }

    private func write(_ record: SeriesRecord) throws(Failure) -> Bool {
        guard format == .jsonl else { return try Output.line(record.line) }
        var json = JSONText()
        record.write(to: &json)
        return try Output.write(json)
    }

    /// Notes since when nobody has listened at the target.
    private mutating func watchRefusals(_ tick: LoadTick, _ record: SeriesRecord) {
        let refused = tick.flows.reduce(0) { $0 + $1.refused }
        let before = flows.reduce(0) { $0 + $1.refused }
        let connected = record.flows.reduce(0) { $0 + $1.counts.connected }
        if connected > 0 {
            refusingSince = nil
        } else if refused > before {
            refusingSince = refusingSince ?? tick.seconds
        }
    }

    /// The whole, and the exit code as an error where it is not good.
    mutating func finish(_ result: LoadResult) throws(Failure) {
        if let failure { throw failure }
        guard isRead else { return }
        let end = try? probe?.sample()
        let summary = LoadSummary(
            plan: plan, result: result, first: first, last: end ?? last, peak: peak)
        switch format {
        case .text: try Output.write(summary.lines.map { $0 + "\n" }.joined())
        case .jsonl:
            var json = JSONText()
            summary.write(to: &json)
            try Output.write(json)
        }
        if let failure = GeneratorOptions.incompleteness(result, "the report") { throw failure }
        guard let refusingSince else {
            if let failure = Self.fruitlessness(result.flows, at: target) { throw failure }
            return
        }
        throw Failure(
            code: .failed,
            text: "nothing has listened at \(target) since second \(refusingSince) of the run; "
                + "start what should, such as: ctlab sink --tcp PORT")
    }

    /// Why a run in which nothing came about is none to be content with; `nil` if something did.
    static func fruitlessness(_ flows: [FlowCounts], at target: String) -> Failure? {
        let sum = flows.reduce(FlowCounts(), +)
        guard sum.connected == 0, sum.datagrams == 0, sum.answers == 0 else { return nil }
        if sum.refused > 0 {
            return Failure(
                code: .failed,
                text: "nothing listens at \(target); start what should, such as: ctlab sink --tcp "
                    + "PORT")
        }
        guard sum.failed + sum.droppedStarts + sum.unfinished > 0 else { return nil }
        let reason = sum.failures.max { $0.count < $1.count }?.text ?? "nobody answered in time"
        return Failure(
            code: .failed,
            text: "none of \(sum.started + sum.droppedStarts) flows to \(target) came about: "
                + "\(reason); see that it can be reached, and what drops them")
    }
}
