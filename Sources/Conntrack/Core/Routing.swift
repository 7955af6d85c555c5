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

    /// A route in the form most packets need: no 128-bit arithmetic.
    private struct IPv4Route {
        var network: UInt32
        var mask: UInt32
        var interface: InterfaceIndex
    }

    /// All routes, longest prefix first, and the IPv4 ones among them.
    private var routes: [Route] = []
    private var ipv4Routes: [IPv4Route] = []
    private var localAddresses: [Prefix] = []
    private var ipv4LocalAddresses: [UInt32] = []
    private var broadcasts: [UInt32] = []
    private var defaultInterface: InterfaceIndex = .none
    /// The interface named `lo`, if the node has one.
    private var loopback: InterfaceIndex = .none

    init(_ interfaces: [Interface]) {
        var prefixes: [(prefix: Prefix, interface: InterfaceIndex)] = []
        for (position, interface) in interfaces.enumerated() {
            let index = InterfaceIndex(UInt8(truncatingIfNeeded: position))
            for prefix in interface.addresses {
                localAddresses.append(
                    Prefix(prefix.family, prefix.address, length: prefix.family.addressBits))
                prefixes.append((prefix, index))
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
        ipv4Routes = routes.filter { $0.family == .ipv4 }.map {
            IPv4Route(network: $0.network.ipv4, mask: $0.mask.ipv4, interface: $0.interface)
        }
        ipv4LocalAddresses = localAddresses.filter { $0.family == .ipv4 }.map(\.address.ipv4)
    }

    /// The interface a packet with this source comes in by, where nothing else says so.
    func ingress(of source: Address, _ family: Family) -> InterfaceIndex {
        if let route = route(to: source, family) { return route }
        return defaultInterface == .none ? InterfaceIndex(0) : defaultInterface
    }

    func destination(of tuple: Tuple) -> Destination {
        tuple.family == .ipv4 ? destinationIPv4(tuple) : destinationIPv6(tuple)
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
                || Self.contains(broadcasts, address.ipv4)
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
        if source >> 24 == 0 || target >> 24 == 0 { return .martian }
        if source >> 24 == 127 || target >> 24 == 127 { return .martian }
        if target >> 28 == 0xe { return .none }  // No group has been joined.
        // The node's own addresses as a source pass, as with accept_local = 1: docs/deviations.md.
        if Self.contains(broadcasts, source) { return .martian }
        if Self.contains(broadcasts, target) { return .local }
        return unicast(tuple)
    }

    private func destinationIPv6(_ tuple: Tuple) -> Destination {
        if tuple.source.high >> 56 == 0xff { return .martian }
        let loopback = Address(high: 0, low: 1)
        if tuple.source == loopback || tuple.destination == loopback { return .martian }
        if tuple.destination == .zero { return .martian }
        if tuple.destination.high >> 56 == 0xff { return .none }
        let linkLocal: UInt64 = 0xfe80 >> 6
        if tuple.destination.high >> 54 == linkLocal { return .none }
        if isLocal(tuple.destination, .ipv6) { return .local }
        if tuple.source == .zero || tuple.source.high >> 54 == linkLocal { return .martian }
        return unicast(tuple)
    }

    private func unicast(_ tuple: Tuple) -> Destination {
        if isLocal(tuple.destination, tuple.family) { return .local }
        if let route = route(to: tuple.destination, tuple.family) { return .interface(route) }
        return defaultInterface == .none ? .none : .interface(defaultInterface)
    }

    private func isLocal(_ address: Address, _ family: Family) -> Bool {
        if family == .ipv4 { return Self.contains(ipv4LocalAddresses, address.ipv4) }
        return localAddresses.contains { $0.address == address && $0.family == family }
    }

    /// `contains` of the library asks through a witness table.
    @inline(__always)
    private static func contains(_ addresses: [UInt32], _ wanted: UInt32) -> Bool {
        for address in addresses where address == wanted { return true }
        return false
    }

    private func route(to address: Address, _ family: Family) -> InterfaceIndex? {
        if family == .ipv4 {
            for route in ipv4Routes where address.ipv4 & route.mask == route.network {
                return route.interface
            }
            return nil
        }
        for index in routes.indices
        where routes[index].family == family
            && address.masked(by: routes[index].mask) == routes[index].network
        {
            return routes[index].interface
        }
        return nil
    }
}
