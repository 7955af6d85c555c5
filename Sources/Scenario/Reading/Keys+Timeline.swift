import Conntrack

// Keys of the timeline: a time and exactly one verb.

enum EventKey: String, SchemaKey {
    case at, sysctl, nftables
    case rulesetFile = "ruleset_file"
    case rollout, scale, kill, failover, route, link, workload, flush, delete, note

    static let noun = "an event"

    /// The words that say what happens.
    static let verbs = allCases.filter { $0 != .at }

    var shape: Shape {
        switch self {
        case .at: .quantity(.duration)
        case .sysctl: .named(.named(.setting))
        case .nftables, .rulesetFile: .named(.text)
        case .rollout: .mapping(RolloutKey.self)
        case .scale: .mapping(ScaleKey.self)
        case .kill: .anyOf([.text, .mapping(KillKey.self)])
        case .failover: .mapping(FailoverKey.self)
        case .route: .mapping(RouteKey.self)
        case .link: .mapping(LinkChangeKey.self)
        case .workload: .named(.text)
        case .flush: .oneOrMany(.text)
        case .delete: .mapping(DeleteKey.self)
        case .note: .text
        }
    }

    var summary: String {
        switch self {
        case .at: "When, from the run's start."
        case .sysctl: "Settings of nodes: { gw: { nf_conntrack_max: 131072 } }."
        case .nftables: "A new ruleset of a node: { gw: TEXT }."
        case .rulesetFile: "A new ruleset of a node, from a file: { gw: FILE }."
        case .rollout: "The members of a group are replaced."
        case .scale: "A group gets more or fewer members."
        case .kill: "A node or group goes silent."
        case .failover: "One router takes over from another."
        case .route: "A route is set or removed."
        case .link: "A link changes."
        case .workload: "Load changes: { shoppers: stop }, start, or a rate."
        case .flush: "conntrack -F on a node."
        case .delete: "conntrack -D with filters on a node."
        case .note: "A mark on the charts."
        }
    }

    var isRequired: Bool { self == .at }
}

enum RolloutKey: String, SchemaKey {
    case of, batch, every, drain, close, surge

    static let noun = "a rollout"

    var shape: Shape {
        switch self {
        case .of: .text
        case .batch: .integer(1...ScenarioLimits.members)
        case .surge: .integer(0...ScenarioLimits.members)
        case .every, .drain: .quantity(.duration)
        case .close: .words(Scenario.Rollout.Closing.self)
        }
    }

    var summary: String {
        switch self {
        case .of: "A group, or a service."
        case .batch: "Members replaced at once."
        case .every: "Time between two batches."
        case .drain: "From leaving the service to the process's end."
        case .close: "What becomes of open connections: fin, rst or abandon."
        case .surge: "New members that are there before old ones go."
        }
    }

    var isRequired: Bool { self == .of }
}

enum ScaleKey: String, SchemaKey {
    case of, to

    static let noun = "a scaling"

    var shape: Shape {
        switch self {
        case .of: .text
        case .to: .integer(0...ScenarioLimits.members)
        }
    }

    var summary: String {
        switch self {
        case .of: "A group, or a service."
        case .to: "Members from now on."
        }
    }

    var isRequired: Bool { true }
}

enum KillKey: String, SchemaKey {
    case of
    case duration = "for"

    static let noun = "a kill"

    var shape: Shape {
        switch self {
        case .of: .text
        case .duration: .quantity(.duration)
        }
    }

    var summary: String {
        switch self {
        case .of: "A node or group."
        case .duration: "It returns after this; never if absent."
        }
    }

    var isRequired: Bool { self == .of }
}

enum FailoverKey: String, SchemaKey {
    case from, to, detect
    case keepsTable = "keeps_table"

    static let noun = "a failover"

    var shape: Shape {
        switch self {
        case .from, .to: .text
        case .detect: .quantity(.duration)
        case .keepsTable: .boolean
        }
    }

    var summary: String {
        switch self {
        case .from: "The router that fails."
        case .to: "The router that takes over."
        case .detect: "From the failure until routes have changed."
        case .keepsTable: "The table has been mirrored, as conntrackd does."
        }
    }

    var isRequired: Bool { self == .from || self == .to }
}

enum LinkChangeKey: String, SchemaKey {
    case between, down, delay, jitter, loss, duplicates, late, lateness, rate, queue, forward
    case backward

    static let noun = "a link change"

    var shape: Shape {
        switch self {
        case .between: .list(.text)
        case .down: .boolean
        case .forward, .backward: .mapping(QualityKey.self)
        default: QualityKey(rawValue: rawValue)?.shape ?? .anything
        }
    }

    var summary: String {
        switch self {
        case .between: "The two endpoints, as the link has them."
        case .down: "true: carries nothing; false: carries again."
        case .forward: "What differs from the first endpoint to the second."
        case .backward: "What differs from the second endpoint to the first."
        default: QualityKey(rawValue: rawValue)?.summary ?? ""
        }
    }

    var isRequired: Bool { self == .between }
}

enum DeleteKey: String, SchemaKey {
    case on, proto, src, dst
    case replySource = "reply_src"
    case replyDestination = "reply_dst"
    case sport, dport, state, zone, mark

    static let noun = "a deletion"

    var shape: Shape {
        switch self {
        case .on, .src, .dst, .replySource, .replyDestination: .text
        case .proto: .words(Scenario.Transport.self)
        case .sport, .dport: .integer(0...65_535)
        case .state: .word(TCPState.named.map(\.name))
        case .zone: .integer(0...65_535)
        case .mark: .integer(0...Int(UInt32.max))
        }
    }

    var summary: String {
        switch self {
        case .on: "The node."
        case .proto: "tcp, udp or icmp."
        case .src: "Source of the original direction, an address or network."
        case .dst: "Destination of the original direction."
        case .replySource: "Source of the reply direction."
        case .replyDestination: "Destination of the reply direction."
        case .sport: "Source port of the original direction."
        case .dport: "Destination port of the original direction."
        case .state: "TCP state, as conntrack -L prints it."
        case .zone: "Zone."
        case .mark: "Connection mark."
        }
    }

    var isRequired: Bool { self == .on }
}
