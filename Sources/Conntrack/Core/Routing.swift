internal import Wire

// Where a packet goes: longest prefix over the addresses and routes of the node's interfaces.

/// The routing table of a node, made once from its interfaces.
struct Routing: Sendable {
    enum Destination: Hashable, BitwiseCopyable {
        case local
        case interface(InterfaceIndex)
        /// Refused by route input: addresses no packet from outside may carry.
        case martian
        case none
    }

    private struct Route {
        var family: Family
        var network: Address
        var mask: Address
        var interface: InterfaceIndex

        init(_ prefix: Prefix, _ interface: InterfaceIndex) {
            family = prefix.family
            mask = Address.mask(prefix: prefix.length, prefix.family)
            network = prefix.address.masked(by: mask)
            self.interface = interface
        }
    }

    /// All routes, longest prefix first.
    private var routes: [Route] = []
    private var localAddresses: [Prefix] = []
    private var broadcasts: [UInt32] = []
    /// The subnet-router anycast addresses: a subnet's prefix, and zeros.
    private var anycasts: [Address] = []
    /// The answers for all of IPv4, found out beforehand.
    private(set) var ipv4: IPv4Map
    private var defaultInterface: InterfaceIndex = .none
    /// The interface named `lo`, if the node has one.
    private var loopback: InterfaceIndex = .none

    init(_ interfaces: [Interface]) {
        ipv4 = IPv4Map(edges: []) { _ in
            IPv4Map.Place(destination: .none, isBroadcast: false, preferredSource: 0)
        }
        var prefixes: [(prefix: Prefix, interface: InterfaceIndex)] = []
        for (position, interface) in interfaces.enumerated() {
            let index = InterfaceIndex(UInt8(truncatingIfNeeded: position))
            for prefix in interface.addresses {
                localAddresses.append(
                    Prefix(prefix.family, prefix.address, length: prefix.family.addressBits))
                prefixes.append((prefix, index))
                if prefix.family == .ipv6, prefix.length < 127 {
                    anycasts.append(
                        prefix.address.masked(by: Address.mask(prefix: prefix.length, .ipv6)))
                }
                guard prefix.family == .ipv4, prefix.length < 31 else { continue }
                let mask = Address.mask(prefix: prefix.length, .ipv4).ipv4
                broadcasts.append(prefix.address.ipv4 | ~mask)
            }
            for prefix in interface.routes {
                prefixes.append((prefix, index))
            }
            if interface.isDefault { defaultInterface = index }
            if interface.name == "lo" { loopback = index }
        }
        // Longest first; among equals the order of the file.
        routes = prefixes.enumerated().sorted {
            ($1.element.prefix.length, $0.offset) < ($0.element.prefix.length, $1.offset)
        }.map { Route($0.element.prefix, $0.element.interface) }
        ipv4 = mapped(interfaces)
    }

    private func mapped(_ interfaces: [Interface]) -> IPv4Map {
        var edges = broadcasts.flatMap { [$0, $0 &+ 1] }
        edges += localAddresses.filter { $0.family == .ipv4 }.flatMap {
            [$0.address.ipv4, $0.address.ipv4 &+ 1]
        }
        edges += routes.filter { $0.family == .ipv4 }.flatMap {
            [$0.network.ipv4, ($0.network.ipv4 | ~$0.mask.ipv4) &+ 1]
        }
        return IPv4Map(edges: edges) { address in
            let isBroadcast = broadcasts.contains(address)
            let destination =
                isBroadcast ? .local : unicast(Address(ipv4: address), .ipv4)
            var source: UInt32 = 0
            if case .interface(let index) = destination {
                source = Self.preferredSource(interfaces[Int(index.raw)], to: address)
            }
            return IPv4Map.Place(
                destination: destination, isBroadcast: isBroadcast, preferredSource: source)
        }
    }

    private static func preferredSource(_ interface: Interface, to destination: UInt32) -> UInt32 {
        let own = interface.addresses.filter { $0.family == .ipv4 }
        let near = own.first { $0.contains(Address(ipv4: destination), .ipv4) }
        return (near ?? own.first)?.address.ipv4 ?? 0
    }

    /// The interface a packet with this source comes in by, where nothing else says so.
    func ingress(of source: Address, _ family: Family) -> InterfaceIndex {
        if let route = route(to: source, family) { return route }
        return defaultInterface == .none ? InterfaceIndex(0) : defaultInterface
    }

    /// Where a packet goes that has come in by `ingress`.
    func destination(of tuple: Tuple, from ingress: InterfaceIndex) -> Destination {
        tuple.family == .ipv4 ? destinationIPv4(tuple) : destinationIPv6(tuple, from: ingress)
    }

    /// Where a packet of the node's own leaves: `lo`, or `.none` where there is none, for its own
    /// addresses.
    ///
    /// Returns `nil` without a route; groups and broadcasts have none here.
    func egress(to destination: Address, _ family: Family) -> InterfaceIndex? {
        if isOwn(destination, family) { return loopback }
        if isGroup(destination, family) || destination == .zero { return nil }
        if let route = route(to: destination, family) { return route }
        return defaultInterface == .none ? nil : defaultInterface
    }

    /// Whether the address is that of more than one machine: a multicast group, or a broadcast.
    func isGroup(_ address: Address, _ family: Family) -> Bool {
        family == .ipv4
            ? address.ipv4 >> 28 == 0xe || address.ipv4 == UInt32.max
                || ipv4[address.ipv4].isBroadcast
            : address.high >> 56 == 0xff
    }

    /// Whether the node itself has the address; all of 127.0.0.0/8 and `::1` are its own.
    func isOwn(_ address: Address, _ family: Family) -> Bool {
        let isLoopback =
            family == .ipv4 ? address.ipv4 >> 24 == 127 : address == Address(high: 0, low: 1)
        return isLoopback || isLocal(address, family)
    }

    private func destinationIPv4(_ tuple: Tuple) -> Destination {
        let source = tuple.source.ipv4
        let target = tuple.destination.ipv4
        if source >> 28 == 0xe || source == UInt32.max { return .martian }
        if target == UInt32.max || (source == 0 && target == 0) { return .local }
        if target >> 28 == 0xe { return destination(ofGroup: target, from: source) }
        if source == 0 || target == 0 { return .martian }
        if source >> 24 == 127 || target >> 24 == 127 { return .martian }
        // The node's own addresses as a source pass, as with accept_local = 1: docs/deviations.md.
        // So does a subnet's broadcast address.
        return ipv4[target].destination
    }

    /// No group has been joined but that of all hosts.
    private func destination(ofGroup group: UInt32, from source: UInt32) -> Destination {
        if source >> 24 == 127 { return .martian }
        return group == 0xe000_0001 ? .local : .none
    }

    private func destinationIPv6(
        _ tuple: Tuple, from ingress: InterfaceIndex
    ) -> Destination {
        if tuple.source.high >> 56 == 0xff { return .martian }
        let loopback = Address(high: 0, low: 1)
        if tuple.source == loopback || tuple.destination == loopback { return .martian }
        if tuple.destination.high >> 56 == 0xff {
            // A router has joined the groups of all nodes and of all routers on a link.
            let isJoined = tuple.destination.high == 0xff02 << 48 && 1...2 ~= tuple.destination.low
            return isJoined ? .local : .none
        }
        if isLocal(tuple.destination, .ipv6) || anycasts.contains(tuple.destination) {
            return .local
        }
        let destination = unicast(tuple.destination, .ipv6)
        guard destination != .interface(ingress) else { return destination }
        // Link-local addresses, and none at all, mean nothing on another link.
        if tuple.source == .zero || isLinkLocal(tuple.source) { return .martian }
        return isLinkLocal(tuple.destination) ? .none : destination
    }

    private func isLinkLocal(_ address: Address) -> Bool { address.high >> 54 == 0xfe80 >> 6 }

    private func unicast(_ destination: Address, _ family: Family) -> Destination {
        if isLocal(destination, family) { return .local }
        if let route = route(to: destination, family) { return .interface(route) }
        return defaultInterface == .none ? .none : .interface(defaultInterface)
    }

    private func isLocal(_ address: Address, _ family: Family) -> Bool {
        localAddresses.contains { $0.address == address && $0.family == family }
    }

    private func route(to address: Address, _ family: Family) -> InterfaceIndex? {
        for index in routes.indices
        where routes[index].family == family
            && address.masked(by: routes[index].mask) == routes[index].network
        {
            return routes[index].interface
        }
        return nil
    }
}
