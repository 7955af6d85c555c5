import Wire

// A topology with its groups written out: machines, their interfaces, and single links between
// them. The order of everything follows the file, and so do names: `web-0`, `eth0`.

extension Scenario {
    /// Single machines and single links.
    public struct Layout: Sendable, Hashable {
        public var members: [Member] = []
        public var links: [MemberLink] = []

        /// A machine.
        public struct Member: Sendable, Hashable {
            public var name: String
            /// Place of its node in `Topology.nodes`.
            public var node: Int
            /// Place in its group; `nil` where the node is no group.
            public var ordinal: Int?
            /// Of the machine itself, whatever the interface.
            public var addresses: [AddressPool]
            public var interfaces: [Port]
        }

        /// An interface, with the links it is on: several make it a shared segment.
        public struct Port: Sendable, Hashable {
            public var name: String
            public var addresses: [AddressPool]
            public var mtu: Int
            /// Places in `Layout.links`.
            public var links: [Int]
        }

        /// A link between two machines.
        public struct MemberLink: Sendable, Hashable {
            /// Place in `Topology.links`.
            public var link: Int
            /// First end, second end.
            public var ends: [End]
        }

        public struct End: Sendable, Hashable {
            /// Place in `members`.
            public var member: Int
            /// Place in the member's interfaces.
            public var interface: Int
        }

        public func member(named name: String) -> Int? { members.firstIndex { $0.name == name } }

        /// The members of a node or group, or the one of this name.
        public func members(of name: String, in topology: Topology) -> [Int] {
            if let node = topology.nodes.firstIndex(where: { $0.name == name }) {
                return members.indices.filter { members[$0].node == node }
            }
            return member(named: name).map { [$0] } ?? []
        }
    }
}

extension Scenario.Topology {
    /// Writes the groups out.
    ///
    /// Nodes of a group take one address each from every family of the group's pool, in order; what
    /// is left is for members that come later. Links take the interface they name, or the next
    /// ethN that no other link has and no name takes.
    public var layout: Scenario.Layout {
        var layout = Scenario.Layout()
        var ranges: [Range<Int>] = []
        for (index, node) in nodes.enumerated() {
            let start = layout.members.count
            for ordinal in 0..<(node.replicas ?? 1) {
                layout.members.append(
                    .init(
                        name: node.replicas == nil ? node.name : "\(node.name)-\(ordinal)",
                        node: index, ordinal: node.replicas == nil ? nil : ordinal,
                        addresses: node.memberAddresses(ordinal),
                        interfaces: node.interfaces.map {
                            .init(name: $0.name, addresses: $0.addresses, mtu: $0.mtu, links: [])
                        }))
            }
            ranges.append(start..<layout.members.count)
        }
        for (index, link) in links.enumerated() {
            guard link.ends.count == 2,
                let first = nodes.firstIndex(where: { $0.name == link.ends[0].node }),
                let second = nodes.firstIndex(where: { $0.name == link.ends[1].node })
            else { continue }
            for (a, b) in Self.pairs(ranges[first], ranges[second], link.pairing) where a != b {
                let place = layout.links.count
                let ends = [
                    Scenario.Layout.End(
                        member: a, interface: layout.attach(place, a, link.ends[0].interface)),
                    Scenario.Layout.End(
                        member: b, interface: layout.attach(place, b, link.ends[1].interface)),
                ]
                layout.links.append(.init(link: index, ends: ends))
            }
        }
        return layout
    }

    private static func pairs(
        _ first: Range<Int>, _ second: Range<Int>, _ pairing: Scenario.Pairing
    ) -> [(Int, Int)] {
        if pairing == .mesh { return first.flatMap { a in second.map { (a, $0) } } }
        let count = max(first.count, second.count)
        return (0..<count).map {
            (first.lowerBound + $0 % first.count, second.lowerBound + $0 % second.count)
        }
    }
}

extension Scenario.Layout {
    /// The interface of `member` that carries link `link`; made if need be.
    fileprivate mutating func attach(_ link: Int, _ member: Int, _ name: String?) -> Int {
        let ports = members[member].interfaces
        if let name, let place = ports.firstIndex(where: { $0.name == name }) {
            members[member].interfaces[place].links.append(link)
            return place
        }
        let taken = Set(ports.map(\.name))
        let free = (0...ports.count).map { "eth\($0)" }.first { !taken.contains($0) }
        members[member].interfaces.append(
            .init(name: name ?? free ?? "eth", addresses: [], mtu: 1500, links: [link]))
        return ports.count
    }
}

extension Scenario.Node {
    /// The addresses of the group's member `ordinal`; all of them where the node is no group.
    ///
    /// Empty where the pool is used up.
    public func memberAddresses(_ ordinal: Int) -> [Scenario.AddressPool] {
        guard replicas != nil, !sharesAddresses else { return addresses }
        return [Family.ipv4, .ipv6].compactMap { family in
            var rest = ordinal
            for pool in addresses where pool.family == family {
                if rest < pool.count {
                    return .init(family, pool[rest], prefixLength: pool.prefixLength)
                }
                rest -= pool.count
            }
            return nil
        }
    }
}
