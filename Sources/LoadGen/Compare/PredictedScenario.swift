internal import Conntrack
public import Scenario
internal import Wire

// A scenario as it really happens: with the settings of the machine that is loaded, the arrivals the
// generator draws, and on the wire what the generator says. Run in virtual time it is the prediction.

/// A scenario that predicts what a plan does to a target.
public struct PredictedScenario: Sendable {
    /// The workers' first bytes on a connection that talks to the sink.
    private static let instructionByteCount = Instruction.byteCount

    public private(set) var scenario: Scenario
    /// The node whose table is compared.
    public let node: String
    /// What of the target's settings the model does not have, or where the file says something else.
    public private(set) var notes: [String] = []

    /// - Parameters:
    ///   - plan: What the generator does: made from the same scenario.
    ///   - processes: Over how many it is spread; each draws its own arrivals.
    ///   - node: The node the observed table belongs to; `nil` is the only router, or the host
    ///     that is the target.
    ///   - settings: Of the observed table's machine.
    ///   - client: Of the machine the generator runs on.
    ///   - background: Entries that were in the table before.
    /// - Throws: Why the scenario has no such node.
    public init(
        _ scenario: Scenario, plan: Plan, processes: Int, node: String?,
        settings: TargetSettings, client: TargetSettings, background: Int = 0
    ) throws(ScenarioPlanError) {
        self.scenario = scenario
        self.node = try Self.trackedNode(of: scenario, named: node)
        // Of these the generator knows nothing.
        self.scenario.timeline = []
        self.scenario.expectations = []
        self.scenario.sampleInterval = .milliseconds(100)
        self.scenario.seed = plan.seed
        applyTracker(settings, background)
        for source in Set(scenario.workloads.map(\.source)).sorted() {
            applySockets(client, to: source)
        }
        for index in self.scenario.workloads.indices where index < plan.workloads.count {
            apply(plan, processes, to: index)
        }
    }

    /// The node that tracks: named, or the only one that can be meant.
    static func trackedNode(
        of scenario: Scenario, named name: String?
    ) throws(ScenarioPlanError) -> String {
        let nodes = scenario.topology.nodes
        if let name {
            guard nodes.contains(where: { $0.name == name }) else {
                let names = nodes.map(\.name).joined(separator: ", ")
                throw ScenarioPlanError(lines: ["--node: found '\(name)', expected one of \(names)"]
                )
            }
            return name
        }
        let routers = nodes.filter { $0.role == .router && $0.replicas == nil }
        if routers.count == 1 { return routers[0].name }
        if routers.isEmpty, case .node(let target)? = scenario.workloads.first?.target?.host {
            return target
        }
        let names = routers.map(\.name).joined(separator: ", ")
        throw ScenarioPlanError(
            lines: ["found the routers \(names), expected --node to say whose table is observed"])
    }

    // MARK: Settings

    private mutating func applyTracker(_ settings: TargetSettings, _ background: Int) {
        guard let place = scenario.topology.nodes.firstIndex(where: { $0.name == node }) else {
            return
        }
        var described = scenario.topology.nodes[place]
        let before = described.sysctl
        for setting in settings.tracker {
            // A name the model does not have is another kernel's, and changes nothing here.
            try? described.sysctl.set(setting.name, to: setting.value)
        }
        for name in Sysctl.names {
            guard let was = before.value(of: name), let now = described.sysctl.value(of: name),
                was != now
            else { continue }
            notes.append("nf_conntrack_\(name) is \(now) there; the file says \(was)")
        }
        if described.sysctl.max > 0 {
            // What was there before takes its room, and stays.
            let rest = Int(described.sysctl.max) - background
            described.sysctl.max = UInt32(clamping: max(1, rest))
        }
        if let hertz = settings.hertz, let rate = TickRate(hertz: hertz) {
            described.tickRate = rate
        } else {
            notes.append("HZ is not known there; \(described.tickRate.hertz) is assumed")
        }
        let version = settings.release.split(separator: ".").prefix(2).joined(separator: ".")
        if let profile = KernelProfile(rawValue: version) {
            described.profile = profile
        } else if !version.isEmpty {
            notes.append(
                "the kernel is \(settings.release); the model is that of "
                    + described.profile.rawValue)
        }
        scenario.topology.nodes[place] = described
    }

    private mutating func applySockets(_ settings: TargetSettings, to name: String) {
        guard let place = scenario.topology.nodes.firstIndex(where: { $0.name == name }) else {
            return
        }
        func number(_ name: String) -> Int? {
            settings.value(of: "net.ipv4.\(name)").flatMap { Int($0) }
        }
        var host = scenario.topology.nodes[place].host
        host.synRetries = number("tcp_syn_retries") ?? host.synRetries
        host.synLinearTimeouts = number("tcp_syn_linear_timeouts") ?? host.synLinearTimeouts
        host.synAckRetries = number("tcp_synack_retries") ?? host.synAckRetries
        host.dataRetries = number("tcp_retries2") ?? host.dataRetries
        if let seconds = number("tcp_fin_timeout") { host.finTimeout = .seconds(Int64(seconds)) }
        if let reuse = number("tcp_tw_reuse") { host.reusesTimeWait = reuse == 1 }
        let ports = settings.value(of: "net.ipv4.ip_local_port_range")?
            .split(separator: " ").compactMap { UInt16($0) }
        if let ports, ports.count == 2, ports[0] > 0, ports[0] <= ports[1] {
            host.ephemeralPorts = ports[0]...ports[1]
        }
        host.roundsTimers = true
        scenario.topology.nodes[place].host = host
        if let hertz = settings.hertz, let rate = TickRate(hertz: hertz) {
            scenario.topology.nodes[place].tickRate = rate
        }
    }

    // MARK: Load

    private mutating func apply(_ plan: Plan, _ processes: Int, to index: Int) {
        let work = plan.workloads[index]
        var workload = scenario.workloads[index]
        if case .open = work.model {
            // The plan's stages hold the wait for the workload's own start.
            let moments = plan.arrivals(of: index, processes: processes)
            workload.load.arrivals = .trace(
                moments.map { Interval(nanoseconds: Int64(clamping: $0)) })
            workload.start = .start
        } else if case .population(let stages) = work.model, workload.load.shareOf != nil {
            // Shares are of a maximum without what was in the table before; counts are the plan's.
            workload.load.shareOf = nil
            workload.load.stages = stages.map {
                Scenario.Stage(
                    Interval(nanoseconds: Int64($0.seconds * 1e9)), from: $0.fromPerSecond,
                    to: $0.toPerSecond)
            }
            workload.start = .start
        }
        guard case .flows(var flow) = workload.kind else { return }
        let talks = work.transport == .tcp && work.talksToSink
        let request = work.requestByteCount + (talks ? Self.instructionByteCount : 0)
        flow.request = .constant(Double(request))
        flow.response = .constant(
            Double(max(work.responseByteCount, work.ending == .abandon ? 1 : 0)))
        if work.transport == .udp, !work.wantsAnswers { flow.response = .constant(0) }
        flow.requests = .constant(1)
        flow.retry.attempts = 1
        flow.retry.connectTimeout = nil
        flow.retry.givesUpWithReset = true
        flow.retry.timeout = Interval(nanoseconds: Int64(clamping: work.patience))
        workload.kind = .flows(flow)
        scenario.workloads[index] = workload
    }
}

extension Plan {
    /// The moments, in nanoseconds from the start, at which flows of an open workload begin: those
    /// of all processes together, in order.
    public func arrivals(of index: Int, processes: Int) -> [UInt64] {
        var moments: [UInt64] = []
        for number in 0..<max(1, processes) {
            let share = part(number, of: max(1, processes))
            guard case .open(let arrivals) = share.workloads[index].model else { continue }
            let work = share.workloads[index]
            var clock = ArrivalClock(
                arrivals, seed: share.seed(ofWorkload: index), share: work.share)
            var left = work.total ?? Int.max
            while left > 0, let moment = clock.next(), moment < duration {
                moments.append(moment)
                left -= 1
            }
        }
        return moments.sorted()
    }

    /// The seed of a workload's own chance.
    func seed(ofWorkload index: Int) -> UInt64 {
        seed &+ UInt64(index) &* 0x1234_5678_9ABC_DEF1
    }
}
