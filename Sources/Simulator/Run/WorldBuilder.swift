import Conntrack
import Scenario
import Wire

// From a scenario's words to a world that runs: machines and links, routes, listeners, tracked
// nodes, workloads. Cold code: clarity wins.

/// A machine of the world: a node, or one member of a group.
struct Member {
    var name: String
    /// Where its description stands in the topology.
    var node: Int
    /// Its place in the group.
    var ordinal: Int?
    /// Its own addresses, whatever the interface.
    var addresses: [Scenario.AddressPool]
    var interfaces: [Scenario.Layout.Port]
    /// What it is joined to, interface by interface.
    var links: [MemberLink] = []
    /// Spoofed sources that lie behind it without being its own.
    var behind: [Prefix] = []

    /// All addresses, of the machine and of its interfaces.
    var allAddresses: [Scenario.AddressPool] { addresses + interfaces.flatMap(\.addresses) }
}

/// A link as one of its ends sees it.
struct MemberLink {
    /// Its own interface, and what is at the other end.
    var interface: Int
    var neighbour: Int
    var neighbourInterface: Int
    /// The place of the same link among the neighbour's.
    var neighbourPlace: Int
    /// In this direction.
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
    private(set) var members: [Member] = []
    /// Members of each node or group, and each member, by name.
    private(set) var groups: [String: [Int]] = [:]
    /// Hidden workloads: lookups, and the backs of proxies.
    var hidden: [Scenario.Workload] = []
    var rules = RulesetMaker()

    init(_ scenario: Scenario, seed: UInt64) {
        self.scenario = scenario
        self.seed = seed
    }

    /// The world before its first event.
    mutating func build() throws(WorldError) -> Simulation {
        makeMembers()
        notePlacesBehind()
        var simulation = Simulation(seed: seed)
        placeMembers(&simulation)
        placeListeners(&simulation)
        try placeTrackers(&simulation)
        try placeWorkloads(&simulation)
        simulation.timeline = scenario.timeline
        simulation.builder = self
        return simulation
    }

    /// Names of each group's members.
    var memberNames: [String: [String]] {
        groups.filter { $0.value.count > 1 || members[$0.value[0]].name != $0.key }
            .mapValues { $0.map { members[$0].name } }
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
        var topology = scenario.topology
        for place in topology.nodes.indices {
            guard let replicas = topology.nodes[place].replicas else { continue }
            topology.nodes[place].replicas = replicas + newcomers(of: topology.nodes[place])
        }
        let layout = topology.layout
        members = layout.members.map { described in
            var member = Member(
                name: described.name, node: described.node, ordinal: described.ordinal,
                addresses: described.addresses, interfaces: described.interfaces)
            let node = scenario.topology.nodes[described.node]
            if member.addresses.isEmpty, !node.addresses.isEmpty, let ordinal = described.ordinal {
                // The pool is used up: addresses of members long gone come again.
                let total = node.addresses.reduce(0) { $0 + $1.count }
                member.addresses = node.memberAddresses(ordinal % max(1, total))
            }
            return member
        }
        for link in layout.links {
            let quality = scenario.topology.links[link.link]
            let (first, second) = (link.ends[0], link.ends[1])
            let firstPlace = members[first.member].links.count
            let secondPlace = members[second.member].links.count
            members[first.member].links.append(
                MemberLink(
                    interface: first.interface, neighbour: second.member,
                    neighbourInterface: second.interface, neighbourPlace: secondPlace,
                    quality: quality.forward))
            members[second.member].links.append(
                MemberLink(
                    interface: second.interface, neighbour: first.member,
                    neighbourInterface: first.interface, neighbourPlace: firstPlace,
                    quality: quality.backward))
        }
        for (place, member) in members.enumerated() {
            let node = scenario.topology.nodes[member.node]
            groups[node.name, default: []].append(place)
            if node.replicas != nil { groups[member.name] = [place] }
        }
    }

    /// Members of a group that the timeline will bring.
    private func newcomers(of node: Scenario.Node) -> Int {
        let replicas = node.replicas ?? 1
        var present = replicas
        var total = replicas
        for event in scenario.timeline {
            switch event.verb {
            case .scale(let of, let to) where group(of) == node.name:
                total += max(0, to - present)
                present = to
            case .rollout(let rollout) where group(rollout.of) == node.name:
                total += present
            default: break
            }
        }
        return total - replicas
    }

    /// The group that a group's or a service's name stands for.
    func group(_ name: String) -> String {
        scenario.services.first { $0.name == name }?.endpoints ?? name
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
