public import LinuxCalls

// The proving ground: three namespaces on one machine, joined by veth.
//
//     client  c0 198.19.1.1/30 ── 198.19.1.2 lan  gateway  wan 198.19.2.1 ── 198.19.2.2/30 s0  server
//     198.18.0.0/20 local                          NAT, tracking                198.18.128.0/20 local
//
// The same in IPv6: fdc7:1ab:0:1::/64 and fdc7:1ab:0:2::/64, the links fdc7:1ab:0:f1:: and f2::.
// Client and server track nothing. Whole prefixes are theirs, so that neither source ports nor
// destinations run out before what is to be tried.

/// Three namespaces with a tracking gateway in the middle.
public struct Lab: Sendable {
    private static let parts = ["client", "gw", "server"]
    /// The client's IPv6 addresses, the server's, and the one of those that is used.
    public static let clientIPv6Prefix = "fdc7:1ab:0:1::/64"
    public static let serverIPv6Prefix = "fdc7:1ab:0:2::/64"
    public static let serverIPv6 = "fdc7:1ab:0:2::1"

    /// What its namespaces' names begin with.
    public let name: String
    public var client: String { "\(name)-client" }
    public var gateway: String { "\(name)-gw" }
    public var server: String { "\(name)-server" }
    var namespaces: [String] { Self.parts.map { "\(name)-\($0)" } }

    /// - Parameter name: `ctlab`, or something that begins with it.
    public init(name: String = "ctlab") {
        precondition(name.hasPrefix("ctlab"), "a lab's name begins with ctlab")
        self.name = name
    }

    /// Whether any of its namespaces is there.
    public var isThere: Bool {
        namespaces.contains { TextFile.exists(NetworkNamespace.path(ofNamed: $0)) }
    }

    /// Whether the calling thread is in a namespace of some lab.
    public static var holdsThisProcess: Bool {
        guard let here = try? NetworkNamespace.currentNumber() else { return false }
        return Directory.names(in: "/run/netns").contains { name in
            name.hasPrefix("ctlab") && parts.contains { name.hasSuffix("-\($0)") }
                && (try? NetworkNamespace.number(ofNamed: name)) == here
        }
    }

    // MARK: Up

    /// Makes the namespaces; what is left of an earlier lab of this name goes first.
    public func up(_ setup: LabSetup) throws(LabError) {
        guard ProcessOwner.isRoot else {
            throw .unavailable("network namespaces need root", remedy: "run with sudo")
        }
        let tools = try LabTools()
        try down()
        do throws(LabError) {
            try tools.ip(links(setup))
            let lines = [clientLines(setup), gatewayLines(setup), serverLines(setup)]
            for (namespace, lines) in zip(namespaces, lines) {
                try tools.ip(["-n", namespace, "-batch", "-"], input: lines)
            }
            for namespace in [client, server] {
                try inside(namespace) { () throws(LabError) in
                    try Self.set(Self.hostSettings)
                    try tools.nft(setup.lossRuleset(arriving: namespace == client ? "c0" : "s0"))
                }
            }
            try inside(client) { () throws(LabError) in
                try Self.set(setup.clientSettings)
                try tools.nft(setup.clientRuleset)
            }
            try addDelay(setup, tools)
            try inside(gateway) { () throws(LabError) in
                try Self.set(Self.gatewaySettings)
                try tools.nft(setup.ruleset)
                try tools.nft(setup.lossRuleset(arriving: setup.lan, setup.wan))
                // Behind the rules, which are what makes the tracker's settings take hold.
                try Self.set(setup.settings)
            }
        } catch {
            try? down()
            throw error
        }
    }

    /// Removes the namespaces, and with them all they hold; none there is no error.
    public func down() throws(LabError) {
        let tools = try LabTools()
        for namespace in namespaces
        where TextFile.exists(NetworkNamespace.path(ofNamed: namespace)) {
            try tools.ip(["netns", "del", namespace])
        }
    }

    /// Runs `body` with the calling thread inside one of its namespaces.
    public func inside<Value: ~Copyable>(
        _ namespace: String, _ body: () throws(LabError) -> Value
    ) throws(LabError) -> Value {
        let place: NetworkNamespace
        do throws(SystemCallError) {
            place = try NetworkNamespace(named: namespace)
        } catch {
            throw .call(error)
        }
        return try place.enter(body)
    }

    // MARK: What is made

    private func links(_ setup: LabSetup) -> String {
        namespaces.map { "netns add \($0)\n" }.joined()
            + "link add c0 netns \(client) type veth peer name \(setup.lan) netns \(gateway)\n"
            + "link add s0 netns \(server) type veth peer name \(setup.wan) netns \(gateway)\n"
    }

    /// Gives every end of a link half of the delay there and back: the whole, one way.
    private func addDelay(_ setup: LabSetup, _ tools: LabTools) throws(LabError) {
        guard setup.delaySeconds > 0 else { return }
        let ends = [(client, "c0"), (gateway, setup.lan), (gateway, setup.wan), (server, "s0")]
        let microseconds = Int((setup.delaySeconds * 1e6).rounded())
        for (namespace, device) in ends {
            do throws(LabError) {
                try tools.tc([
                    "-n", namespace, "qdisc", "add", "dev", device, "root", "netem", "delay",
                    "\(microseconds)us", "limit", "100000",
                ])
            } catch {
                throw .unavailable(
                    "a link cannot be delayed, because this kernel has no netem",
                    remedy: "load it (modprobe sch_netem), or leave the delay out")
            }
        }
    }

    private func clientLines(_ setup: LabSetup) -> String {
        """
        link set lo up
        addr add 198.19.1.1/30 dev c0
        addr add fdc7:1ab:0:f1::1/64 dev c0 nodad
        link set c0 up
        route add local \(setup.clientPrefix) dev lo
        route add local \(Self.clientIPv6Prefix) dev lo
        route add default via 198.19.1.2 src 198.19.1.1
        route add default via fdc7:1ab:0:f1::2

        """
    }

    private func gatewayLines(_ setup: LabSetup) -> String {
        """
        link set lo up
        addr add 198.19.1.2/30 dev \(setup.lan)
        addr add 198.19.2.1/30 dev \(setup.wan)
        addr add fdc7:1ab:0:f1::2/64 dev \(setup.lan) nodad
        addr add fdc7:1ab:0:f2::1/64 dev \(setup.wan) nodad
        link set \(setup.lan) up
        link set \(setup.wan) up
        route add \(setup.clientPrefix) via 198.19.1.1
        route add \(setup.serverPrefix) via 198.19.2.2
        route add \(Self.clientIPv6Prefix) via fdc7:1ab:0:f1::1
        route add \(Self.serverIPv6Prefix) via fdc7:1ab:0:f2::2

        """
    }

    private func serverLines(_ setup: LabSetup) -> String {
        """
        link set lo up
        addr add 198.19.2.2/30 dev s0
        addr add fdc7:1ab:0:f2::2/64 dev s0 nodad
        link set s0 up
        route add local \(setup.serverPrefix) dev lo
        route add local \(Self.serverIPv6Prefix) dev lo
        route add default via 198.19.2.1
        route add default via fdc7:1ab:0:f2::1

        """
    }

    /// Client and server: nothing of theirs gives in before the gateway does.
    private static let hostSettings: [(name: String, value: String)] = [
        ("net.ipv4.ip_local_port_range", "1024 65535"),
        ("net.ipv4.tcp_tw_reuse", "1"),
        ("net.ipv4.tcp_max_syn_backlog", "65535"),
        ("net.core.somaxconn", "65535"),
        ("net.ipv4.conf.all.rp_filter", "0"),
        // Any address of the prefix may be sent from: IPv4 takes a local route for an answer.
        ("net.ipv6.ip_nonlocal_bind", "1"),
    ]

    private static let gatewaySettings: [(name: String, value: String)] = [
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv6.conf.all.forwarding", "1"),
        ("net.ipv4.conf.all.rp_filter", "0"),
        ("net.ipv4.conf.default.rp_filter", "0"),
        ("net.ipv4.conf.all.send_redirects", "0"),
    ]

    private static func set(
        _ settings: [(name: String, value: String)]
    ) throws(LabError) {
        for (name, value) in settings {
            do throws(SystemCallError) {
                try SysctlFile.write(name, value)
            } catch {
                throw .setting(name: name, value: value, reason: error.reason)
            }
        }
    }
}

/// Why a lab cannot be.
public enum LabError: Error, Sendable, CustomStringConvertible {
    case unavailable(String, remedy: String)
    case call(SystemCallError)
    /// A program did not take what it was given.
    case refused(program: String, String)
    case setting(name: String, value: String, reason: String)

    public var description: String {
        switch self {
        case .unavailable(let what, let remedy): "lab: \(what); \(remedy)"
        case .call(let error): "lab: \(error)"
        case .refused(let program, let message): "lab: \(program) refused:\n\(message)"
        case .setting(let name, let value, let reason):
            "lab: cannot set \(name) to '\(value)': \(reason)"
        }
    }
}
