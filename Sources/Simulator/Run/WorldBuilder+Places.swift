import Conntrack
import Scenario
import Wire

// Machines, links, listeners and tracked nodes as the simulation keeps them.

extension WorldBuilder {
    mutating func placeMembers(_ simulation: inout Simulation) {
        var firstLink: [UInt32] = []
        var count: UInt32 = 0
        for member in members {
            firstLink.append(count)
            count += UInt32(member.links.count)
        }
        simulation.changes.routes = scenario.topology.routes
        simulation.stats = Array(repeating: StationStats(), count: members.count)
        simulation.sockets.prepare(stations: members.count)
        for (place, member) in members.enumerated() {
            let node = description(place)
            var facts = StationFacts()
            facts.firstLink = firstLink[place]
            facts.linkCount = UInt32(member.links.count)
            facts.firstPrefix = UInt32(simulation.prefixes.count)
            for pool in member.allAddresses {
                simulation.prefixes.append(
                    RouteEntry(
                        pool.count == 1
                            ? Prefix(pool.family, pool.first, length: pool.family.addressBits)
                            : pool.network))
            }
            facts.prefixCount = UInt32(simulation.prefixes.count) - facts.firstPrefix
            // A newcomer is not there yet.
            facts.isAbsent = node.replicas.map { (member.ordinal ?? 0) >= $0 } ?? false
            facts.isDead = facts.isAbsent
            apply(node, to: &facts)
            simulation.facts.append(facts)
            simulation.names.append(
                StationNames(
                    name: member.name, node: member.node,
                    interfaces: member.interfaces.map(\.name)))
            simulation.routes.append(routes(of: place, simulation.changes))
            for link in member.links {
                simulation.links.append(
                    LinkDirection(
                        settings: LinkSettings(link.quality), station: UInt32(link.neighbour),
                        interface: UInt8(truncatingIfNeeded: link.neighbourInterface),
                        ownInterface: UInt8(truncatingIfNeeded: link.interface),
                        opposite: firstLink[link.neighbour] + UInt32(link.neighbourPlace)))
            }
        }
    }

    private func apply(_ node: Scenario.Node, to facts: inout StationFacts) {
        let host = node.host
        facts.wheel = host.roundsTimers ? node.tickRate : nil
        facts.ports = host.ephemeralPorts
        facts.synRetries = UInt8(clamping: host.synRetries)
        facts.synLinearTimeouts = UInt8(clamping: host.synLinearTimeouts)
        facts.synAckRetries = UInt8(clamping: host.synAckRetries)
        facts.dataRetries = UInt8(clamping: host.dataRetries)
        facts.finTimeout = UInt64(clamping: host.finTimeout.nanoseconds)
        facts.reusesTimeWait = host.reusesTimeWait
        facts.rejectsClosedPorts = host.rejectsClosedPorts
    }

    mutating func placeListeners(_ simulation: inout Simulation) {
        for place in members.indices {
            let node = description(place)
            simulation.facts[place].firstListener = UInt32(simulation.listeners.count)
            for listener in node.listeners where listener.transport != .icmp {
                let behaviour: ListenerState.Behaviour =
                    switch listener.behaviour {
                    case .serve: .serve
                    case .silent: .silent
                    case .refuse: .refuse
                    case .proxy(let proxy): .proxy(workload: hide(proxy, of: node, listener))
                    }
                simulation.listeners.append(
                    ListenerState(
                        protocolNumber: listener.transport == .tcp
                            ? IPProtocol.tcp : IPProtocol.udp,
                        ports: listener.ports, behaviour: behaviour,
                        backlog: UInt32(clamping: node.backlog),
                        processing: listener.processing, workers: listener.workers,
                        sampler: Sampler(seed: seed(3, simulation.listeners.count))))
            }
            simulation.facts[place].listenerCount =
                UInt32(simulation.listeners.count) - simulation.facts[place].firstListener
        }
    }

    /// The back of a proxy is a workload that begins an exchange for each request.
    private mutating func hide(
        _ proxy: Scenario.Proxy, of node: Scenario.Node, _ listener: Scenario.Listener
    ) -> Int {
        let name = "\(node.name):\(listener.ports.lowerBound)"
        let known = scenario.workloads.count
        if let place = hidden.firstIndex(where: { $0.name == name }) { return known + place }
        var flow = Scenario.Flow()
        flow.pool = proxy.pool
        flow.retry.connectTimeout = proxy.connectTimeout
        hidden.append(
            Scenario.Workload(
                name: name, from: node.name, to: proxy.target, .flows(flow),
                Scenario.Load(.closed, stages: [])))
        return known + hidden.count - 1
    }

    // MARK: Tracked machines

    func placeTrackers(_ simulation: inout Simulation) throws(WorldError) {
        for place in members.indices where isTracked(place) {
            let node = description(place)
            var configuration = NodeConfiguration()
            configuration.profile = node.profile
            configuration.tickRate = node.tickRate
            configuration.seed = seed(1, place)
            configuration.interfaces = interfaces(of: place, simulation.routes[place])
            configuration.sysctl = node.sysctl
            configuration.chainLimit = node.chainLimit
            configuration.portSearchStart = node.portSearchStart
            configuration.tracking = node.tracking == .always ? .always : .auto
            configuration.ruleset = try rules.ruleset(
                of: place, self, endpoints: endpoints(simulation.facts))
            simulation.facts[place].tracker = Int32(simulation.trackers.count)
            let tracked = TrackedNode(
                Node(configuration), station: place, node, seed: seed(2, place))
            tracked.frontEnds = scenario.services
                .filter { $0.dropsReusedPorts && rules.carries(place, $0, self) }
                .map { FrontEnd(family: $0.family, address: $0.virtualAddress, port: $0.port) }
            try fillTable(tracked, node)
            simulation.trackers.append(tracked)
        }
    }
}

extension LinkSettings {
    init(_ quality: Scenario.LinkQuality) {
        delay = quality.delay
        jitter = quality.jitter
        loss = Self.share(quality.loss)
        duplicates = Self.share(quality.duplicates)
        late = Self.share(quality.late)
        lateness = quality.lateness
        nanosecondsPerByte = quality.bitsPerSecond.map { 8e9 / $0 } ?? 0
        queueByteCount = Double(quality.queueByteCount)
        isDown = quality.isDown
    }

    /// A share of 0...1 in parts of 2^32.
    static func share(_ part: Double) -> UInt64 {
        UInt64(max(0, min(part, 1)) * 4_294_967_296)
    }

    /// Replaces what a change names.
    mutating func apply(_ change: Scenario.LinkQualityChange) {
        if let value = change.delay { delay = value }
        if let value = change.jitter { jitter = value }
        if let value = change.loss { loss = Self.share(value) }
        if let value = change.duplicates { duplicates = Self.share(value) }
        if let value = change.late { late = Self.share(value) }
        if let value = change.lateness { lateness = value }
        if let value = change.bitsPerSecond { nanosecondsPerByte = 8e9 / value }
        if let value = change.queueByteCount { queueByteCount = Double(value) }
    }
}
