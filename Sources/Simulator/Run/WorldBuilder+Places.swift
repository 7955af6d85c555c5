import Conntrack
import Scenario
import Wire

// Machines, links and listeners as the simulation keeps them.

extension WorldBuilder {
    mutating func placeMembers(_ simulation: inout Simulation) {
        var firstLink: UInt32 = 0
        var starts: [UInt32] = []
        for member in members {
            starts.append(firstLink)
            firstLink += UInt32(member.interfaces.count)
        }
        for (place, member) in members.enumerated() {
            let node = description(place)
            var facts = StationFacts()
            facts.firstLink = starts[place]
            facts.linkCount = UInt32(member.interfaces.count)
            facts.firstPrefix = UInt32(simulation.prefixes.count)
            for address in member.addresses + member.interfaces.flatMap(\.addresses) {
                if address.count > 1 {
                    simulation.prefixes.append(RouteEntry(address.network))
                } else {
                    simulation.prefixes.append(
                        RouteEntry(
                            Prefix(
                                address.family, address.first,
                                length: address.family.addressBits)))
                }
            }
            facts.prefixCount = UInt32(simulation.prefixes.count) - facts.firstPrefix
            apply(node.host, to: &facts)
            simulation.facts.append(facts)
            simulation.names.append(
                StationNames(name: member.name, interfaces: member.interfaces.map(\.name)))
            simulation.routes.append(
                routes(of: place).routes.map { RouteEntry($0.0, UInt8(truncatingIfNeeded: $0.1)) }
                    .sorted { $0.prefix.length > $1.prefix.length })
            for interface in member.interfaces {
                let end = interface.neighbour
                let opposite = end < 0 ? 0 : starts[end] + UInt32(interface.neighbourInterface)
                simulation.links.append(
                    LinkDirection(
                        settings: LinkSettings(interface.quality),
                        station: UInt32(clamping: max(0, end)),
                        interface: UInt8(truncatingIfNeeded: interface.neighbourInterface),
                        opposite: opposite, isOpen: end >= 0))
            }
        }
    }

    private func apply(_ host: Scenario.HostSettings, to facts: inout StationFacts) {
        facts.ports = host.ephemeralPorts
        facts.synRetries = UInt8(clamping: host.synRetries)
        facts.synAckRetries = UInt8(clamping: host.synAckRetries)
        facts.dataRetries = UInt8(clamping: host.dataRetries)
        facts.finTimeout = UInt64(clamping: host.finTimeout.nanoseconds)
        facts.reusesTimeWait = host.reusesTimeWait
        facts.rejectsClosedPorts = host.rejectsClosedPorts
    }

    mutating func placeListeners(_ simulation: inout Simulation) throws(WorldError) {
        for place in members.indices {
            let node = description(place)
            simulation.facts[place].firstListener = UInt32(simulation.listeners.count)
            for listener in node.listeners {
                var behaviour = ListenerState.Behaviour.serve
                switch listener.behaviour {
                case .serve: break
                case .silent: behaviour = .silent
                case .refuse: behaviour = .refuse
                case .proxy(let proxy):
                    behaviour = .proxy(workload: hide(proxy, of: node, listener))
                }
                guard listener.transport != .icmp else { continue }
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

    mutating func placeTrackers(_ simulation: inout Simulation) throws(WorldError) {
        for place in members.indices where isTracked(place) {
            let node = description(place)
            var configuration = NodeConfiguration()
            configuration.profile = node.profile
            configuration.tickRate = node.tickRate
            configuration.seed = seed(1, place)
            configuration.interfaces = interfaces(of: place)
            if configuration.interfaces.isEmpty {
                configuration.interfaces = [Interface(name: "lo")]
            }
            configuration.sysctl = node.sysctl
            configuration.tracking = node.tracking == .always ? .always : .auto
            configuration.ruleset = try rules.ruleset(
                of: node, scenario, interfaces: configuration.interfaces.map(\.name),
                endpoints: endpoints(simulation))
            simulation.facts[place].tracker = Int32(simulation.trackers.count)
            let tracked = TrackedNode(
                Node(configuration), station: place, node, seed: seed(2, place))
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
