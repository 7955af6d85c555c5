import Conntrack
import Wire
import Yams

// Whether packets can get where the file wants them: routes, reachability, addresses and ports.

extension ScenarioReader {
    mutating func checkRouting(_ layout: Scenario.Layout) {
        let topology = result.topology
        let walk = RouteWalk(topology, layout)
        for (route, place) in zip(topology.routes, places.routes) {
            let members = layout.members(of: route.node, in: topology)
            if let via = route.via {
                let hops = layout.members(of: via, in: topology)
                guard
                    members.allSatisfy({ member in
                        hops.contains { walk.areNeighbours(member, $0) }
                    })
                else {
                    report(
                        place["via"] ?? place,
                        found: "'\(via)', which is no neighbour of '\(route.node)'",
                        expected: "a node with a link to '\(route.node)'")
                    continue
                }
            }
            let distance = walk.distances(to: walk.owners(of: route.destination))
            for member in members {
                let (path, loops) = walk.path(from: member, to: route.destination, distance)
                guard loops else { continue }
                let names = path.map { layout.members[$0].name }.joined(separator: " > ")
                report(
                    place, found: "routes that loop (\(names))",
                    expected: "a path to \(Self.text(route.destination))")
                break
            }
        }
        checkReach(layout, walk)
    }

    private static func text(_ prefix: Prefix) -> String {
        "\(prefix.address.text(prefix.family))/\(prefix.length)"
    }

    private mutating func checkReach(_ layout: Scenario.Layout, _ walk: RouteWalk) {
        for (workload, place) in zip(result.workloads, places.workloads) {
            let sources = layout.members(of: workload.source, in: result.topology)
            guard let goal = goal(of: workload) else { continue }
            let targets = goal.names.flatMap { layout.members(of: $0, in: result.topology) }
            let distance = walk.distances(to: targets)
            guard let lost = sources.first(where: { distance[$0] == nil }) else { continue }
            report(
                place, found: "no path from '\(layout.members[lost].name)' to '\(goal.text)'",
                expected: "links that join them (only routers and kubernetes-nodes pass packets on)"
            )
        }
    }

    /// The nodes a workload's packets go to; `nil` where that is open: addresses nobody may have.
    private func goal(of workload: Scenario.Workload) -> (names: [String], text: String)? {
        if case .replay(let replay) = workload.kind { return ([replay.node], replay.node) }
        switch workload.target?.host {
        case .node(let name)?: return ([name], name)
        case .service(let name)?, .nodePort(let name, _)?:
            guard let service = result.services.first(where: { $0.name == name }) else {
                return nil
            }
            let nodes =
                service.nodes.isEmpty
                ? result.topology.nodes.filter { $0.role == .kubernetesNode }.map(\.name)
                : service.nodes
            return (nodes, name)
        case .addresses?, nil: return nil
        }
    }

    // MARK: Addresses and ports

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

    // MARK: Sweeps and expectations

    /// Values of a sweep tried before it is refused for their number.
    private static let sweepTrials = 200

    /// Every value of a sweep has to make a scenario; combinations are not tried.
    mutating func checkSweepPaths() {
        guard isWhole, let sweep = result.sweep else { return }
        var trials = 0
        for (axis, place) in zip(sweep.matrix, places.sweepPaths) {
            for value in axis.values {
                trials += 1
                guard trials <= Self.sweepTrials else { return }
                if let finding = trial(axis.path, value) {
                    report(
                        place.node, found: "\(axis.path) = \(value) (\(finding.found))",
                        expected: finding.expected, suggestion: finding.suggestion)
                    break
                }
            }
        }
    }

    /// The first finding with a value of the sweep in its place.
    private func trial(_ path: String, _ value: String) -> Finding? {
        do {
            var changed = document
            try changed.apply(.init(path: path, value: value))
            var reader = ScenarioReader(changed, load: load)
            reader.isWhole = false
            reader.readAll()
            reader.checkAll()
            return reader.findings.first
        } catch {
            return error.findings.first
        }
    }

    mutating func checkExpectations() {
        // A workload or node with a mistake in it has its series all the same.
        let catalogue = SeriesCatalogue(
            result, workloads: workloadNames, tracksAll: places.hasBadTopology)
        for (expectation, place) in zip(result.expectations, places.expectations) {
            do {
                let expression = try Expression(expectation.that, in: catalogue)
                if expression.needsTolerance, expectation.tolerance == nil {
                    report(
                        place, found: "'~=' without a tolerance",
                        expected: "'tolerance: 5%' beside it")
                }
            } catch {
                var finding = document.finding(
                    at: place, found: error.found, expected: error.expected,
                    suggestion: error.suggestion)
                finding.column += error.offset + (Self.isQuoted(place) ? 1 : 0)
                findings.append(finding)
            }
        }
    }

    private static func isQuoted(_ node: YAMLNode) -> Bool {
        guard case .scalar(let scalar) = node else { return false }
        return scalar.style == .doubleQuoted || scalar.style == .singleQuoted
    }
}

extension Quantity {
    /// `4000/s`.
    static func text(ofRate rate: Double) -> String {
        rate == rate.rounded() && rate < 1e15 ? "\(Int(rate))/s" : "\(rate)/s"
    }
}
