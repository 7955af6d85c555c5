internal import Conntrack
public import Scenario
internal import Wire

// A scenario's machines as a lab has room for them: clients, one tracking router in the middle, a
// server. Addresses are the file's, so that its rules mean what they say.

extension LabSetup {
    /// The lab of a scenario's first workload.
    ///
    /// - Throws: Why the scenario has another shape than a lab.
    public init(_ scenario: Scenario) throws(ScenarioPlanError) {
        let topology = scenario.topology
        guard let workload = scenario.workloads.first, let target = workload.target,
            case .node(let serverName) = target.host,
            let client = topology.node(named: workload.source),
            let server = topology.node(named: serverName),
            let clientPool = client.addresses.first, let serverPool = server.addresses.first
        else {
            throw ScenarioPlanError(
                lines: ["a lab has a client node and a server node; the first workload has not"])
        }
        let routers = topology.nodes.filter { $0.role == .router }
        guard routers.count == 1, let router = routers.first, router.replicas == nil else {
            throw ScenarioPlanError(
                lines: ["found \(routers.count) routers, expected one between client and server"])
        }
        guard let lan = Self.interface(of: router.name, towards: client.name, in: topology),
            let wan = Self.interface(of: router.name, towards: server.name, in: topology)
        else {
            throw ScenarioPlanError(
                lines: [
                    "'\(router.name)' is not linked to both '\(client.name)' and '\(server.name)'"
                ])
        }
        guard clientPool.family == .ipv4, serverPool.family == .ipv4 else {
            throw ScenarioPlanError(lines: ["a lab's addresses are IPv4; found others"])
        }
        let standard = Sysctl()
        var settings: [(name: String, value: String)] = []
        for name in Sysctl.names {
            let value = router.sysctl.value(of: name)
            guard let value, value != standard.value(of: name) else { continue }
            settings.append(("net.netfilter.nf_conntrack_\(name)", "\(value)"))
        }
        guard !router.rules.contains(where: { $0.form != .nftables }) else {
            throw ScenarioPlanError(lines: ["'\(router.name)': a lab loads nftables text alone"])
        }
        let rules = router.rules.map(\.text).joined(separator: "\n")
        self.init(ruleset: rules.isEmpty ? LabSetup.tracking : rules, settings: settings)
        clientPrefix = Self.prefix(clientPool)
        serverPrefix = Self.prefix(serverPool)
        serverAddress = serverPool.first.text(.ipv4)
        (self.lan, self.wan) = (lan, wan)
        let ways = topology.links.flatMap { [$0.forward, $0.backward] }
        hasScenarioDelays = ways.contains { $0.delay != .constant(0) }
        // All links alike: the one that loses most speaks for them.
        loss = ways.reduce(0) { max($0, $1.loss) }
    }

    private static func prefix(_ pool: Scenario.AddressPool) -> String {
        let length = pool.count == 1 ? 32 : pool.prefixLength
        return "\(pool.first.text(.ipv4))/\(length)"
    }

    /// The name of the interface by which `node` reaches `neighbour`.
    private static func interface(
        of node: String, towards neighbour: String, in topology: Scenario.Topology
    ) -> String? {
        let layout = topology.layout
        guard let member = layout.member(named: node) else { return nil }
        let neighbours = layout.members(of: neighbour, in: topology)
        for port in layout.members[member].interfaces {
            let ends = port.links.flatMap { layout.links[$0].ends }
            if ends.contains(where: { neighbours.contains($0.member) }) { return port.name }
        }
        return nil
    }
}
