import Conntrack
import Wire

// Where packets would go: the shortest path, unless a route of the file says otherwise.

/// Walks over a layout with the routes of its scenario.
struct RouteWalk {
    private let topology: Scenario.Topology
    private let layout: Scenario.Layout
    /// Of each member: the members at the other ends of its links, in the order of the file.
    private let neighbours: [[Int]]

    init(_ topology: Scenario.Topology, _ layout: Scenario.Layout) {
        self.topology = topology
        self.layout = layout
        var neighbours = [[Int]](repeating: [], count: layout.members.count)
        for link in layout.links {
            let (a, b) = (link.ends[0].member, link.ends[1].member)
            neighbours[a].append(b)
            neighbours[b].append(a)
        }
        self.neighbours = neighbours
    }

    func areNeighbours(_ member: Int, _ other: Int) -> Bool { neighbours[member].contains(other) }

    private func forwards(_ member: Int) -> Bool {
        topology.nodes[layout.members[member].node].role != .host
    }

    /// Links to the nearest of `targets`, for every member; `nil` where none is reached.
    ///
    /// Only routers and Kubernetes nodes pass packets on.
    func distances(to targets: [Int]) -> [Int?] {
        var distance = [Int?](repeating: nil, count: neighbours.count)
        var queue = targets
        for target in targets { distance[target] = 0 }
        var place = 0
        while place < queue.count {
            let member = queue[place]
            place += 1
            guard let here = distance[member], here == 0 || forwards(member) else { continue }
            for next in neighbours[member] where distance[next] == nil {
                distance[next] = here + 1
                queue.append(next)
            }
        }
        return distance
    }

    /// Members that have an address in `prefix`.
    func owners(of prefix: Prefix) -> [Int] {
        layout.members.indices.filter { index in
            let member = layout.members[index]
            return (member.addresses + member.interfaces.flatMap(\.addresses)).contains { pool in
                pool.family == prefix.family && Self.overlaps(pool, prefix)
            }
        }
    }

    private static func overlaps(_ pool: Scenario.AddressPool, _ prefix: Prefix) -> Bool {
        let last = pool[pool.count - 1]
        let mask = Address.mask(prefix: prefix.length, prefix.family)
        let low = prefix.address.masked(by: mask)
        let high = Address(high: low.high | ~mask.high, low: low.low | ~mask.low)
        let top = prefix.family == .ipv4 ? Address(ipv4: high.ipv4) : high
        return pool.first <= top && last >= low
    }

    /// The members a packet for `prefix` passes from `start` on, up to its owner, a dead end, or
    /// the member it meets a second time.
    func path(from start: Int, to prefix: Prefix, _ distance: [Int?]) -> (
        members: [Int], loops: Bool
    ) {
        var path = [start]
        var here = start
        while distance[here] != 0 {
            guard let next = nextHop(from: here, to: prefix, distance) else { break }
            if path.contains(next) { return (path + [next], true) }
            path.append(next)
            here = next
        }
        return (path, false)
    }

    private func nextHop(from member: Int, to prefix: Prefix, _ distance: [Int?]) -> Int? {
        let names = [
            layout.members[member].name, topology.nodes[layout.members[member].node].name,
        ]
        let route = topology.routes
            .filter {
                names.contains($0.node) && $0.destination.contains(prefix.address, prefix.family)
            }
            .max { $0.destination.length < $1.destination.length }
        if let route {
            guard let via = route.via else { return nil }
            return layout.members(of: via, in: topology).first { areNeighbours(member, $0) }
        }
        guard let here = distance[member] else { return nil }
        return neighbours[member].first { distance[$0] == here - 1 }
    }
}
