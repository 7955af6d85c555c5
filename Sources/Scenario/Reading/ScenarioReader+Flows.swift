import Conntrack
import Yams

// `flow:`, `retry:` and `resolver:` of a workload.

extension ScenarioReader {
    mutating func readFlow(_ node: YAMLNode, into flow: inout Scenario.Flow) {
        for (key, value) in pairs(node, FlowKey.self) {
            switch key {
            case .request: flow.request = distribution(value, .size) ?? flow.request
            case .response: flow.response = distribution(value, .size) ?? flow.response
            case .requests:
                if let found = distribution(value, .count) {
                    guard found.mean >= 1, found.mean <= ScenarioLimits.requestsPerFlow else {
                        report(
                            value, found: Self.shown(value), expected: "1 to 1M requests on average"
                        )
                        continue
                    }
                    flow.requests = found
                }
            case .think: flow.think = distribution(value, .duration) ?? flow.think
            case .hold: flow.hold = distribution(value, .duration) ?? flow.hold
            case .close: flow.closing = word(value, Scenario.Flow.Closing.self) ?? flow.closing
            case .keepAlive: flow.keepAlive = positiveInterval(value)
            case .push: flow.push = readPush(value)
            case .sourcePort: flow.sourcePort = readSourcePort(value) ?? flow.sourcePort
            case .sourceAddresses:
                flow.sourceAddresses = integer(value, 1...ScenarioLimits.addressesPerPool)
            case .pool: flow.pool = readPool(value)
            }
        }
    }

    private mutating func readSourcePort(_ node: YAMLNode) -> Scenario.Flow.SourcePort? {
        let text = node.scalar?.string ?? ""
        switch text {
        case "ephemeral": return .ephemeral
        case "sequential": return .sequential
        case "per-packet": return .perPacket
        default:
            if let port = UInt16(text), port > 0 { return .fixed(port) }
            let words = ["ephemeral", "sequential", "per-packet"]
            report(
                node, found: Self.shown(node),
                expected: "ephemeral, sequential, per-packet or a port from 1 to 65535",
                suggestion: Self.nearest(text, in: words))
            return nil
        }
    }

    private mutating func readPush(_ node: YAMLNode) -> Scenario.Push? {
        var count = 1
        var every: Scenario.Distribution?
        var size = Scenario.Distribution.constant(100)
        for (key, value) in pairs(node, PushKey.self) {
            switch key {
            case .count: count = integer(value, 1...1_000_000) ?? 1
            case .every: every = distribution(value, .duration)
            case .size: size = distribution(value, .size) ?? size
            }
        }
        return every.map { .init(count: count, every: $0, size: size) }
    }

    mutating func readRetry(_ node: YAMLNode) -> Scenario.Retry {
        var retry = Scenario.Retry()
        for (key, value) in pairs(node, RetryKey.self) {
            switch key {
            case .syn: retry.syn = word(value, Scenario.Retry.Segments.self) ?? retry.syn
            case .connectTimeout: retry.connectTimeout = positiveInterval(value)
            case .app:
                for (key, value) in pairs(value, AppRetryKey.self) {
                    switch key {
                    case .attempts: retry.attempts = integer(value, 1...1000) ?? 1
                    case .backoff: retry.backoff = distribution(value, .duration) ?? retry.backoff
                    case .factor: retry.backoffFactor = positive(value, .count) ?? 1
                    case .timeout: retry.timeout = positiveInterval(value)
                    }
                }
            }
        }
        return retry
    }

    mutating func readResolver(_ node: YAMLNode) -> Scenario.Resolver? {
        var made = Scenario.Resolver(asking: .init(.node(""), ports: 53...53, .udp))
        var target: Scenario.Target?
        for (key, value) in pairs(node, ResolverKey.self) {
            switch key {
            case .ask:
                target = readTarget(value)
                if let target, target.transport != .udp {
                    report(value, found: Self.shown(value), expected: "a target that speaks udp")
                }
            case .records:
                let records = elements(value, expected: "a list, as [A, AAAA]", limit: 2)
                    .compactMap { word($0, Scenario.Resolver.Record.self) }
                if !records.isEmpty { made.records = records }
            case .oneSocket: made.sharesSocket = boolean(value) ?? true
            case .dots: made.dots = integer(value, 0...15) ?? 1
            case .ndots: made.ndots = integer(value, 0...15) ?? 1
            case .search: made.searchDomains = integer(value, 0...32) ?? 0
            case .timeout: made.timeout = positiveInterval(value) ?? made.timeout
            case .attempts: made.attempts = integer(value, 1...5) ?? made.attempts
            }
        }
        guard let target else { return nil }
        made.target = target
        return made
    }
}
