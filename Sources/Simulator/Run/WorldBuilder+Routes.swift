import Conntrack
import Scenario
import Wire

// Routes: the shortest path to every address, and what the file wants instead.

extension WorldBuilder {
    /// For one machine: by which of its interfaces each other machine is reached first; -1: never.
    func firstHops(from start: Int, _ members: [Member], isDown: (Int, Int) -> Bool) -> [Int] {
        var hops = [Int](repeating: -1, count: members.count)
        var isSeen = [Bool](repeating: false, count: members.count)
        isSeen[start] = true
        var frontier: [Int] = []
        for (place, interface) in members[start].interfaces.enumerated() {
            let next = interface.neighbour
            guard next >= 0, !isSeen[next], !isDown(start, place) else { continue }
            isSeen[next] = true
            hops[next] = place
            frontier.append(next)
        }
        var head = 0
        while head < frontier.count {
            let here = frontier[head]
            head += 1
            // End systems do not forward.
            guard forwards(here) else { continue }
            for (place, interface) in members[here].interfaces.enumerated() {
                let next = interface.neighbour
                guard next >= 0, !isSeen[next], !isDown(here, place) else { continue }
                isSeen[next] = true
                hops[next] = hops[here]
                frontier.append(next)
            }
        }
        return hops
    }

    func forwards(_ member: Int) -> Bool {
        description(member).role != .host || members[member].interfaces.count > 1
    }

    /// The routes of one machine, longest prefix first, and its default interface.
    func routes(of member: Int) -> (routes: [(Prefix, Int)], fallback: Int?) {
        let interfaces = members[member].interfaces
        guard interfaces.count > 1 || isTracked(member) else {
            return ([], interfaces.isEmpty ? nil : 0)
        }
        let hops = firstHops(from: member, members) { _, _ in false }
        var routes: [(Prefix, Int)] = []
        for (other, hop) in hops.enumerated() where hop >= 0 {
            for prefix in reachable(other) { routes.append((prefix, hop)) }
        }
        for route in scenario.topology.routes where isMember(member, of: route.node) {
            routes.removeAll { $0.0 == route.destination }
            guard let via = route.via,
                let hop = interfaces.firstIndex(where: { isMember($0.neighbour, of: via) })
            else { continue }
            routes.insert((route.destination, hop), at: 0)
        }
        return (routes, interfaces.count == 1 ? 0 : nil)
    }

    func isMember(_ member: Int, of name: String) -> Bool {
        member >= 0 && (groups[name]?.contains(member) ?? false)
    }

    /// What is reached by sending to a machine: single addresses, whole networks it holds.
    private func reachable(_ member: Int) -> [Prefix] {
        let own = members[member].addresses + members[member].interfaces.flatMap(\.addresses)
        return own.flatMap { address in
            if address.count == 1 {
                return [Prefix(address.family, address.first, length: address.family.addressBits)]
            }
            return [address.network]
        } + members[member].behind
    }

    func isTracked(_ member: Int) -> Bool {
        let node = description(member)
        return node.role != .host || node.tracking != .none
    }

    /// The interfaces of a tracked machine, with everything its routing has to know.
    func interfaces(of member: Int) -> [Interface] {
        let (routes, fallback) = routes(of: member)
        return members[member].interfaces.enumerated().map { place, interface in
            // A machine's own addresses stand on each of its interfaces, without a network.
            let whole = members[member].addresses.flatMap(Self.singles)
            let own = interface.addresses.flatMap { address in
                address.count == 1
                    ? [Prefix(address.family, address.first, length: address.network.length)]
                    : Self.singles(address)
            }
            return Interface(
                name: interface.name, addresses: own + whole,
                routes: routes.filter { $0.1 == place }.map(\.0), mtu: interface.mtu,
                isDefault: fallback == place)
        }
    }

    private static func singles(
        _ address: (family: Family, first: Address, count: Int, network: Prefix)
    ) -> [Prefix] {
        (0..<address.count).map { offset in
            Prefix(
                address.family,
                Address(high: address.first.high, low: address.first.low &+ UInt64(offset)),
                length: address.family.addressBits)
        }
    }
}
