/// The bounds every run keeps, whatever it was asked for.
public struct LoadLimits: Sendable, Hashable {
    public var seconds = 86_400.0
    /// Flows begun a second, all workloads together; of datagrams, every one.
    public var startsPerSecond = 1_000_000.0
    /// Connections at a time, all workloads together.
    public var flows = 1_000_000
    public var requestByteCount = 1 << 20

    public init() {}

    /// What of `plan` goes beyond them, as sentences; none if nothing does.
    public func breaches(of plan: Plan) -> [String] {
        var lines: [String] = []
        if plan.duration == 0 || Double(plan.duration) / 1e9 > seconds {
            lines.append(
                "duration: found \(Double(plan.duration) / 1e9) s, expected more than 0 and at "
                    + "most \(Int(seconds)) s")
        }
        var rate = 0.0
        for workload in plan.workloads {
            switch workload.model {
            case .open(let arrivals):
                let copies =
                    workload.isFanout
                    ? workload.datagramsPerFlow : workload.lookup?.queriesPerSocket ?? 1
                // A flow's datagrams go out one right behind the other, however rare flows are.
                rate +=
                    copies > 1
                    ? max(1, arrivals.peakPerSecond) * Double(copies) : arrivals.peakPerSecond
            case .population: rate += workload.populationStartsPerSecond
            case .held(let count, let startsPerSecond):
                rate += startsPerSecond
                if count < 0 {
                    lines.append("\(workload.name): found \(count) flows, expected none below 0")
                }
            }
            let sizes = [
                ("request", workload.requestByteCount), ("response", workload.responseByteCount),
            ]
            for (what, size) in sizes where !(0...requestByteCount).contains(size) {
                lines.append(
                    "\(workload.name): found a \(what) of \(size) bytes, expected 0 to "
                        + "\(requestByteCount)")
            }
        }
        if !(rate > 0 && rate <= startsPerSecond) {
            lines.append(
                "rate: found \(rate)/s, expected more than 0 and at most "
                    + "\(Int(startsPerSecond))/s")
        }
        if plan.expectedFlows > flows {
            lines.append(
                "flows: found \(plan.expectedFlows) at a time, expected at most \(flows)")
        }
        return lines
    }
}
