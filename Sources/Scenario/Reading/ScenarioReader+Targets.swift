import Conntrack
import Wire
import Yams

// `to: web:443/tcp` and its longer form.

extension ScenarioReader {
    mutating func readTarget(_ node: YAMLNode) -> Scenario.Target? {
        guard case .mapping = node else {
            guard let target = targetText(node) else { return nil }
            places.targets.append((node, target))
            return target
        }
        var target: Scenario.Target?
        var service: String?
        var weights: [Scenario.Target.NodeWeight] = []
        var spread = Scenario.Target.Spread.roundRobin
        var hasTarget = false
        for (key, value) in pairs(node, TargetKey.self) {
            switch key {
            case .to:
                hasTarget = true
                target = targetText(value)
            case .nodePort:
                hasTarget = true
                service = known(value, among: serviceNames, what: "a service")
            case .weights: weights = readWeights(value)
            case .spread: spread = word(value, Scenario.Target.Spread.self) ?? spread
            }
        }
        if !hasTarget {
            report(node, found: "a target without 'to'", expected: "'to:' or 'node_port:'")
        }
        if let service {
            target = .init(
                .nodePort(service, weights: weights), ports: 0...0, transport(of: service))
        } else if !weights.isEmpty {
            report(node, found: "'weights' without 'node_port'", expected: "'node_port: SERVICE'")
        }
        guard var target else { return nil }
        target.spread = spread
        places.targets.append((node, target))
        return target
    }

    private mutating func readWeights(_ node: YAMLNode) -> [Scenario.Target.NodeWeight] {
        guard let mapping = mapping(node, expected: "nodes with weights, as 'n1: 40'") else {
            return []
        }
        var weights: [Scenario.Target.NodeWeight] = []
        for (key, value) in mapping {
            guard let name = nodeName(key, allowsMembers: true),
                let weight = quantity(value, .count)
            else { continue }
            weights.append(.init(node: name, weight: weight))
        }
        if !weights.isEmpty, weights.allSatisfy({ $0.weight == 0 }) {
            report(node, found: "weights that are all 0", expected: "one above 0")
            return []
        }
        return weights
    }

    /// A service's protocol, whether its own part has been read yet or not.
    private func transport(of service: String) -> Scenario.Transport {
        let port = document.root["services"]?[service]?["port"]?.string ?? ""
        return port.hasSuffix("/udp") ? .udp : .tcp
    }

    private mutating func targetText(_ node: YAMLNode) -> Scenario.Target? {
        guard let text = text(node, expected: "a target, as web:443/tcp") else { return nil }
        guard let slash = text.lastIndex(of: "/"), !text[slash...].contains(":") else {
            return targetWithoutProtocol(text, node)
        }
        let word = String(text[text.index(after: slash)...])
        guard let transport = Scenario.Transport(rawValue: word) else {
            let words = Scenario.Transport.allCases.map(\.rawValue)
            report(
                node, found: "'\(text)'", expected: "a protocol at its end (tcp, udp or icmp)",
                suggestion: Self.nearest(word, in: words).map { "\(text[..<slash])/\($0)" }
                    ?? (Int(word) == nil ? nil : "\(text):443/tcp"))
            return nil
        }
        let rest = text[..<slash]
        if transport == .icmp {
            return host(String(rest), node).map { .init($0, ports: 0...0, .icmp) }
        }
        guard let colon = rest.lastIndex(of: ":"),
            let ports = Ports.parse(rest[rest.index(after: colon)...])
        else {
            report(
                node, found: "'\(text)'", expected: "a port before the protocol, as web:443/tcp")
            return nil
        }
        let name = String(rest[..<colon])
        if serviceNames.contains(name) {
            return .init(.service(name), ports: ports, transport)
        }
        return host(name, node).map { .init($0, ports: ports, transport) }
    }

    /// A service knows its port; anything else needs one.
    private mutating func targetWithoutProtocol(
        _ text: String, _ node: YAMLNode
    ) -> Scenario.Target? {
        if serviceNames.contains(text) {
            return .init(.service(text), ports: 0...0, transport(of: text))
        }
        let name = String(text.prefix { $0 != ":" })
        if nodeNames.contains(name) {
            let port = text.contains(":") ? text : "\(text):443"
            report(
                node, found: "'\(text)'", expected: "a port with its protocol, as web:443/tcp",
                suggestion: "\(port)/tcp")
        } else {
            report(
                node, found: "'\(text)'",
                expected: "a node with its port, as web:443/tcp, or a service",
                suggestion: Self.nearest(name, in: nodeNames + serviceNames))
        }
        return nil
    }

    private mutating func host(_ text: String, _ node: YAMLNode) -> Scenario.Target.Host? {
        if nodeNames.contains(text) { return .node(text) }
        let bare =
            text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
        if let (family, address) = Address.parse(bare) {
            return .addresses(family, first: address, count: 1)
        }
        if let (family, address, length) = Address.parsePrefix(bare) {
            let base = address.masked(by: Address.mask(prefix: length, family))
            let bits = family.addressBits - length
            let count = bits >= 24 ? ScenarioLimits.addressesPerPool : 1 << bits
            return .addresses(family, first: base, count: count)
        }
        report(
            node, found: "'\(text)'",
            expected: "a node (\(nodeNames.joined(separator: ", "))), a service or an address",
            suggestion: Self.nearest(text, in: nodeNames + serviceNames))
        return nil
    }
}
