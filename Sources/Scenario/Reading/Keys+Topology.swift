import Conntrack

// Keys of nodes, links, routes, services and listeners.

enum TopologyKey: String, SchemaKey {
    case nodes, links, routes

    static let noun = "a topology"

    var shape: Shape {
        switch self {
        case .nodes: .named(.mapping(NodeKey.self))
        case .links: .list(.mapping(LinkKey.self))
        case .routes: .list(.mapping(RouteKey.self))
        }
    }

    var summary: String {
        switch self {
        case .nodes: "Machines and groups of machines, by name."
        case .links: "What joins them."
        case .routes: "Routes where the shortest path is not wanted."
        }
    }

    var isRequired: Bool { self == .nodes }
}

enum NodeKey: String, SchemaKey {
    case role, replicas, addresses
    case sameAddresses = "same_addresses"
    case interfaces, kernel, hz, tracking, sysctl
    case sysctlFile = "sysctl_file"
    case nftables
    case rulesetFile = "ruleset_file"
    case iptablesSave = "iptables_save"
    case iptablesSaveFile = "iptables_save_file"
    case table
    case tableFile = "table_file"
    case chainLimit = "chain_limit"
    case portSearch = "port_search"
    case cpus, processing, confirming, steering, listen, backlog
    case closedPorts = "closed_ports"

    static let noun = "a node"

    var shape: Shape {
        switch self {
        case .role: .words(Scenario.Role.self)
        case .replicas: .integer(1...ScenarioLimits.members)
        case .addresses: .oneOrMany(.text)
        case .sameAddresses: .boolean
        case .interfaces: .named(.mapping(NodeInterfaceKey.self))
        case .kernel: .words(KernelProfile.self)
        case .hz: .word(TickRate.supported.map(String.init))
        case .tracking: .words(Scenario.Tracking.self)
        case .sysctl: .named(.setting)
        case .sysctlFile, .nftables, .rulesetFile, .iptablesSave, .iptablesSaveFile, .tableFile:
            .text
        case .table: .list(.mapping(InitialEntriesKey.self))
        case .chainLimit: .anyOf([.integer(1...100_000), .text])
        case .cpus: .integer(1...ScenarioLimits.cpus)
        case .portSearch: .words(PortSearchStart.self)
        case .processing, .confirming: .distribution(.duration)
        case .steering: .words(Scenario.Steering.self)
        case .listen: .oneOrMany(.anyOf([.text, .mapping(ListenKey.self)]))
        case .backlog: .integer(1...1_000_000)
        case .closedPorts: .word(["reject", "silent"])
        }
    }

    var summary: String {
        switch self {
        case .role: "router, host (the default) or kubernetes-node."
        case .replicas: "How many equal machines; they are called name-0, name-1, ...."
        case .addresses: "10.0.0.1/24 is one address, 198.18.0.0/24 all of a network."
        case .sameAddresses: "Every member of the group has all the addresses."
        case .interfaces: "Named interfaces; links take the next free ethN otherwise."
        case .kernel: "The kernel whose behaviour is modelled."
        case .hz: "Ticks a second."
        case .tracking: "none, auto (once a rule needs it) or always."
        case .sysctl: "Settings by their kernel names."
        case .sysctlFile: "A file as 'sysctl -a' prints it."
        case .nftables: "The ruleset, as nftables text."
        case .rulesetFile: "A file of nftables text."
        case .iptablesSave: "The ruleset, as iptables-save prints it."
        case .iptablesSaveFile: "A file as iptables-save prints it."
        case .table: "Entries the table starts with, made up."
        case .tableFile: "Entries the table starts with, as 'conntrack -L' or /proc print them."
        case .chainLimit: "Links a chain may have before an entry is refused: 16, or 50..79."
        case .cpus: "CPUs that handle packets."
        case .portSearch:
            "Where a search for a free source port begins: random, or last as in older kernels."
        case .processing: "Time a packet spends between tracking and source translation."
        case .confirming: "Time it then spends between source translation and confirmation."
        case .steering: "How packets are spread over the CPUs."
        case .listen: "What listens: 443/tcp, or a mapping."
        case .backlog: "Connections that may wait to be accepted."
        case .closedPorts: "What a port without a listener does: reject or silent."
        }
    }
}

enum NodeInterfaceKey: String, SchemaKey {
    case addresses, mtu

    static let noun = "an interface"

    var shape: Shape {
        switch self {
        case .addresses: .oneOrMany(.text)
        case .mtu: .integer(68...65_535)
        }
    }

    var summary: String {
        switch self {
        case .addresses: "Addresses with their prefix length."
        case .mtu: "Largest packet in bytes; 1500 if absent."
        }
    }
}

enum InitialEntriesKey: String, SchemaKey {
    case count, from, to, state, timeout, assured

    static let noun = "initial entries"

    var shape: Shape {
        switch self {
        case .count: .integer(1...ScenarioLimits.initialEntries)
        case .from: .text
        case .to: TargetKey.place
        case .state: .word(TCPState.named.map(\.name))
        case .timeout: .quantity(.duration)
        case .assured: .boolean
        }
    }

    var summary: String {
        switch self {
        case .count: "How many."
        case .from: "The node whose addresses are the sources."
        case .to: "Where they lead."
        case .state: "Of TCP: the state, as conntrack -L prints it."
        case .timeout: "Time left; the state's timeout if absent."
        case .assured: "Whether early drop passes them over."
        }
    }

    var isRequired: Bool { [.count, .from, .to].contains(self) }
}

extension TCPState {
    /// States that an entry can be in.
    static let named = allCases.filter { $0 != .none }
}

enum QualityKey: String, SchemaKey {
    case delay, jitter, loss, duplicates, late, lateness, rate, queue

    static let noun = "one direction of a link"

    var shape: Shape {
        switch self {
        case .delay, .jitter, .lateness: .distribution(.duration)
        case .loss, .duplicates, .late: .quantity(.share)
        case .rate: .quantity(.bitRate)
        case .queue: .quantity(.size)
        }
    }

    var summary: String {
        switch self {
        case .delay: "Time on the way."
        case .jitter: "Time added to it, packet by packet; the order stays."
        case .loss: "Share of packets that get lost."
        case .duplicates: "Share of packets that arrive twice."
        case .late: "Share of packets that are overtaken by others."
        case .lateness: "How much later those arrive."
        case .rate: "Bits per second."
        case .queue: "Bytes that may wait for a slow link."
        }
    }
}

enum LinkKey: String, SchemaKey {
    case endpoints, pairing, delay, jitter, loss, duplicates, late, lateness, rate, queue, down
    case forward, backward

    static let noun = "a link"

    var shape: Shape {
        switch self {
        case .endpoints: .list(.text)
        case .pairing: .words(Scenario.Pairing.self)
        case .down: .boolean
        case .forward, .backward: .mapping(QualityKey.self)
        default: QualityKey(rawValue: rawValue)?.shape ?? .anything
        }
    }

    var summary: String {
        switch self {
        case .endpoints: "Two nodes, each with an interface if it matters: gw:lan."
        case .pairing: "How two groups are joined: spread or mesh."
        case .down: "Carries nothing until the timeline says so."
        case .forward: "What differs from the first endpoint to the second."
        case .backward: "What differs from the second endpoint to the first."
        default: QualityKey(rawValue: rawValue)?.summary ?? ""
        }
    }

    var isRequired: Bool { self == .endpoints }
}

enum RouteKey: String, SchemaKey {
    case on, to, via

    static let noun = "a route"

    var shape: Shape { .text }

    var summary: String {
        switch self {
        case .on: "The node it is set on."
        case .to: "A network, as 198.18.0.0/24, or a node that has one."
        case .via: "The neighbour packets are handed to; none removes the route."
        }
    }

    var isRequired: Bool { true }
}

enum ServiceKey: String, SchemaKey {
    case vip, port
    case targetPort = "target_port"
    case nodePort = "node_port"
    case endpoints, mode, affinity
    case affinityTimeout = "affinity_timeout"
    case cleanup, nodes
    case externalTraffic = "external_traffic"
    case reuse

    static let noun = "a service"

    var shape: Shape {
        switch self {
        case .vip, .port, .endpoints: .text
        case .targetPort, .nodePort: .integer(1...65_535)
        case .mode: .words(Scenario.Service.Mode.self)
        case .affinity: .word(["none", "client-ip"])
        case .affinityTimeout: .quantity(.duration)
        case .cleanup: .words(Scenario.Service.CleanUp.self)
        case .nodes: .list(.text)
        case .externalTraffic: .word(["cluster", "local"])
        case .reuse: .word(["reopen", "drop-syn"])
        }
    }

    var summary: String {
        switch self {
        case .vip: "The virtual address."
        case .port: "Port and protocol, as 443/tcp."
        case .targetPort: "The endpoints' port; the same if absent."
        case .nodePort: "A port on every node that leads here too."
        case .endpoints: "The group whose members answer."
        case .mode:
            "Who balances: nftables (the default), iptables or ipvs (translated by nftables)."
        case .affinity: "client-ip: a client keeps its endpoint."
        case .affinityTimeout: "For how long; 3h if absent."
        case .cleanup: "Who deletes UDP entries of endpoints that have gone: kube-proxy or none."
        case .nodes: "Nodes with the rules; every kubernetes-node if absent."
        case .externalTraffic: "cluster, the default; local is refused: not modelled."
        case .reuse:
            "ipvs: a SYN on an entry in TIME_WAIT reopens it (the default) or is dropped with it."
        }
    }

    var isRequired: Bool { [.vip, .port, .endpoints].contains(self) }
}

enum ListenKey: String, SchemaKey {
    case port, behaviour, processing, workers, proxy

    static let noun = "a listener"

    var shape: Shape {
        switch self {
        case .port: .text
        case .behaviour: .word(["serve", "silent", "refuse"])
        case .processing: .distribution(.duration)
        case .workers: .integer(1...1_000_000)
        case .proxy: .mapping(ProxyKey.self)
        }
    }

    var summary: String {
        switch self {
        case .port: "Port and protocol, as 443/tcp or 8000-8100/udp."
        case .behaviour: "serve (the default), silent or refuse."
        case .processing: "From a request's last byte to the answer's first."
        case .workers: "Requests in work at once; more wait."
        case .proxy: "Passes on to somebody else over a connection of its own."
        }
    }

    var isRequired: Bool { self == .port }
}

enum ProxyKey: String, SchemaKey {
    case to
    case connectTimeout = "connect_timeout"
    case pool

    static let noun = "a proxy"

    var shape: Shape {
        switch self {
        case .to: TargetKey.place
        case .connectTimeout: .quantity(.duration)
        case .pool: .mapping(PoolKey.self)
        }
    }

    var summary: String {
        switch self {
        case .to: "Where the back connection goes."
        case .connectTimeout: "How long it may take to open; 5s if absent."
        case .pool: "Back connections are kept and used again; a new one a request if absent."
        }
    }

    var isRequired: Bool { self == .to }
}

enum PoolKey: String, SchemaKey {
    case size, idle

    static let noun = "a pool"

    var shape: Shape {
        switch self {
        case .size: .integer(1...1_000_000)
        case .idle: .quantity(.duration)
        }
    }

    var summary: String {
        switch self {
        case .size: "Connections at most."
        case .idle: "One that nobody uses is closed after this; 60s if absent."
        }
    }

    var isRequired: Bool { self == .size }
}
