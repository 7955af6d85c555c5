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

    init(
        plan: Plan, target: String, format: LoadCommand.Format, probe: consuming HostProbe?
    ) {
        self.plan = plan
        self.target = target
        self.format = format
        self.probe = probe
        flows = plan.workloads.map { _ in FlowCounts() }
        first = try? self.probe?.sample()
        last = first
        if format == .text { Output.line(SeriesRecord.heading) }
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
        flows = tick.flows
        switch format {
        case .text: Output.line(record.line)
        case .jsonl:
            var json = JSONText()
            record.write(to: &json)
            Output.write(String(decoding: json.bytes, as: UTF8.self))
        }
        return []
    }

    /// The whole, and the exit code as an error where it is not good.
    mutating func finish(_ result: LoadResult) throws {
        let end = try? probe?.sample()
        switch format {
        case .text: tell(result, end)
        case .jsonl:
            var json = JSONText()
            LoadSummary(plan: plan, result: result, first: first, last: end ?? last, peak: peak)
                .write(to: &json)
            Output.write(String(decoding: json.bytes, as: UTF8.self))
        }
        if !result.lostProcesses.isEmpty {
            throw Failure(
                code: .failed,
                text: result.lostProcesses.joined(separator: "; ") + "; the report is partial")
        }
        if result.wasInterrupted {
            throw Failure(code: .interrupted, text: "interrupted; the report is partial")
        }
    }

    private func tell(_ result: LoadResult, _ end: HostSample?) {
        let summary = LoadSummary(
            plan: plan, result: result, first: first, last: end ?? last, peak: peak)
        for line in summary.lines { Output.line(line) }
    }
}
