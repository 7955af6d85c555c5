import Conntrack
import Scenario
import Wire

// Routes: the shortest path to every address, and what the file or the timeline wants instead.

/// What changes routes while a run goes on.
struct RouteChanges {
    /// Routes of the file, then those of the timeline; the latest wins.
    var routes: [Scenario.Route] = []
    /// Machines nothing is sent through any more.
    var avoided: Set<Int> = []
    /// Who has taken over from whom.
    var successors: [Int: Int] = [:]
}

extension WorldBuilder {
    /// For one machine: by which of its links each other machine is reached first; -1: never.
    private func firstHops(from start: Int, _ changes: RouteChanges) -> [Int] {
        var hops = [Int](repeating: -1, count: members.count)
        var isSeen = [Bool](repeating: false, count: members.count)
        isSeen[start] = true
        var frontier: [Int] = []
        for (place, link) in members[start].links.enumerated() where !isSeen[link.neighbour] {
            isSeen[link.neighbour] = true
            hops[link.neighbour] = place
            frontier.append(link.neighbour)
        }
        var head = 0
        while head < frontier.count {
            let here = frontier[head]
            head += 1
            guard description(here).role != .host, !changes.avoided.contains(here) else {
                continue
            }
            for link in members[here].links where !isSeen[link.neighbour] {
                isSeen[link.neighbour] = true
                hops[link.neighbour] = hops[here]
                frontier.append(link.neighbour)
            }
        }
        return hops
    }

    /// The routes of one machine, longest prefix first, each with the link it takes.
    func routes(of member: Int, _ changes: RouteChanges) -> [RouteEntry] {
        guard members[member].links.count > 1 || isTracked(member) else { return [] }
        var routes: [(prefix: Prefix, link: Int)] = []
        let hops = firstHops(from: member, changes)
        for other in members.indices {
            let hop = hops[changes.successors[other] ?? other]
            guard hop >= 0 else { continue }
            for prefix in reachable(other) { routes.append((prefix, hop)) }
        }
        var wanted: [(prefix: Prefix, link: Int)] = []
        for route in changes.routes where isMember(member, of: route.node) {
            routes.removeAll { $0.prefix == route.destination }
            wanted.removeAll { $0.prefix == route.destination }
            guard let via = route.via else { continue }
            let next = members[member].links.first { isMember($0.neighbour, of: via) }
                .map { changes.successors[$0.neighbour] ?? $0.neighbour }
            let link = members[member].links.firstIndex { $0.neighbour == next }
            if let link { wanted.append((route.destination, link)) }
        }
        // A route that was asked for stands before an equally long one, and takes whatever lies
        // in its prefix away from the shortest path.
        routes.removeAll { route in
            wanted.contains {
                $0.prefix.length <= route.prefix.length
                    && $0.prefix.contains(route.prefix.address, route.prefix.family)
            }
        }
        return (wanted + routes).enumerated()
            .sorted {
                ($1.element.prefix.length, $0.offset) < ($0.element.prefix.length, $1.offset)
            }
            .map { RouteEntry($0.element.prefix, UInt16(truncatingIfNeeded: $0.element.link)) }
    }

    func isMember(_ member: Int, of name: String) -> Bool {
        groups[name]?.contains(member) ?? false
    }

    /// What is reached by sending to a machine: single addresses, whole networks it holds.
    private func reachable(_ member: Int) -> [Prefix] {
        members[member].allAddresses.map { pool in
            pool.count == 1
                ? Prefix(pool.family, pool.first, length: pool.family.addressBits) : pool.network
        } + members[member].behind
    }

    func isTracked(_ member: Int) -> Bool {
        let node = description(member)
        return node.role != .host || node.tracking != .none
    }

    /// The interfaces of a tracked machine, with everything its routing has to know.
    ///
    /// A machine with one link sends there whatever it has no route for.
    func interfaces(of member: Int, _ routes: [RouteEntry]) -> [Interface] {
        let links = members[member].links
        // Its own addresses stand on each of its interfaces, without a network.
        let whole = members[member].addresses.flatMap { Self.singles($0) }
        var interfaces = members[member].interfaces.enumerated().map { place, port in
            let own = port.addresses.flatMap { pool in
                pool.count == 1
                    ? [Prefix(pool.family, pool.first, length: pool.prefixLength)]
                    : Self.singles(pool)
            }
            return Interface(
                name: port.name, addresses: own + whole,
                routes: routes.filter { links[Int($0.link)].interface == place }.map(\.prefix),
                mtu: port.mtu, isDefault: links.count == 1 && links[0].interface == place)
        }
        if interfaces.isEmpty { interfaces = [Interface(name: "eth0", addresses: whole)] }
        return interfaces
    }

    private static func singles(_ pool: Scenario.AddressPool) -> [Prefix] {
        (0..<pool.count).map { Prefix(pool.family, pool[$0], length: pool.family.addressBits) }
    }
}
