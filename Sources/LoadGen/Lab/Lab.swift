public import LinuxCalls

// The proving ground: three namespaces on one machine, joined by veth.
//
//     client  c0 198.19.1.1/30 ── 198.19.1.2 lan  gateway  wan 198.19.2.1 ── 198.19.2.2/30 s0  server
//     198.18.0.0/20 local                          NAT, tracking                198.18.128.0/20 local
//
// Client and server track nothing. Whole prefixes are theirs, so that neither source ports nor
// destinations run out before what is to be tried.

/// Three namespaces with a tracking gateway in the middle.
public struct Lab: Sendable {
    private static let parts = ["client", "gw", "server"]

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
                try inside(namespace) { () throws(LabError) in try Self.set(Self.hostSettings) }
            }
            try inside(client) { () throws(LabError) in try Self.set(setup.clientSettings) }
            try inside(gateway) { () throws(LabError) in
                try Self.set(Self.gatewaySettings)
                try tools.nft(setup.ruleset)
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

    private func clientLines(_ setup: LabSetup) -> String {
        """
        link set lo up
        addr add 198.19.1.1/30 dev c0
        link set c0 up
        route add local \(setup.clientPrefix) dev lo
        route add default via 198.19.1.2 src 198.19.1.1

        """
    }

    private func gatewayLines(_ setup: LabSetup) -> String {
        """
        link set lo up
        addr add 198.19.1.2/30 dev \(setup.lan)
        addr add 198.19.2.1/30 dev \(setup.wan)
        link set \(setup.lan) up
        link set \(setup.wan) up
        route add \(setup.clientPrefix) via 198.19.1.1
        route add \(setup.serverPrefix) via 198.19.2.2

        """
    }

    private func serverLines(_ setup: LabSetup) -> String {
        """
        link set lo up
        addr add 198.19.2.2/30 dev s0
        link set s0 up
        route add local \(setup.serverPrefix) dev lo
        route add default via 198.19.2.1

        """
    }

    /// Client and server: nothing of theirs gives in before the gateway does.
    private static let hostSettings: [(name: String, value: String)] = [
        ("net.ipv4.ip_local_port_range", "1024 65535"),
        ("net.ipv4.tcp_tw_reuse", "1"),
        ("net.ipv4.tcp_max_syn_backlog", "65535"),
        ("net.core.somaxconn", "65535"),
        ("net.ipv4.conf.all.rp_filter", "0"),
    ]

    private static let gatewaySettings: [(name: String, value: String)] = [
        ("net.ipv4.ip_forward", "1"),
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

/// How a lab's gateway is set up.
public struct LabSetup: Sendable {
    /// Network address translation towards the server, and nothing else.
    public static let masquerade = """
        table ip nat {
            chain post {
                type nat hook postrouting priority srcnat;
                oifname "wan" masquerade
            }
        }

        """
    /// Tracking alone.
    public static let tracking = """
        table ip filter {
            chain forward {
                type filter hook forward priority filter; policy accept;
                ct state invalid counter
            }
        }

        """

    /// Addresses the client may send from.
    public internal(set) var clientPrefix = "198.18.0.0/20"
    /// Addresses the server answers on, and the one that is used unless another is named.
    public internal(set) var serverPrefix = "198.18.128.0/20"
    public internal(set) var serverAddress = "198.18.128.1"
    /// The gateway's interfaces.
    public internal(set) var lan = "lan"
    public internal(set) var wan = "wan"
    /// nftables text.
    public var ruleset: String
    /// The gateway's own settings, by their full names.
    public private(set) var settings: [(name: String, value: String)] = []
    /// Settings that are one for the whole machine: made under its lease, and put back.
    public private(set) var globalSettings: [(name: String, value: String)] = []

    /// The client's own settings, by their full names.
    public private(set) var clientSettings: [(name: String, value: String)] = []

    /// - Parameter settings: Names with or without `net.netfilter.`.
    public init(
        ruleset: String = LabSetup.masquerade, settings: [(name: String, value: String)] = [],
        clientSettings: [(name: String, value: String)] = []
    ) {
        self.ruleset = ruleset
        self.clientSettings = clientSettings
        add(settings)
    }

    /// Settings of the gateway and of the machine together.
    public var allSettings: [(name: String, value: String)] { settings + globalSettings }

    /// Adds settings of the gateway, which win over those made before.
    public mutating func add(_ settings: [(name: String, value: String)]) {
        for (name, value) in settings {
            let full = name.hasPrefix("net.") ? name : "net.netfilter." + name
            if MachineLease.globalNames.contains(full) {
                globalSettings.append((full, value))
            } else {
                self.settings.append((full, value))
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

/// The system's own tools, which have to be there.
private struct LabTools {
    private let nftables: Program
    private let iproute: Program

    init() throws(LabError) {
        guard let nftables = Program(named: "nft") else {
            throw .unavailable("there is no nft", remedy: "install the package nftables")
        }
        guard let iproute = Program(named: "ip") else {
            throw .unavailable("there is no ip", remedy: "install the package iproute2")
        }
        self.nftables = nftables
        self.iproute = iproute
    }

    func ip(_ arguments: [String], input: String = "") throws(LabError) {
        try run(iproute, arguments, input)
    }

    func ip(_ lines: String) throws(LabError) { try run(iproute, ["-batch", "-"], lines) }

    func nft(_ ruleset: String) throws(LabError) { try run(nftables, ["-f", "-"], ruleset) }

    private func run(
        _ program: Program, _ arguments: [String], _ input: String
    ) throws(LabError) {
        let outcome: Program.Outcome
        do throws(SystemCallError) {
            outcome = try program.run(arguments, input: input)
        } catch {
            throw .call(error)
        }
        guard outcome.exitCode == 0 else {
            throw .refused(program: program.path, outcome.errors)
        }
    }
}
