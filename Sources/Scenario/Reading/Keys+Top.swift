// Keys of a scenario file: the top, expectations, sweeps, limits.

enum ScenarioKey: String, SchemaKey {
    case version, name, about, sources, seed, duration, sample, topology, services, workloads
    case timeline, expect, sweep, limits

    static let noun = "a scenario"
    static let allowsExtensions = true

    var shape: Shape {
        switch self {
        case .version: .integer(1...1)
        case .name, .about: .text
        case .sources: .list(.text)
        case .seed: .integer(0...Int.max)
        case .duration, .sample: .quantity(.duration)
        case .topology: .mapping(TopologyKey.self)
        case .services: .named(.mapping(ServiceKey.self))
        case .workloads: .named(.mapping(WorkloadKey.self))
        case .timeline: .list(.mapping(EventKey.self))
        case .expect: .list(.anyOf([.mapping(ExpectKey.self), .text]))
        case .sweep: .mapping(SweepKey.self)
        case .limits: .mapping(LimitsKey.self)
        }
    }

    var summary: String {
        switch self {
        case .version: "The format's version: 1."
        case .name: "Lower-case words joined by hyphens."
        case .about: "One sentence, shown by 'ctlab list'."
        case .sources: "Where the incident was published."
        case .seed: "Seed of everything random; the same seed gives the same run."
        case .duration: "Simulated time."
        case .sample: "How often series are sampled; 1s if absent."
        case .topology: "Machines, links and routes."
        case .services: "Kubernetes services, by name."
        case .workloads: "Load, by name."
        case .timeline: "What happens when."
        case .expect: "What must come out; decides the exit code."
        case .sweep: "Other values to try, every combination of them."
        case .limits: "Where a run stops itself."
        }
    }

    var isRequired: Bool {
        [.version, .name, .about, .duration, .topology].contains(self)
    }
}

enum ExpectKey: String, SchemaKey {
    case that, severity, from, to, tolerance, published

    static let noun = "an expectation"

    var shape: Shape {
        switch self {
        case .that, .published: .text
        case .severity: .words(Scenario.Expectation.Severity.self)
        case .from, .to: .quantity(.duration)
        case .tolerance: .quantity(.share)
        }
    }

    var summary: String {
        switch self {
        case .that: "A comparison over recorded series, as max(gw.conntrack.count) <= 65536."
        case .severity: "fail (the default) decides the exit code, warn only tells."
        case .from: "Start of the window it looks at."
        case .to: "End of the window it looks at."
        case .tolerance: "How far apart the sides of ~= may be, as 5%."
        case .published: "The published figure, in words."
        }
    }

    var isRequired: Bool { self == .that }
}

enum SweepKey: String, SchemaKey {
    case matrix, seeds

    static let noun = "a sweep"

    var shape: Shape {
        switch self {
        case .matrix: .named(.list(.anything))
        case .seeds: .anyOf([.text, .integer(0...Int.max), .list(.integer(0...Int.max))])
        }
    }

    var summary: String {
        switch self {
        case .matrix: "Paths, as gw.sysctl.nf_conntrack_max, each with the values to try."
        case .seeds: "Seeds of each point: 1..5, or a list."
        }
    }
}

enum LimitsKey: String, SchemaKey {
    case packets, flows
    case queuedEvents = "queued_events"

    static let noun = "limits"

    var shape: Shape { .quantity(.count) }

    var summary: String {
        switch self {
        case .packets: "Packets that hosts may send."
        case .flows: "Flows that may be alive at once."
        case .queuedEvents: "Events that may wait in the queue."
        }
    }
}
