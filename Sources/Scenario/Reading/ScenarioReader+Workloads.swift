import Conntrack
import Wire
import Yams

// `workloads:`: who talks to whom, how much, and when.

extension ScenarioReader {
    mutating func readWorkloads(_ node: YAMLNode) {
        guard let mapping = mapping(node, expected: "workloads, by name") else { return }
        guard mapping.count <= ScenarioLimits.workloads else {
            report(
                node, found: "\(mapping.count) workloads",
                expected: "at most \(ScenarioLimits.workloads)")
            return
        }
        for (key, value) in mapping {
            guard let name = newName(key, of: "a workload") else { continue }
            guard let (workload, load) = readWorkload(name, value, owner: key) else { continue }
            result.workloads.append(workload)
            places.workloads.append(key)
            places.loads.append(load)
        }
    }

    /// Keys that only workloads of certain kinds have.
    private static let owners: [WorkloadKey: [String]] = [
        .model: ["flows"], .flow: ["flows"], .retry: ["flows"], .resolver: ["flows"],
        .flows: ["flows"], .of: ["flows"], .spoof: ["syn-flood", "udp-flood"], .size: ["udp-flood"],
        .sourcePorts: ["syn-flood", "udp-flood", "scan"], .order: ["scan"], .file: ["replay"],
        .at: ["replay"], .loops: ["replay"], .speed: ["replay"],
        .arrivals: ["flows", "syn-flood", "udp-flood", "scan"],
        .rate: ["flows", "syn-flood", "udp-flood", "scan"],
        .stages: ["flows", "syn-flood", "udp-flood", "scan"],
        .to: ["flows", "syn-flood", "udp-flood", "scan"],
    ]

    private mutating func readWorkload(
        _ name: String, _ node: YAMLNode, owner: YAMLNode
    ) -> (Scenario.Workload, load: YAMLNode)? {
        let pairs = self.pairs(node, WorkloadKey.self, owner: owner)
        var kind = "flows"
        for (key, value) in pairs where key == .kind {
            kind = word(value, of: WorkloadKey.kinds) ?? kind
        }
        var parts = WorkloadParts()
        for (key, value) in pairs {
            if let kinds = Self.owners[key], !kinds.contains(kind) {
                report(
                    value, found: "'\(key.rawValue)' in a workload of the kind '\(kind)'",
                    expected: "it only where the kind is \(Spelling.listed(kinds))")
                continue
            }
            read(key, value, into: &parts)
        }
        let load = readLoad(parts, isRaw: kind != "flows" && kind != "replay", owner: owner, kind)
        guard let source = parts.source else { return nil }
        if kind != "replay", parts.target == nil {
            if !pairs.contains(where: { $0.key == .to }) {
                report(owner, found: "a workload without 'to'", expected: "'to: web:443/tcp'")
            }
            return nil
        }
        guard let made = self.kind(kind, parts, owner: owner) else { return nil }
        var workload = Scenario.Workload(
            name: name, from: source, to: parts.target, made, load.load)
        workload.start = parts.start
        workload.total = parts.total
        workload.isStopped = parts.isStopped
        return (workload, load.place)
    }

    private mutating func read(
        _ key: WorkloadKey, _ value: YAMLNode, into parts: inout WorkloadParts
    ) {
        switch key {
        case .kind: break
        case .from: parts.source = nodeName(value)
        case .to: parts.target = readTarget(value)
        case .model: parts.model = word(value, Scenario.Load.Model.self)
        case .arrivals: parts.arrivals = (readArrivals(value), value)
        case .rate: parts.rate = value
        case .flows: parts.flows = value
        case .of: parts.table = nodeName(value, allowsMembers: true).map { ($0, value) }
        case .stages: parts.stages = value
        case .start:
            parts.start = interval(value).map { Instant.start + $0 } ?? .start
        case .total: parts.total = positive(value, .count).map { Int($0) }
        case .stopped: parts.isStopped = boolean(value) ?? false
        case .flow: readFlow(value, into: &parts.flow)
        case .retry: parts.flow.retry = readRetry(value)
        case .resolver: parts.flow.resolver = readResolver(value)
        case .spoof:
            parts.spoofed = oneOrMany(value, expected: "a list of networks", limit: 1000)
                .compactMap { pool($0) }
        case .sourcePorts: parts.sourcePorts = ports(value)
        case .size: parts.size = distribution(value, .size)
        case .order: parts.order = word(value, Scenario.Scan.Order.self)
        case .file: parts.file = readCaptureName(value)
        case .at: parts.node = nodeName(value, allowsMembers: true)
        case .loops: parts.loops = integer(value, 0...1_000_000)
        case .speed: parts.speed = positive(value, .count)
        }
    }

    private mutating func readCaptureName(_ node: YAMLNode) -> String? {
        guard let name = text(node, expected: "a pcap or pcapng file") else { return nil }
        return name
    }

    private mutating func kind(
        _ kind: String, _ parts: WorkloadParts, owner: YAMLNode
    ) -> Scenario.Workload.Kind? {
        switch kind {
        case "syn-flood", "udp-flood":
            var flood = Scenario.Flood(kind == "syn-flood" ? .syn : .udp)
            flood.spoofed = parts.spoofed
            flood.sourcePorts = parts.sourcePorts ?? flood.sourcePorts
            flood.size = parts.size ?? flood.size
            return .flood(flood)
        case "scan":
            var scan = Scenario.Scan()
            scan.order = parts.order ?? scan.order
            scan.sourcePorts = parts.sourcePorts ?? scan.sourcePorts
            return .scan(scan)
        case "replay":
            guard let file = parts.file, let node = parts.node else {
                report(
                    owner, found: "a replay without 'file' or 'at'",
                    expected: "'file: x.pcap' and 'at: NODE'")
                return nil
            }
            var replay = Scenario.CaptureReplay(path: file, at: node)
            replay.loops = parts.loops ?? 1
            replay.speed = parts.speed ?? 1
            return .replay(replay)
        default: return .flows(parts.flow)
        }
    }

    // MARK: Load

    private mutating func readLoad(
        _ parts: WorkloadParts, isRaw: Bool, owner: YAMLNode, _ kind: String
    ) -> (load: Scenario.Load, place: YAMLNode) {
        let rest = Interval(
            nanoseconds: max(1, result.duration.nanoseconds - (parts.start - .start).nanoseconds))
        let model = parts.model ?? (parts.flows != nil ? .closed : .open)
        let given = [parts.rate, parts.flows, parts.stages].compactMap { $0 }
        let place = given.first ?? owner
        var load = Scenario.Load(model, stages: [.init(rest, from: 0, to: 0)])
        if let (arrivals, node) = parts.arrivals {
            if model == .closed {
                report(
                    node, found: "'arrivals' in a closed workload",
                    expected: "'model: open', or no 'arrivals': flows follow each other")
            }
            load.arrivals = arrivals ?? .poisson
        }
        if given.count > 1 {
            report(
                given[1], found: "more than one of 'rate', 'flows' and 'stages'",
                expected: "one of them")
            return (load, place)
        }
        readShare(parts, into: &load)
        if let node = parts.rate ?? parts.flows {
            if let stage = stage(node, isFlows: parts.flows != nil, load, rest) {
                load.stages = [stage]
            }
        } else if let node = parts.stages {
            readStages(node, into: &load)
        } else if load.needsRate, kind != "replay" {
            report(
                owner, found: "a workload without load",
                expected: model == .open
                    ? "'rate: 200/s', or 'stages:'" : "'flows: 200', or 'stages:'")
        }
        return (load, place)
    }

    private mutating func readStages(_ node: YAMLNode, into load: inout Scenario.Load) {
        let elements = self.elements(
            node, expected: "a list, as [{ for: 30s, rate: 200/s }]", limit: ScenarioLimits.stages)
        var stages: [Scenario.Stage] = []
        for element in elements {
            var duration: Interval?
            var value: (node: YAMLNode, isFlows: Bool)?
            for (key, node) in pairs(element, StageKey.self) {
                switch key {
                case .duration: duration = positiveInterval(node)
                case .rate: value = (node, false)
                case .flows: value = (node, true)
                }
            }
            guard let value else {
                if load.needsRate {
                    let key = load.model == .open ? "rate" : "flows"
                    report(element, found: "a stage without '\(key)'", expected: "'\(key): …'")
                } else if let duration {
                    stages.append(.init(duration, from: 0, to: 0))
                }
                continue
            }
            let made = stage(value.node, isFlows: value.isFlows, load, duration ?? .seconds(1))
            if let made, duration != nil { stages.append(made) }
        }
        if elements.isEmpty, case .sequence = node {
            report(node, found: "no stages", expected: "at least one")
        }
        if !stages.isEmpty { load.stages = stages }
    }

    private mutating func stage(
        _ node: YAMLNode, isFlows: Bool, _ load: Scenario.Load, _ duration: Interval
    ) -> Scenario.Stage? {
        guard isFlows == (load.model == .closed) else {
            report(
                node,
                found: isFlows ? "'flows' in an open workload" : "'rate' in a closed workload",
                expected: isFlows
                    ? "'rate: 200/s', or 'model: closed'"
                    : "'flows: 200', or 'model: open'")
            return nil
        }
        guard isFlows || load.needsRate else {
            report(
                node, found: "a rate beside bursts or a trace",
                expected: "one of the two: they say when flows arrive")
            return nil
        }
        let quantity: Quantity = load.shareOf != nil ? .share : isFlows ? .count : .rate
        guard let ramp = ramp(node, quantity) else { return nil }
        guard !isFlows || max(ramp.from, ramp.to) <= ScenarioLimits.heldFlows else {
            report(node, found: Self.shown(node), expected: "at most 10M flows")
            return nil
        }
        return .init(duration, from: ramp.from, to: ramp.to)
    }

    /// `poisson`, `uniform`, `bursts(size=50, every=1s)`, `trace(FILE)`.
    private mutating func readArrivals(_ node: YAMLNode) -> Scenario.Load.Arrivals? {
        let names = ["poisson", "uniform", "bursts", "trace"]
        let text =
            node.scalar?.string ?? node.mapping?["trace"]?.string.map { "trace(\($0))" } ?? ""
        let name = text.prefix { $0 != "(" }.trimmed
        let inner = String(text.drop { $0 != "(" }.dropFirst().dropLast()).trimmed
        do throws(ValueProblem) {
            switch name {
            case "poisson" where inner.isEmpty: return .poisson
            case "uniform" where inner.isEmpty: return .uniform
            case "bursts":
                let example = "bursts(size=50, every=1s)"
                let words = try DistributionText.arguments(inner, ["size", "every"], example)
                let size = try Quantity.count.parse(words[0])
                let every = try Quantity.duration.parse(words[1])
                guard (1...1_000_000).contains(size), every >= 1000 else {
                    throw ValueProblem(
                        found: "'\(text)'", expected: "1 to 1M at once, every 1us or more")
                }
                return .bursts(size: Int(size), every: Interval(nanoseconds: Int64(every)))
            case "trace": return try trace(inner)
            default:
                throw ValueProblem(
                    found: Self.shown(node),
                    expected: "poisson, uniform, bursts(size=50, every=1s) or trace(FILE)",
                    suggestion: Self.nearest(name, in: names))
            }
        } catch {
            report(node, error)
            return nil
        }
    }

    /// A file with a time a line: seconds since the workload's start, or with a unit.
    private func trace(_ name: String) throws(ValueProblem) -> Scenario.Load.Arrivals {
        let text: String
        do {
            text = try load(name, ScenarioLimits.arrivalsPerTrace * 24)
        } catch {
            throw ValueProblem(found: "'\(name)' (\(error.reason))", expected: "a readable file")
        }
        var times: [Interval] = []
        for (index, line) in text.split(
            omittingEmptySubsequences: false, whereSeparator: \.isNewline
        )
        .enumerated() {
            let word = line.prefix { $0 != "#" }.trimmed
            if word.isEmpty { continue }
            let isBare = Quantity.number(word[...]) != nil
            guard let time = try? Quantity.duration.parse(isBare ? word + "s" : word) else {
                throw ValueProblem(
                    found: "'\(word.prefix(40))' in line \(index + 1) of \(name)",
                    expected: "a time, as 12.5 or 12.5s")
            }
            let interval = Interval(nanoseconds: Int64(time))
            guard times.last.map({ $0 <= interval }) ?? true else {
                throw ValueProblem(
                    found: "'\(word)' in line \(index + 1) of \(name)",
                    expected: "a time not before the one above")
            }
            times.append(interval)
            guard times.count <= ScenarioLimits.arrivalsPerTrace else {
                throw ValueProblem(
                    found: "more than \(ScenarioLimits.arrivalsPerTrace) times in \(name)",
                    expected: "fewer")
            }
        }
        guard !times.isEmpty else {
            throw ValueProblem(found: "no times in \(name)", expected: "one a line")
        }
        return .trace(times)
    }
}

extension Scenario.Load {
    /// Whether stages say how many flows arrive: bursts and traces say so themselves.
    var needsRate: Bool {
        switch arrivals {
        case .poisson, .uniform: true
        case .bursts, .trace: false
        }
    }
}

/// A workload while its keys are being read.
struct WorkloadParts {
    var source: String?
    var target: Scenario.Target?
    var model: Scenario.Load.Model?
    var arrivals: (Scenario.Load.Arrivals?, YAMLNode)?
    var rate: YAMLNode?
    var flows: YAMLNode?
    var table: (name: String, node: YAMLNode)?
    var stages: YAMLNode?
    var start = Instant.start
    var total: Int?
    var isStopped = false
    var flow = Scenario.Flow()
    var spoofed: [Scenario.AddressPool] = []
    var sourcePorts: ClosedRange<UInt16>?
    var size: Scenario.Distribution?
    var order: Scenario.Scan.Order?
    var file: String?
    var node: String?
    var loops: Int?
    var speed: Double?
}
