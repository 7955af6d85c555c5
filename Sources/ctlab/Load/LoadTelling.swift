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
    private var peak = 0
    /// The last second told.
    private var seconds = 0
    /// What became of the output: where nobody reads, or nothing can be written, the run stops.
    private var isRead = true
    private var failure: Failure?
    private var watch: TargetWatch
    /// Looks at what is observed that failed, and why the latest of them did.
    private var missedLooks = 0
    private var latestMiss: ProbeError?

    init(
        plan: Plan, target: String, format: LoadCommand.Format, probe: consuming HostProbe?
    ) throws(Failure) {
        self.plan = plan
        self.target = target
        self.format = format
        self.probe = probe
        flows = plan.workloads.map { _ in FlowCounts() }
        watch = TargetWatch(plan)
        first = try? self.probe?.sample()
        last = first
        peak = first?.count ?? 0
        if format == .text { try Output.line(SeriesRecord.heading) }
    }

    mutating func tick(_ tick: LoadTick) -> [LoadWish] {
        var record = SeriesRecord(second: tick.seconds)
        record.lateWorkers = tick.lateWorkers
        add(tick.flows, at: UInt64(tick.seconds) * Self.second, to: &record)
        do throws(Failure) {
            isRead = try write(record)
        } catch {
            failure = error
        }
        return isRead && failure == nil ? [] : [.stop]
    }

    private static let second: UInt64 = 1_000_000_000

    /// Adds to `record` what the host says now, and what the generator did up to `elapsed`.
    private mutating func add(
        _ flows: [FlowCounts], at elapsed: UInt64, to record: inout SeriesRecord
    ) {
        do throws(ProbeError) {
            if let sample = try probe?.sample() {
                if let last { record.add(sample, since: last) }
                last = sample
                peak = max(peak, sample.count)
            }
        } catch {
            missedLooks += 1
            latestMiss = error
        }
        for (index, counts) in flows.enumerated() {
            record.add(plan.workloads[index].name, counts, since: self.flows[index])
        }
        watch.note(record, elapsed: elapsed, flows: flows)
        self.flows = flows
        seconds = record.second
    }

    private func write(_ record: SeriesRecord) throws(Failure) -> Bool {
        guard format == .jsonl else { return try Output.line(record.line) }
        var json = JSONText()
        record.write(to: &json)
        return try Output.write(json)
    }

    /// What the last second told is followed by: the rest of the run, a part of a second mostly.
    private mutating func tellRest(_ result: LoadResult) throws(Failure) -> Bool {
        // Processes that are lost have told less than the clock.
        let elapsed = max(result.elapsed, UInt64(seconds) * Self.second)
        let whole = Int(elapsed / Self.second)
        // What was due at the end of a second that was not told belongs to it.
        let isPart = whole <= seconds || elapsed % Self.second > Self.second / 10
        var record = SeriesRecord(second: isPart ? whole + 1 : whole)
        if isPart { record.endMilliseconds = Int(elapsed / 1_000_000) }
        record.lateWorkers = 0
        add(result.flows, at: elapsed, to: &record)
        return try write(record)
    }

    /// The whole, and the exit code as an error where it is not good.
    mutating func finish(_ result: LoadResult) throws(Failure) {
        if let failure { throw failure }
        guard isRead, try tellRest(result) else { return }
        let summary = LoadSummary(
            plan: plan, result: result, first: first, last: last, peak: peak)
        switch format {
        case .text: try Output.write(summary.lines.map { $0 + "\n" }.joined())
        case .jsonl:
            var json = JSONText()
            summary.write(to: &json)
            try Output.write(json)
        }
        if let latestMiss {
            Message.error(
                "the observed table was not seen \(missedLooks) times, at last because \(latestMiss): "
                    + "what it did meanwhile is not told")
        }
        if let failure = GeneratorOptions.incompleteness(result, "the report") { throw failure }
        if let absence = watch.absence(elapsed: result.elapsed) {
            let transport = TargetAbsence.refusingTransport(result.flows)
            throw Failure(
                code: .failed, text: absence.sentence(of: target, transport: transport))
        }
        let failure = Self.fruitlessness(
            result.flows, at: target, fruits: plan.fruits(of: result.flows))
        if let failure { throw failure }
    }

    /// Why a run in which nothing came about is none to be content with; `nil` if something did.
    ///
    /// - Parameter fruits: Flows that came to something; `nil` counts whatever stood, was sent or was
    ///   answered.
    static func fruitlessness(
        _ flows: [FlowCounts], at target: String, fruits: Int? = nil
    ) -> Failure? {
        let sum = flows.reduce(FlowCounts(), +)
        guard fruits ?? (sum.connected + sum.datagrams + sum.answers) == 0 else { return nil }
        if TargetAbsence.isShown(by: flows) {
            return Failure(
                code: .failed,
                text: TargetAbsence.neverListened.sentence(
                    of: target, transport: TargetAbsence.refusingTransport(flows)))
        }
        guard sum.started + sum.droppedStarts > 0 else { return nil }
        let reason = sum.failures.max { $0.count < $1.count }?.text ?? "nobody answered in time"
        return Failure(
            code: .failed,
            text: "none of \(sum.started + sum.droppedStarts) flows to \(target) came about: "
                + "\(reason); see that it can be reached, and what drops them")
    }
}
