import Conntrack
import Scenario
import Wire

// From a scenario's words to a world that runs: machines and their members, links and interfaces,
// routes, listeners, workloads. Cold code: clarity wins.

/// A machine of the world: a node, or one member of a group.
struct Member {
    var name: String
    /// Where its description stands in the topology.
    var node: Int
    /// Its own addresses, whatever the interface.
    var addresses: [(family: Family, first: Address, count: Int, network: Prefix)] = []
    var interfaces: [MemberInterface] = []
    /// Spoofed and other addresses that lie behind it without being its own.
    var behind: [Prefix] = []
}

/// An interface of a machine, and what it is joined to.
struct MemberInterface {
    var name: String
    var addresses: [(family: Family, first: Address, count: Int, network: Prefix)] = []
    var mtu = 1500
    var neighbour: Int
    var neighbourInterface: Int
    var quality: Scenario.LinkQuality
}

/// Why a scenario cannot be run, though its words are right.
public struct WorldError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String
}

/// Builds a simulation out of a scenario.
struct WorldBuilder {
    let scenario: Scenario
    let seed: UInt64
    var members: [Member] = []
    /// Members of each node or group, by name.
    var groups: [String: [Int]] = [:]
    /// Hidden workloads: lookups, and the backs of proxies.
    var hidden: [Scenario.Workload] = []
    /// Addresses of each group that have been given out.
    var addressCursor: [String: Int] = [:]
    var rules = RulesetMaker()

    init(_ scenario: Scenario, seed: UInt64) {
        self.scenario = scenario
        self.seed = seed
    }

    /// The world before its first event.
    mutating func build() throws(WorldError) -> Simulation {
        makeMembers()
        joinLinks()
        notePlacesBehind()
        var simulation = Simulation(seed: seed)
        placeMembers(&simulation)
        try placeListeners(&simulation)
        try placeTrackers(&simulation)
        try placeWorkloads(&simulation)
        return simulation
    }

    func description(_ member: Int) -> Scenario.Node {
        scenario.topology.nodes[members[member].node]
    }

    /// A seed of its own for each part of the world.
    func seed(_ part: UInt64, _ number: Int) -> UInt64 {
        var dice = Dice(seed: seed &+ part &* 0x9E37_79B9 &+ UInt64(number) &* 0xC2B2_AE3D_27D5)
        return dice.next()
    }

    // MARK: Machines

    private mutating func makeMembers() {
        for (place, node) in scenario.topology.nodes.enumerated() {
            let count = node.replicas ?? 1
            for number in 0..<count {
                var member = Member(
                    name: node.replicas == nil ? node.name : "\(node.name)-\(number)",
                    node: place)
                member.addresses = addresses(of: node, number)
                groups[node.name, default: []].append(members.count)
                if node.replicas != nil { groups[member.name] = [members.count] }
                members.append(member)
            }
            addressCursor[node.name] = count
        }
    }

    /// Addresses of one member: all of a single node's, one of each pool for a group's.
    func addresses(
        of node: Scenario.Node, _ number: Int
    ) -> [(family: Family, first: Address, count: Int, network: Prefix)] {
        node.addresses.compactMap { pool in
            if node.replicas == nil || node.sharesAddresses {
                return (pool.family, pool.first, pool.count, pool.network)
            }
            return (pool.family, pool[number % pool.count], 1, pool.network)
        }
    }

    // MARK: Links

    private mutating func joinLinks() {
        for link in scenario.topology.links {
            let left = groups[link.ends[0].node] ?? []
            let right = groups[link.ends[1].node] ?? []
            for (first, second) in pairs(left, right, link.pairing) {
                join(first, second, link)
            }
        }
        // Interfaces the file names and no link uses are there all the same.
        for place in members.indices {
            for named in description(place).interfaces
            where !members[place].interfaces.contains(where: { $0.name == named.name }) {
                var interface = MemberInterface(
                    name: named.name, neighbour: -1, neighbourInterface: 0,
                    quality: Scenario.LinkQuality())
                fill(&interface, from: named, place)
                members[place].interfaces.append(interface)
            }
        }
    }

    private func pairs(
        _ left: [Int], _ right: [Int], _ pairing: Scenario.Pairing
    ) -> [(Int, Int)] {
        if pairing == .mesh { return left.flatMap { first in right.map { (first, $0) } } }
        guard !left.isEmpty, !right.isEmpty else { return [] }
        if left.count >= right.count {
            return left.indices.map { (left[$0], right[$0 % right.count]) }
        }
        return right.indices.map { (left[$0 % left.count], right[$0]) }
    }

    private mutating func join(_ first: Int, _ second: Int, _ link: Scenario.Link) {
        let firstPlace = members[first].interfaces.count
        let secondPlace = members[second].interfaces.count + (first == second ? 1 : 0)
        members[first].interfaces.append(
            interface(first, link.ends[0].interface, second, secondPlace, link.forward))
        members[second].interfaces.append(
            interface(second, link.ends[1].interface, first, firstPlace, link.backward))
    }

    private func interface(
        _ member: Int, _ name: String?, _ neighbour: Int, _ place: Int,
        _ quality: Scenario.LinkQuality
    ) -> MemberInterface {
        let named = description(member).interfaces
        let taken = members[member].interfaces.map(\.name)
        var chosen = name ?? ""
        if name == nil || taken.contains(chosen) {
            let reserved = Set(named.map(\.name))
            let free = (0...).lazy.map { "eth\($0)" }
                .first { !taken.contains($0) && !reserved.contains($0) }
            // An interface the file names and no link asks for by name comes first.
            chosen = named.map(\.name).first { !taken.contains($0) } ?? free ?? "eth"
        }
        var interface = MemberInterface(
            name: chosen, neighbour: neighbour, neighbourInterface: place, quality: quality)
        if let description = named.first(where: { $0.name == chosen }) {
            fill(&interface, from: description, member)
        }
        return interface
    }

    private func fill(
        _ interface: inout MemberInterface, from named: Scenario.NodeInterface, _ member: Int
    ) {
        let node = description(member)
        let number = (groups[node.name] ?? []).firstIndex(of: member) ?? 0
        interface.mtu = named.mtu
        interface.addresses = named.addresses.map { pool in
            node.replicas == nil
                ? (pool.family, pool.first, pool.count, pool.network)
                : (pool.family, pool[number % pool.count], 1, pool.network)
        }
    }

    /// Spoofed sources lie behind whoever sends them, so that answers have somewhere to go.
    private mutating func notePlacesBehind() {
        for workload in scenario.workloads {
            guard case .flood(let flood) = workload.kind else { continue }
            for member in groups[workload.source] ?? [] {
                members[member].behind += flood.spoofed.map(\.network)
            }
        }
    }
}
