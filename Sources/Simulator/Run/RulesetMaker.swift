import Conntrack
import Scenario
import Wire

/// Rules of nodes: those they are given, and those of services on top.
struct RulesetMaker {
    /// Addresses that answer for each service.
    typealias Endpoints = [String: [Address]]

    /// Rules that a node has instead of the file's, by place among the members.
    var replaced: [Int: Scenario.RulesText] = [:]

    /// Compiles the rules of a machine.
    func ruleset(
        of member: Int, _ world: borrowing WorldBuilder, endpoints: Endpoints
    ) throws(WorldError) -> Ruleset {
        let sources = sources(of: member, world, endpoints: endpoints)
        guard !sources.isEmpty else { return .empty }
        do {
            return try Ruleset(
                sources, interfaces: world.members[member].interfaces.map(\.name))
        } catch {
            throw WorldError(description: error.description)
        }
    }

    /// The texts a machine's rules are made of: its own, then those of its services.
    func sources(
        of member: Int, _ world: borrowing WorldBuilder, endpoints: Endpoints
    ) -> [RulesetSource] {
        let node = world.description(member)
        let own = replaced[member].map { [$0] } ?? node.rules
        var sources = own.map {
            RulesetSource(
                $0.form == .nftables ? .nftables : .iptablesSave, $0.text, file: $0.file,
                firstLine: $0.firstLine)
        }
        for mode in [ServiceMode.nftables, .iptables] {
            // What ipvs translates is translated by rules here; what it does besides, in FrontEnd.
            let services = world.scenario.services.filter {
                ($0.mode == .iptables) == (mode == .iptables) && carries(member, $0, world)
            }
            guard !services.isEmpty else { continue }
            var rules = ServiceRules(services.map { description(of: $0, endpoints) })
            rules.nodeAddresses = world.members[member].allAddresses.map { ($0.family, $0.first) }
            sources.append(rules.source(mode, file: "services of \(node.name)"))
        }
        return sources
    }

    /// Whether a machine has the rules of a service.
    func carries(
        _ member: Int, _ service: Scenario.Service, _ world: borrowing WorldBuilder
    ) -> Bool {
        service.nodes.isEmpty
            ? world.description(member).role == .kubernetesNode
            : service.nodes.contains { world.isMember(member, of: $0) }
    }

    private func description(
        of service: Scenario.Service, _ endpoints: Endpoints
    ) -> ServiceDescription {
        ServiceDescription(
            name: service.name, family: service.family, address: service.virtualAddress,
            port: service.port, transport: service.transport == .udp ? .udp : .tcp,
            nodePort: service.nodePort,
            endpoints: (endpoints[service.name] ?? []).map {
                ServiceDescription.Endpoint($0, port: service.targetPort)
            },
            affinity: service.clientAffinity.map {
                .clientIP(timeoutSeconds: UInt32(clamping: $0.nanoseconds / 1_000_000_000))
            } ?? .none)
    }
}
