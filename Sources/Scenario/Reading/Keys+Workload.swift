// Keys of workloads and of what a flow does.

enum TargetKey: String, SchemaKey {
    case to
    case nodePort = "node_port"
    case weights, spread

    static let noun = "a target"

    /// A target as a word or a mapping.
    static var place: Shape { .anyOf([.text, .mapping(Self.self)]) }

    var shape: Shape {
        switch self {
        case .to, .nodePort: .text
        case .weights: .named(.quantity(.count))
        case .spread: .words(Scenario.Target.Spread.self)
        }
    }

    var summary: String {
        switch self {
        case .to: "A node, service, address or network with its ports: web:443/tcp."
        case .nodePort: "A service, by its node port."
        case .weights: "How much of the traffic each node gets; evenly if absent."
        case .spread: "Which of several addresses and ports is next."
        }
    }
}

enum WorkloadKey: String, SchemaKey {
    case kind, from, to, model, arrivals, rate, flows, of, stages, start, total, stopped, flow,
        retry
    case resolver, spoof
    case sourcePorts = "source_ports"
    case size, order, file, at, loops, speed

    static let noun = "a workload"

    static let kinds = ["flows", "syn-flood", "udp-flood", "scan", "replay"]

    var shape: Shape {
        switch self {
        case .kind: .word(Self.kinds)
        case .from, .of, .sourcePorts, .file, .at: .text
        case .to: TargetKey.place
        case .model: .words(Scenario.Load.Model.self)
        case .arrivals: .text
        case .rate: .ramp(.rate)
        case .flows: .anyOf([.ramp(.count), .ramp(.share)])
        case .stages: .list(.mapping(StageKey.self))
        case .start: .quantity(.duration)
        case .total: .quantity(.count)
        case .stopped: .boolean
        case .flow: .mapping(FlowKey.self)
        case .retry: .mapping(RetryKey.self)
        case .resolver: .mapping(ResolverKey.self)
        case .spoof: .oneOrMany(.text)
        case .size: .distribution(.size)
        case .order: .words(Scenario.Scan.Order.self)
        case .loops: .integer(0...1_000_000)
        case .speed: .quantity(.count)
        }
    }

    var summary: String {
        switch self {
        case .kind: "flows (the default), syn-flood, udp-flood, scan or replay."
        case .from: "The node whose addresses are the sources."
        case .to: "Where it goes: web:443/tcp, a service, or a mapping."
        case .model: "open: arrivals per second; closed: flows that are kept."
        case .arrivals: "poisson, uniform, bursts(size=50, every=1s) or trace(FILE)."
        case .rate: "Open, in place of stages: arrivals per second, for the whole run."
        case .flows:
            "Closed, in place of stages: flows held for the whole run, 200, or 50% of a table's "
                + "maximum."
        case .of: "Whose nf_conntrack_max flows are a share of, where several nodes track."
        case .stages: "How the load changes."
        case .start: "When it begins; stages count from here."
        case .total: "Flows or packets after which it ends."
        case .stopped: "Waits for the timeline to start it."
        case .flow: "What one flow does."
        case .retry: "What is tried again."
        case .resolver: "A name is looked up before each flow."
        case .spoof: "Floods: networks that sources are drawn from."
        case .sourcePorts: "Floods and scans: the range of source ports, 1024-65535."
        case .size: "UDP floods: payload."
        case .order: "Scans: sequential or random."
        case .file: "Replay: a pcap or pcapng file."
        case .at: "Replay: the node its packets arrive at."
        case .loops: "Replay: times it is played; 0 is without end."
        case .speed: "Replay: 2 plays it in half its time."
        }
    }

    var isRequired: Bool { self == .from }
}

enum StageKey: String, SchemaKey {
    case duration = "for"
    case rate, flows

    static let noun = "a stage"

    var shape: Shape {
        switch self {
        case .duration: .quantity(.duration)
        case .rate: .ramp(.rate)
        case .flows: .anyOf([.ramp(.count), .ramp(.share)])
        }
    }

    var summary: String {
        switch self {
        case .duration: "How long it lasts."
        case .rate: "Open: arrivals, 200/s, or 200/s..4000/s for an even change."
        case .flows: "Closed: flows held, 200, 200..4000, or 0%..50% of a table's maximum."
        }
    }

    var isRequired: Bool { self == .duration }
}

enum FlowKey: String, SchemaKey {
    case request, response, requests, think, hold, close
    case keepAlive = "keep_alive"
    case push
    case sourcePort = "source_port"
    case sourceAddresses = "source_addresses"
    case pool

    static let noun = "a flow"

    var shape: Shape {
        switch self {
        case .request, .response: .distribution(.size)
        case .requests: .distribution(.count)
        case .think, .hold: .distribution(.duration)
        case .close: .words(Scenario.Flow.Closing.self)
        case .keepAlive: .quantity(.duration)
        case .push: .mapping(PushKey.self)
        case .sourcePort:
            .anyOf([
                .word(["ephemeral", "sequential", "per-packet"]), .integer(1...65_535),
            ])
        case .sourceAddresses: .integer(1...ScenarioLimits.addressesPerPool)
        case .pool: .mapping(PoolKey.self)
        }
    }

    var summary: String {
        switch self {
        case .request: "Bytes of a request."
        case .response: "Bytes of a response; 0B is none."
        case .requests: "Requests in one flow."
        case .think: "Pause between a response and the next request."
        case .hold: "Time the flow stays open after its last response."
        case .close: "Who ends it, and how."
        case .keepAlive: "TCP keep-alive probes after this much silence."
        case .push: "What the server says unasked, after the last response."
        case .sourcePort: "ephemeral (as Linux), sequential, per-packet (UDP), or one port."
        case .sourceAddresses: "How many of the source's addresses are used."
        case .pool: "Requests share connections instead of opening one each."
        }
    }
}

enum PushKey: String, SchemaKey {
    case count, every, size

    static let noun = "a push"

    var shape: Shape {
        switch self {
        case .count: .integer(1...1_000_000)
        case .every: .distribution(.duration)
        case .size: .distribution(.size)
        }
    }

    var summary: String {
        switch self {
        case .count: "How many messages; 1 if absent."
        case .every: "Time before each."
        case .size: "Bytes of each."
        }
    }

    var isRequired: Bool { self == .every }
}

enum RetryKey: String, SchemaKey {
    case syn, app
    case connectTimeout = "connect_timeout"

    static let noun = "a retry policy"

    var shape: Shape {
        switch self {
        case .syn: .words(Scenario.Retry.Segments.self)
        case .app: .mapping(AppRetryKey.self)
        case .connectTimeout: .quantity(.duration)
        }
    }

    var summary: String {
        switch self {
        case .syn: "linux: segments are sent again after 1, 3, 7, ... s; or none."
        case .app: "What the application tries again."
        case .connectTimeout: "How long connecting may take."
        }
    }
}

enum AppRetryKey: String, SchemaKey {
    case attempts, backoff, factor, timeout

    static let noun = "an application's retries"

    var shape: Shape {
        switch self {
        case .attempts: .integer(1...1000)
        case .backoff: .distribution(.duration)
        case .factor: .quantity(.count)
        case .timeout: .quantity(.duration)
        }
    }

    var summary: String {
        switch self {
        case .attempts: "Attempts in all."
        case .backoff: "Pause before the next attempt."
        case .factor: "Each pause is so many times the one before."
        case .timeout: "How long one attempt may take."
        }
    }
}

enum ResolverKey: String, SchemaKey {
    case ask, records
    case oneSocket = "one_socket"
    case dots, ndots, search, timeout, attempts

    static let noun = "a resolver"

    var shape: Shape {
        switch self {
        case .ask: TargetKey.place
        case .records: .list(.words(Scenario.Resolver.Record.self))
        case .oneSocket: .boolean
        case .dots, .ndots: .integer(0...15)
        case .search: .integer(0...32)
        case .timeout: .quantity(.duration)
        case .attempts: .integer(1...5)
        }
    }

    var summary: String {
        switch self {
        case .ask: "Where queries go, as dns:53/udp."
        case .records: "What is asked for, [A, AAAA] if absent."
        case .oneSocket: "A and AAAA leave from one socket (true if absent)."
        case .dots: "Dots in the name looked up."
        case .ndots: "Names with fewer dots are tried in every search domain first."
        case .search: "Search domains."
        case .timeout: "Before a query is sent again; 5s if absent."
        case .attempts: "Times a query is sent; 2 if absent."
        }
    }

    var isRequired: Bool { self == .ask }
}
