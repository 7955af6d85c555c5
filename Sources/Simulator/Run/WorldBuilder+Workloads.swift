import Conntrack
import Scenario
import Wire

// Workloads as the simulation drives them.

extension WorldBuilder {
    mutating func placeWorkloads(_ simulation: inout Simulation) throws(WorldError) {
        // Hidden workloads may hide others: a proxy's back may be looked up by name.
        var all = scenario.workloads
        var place = 0
        while place < all.count + hidden.count {
            let isHidden = place >= all.count
            let workload = isHidden ? hidden[place - all.count] : all[place]
            simulation.workloads.append(
                try state(of: workload, number: place, isHidden: isHidden, simulation))
            place += 1
        }
        all += hidden
        for place in simulation.workloads.indices {
            guard case .flows(let flow) = all[place].kind, let pool = flow.pool else { continue }
            simulation.workloads[place].pool = simulation.pools.count
            simulation.pools.append(
                PoolState(
                    size: pool.size, idleTime: UInt64(clamping: pool.idle.nanoseconds),
                    members: Array(repeating: PoolState.Member(), count: members.count)))
        }
    }

    private mutating func state(
        of workload: Scenario.Workload, number: Int, isHidden: Bool,
        _ simulation: borrowing Simulation
    ) throws(WorldError) -> WorkloadState {
        var plan = FlowPlan()
        var raw: RawPlan?
        let station = groups[workload.source]?.first ?? 0
        switch workload.kind {
        case .flows(let flow):
            plan = self.plan(of: flow, workload, isHidden: isHidden)
            if let resolver = flow.resolver {
                plan.resolver = scenario.workloads.count + hidden.count
                hidden.append(lookup(resolver, of: workload))
            }
        case .flood(let flood):
            raw = RawPlan(kind: .flood, station: station)
            raw?.isDatagram = flood.packet == .udp
            raw?.sourcePorts = flood.sourcePorts
            raw?.size = flood.size
            raw?.sources = flood.spoofed.map {
                SourceRange(
                    station: station, family: $0.family, first: $0.first, count: UInt64($0.count))
            }
        case .scan(let scan):
            raw = RawPlan(kind: .scan, station: station)
            raw?.isDatagram = workload.target?.transport == .udp
            raw?.sourcePorts = scan.sourcePorts
        case .replay(let replay):
            raw = try replayPlan(replay, station)
        }
        var target = try targetPlan(workload.target, simulation.facts)
        if case .scan(let scan) = workload.kind {
            target.spread = scan.order == .sequential ? .roundRobin : .random
        }
        var state = WorkloadState(
            name: workload.name, isOpen: workload.load.model == .open,
            arrivals: arrivals(workload.load.arrivals),
            stages: workload.load.stages.map {
                Stage(
                    duration: UInt64(clamping: $0.duration.nanoseconds), from: $0.from, to: $0.to)
            }, flow: plan, sources: sources(workload, plan.flow.sourceAddresses), target: target,
            raw: raw, seed: seed(4, number))
        state.start = workload.start.nanoseconds
        state.shareOf = workload.load.shareOf.flatMap { name in
            groups[name]?.first ?? members.firstIndex { $0.name == name }
        }
        state.startsByItself = !workload.isStopped && !isHidden
        state.isHidden = isHidden
        if let total = workload.total { state.left = UInt64(clamping: total) }
        state.targetDescription = workload.target
        return state
    }

    private func plan(
        of flow: Scenario.Flow, _ workload: Scenario.Workload, isHidden: Bool
    ) -> FlowPlan {
        var plan = FlowPlan()
        plan.flow = flow
        plan.transport = workload.target?.transport ?? .tcp
        if let timeout = flow.retry.timeout {
            plan.timeout = UInt64(clamping: timeout.nanoseconds)
            plan.questionTimeout = plan.timeout
        }
        if let timeout = flow.retry.connectTimeout {
            plan.connectTimeout = UInt64(clamping: timeout.nanoseconds)
        }
        if let interval = flow.keepAlive {
            plan.keepAlive = UInt64(clamping: interval.nanoseconds)
        }
        // A lookup is told apart by its questions.
        if isHidden, workload.name.hasSuffix(Self.lookupSuffix) {
            plan.opensSocketPerRequest = true
            plan.questions = workload.name.hasSuffix(Self.pairSuffix) ? 2 : 1
        }
        return plan
    }

    private static let lookupSuffix = ".dns"
    private static let pairSuffix = "+.dns"

    /// What looks the names of a workload up.
    private func lookup(
        _ resolver: Scenario.Resolver, of workload: Scenario.Workload
    ) -> Scenario.Workload {
        var flow = Scenario.Flow()
        let isPair = resolver.sharesSocket && resolver.records.count == 2
        let perName = isPair ? 1 : max(1, resolver.records.count)
        flow.requests = .constant(Double(resolver.candidates * perName))
        flow.request = .constant(45)
        flow.response = .constant(90)
        flow.retry.attempts = resolver.attempts
        flow.retry.timeout = resolver.timeout
        return Scenario.Workload(
            name: workload.name + (isPair ? Self.pairSuffix : Self.lookupSuffix),
            from: workload.source, to: resolver.target, .flows(flow),
            Scenario.Load(.closed, stages: []))
    }

    private func arrivals(_ arrivals: Scenario.Load.Arrivals) -> ArrivalKind {
        switch arrivals {
        case .poisson: .poisson
        case .uniform: .uniform
        case .bursts(let size, let every):
            .bursts(size: UInt32(clamping: size), every: UInt64(clamping: every.nanoseconds))
        case .trace(let moments): .trace(moments.map { UInt64(clamping: $0.nanoseconds) })
        }
    }

    // MARK: From and to

    private func sources(_ workload: Scenario.Workload, _ limit: Int?) -> [SourceRange] {
        var left = UInt64(clamping: limit ?? .max)
        var ranges: [SourceRange] = []
        for member in groups[workload.source] ?? [] {
            for address in members[member].allAddresses where left > 0 {
                let count = min(left, UInt64(address.count))
                left -= count
                ranges.append(
                    SourceRange(
                        station: member, family: address.family, first: address.first,
                        count: count))
            }
        }
        return ranges
    }

    /// The addresses and ports behind a target.
    func targetPlan(
        _ target: Scenario.Target?, _ facts: [StationFacts]
    ) throws(WorldError) -> TargetPlan {
        guard let target else { return TargetPlan([], ports: 0...0, .first) }
        var ports = target.ports
        switch target.host {
        case .service(let name):
            if let service = service(name) { ports = service.port...service.port }
        case .nodePort(let name, _):
            if let port = service(name)?.nodePort { ports = port...port }
        case .node, .addresses: break
        }
        let choices = choices(of: target, facts)
        guard !choices.isEmpty else {
            throw WorldError(description: "the target \(target.host) has no address")
        }
        return TargetPlan(choices, ports: ports, target.spread)
    }

    private func service(_ name: String) -> Scenario.Service? {
        scenario.services.first { $0.name == name }
    }

    /// The addresses behind a target, as machines come and go.
    func choices(of target: Scenario.Target, _ facts: [StationFacts]) -> [TargetPlan.Choice] {
        switch target.host {
        case .node(let name):
            return (groups[name] ?? []).filter { !facts[$0].isAbsent && !facts[$0].isLeaving }
                .flatMap { choices($0, weight: 1) }
        case .addresses(let family, let first, let count):
            return [
                TargetPlan.Choice(family: family, first: first, count: UInt64(count), weight: 1)
            ]
        case .service(let name):
            guard let service = service(name) else { return [] }
            return [
                TargetPlan.Choice(
                    family: service.family, first: service.virtualAddress, count: 1, weight: 1)
            ]
        case .nodePort(_, let weights):
            if weights.isEmpty {
                return members.indices.filter { description($0).role == .kubernetesNode }
                    .flatMap { choices($0, weight: 1) }
            }
            return weights.flatMap { weight in
                let share = groups[weight.node] ?? []
                return share.flatMap { choices($0, weight: weight.weight / Double(share.count)) }
            }
        }
    }

    func choices(_ member: Int, weight: Double) -> [TargetPlan.Choice] {
        members[member].allAddresses.map {
            TargetPlan.Choice(
                family: $0.family, first: $0.first, count: UInt64($0.count), weight: weight)
        }
    }

    /// Addresses that answer for each group of endpoints.
    func endpoints(_ facts: [StationFacts]) -> RulesetMaker.Endpoints {
        var endpoints: RulesetMaker.Endpoints = [:]
        for service in scenario.services {
            let present = (groups[service.endpoints] ?? []).filter {
                !facts[$0].isAbsent && !facts[$0].isLeaving
            }
            endpoints[service.name] = present.compactMap { member in
                members[member].allAddresses.first { $0.family == service.family }?.first
            }
        }
        return endpoints
    }

    // MARK: Captures

    private func replayPlan(
        _ replay: Scenario.CaptureReplay, _ station: Int
    ) throws(WorldError) -> RawPlan {
        let packets = try CapturedPackets.read(replay.path)
        return RawPlan(
            kind: .replay(packets, gapFactor: 1 / max(replay.speed, 1e-6), loops: replay.loops),
            station: station)
    }
}
