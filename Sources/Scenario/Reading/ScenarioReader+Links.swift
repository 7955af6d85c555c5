import Conntrack
import Wire
import Yams

// `links:`, `routes:` and `services:`.

extension ScenarioReader {
    mutating func readLinks(_ node: YAMLNode) {
        for element in elements(
            node, expected: "a list of links, as [{ endpoints: [a, b] }]",
            limit: ScenarioLimits.links)
        {
            guard let link = readLink(element) else { continue }
            result.topology.links.append(link)
            places.links.append(element)
        }
    }

    private mutating func readLink(_ node: YAMLNode) -> Scenario.Link? {
        let pairs = self.pairs(node, LinkKey.self)
        var ends: [Scenario.LinkEnd]?
        var both = Scenario.LinkQualityChange()
        var forward = Scenario.LinkQualityChange()
        var backward = Scenario.LinkQualityChange()
        var isDown = false
        var pairing = Scenario.Pairing.spread
        for (key, value) in pairs {
            switch key {
            case .endpoints: ends = readEnds(value)
            case .pairing: pairing = word(value, Scenario.Pairing.self) ?? pairing
            case .down: isDown = boolean(value) ?? false
            case .forward: forward = readQuality(value)
            case .backward: backward = readQuality(value)
            case .delay, .jitter, .loss, .duplicates, .late, .lateness, .rate, .queue:
                if let key = QualityKey(rawValue: key.rawValue) { readQuality(key, value, &both) }
            }
        }
        guard let ends else { return nil }
        var link = Scenario.Link(ends[0], ends[1])
        link.pairing = pairing
        link.forward.isDown = isDown
        link.backward.isDown = isDown
        link.forward.apply(both)
        link.backward.apply(both)
        link.forward.apply(forward)
        link.backward.apply(backward)
        return link
    }

    /// Two endpoints; `nil`, with findings, where they are not two nodes of the file.
    mutating func readEnds(_ node: YAMLNode) -> [Scenario.LinkEnd]? {
        let elements = self.elements(node, expected: "two nodes, as [clients, gw]", limit: 10)
        guard elements.count == 2 else {
            if !elements.isEmpty {
                report(
                    node, found: "\(elements.count) endpoints", expected: "two, as [clients, gw]")
            } else if case .sequence = node {
                report(node, found: "no endpoints", expected: "two, as [clients, gw]")
            }
            return nil
        }
        let ends = elements.compactMap { readEnd($0) }
        return ends.count == 2 ? ends : nil
    }

    private mutating func readEnd(_ node: YAMLNode) -> Scenario.LinkEnd? {
        guard let words = text(node, expected: "a node, as gw or gw:lan") else { return nil }
        let parts = words.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        guard nodeNames.contains(name) else {
            report(
                node, found: "'\(name)'",
                expected: "a node of this file (\(nodeNames.joined(separator: ", ")))",
                suggestion: Self.nearest(name, in: nodeNames))
            return nil
        }
        guard parts.count == 2 else { return .init(name) }
        guard InterfaceName.isValid(String(parts[1])) else {
            report(node, found: "'\(parts[1])'", expected: InterfaceName.wanted)
            return nil
        }
        return .init(name, interface: String(parts[1]))
    }

    mutating func readQuality(_ node: YAMLNode) -> Scenario.LinkQualityChange {
        var change = Scenario.LinkQualityChange()
        for (key, value) in pairs(node, QualityKey.self) { readQuality(key, value, &change) }
        return change
    }

    mutating func readQuality(
        _ key: QualityKey, _ node: YAMLNode, _ change: inout Scenario.LinkQualityChange
    ) {
        switch key {
        case .delay: change.delay = distribution(node, .duration)
        case .jitter: change.jitter = distribution(node, .duration)
        case .lateness: change.lateness = distribution(node, .duration)
        case .loss: change.loss = quantity(node, .share)
        case .duplicates: change.duplicates = quantity(node, .share)
        case .late: change.late = quantity(node, .share)
        case .rate: change.bitsPerSecond = positive(node, .bitRate)
        case .queue: change.queueByteCount = quantity(node, .size).map { Int($0) }
        }
    }

    // MARK: Routes

    mutating func readRoutes(_ node: YAMLNode) {
        for element in elements(
            node, expected: "a list of routes", limit: ScenarioLimits.routes)
        {
            for route in readRoute(element) {
                result.topology.routes.append(route)
                places.routes.append(element)
            }
        }
    }

    /// A route; several where a node with several networks is the destination.
    mutating func readRoute(_ node: YAMLNode) -> [Scenario.Route] {
        var on: String?
        var via: String?
        var destinations: [Prefix] = []
        var isRemoval = false
        for (key, value) in pairs(node, RouteKey.self) {
            switch key {
            case .on: on = nodeName(value, allowsMembers: true)
            case .via:
                if value.string == "none" {
                    isRemoval = true
                } else {
                    via = nodeName(value, allowsMembers: true)
                }
            case .to:
                if let name = value.string, nodeNames.contains(name) {
                    let pools = result.topology.node(named: name).map(Self.allPools) ?? []
                    destinations = pools.map(\.network)
                    if pools.isEmpty {
                        report(value, found: "'\(name)' without addresses", expected: "a network")
                    }
                } else if let prefix = network(value) {
                    destinations = [prefix]
                }
            }
        }
        guard let on, isRemoval || via != nil else { return [] }
        return destinations.map { Scenario.Route(on: on, to: $0, via: via) }
    }

    static func allPools(_ node: Scenario.Node) -> [Scenario.AddressPool] {
        node.addresses + node.interfaces.flatMap(\.addresses)
    }

    // MARK: Services

    mutating func readServices(_ node: YAMLNode) {
        guard let mapping = mapping(node, expected: "services, by name") else { return }
        guard mapping.count <= ScenarioLimits.services else {
            report(
                node, found: "\(mapping.count) services",
                expected: "at most \(ScenarioLimits.services)")
            return
        }
        for (key, value) in mapping {
            guard let name = newName(key, of: "a service") else { continue }
            guard let service = readService(name, value, owner: key) else { continue }
            result.services.append(service)
            places.services.append(key)
        }
    }

    private mutating func readService(
        _ name: String, _ node: YAMLNode, owner: YAMLNode
    ) -> Scenario.Service? {
        var address: (Family, Address)?
        var port: (ports: ClosedRange<UInt16>, transport: Scenario.Transport)?
        var endpoints: String?
        var made = Scenario.Service(name: name, .ipv4, .zero, port: 1, .tcp, endpoints: "")
        var targetPort: UInt16?
        var hasAffinity = false
        var affinityTime = Interval.seconds(10_800)
        for (key, value) in pairs(node, ServiceKey.self, owner: owner) {
            switch key {
            case .vip:
                address = value.string.flatMap { Address.parse($0) }
                if address == nil {
                    report(
                        value, found: Self.shown(value), expected: "an address, as 10.96.0.10")
                }
            case .port:
                port = portAndTransport(value)
                if let found = port, found.ports.count > 1 {
                    report(
                        value, found: Self.shown(value), expected: "one port; make a service each")
                }
            case .targetPort: targetPort = integer(value, 1...65_535).map { UInt16($0) }
            case .nodePort: made.nodePort = integer(value, 1...65_535).map { UInt16($0) }
            case .endpoints: endpoints = nodeName(value)
            case .mode: made.mode = word(value, Scenario.Service.Mode.self) ?? made.mode
            case .affinity: hasAffinity = word(value, of: ["none", "client-ip"]) == "client-ip"
            case .affinityTimeout: affinityTime = positiveInterval(value) ?? affinityTime
            case .cleanup: made.cleanUp = word(value, Scenario.Service.CleanUp.self) ?? made.cleanUp
            case .nodes:
                made.nodes = elements(value, expected: "a list of nodes", limit: 1000)
                    .compactMap { nodeName($0) }
            case .externalTraffic:
                made.isExternalTrafficLocal = word(value, of: ["cluster", "local"]) == "local"
            case .reuse:
                made.dropsReusedPorts = word(value, of: ["reopen", "drop-syn"]) == "drop-syn"
            }
        }
        guard let address, let port, let endpoints else { return nil }
        (made.family, made.virtualAddress) = address
        made.port = port.ports.lowerBound
        made.transport = port.transport
        made.targetPort = targetPort ?? made.port
        made.endpoints = endpoints
        made.clientAffinity = hasAffinity ? affinityTime : nil
        return made
    }
}

extension Scenario.LinkQuality {
    /// Takes over what a change says.
    public mutating func apply(_ change: Scenario.LinkQualityChange) {
        if let value = change.delay { delay = value }
        if let value = change.jitter { jitter = value }
        if let value = change.loss { loss = value }
        if let value = change.duplicates { duplicates = value }
        if let value = change.late { late = value }
        if let value = change.lateness { lateness = value }
        if let value = change.bitsPerSecond { bitsPerSecond = value }
        if let value = change.queueByteCount { queueByteCount = value }
    }
}
