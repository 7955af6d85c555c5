import Conntrack
import Wire
import Yams

// Whether a load can be as the file wants it: addresses, families, ports, and who listens.

extension ScenarioReader {
    mutating func checkLoads(_ layout: Scenario.Layout) {
        for index in result.workloads.indices {
            let workload = result.counted(result.workloads[index])
            let place = places.workloads[index]
            guard addressCount(of: workload.source) > 0 else {
                report(
                    place, found: "the source '\(workload.source)' without addresses",
                    expected: "'addresses:' at the node")
                continue
            }
            if case .node(let name)? = workload.target?.host, addressCount(of: name) == 0 {
                report(
                    place, found: "the target '\(name)' without addresses",
                    expected: "'addresses:' at the node")
                continue
            }
            if let target = workload.target {
                let (own, far) = (
                    sourceFamilies(of: workload, layout), families(of: target, layout)
                )
                if own.isDisjoint(with: far) {
                    report(
                        place,
                        found: "\(Self.words(own)) as the source, \(Self.words(far)) as the target",
                        expected: "a family that both have")
                    continue
                }
            }
            guard case .flows(let flow) = workload.kind, let target = workload.target else {
                continue
            }
            if target.transport == .tcp, flow.sourcePort == .perPacket {
                report(
                    place, found: "'source_port: per-packet' of TCP",
                    expected: "it of UDP alone: a TCP connection has one port")
            }
            if result.topology.node(named: workload.source)?.sharesAddresses == true,
                target.transport != .udp || flow.response.mean > 0
            {
                report(
                    place,
                    found: "answers to '\(workload.source)', whose members share their addresses",
                    expected: "UDP with 'response: 0B': a route leads to one of the members alone")
            }
            checkPorts(workload, flow, target, place: places.loads[index])
            noteListeners(workload, target)
        }
    }

    private func sourceFamilies(
        of workload: Scenario.Workload, _ layout: Scenario.Layout
    ) -> Set<Family> {
        if case .flood(let flood) = workload.kind, !flood.spoofed.isEmpty {
            return Set(flood.spoofed.map(\.family))
        }
        return families(of: workload.source, layout)
    }

    private func families(of name: String, _ layout: Scenario.Layout) -> Set<Family> {
        let members = layout.members(of: name, in: result.topology).prefix(1)
        return Set(
            members.flatMap { Self.allPools(result.topology.nodes[layout.members[$0].node]) }
                .map(\.family))
    }

    private func families(
        of target: Scenario.Target, _ layout: Scenario.Layout
    ) -> Set<Family> {
        switch target.host {
        case .node(let name): return families(of: name, layout)
        case .addresses(let family, _, _): return [family]
        case .service(let name):
            return Set(result.services.filter { $0.name == name }.map(\.family))
        case .nodePort(_, let weights):
            let nodes =
                weights.isEmpty
                ? result.topology.nodes.filter { $0.role == .kubernetesNode }.map(\.name)
                : weights.map(\.node)
            return nodes.reduce(into: []) { $0.formUnion(families(of: $1, layout)) }
        }
    }

    private static func words(_ families: Set<Family>) -> String {
        Family.allCases.filter(families.contains).map { $0 == .ipv4 ? "IPv4" : "IPv6" }
            .joined(separator: " and ") + " addresses"
    }

    /// Whether flows can all have a source port of their own.
    private mutating func checkPorts(
        _ workload: Scenario.Workload, _ flow: Scenario.Flow, _ target: Scenario.Target,
        place: YAMLNode
    ) {
        guard target.transport != .icmp, flow.pool == nil, flow.sourcePort != .perPacket,
            let source = result.topology.node(named: workload.source)
        else { return }
        // All flows of a fixed UDP port are one socket's.
        if target.transport == .udp, case .fixed = flow.sourcePort { return }
        let sources = min(flow.sourceAddresses ?? Int.max, addressCount(of: workload.source))
        let ports = if case .fixed = flow.sourcePort { 1 } else { source.host.ephemeralPorts.count }
        let goals = destinationCount(target)
        let tuples = Double(sources) * Double(ports) * Double(goals)
        let (needed, words) = need(workload, flow, target, source.host)
        guard needed > tuples else { return }
        report(
            place,
            found: "\(words), which needs \(Int(needed)) source ports at once",
            expected: "at most \(Int(tuples)) (\(sources) addresses × \(ports) ports × \(goals) "
                + "destinations); more addresses, or a lower load")
    }

    private func need(
        _ workload: Scenario.Workload, _ flow: Scenario.Flow, _ target: Scenario.Target,
        _ host: Scenario.HostSettings
    ) -> (Double, String) {
        let changed = result.timeline.compactMap { event -> Double? in
            guard case .workload(workload.name, .rate(let rate)) = event.verb else { return nil }
            return rate
        }
        let peak = max(
            workload.load.stages.map { max($0.from, $0.to) }.max() ?? 0, changed.max() ?? 0)
        let limit = workload.total.map(Double.init) ?? .infinity
        if workload.load.model == .closed { return (min(peak, limit), "\(Int(peak)) flows held") }
        var life = min(flow.hold.mean, Double(result.duration.nanoseconds)) / 1e9
        // The side that closes first keeps the pair for a minute.
        if target.transport == .tcp, flow.closing == .clientFIN {
            life += host.reusesTimeWait ? 1 : 60
        }
        if case .bursts(let size, let every) = workload.load.arrivals {
            let bursts = max(1, (life / (Double(every.nanoseconds) / 1e9)).rounded(.down))
            return (
                min(Double(size) * bursts, limit),
                "bursts of \(size) with a port taken for \(Int(life.rounded(.up)))s each"
            )
        }
        let staged =
            workload.load.stages.map { stage in
                (stage.from + stage.to) / 2 * min(Double(stage.duration.nanoseconds) / 1e9, life)
            }.max() ?? 0
        let left = Double(result.duration.nanoseconds) / 1e9
        let needed = max(staged, (changed.max() ?? 0) * min(left, life))
        let rate = Quantity.text(ofRate: peak)
        return (min(needed, limit), "\(rate) with a port taken for \(Int(life.rounded(.up)))s each")
    }

    private func addressCount(of name: String) -> Int {
        guard let node = result.topology.node(named: name) else { return 0 }
        let pools = Self.allPools(node)
        let count = pools.reduce(0) { $0 + $1.count }
        guard let replicas = node.replicas else { return count }
        // Members with the same addresses are hosts of their own, each with all its ports.
        return node.sharesAddresses ? count * replicas : count == 0 ? 0 : replicas
    }

    private func destinationCount(_ target: Scenario.Target) -> Int {
        let ports = target.spread == .first ? 1 : target.ports.count
        switch target.host {
        case .node(let name): return ports * (target.spread == .first ? 1 : addressCount(of: name))
        case .addresses(_, _, let count): return ports * count
        case .service: return 1
        case .nodePort(_, let weights):
            return max(
                1,
                weights.isEmpty
                    ? result.topology.nodes.filter { $0.role == .kubernetesNode }
                        .reduce(0) { $0 + addressCount(of: $1.name) } : weights.count)
        }
    }

    /// A target nobody listens at is what some scenarios are about; it is said all the same.
    private mutating func noteListeners(_ workload: Scenario.Workload, _ target: Scenario.Target) {
        guard case .node(let name) = target.host, target.transport != .icmp,
            let node = result.topology.node(named: name), node.role == .host
        else { return }
        let isHeard = node.listeners.contains {
            $0.transport == target.transport && $0.ports.overlaps(target.ports)
        }
        if isHeard { return }
        notes.append(
            "\(document.file): nothing listens on \(target.ports.lowerBound)/"
                + "\(target.transport.rawValue) of '\(name)', which '\(workload.name)' calls")
    }
}

extension Quantity {
    /// `4000/s`.
    static func text(ofRate rate: Double) -> String {
        rate == rate.rounded() && rate < 1e15 ? "\(Int(rate))/s" : "\(rate)/s"
    }
}
