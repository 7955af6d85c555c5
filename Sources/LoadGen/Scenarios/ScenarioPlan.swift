internal import Conntrack
public import Scenario

// A scenario's workloads as a plan: the same flows the simulator runs in virtual time, over real
// sockets. What real sockets cannot do, or this engine does not, is refused with all reasons at
// once; what it does a little differently is said.

/// A scenario's load as real sockets make it.
public struct ScenarioPlan: Sendable {
    public var plan: Plan
    /// Where the plan is not quite what the file says.
    public var notes: [String]

    /// Flows all closed workloads together begin a second at most.
    private static let closedStartsPerSecond = 200_000.0

    /// - Parameters:
    ///   - target: Where all workloads go.
    ///   - port: The first of the ports there; `nil` is each workload's own.
    ///   - portCount: How many there are from `port` on.
    ///   - sources: Where they come from; `nil` is the system's choice.
    ///   - tableMaximum: `nf_conntrack_max` of the table that is observed, which shares are of;
    ///     `nil` is what the file says.
    /// - Throws: Everything that cannot be done.
    public init(
        _ scenario: Scenario, target: AddressPool, port: UInt16?, portCount: Int = 1,
        sources: AddressPool?, tableMaximum: Int? = nil
    ) throws(ScenarioPlanError) {
        var workloads: [LoadWorkload] = []
        var problems: [String] = []
        var notes: [String] = []
        for workload in scenario.workloads {
            do throws(ScenarioPlanError) {
                let counted = try Self.counted(workload, scenario, tableMaximum, &notes)
                let ports = port.map { (first: $0, count: portCount) }
                workloads.append(try Self.workload(counted, target, ports, sources, &notes))
            } catch {
                problems += error.lines
            }
        }
        if scenario.workloads.isEmpty { problems.append("found no workloads, expected one") }
        if !scenario.timeline.isEmpty {
            notes.append("the timeline is left out: events of real hosts are yours to make")
        }
        guard problems.isEmpty else { throw ScenarioPlanError(lines: problems) }
        let closed = workloads.indices.filter { scenario.workloads[$0].load.model == .closed }
        for index in closed {
            workloads[index].populationStartsPerSecond = min(
                workloads[index].populationStartsPerSecond,
                Self.closedStartsPerSecond / Double(closed.count))
        }
        plan = Plan(
            workloads: workloads, duration: UInt64(max(0, scenario.duration.nanoseconds)))
        plan.seed = scenario.seed
        self.notes = notes
    }

    /// The workload with its load in flows, where it holds a share of a table.
    private static func counted(
        _ workload: Scenario.Workload, _ scenario: Scenario, _ observed: Int?,
        _ notes: inout [String]
    ) throws(ScenarioPlanError) -> Scenario.Workload {
        guard let node = workload.load.shareOf else { return workload }
        let maximum = observed ?? scenario.tableMaximum(of: node)
        guard maximum > 0 else {
            throw ScenarioPlanError(
                lines: [
                    "\(workload.name): flows: found a share of a table whose nf_conntrack_max is 0, "
                        + "expected a limit to take a share of"
                ])
        }
        notes.append(
            "\(workload.name): shares are of \(maximum) entries, "
                + (observed == nil
                    ? "which the file gives '\(node)': no table is observed"
                    : "nf_conntrack_max of the table observed"))
        var counted = workload
        counted.load = workload.load.counted(of: maximum)
        return counted
    }

    private static func workload(
        _ workload: Scenario.Workload, _ target: AddressPool,
        _ targetPorts: (first: UInt16, count: Int)?, _ sources: AddressPool?,
        _ notes: inout [String]
    ) throws(ScenarioPlanError) -> LoadWorkload {
        let name = workload.name
        guard case .flows(let flow) = workload.kind, let goal = workload.target else {
            throw ScenarioPlanError(
                lines: ["\(name): floods, scans and replays are for the simulator alone"])
        }
        var problems: [String] = []
        guard let transport = Transport(rawValue: goal.transport.rawValue) else {
            throw ScenarioPlanError(lines: ["\(name): found \(goal.transport), expected tcp or udp"]
            )
        }
        let ports = goal.ports
        let pool = TargetPool(
            addresses: target, firstPort: targetPorts?.first ?? ports.lowerBound,
            portCount: targetPorts?.count ?? ports.count)
        var result = LoadWorkload(
            name: name, transport: transport,
            model: model(workload, &problems), target: pool)
        result.sources = sources
        result.total = workload.total
        if workload.isStopped {
            result.model = Self.idle
            notes.append(
                "\(name): left out: it is stopped, and the timeline that starts it is not run")
        }
        if let ending = Ending(rawValue: flow.closing.rawValue) {
            result.ending = ending
        } else {
            problems.append(
                "\(name): close: found '\(flow.closing.rawValue)', expected "
                    + Ending.allCases.map(\.rawValue).joined(separator: ", "))
        }
        if let hold = HoldTime(flow.hold) {
            result.hold = hold
        } else {
            problems.append("\(name): hold: real sockets draw no pareto and no normal times")
        }
        result.requestByteCount = Int(flow.request.mean.rounded())
        result.responseByteCount = Int(flow.response.mean.rounded())
        if !flow.request.isConstant || !flow.response.isConstant {
            notes.append("\(name): requests and responses all have their mean size")
        }
        if !flow.requests.isConstant || flow.requests.mean > 1 {
            notes.append("\(name): each flow has one request")
        }
        if flow.retry.attempts > 1 { notes.append("\(name): the application tries once") }
        if let patience = flow.retry.connectTimeout ?? flow.retry.timeout {
            result.patience = UInt64(max(1, patience.nanoseconds))
        }
        if let resolver = flow.resolver {
            if transport == .tcp {
                result.lookup = Lookup(resolver)
                notes.append(
                    "\(name): names are looked up by UDP at the target, port "
                        + "\(targetPorts?.first ?? resolver.target.ports.lowerBound), where ctlab sink has "
                        + "to answer"
                )
                result.lookup?.port = targetPorts?.first ?? resolver.target.ports.lowerBound
            } else {
                notes.append("\(name): no names are looked up: datagram flows share sockets")
            }
        }
        if transport == .udp {
            if max(result.requestByteCount, result.responseByteCount)
                > LoadWorkload.datagramByteCount
            {
                notes.append(
                    "\(name): datagrams have at most \(LoadWorkload.datagramByteCount) bytes")
            }
            result.wantsAnswers = result.responseByteCount > 0
            result.sourcePortCount = pool.count >= 1000 ? 8 : 1000
        }
        guard problems.isEmpty else { throw ScenarioPlanError(lines: problems) }
        return result
    }

    /// No flow at any time.
    private static let idle = LoadModel.open(Arrivals(stages: [], spacing: .uniform))

    /// When flows begin, the wait for the workload's own start included.
    private static func model(
        _ workload: Scenario.Workload, _ problems: inout [String]
    ) -> LoadModel {
        let load = workload.load
        var stages = load.stages.map {
            Arrivals.Stage(
                seconds: Double($0.duration.nanoseconds) / 1e9, from: $0.from, to: $0.to)
        }
        if workload.start.nanoseconds > 0 {
            let seconds = Double(workload.start.nanoseconds) / 1e9
            stages.insert(Arrivals.Stage(seconds: seconds, from: 0, to: 0), at: 0)
        }
        if load.model == .closed { return .population(stages: stages) }
        switch load.arrivals {
        case .poisson: return .open(Arrivals(stages: stages, spacing: .poisson))
        case .uniform: return .open(Arrivals(stages: stages, spacing: .uniform))
        case .bursts(let size, let every):
            // So many, so often, is a rate that comes in bursts.
            let rate = Double(size) * 1e9 / Double(max(1, every.nanoseconds))
            for index in stages.indices where index > 0 || workload.start.nanoseconds == 0 {
                stages[index].fromPerSecond = rate
                stages[index].toPerSecond = rate
            }
            return .open(Arrivals(stages: stages, spacing: .bursts(size: size)))
        case .trace:
            problems.append("\(workload.name): arrivals of a trace are for the simulator alone")
            return .open(Arrivals(stages: stages, spacing: .uniform))
        }
    }
}

/// What of a scenario real sockets cannot do: a line each.
public struct ScenarioPlanError: Error, Sendable, CustomStringConvertible {
    public var lines: [String]

    public var description: String { lines.joined(separator: "\n") }
}
