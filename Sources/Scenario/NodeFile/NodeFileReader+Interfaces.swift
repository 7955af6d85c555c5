import Conntrack
import Wire
import Yams

// `interfaces:` of a node file: names, addresses, routes, mtu, default.

extension NodeFileReader {
    private static let interfaceKeys = FileInterfaceKey.words

    mutating func readInterfaces(_ node: YAMLNode?) {
        guard let node else {
            report(document.root, found: "no 'interfaces'", expected: "at least one interface")
            return
        }
        guard case .mapping(let mapping) = node, !mapping.isEmpty else {
            report(
                node, found: Self.shown(node),
                expected: "at least one interface, as 'name: { addresses: [10.0.0.1/24] }'")
            return
        }
        guard mapping.count <= NodeFile.Limits.interfaces else {
            report(
                node, found: "\(mapping.count) interfaces",
                expected: "at most \(NodeFile.Limits.interfaces)")
            return
        }
        var interfaces: [Interface] = []
        var hasDefault = false
        for (key, value) in mapping {
            guard let name = interfaceName(key) else { continue }
            var interface = Interface(name: name)
            readInterface(value, into: &interface)
            if interface.isDefault, hasDefault {
                report(
                    key, found: "a second default interface, '\(name)'",
                    expected: "one 'default: true'")
            }
            hasDefault = hasDefault || interface.isDefault
            interfaces.append(interface)
        }
        result.configuration.interfaces = interfaces
    }

    private mutating func interfaceName(_ key: YAMLNode) -> String? {
        guard let name = key.string, InterfaceName.isValid(name) else {
            report(key, found: Self.shown(key), expected: InterfaceName.wanted)
            return nil
        }
        return name
    }

    private mutating func readInterface(_ node: YAMLNode, into interface: inout Interface) {
        // `eth0:` alone is an interface without addresses.
        if case .scalar(let scalar) = node, ["", "~", "null"].contains(scalar.string) { return }
        guard case .mapping(let mapping) = node else {
            report(
                node, found: Self.shown(node),
                expected: "a mapping with \(Self.interfaceKeys.joined(separator: ", "))")
            return
        }
        for (key, value) in mapping {
            switch key.string.flatMap(FileInterfaceKey.init(rawValue:)) {
            case .addresses: interface.addresses = prefixes(value, areRoutes: false)
            case .routes: interface.routes = prefixes(value, areRoutes: true)
            case .mtu: readMTU(value, into: &interface)
            case .isDefault: readDefault(value, into: &interface)
            case nil:
                report(
                    key, found: Self.shown(key),
                    expected: "one of \(Self.interfaceKeys.joined(separator: ", "))",
                    suggestion: key.string.flatMap { Self.nearest($0, in: Self.interfaceKeys) })
            }
        }
        let count = interface.addresses.count + interface.routes.count
        if count > NodeFile.Limits.prefixesPerInterface {
            report(
                node, found: "\(count) addresses and routes",
                expected: "at most \(NodeFile.Limits.prefixesPerInterface)")
        }
    }

    private mutating func readMTU(_ node: YAMLNode, into interface: inout Interface) {
        guard let mtu = node.string.flatMap({ Int($0) }), (68...65_535).contains(mtu) else {
            report(
                node, found: Self.shown(node), expected: "a whole number from 68 to 65535")
            return
        }
        interface.mtu = mtu
    }

    private mutating func readDefault(_ node: YAMLNode, into interface: inout Interface) {
        switch node.string {
        case "true": interface.isDefault = true
        case "false": interface.isDefault = false
        default: report(node, found: Self.shown(node), expected: "true or false")
        }
    }

    /// A list of prefixes, or one alone.
    private mutating func prefixes(_ node: YAMLNode, areRoutes: Bool) -> [Prefix] {
        let elements: [YAMLNode]
        switch node {
        case .sequence(let sequence): elements = Array(sequence)
        case .scalar: elements = [node]
        default:
            report(node, found: Self.shown(node), expected: "a list as [10.0.0.1/24]")
            return []
        }
        return elements.compactMap { prefix($0, isRoute: areRoutes) }
    }

    private mutating func prefix(_ node: YAMLNode, isRoute: Bool) -> Prefix? {
        let example = isRoute ? "10.9.0.0/16" : "10.0.0.1/24"
        guard let text = node.string, let (family, address, length) = Address.parsePrefix(text)
        else {
            let single = node.string.flatMap { Address.parse($0) }
            report(
                node, found: Self.shown(node),
                expected: "an address with its prefix length, as \(example)",
                suggestion: single.map { family, address in
                    "\(address.text(family))/\(isRoute ? family.addressBits : family.usualLength)"
                })
            return nil
        }
        let network = address.masked(by: Address.mask(prefix: length, family))
        if isRoute, network != address {
            report(
                node, found: Self.shown(node),
                expected: "a network, without bits behind its prefix",
                suggestion: "\(network.text(family))/\(length)")
            return nil
        }
        return Prefix(family, address, length: length)
    }
}

extension Family {
    /// The prefix length somebody probably meant who left it out.
    fileprivate var usualLength: Int { self == .ipv4 ? 24 : 64 }
}
