import Conntrack
import Scenario
import Wire

@testable import Simulator

/// Small worlds for tests: clients behind a tracked gateway, a server on the other side.
enum Worlds {
    static func scenario(
        seconds: Int64 = 30, rules: String? = Self.filter, max: UInt32 = 65536
    ) -> Scenario {
        var scenario = Scenario(
            name: "test", about: "A test.", duration: .seconds(seconds))
        var clients = Scenario.Node(name: "clients")
        clients.tracking = .none
        clients.addresses = [
            Scenario.AddressPool(
                .ipv4, Address(ipv4: 0xc612_0000), count: 256, prefixLength: 24)
        ]
        var gateway = Scenario.Node(name: "gw")
        gateway.role = .router
        gateway.sysctl.max = max
        gateway.sysctl.buckets = max
        var outside = Scenario.NodeInterface(name: "wan")
        outside.addresses = [
            Scenario.AddressPool(.ipv4, Address(ipv4: 0xcb00_7101), prefixLength: 24)
        ]
        gateway.interfaces = [Scenario.NodeInterface(name: "lan"), outside]
        if let rules {
            gateway.rules = [Scenario.RulesText(.nftables, rules, file: "test.nft")]
        }
        var web = Scenario.Node(name: "web")
        web.tracking = .none
        web.addresses = [
            Scenario.AddressPool(.ipv4, Address(ipv4: 0xc612_800a), prefixLength: 32)
        ]
        web.listeners = [Scenario.Listener(443...443, .tcp), Scenario.Listener(53...53, .udp)]
        scenario.topology.nodes = [clients, gateway, web]
        var inner = Scenario.Link(
            Scenario.LinkEnd("clients"), Scenario.LinkEnd("gw", interface: "lan"))
        inner.forward.delay = .constant(1_000_000)
        inner.backward.delay = .constant(1_000_000)
        var outer = Scenario.Link(
            Scenario.LinkEnd("gw", interface: "wan"), Scenario.LinkEnd("web"))
        outer.forward.delay = .constant(200_000)
        outer.backward.delay = .constant(200_000)
        scenario.topology.links = [inner, outer]
        return scenario
    }

    static let filter = """
        table inet filter {
          chain passing {
            type filter hook forward priority filter; policy drop;
            ct state established,related accept
            ct state invalid counter drop
            ct state new accept
          }
        }
        """

    static let masquerade = """
        table ip nat {
          chain post {
            type nat hook postrouting priority srcnat;
            oifname "wan" masquerade
          }
        }
        """

    static func shoppers(
        rate: Double, seconds: Int64, _ flow: Scenario.Flow = Scenario.Flow(),
        to ports: ClosedRange<UInt16> = 443...443, _ transport: Scenario.Transport = .tcp
    ) -> Scenario.Workload {
        Scenario.Workload(
            name: "shoppers", from: "clients",
            to: Scenario.Target(.node("web"), ports: ports, transport), .flows(flow),
            Scenario.Load(
                .open, stages: [Scenario.Stage(.seconds(seconds), from: rate, to: rate)]))
    }

    static func run(_ scenario: Scenario, seed: UInt64 = 1) throws -> Simulation {
        var builder = WorldBuilder(scenario, seed: seed)
        var simulation = try builder.build()
        simulation.start()
        simulation.run(through: UInt64(scenario.duration.nanoseconds))
        return simulation
    }
}

extension Simulation {
    /// What the one tracked machine of these worlds did; stations are in the order of the nodes.
    var gatewayStats: StationStats { stats[1] }
}
