import Conntrack
import Yams

// `timeline:` and `expect:`.

extension ScenarioReader {
    mutating func readTimeline(_ node: YAMLNode) {
        let elements = self.elements(
            node, expected: "a list, as [{ at: 90s, note: text }]",
            limit: ScenarioLimits.timelineEvents)
        var events: [(event: Scenario.TimelineEvent, place: YAMLNode)] = []
        for element in elements {
            for event in readEvent(element) { events.append((event, element)) }
        }
        // Swift's sort keeps the order of equals.
        events.sort { $0.event.time < $1.event.time }
        result.timeline = events.map(\.event)
        places.events = events.map(\.place)
    }

    private mutating func readEvent(_ node: YAMLNode) -> [Scenario.TimelineEvent] {
        var time: Instant?
        var verbs: [Scenario.Verb] = []
        var words: [EventKey] = []
        for (key, value) in pairs(node, EventKey.self) {
            if key == .at {
                time = interval(value).map { Instant.start + $0 }
                continue
            }
            words.append(key)
            verbs += readVerb(key, value)
        }
        guard words.count == 1 else {
            // A slip in the verb has been reported; it is one mistake, not two.
            let isSlip = node.mapping?.keys.contains {
                $0.string.flatMap(EventKey.init(rawValue:)) == nil
            }
            if words.isEmpty, isSlip == true { return [] }
            let found =
                words.isEmpty
                ? "an event without a verb"
                : "\(words.map { "'\($0.rawValue)'" }.joined(separator: " and ")) in one event"
            report(
                node, found: found,
                expected: "'at' and exactly one of "
                    + EventKey.verbs.map(\.rawValue).joined(separator: ", "))
            return []
        }
        guard let time else { return [] }
        return verbs.map { .init(at: time, $0) }
    }

    private mutating func readVerb(_ key: EventKey, _ value: YAMLNode) -> [Scenario.Verb] {
        switch key {
        case .at: return []
        case .sysctl:
            let changes = readSettingChanges(value)
            return changes.isEmpty ? [] : [.sysctl(changes)]
        case .nftables, .rulesetFile: return readNewRules(value, isFile: key == .rulesetFile)
        case .rollout: return readRollout(value).map { [.rollout($0)] } ?? []
        case .scale: return readScale(value)
        case .kill: return readKill(value)
        case .failover: return readFailover(value).map { [.failover($0)] } ?? []
        case .route: return readRoute(value).map { .route($0) }
        case .link: return readLinkChange(value).map { [.link($0)] } ?? []
        case .workload: return readWorkloadChanges(value)
        case .flush:
            return oneOrMany(value, expected: "the name of a node", limit: 1000)
                .compactMap { nodeName($0, allowsMembers: true) }.map { .flush(node: $0) }
        case .delete: return readDelete(value)
        case .note: return text(value, expected: "words").map { [.note($0)] } ?? []
        }
    }

    private mutating func readNewRules(_ node: YAMLNode, isFile: Bool) -> [Scenario.Verb] {
        guard let mapping = mapping(node, expected: "a node with its ruleset, as 'gw: TEXT'") else {
            return []
        }
        var verbs: [Scenario.Verb] = []
        for (key, value) in mapping {
            guard let name = nodeName(key, allowsMembers: true) else { continue }
            var rules: Scenario.RulesText?
            if isFile {
                rules = text(named: value, limit: RulesetLimits.textByteCount, load)
                    .map { .init(.nftables, $0, file: value.string ?? "") }
            } else if case .scalar(let scalar) = value {
                let line = document.place(of: scalar)?.firstLine ?? Self.mark(value).line
                rules = .init(
                    .nftables, scalar.string, file: document.file, firstLine: max(1, line))
            } else {
                report(value, found: Self.shown(value), expected: "a ruleset's text")
            }
            guard let rules else { continue }
            check(rules, at: value, interfaces: interfaceNames(of: name))
            verbs.append(.rules(node: name, rules))
        }
        return verbs
    }

    /// A group, or a service whose endpoints are one.
    private mutating func groupOrService(_ node: YAMLNode) -> String? {
        let groups = result.topology.nodes.filter { $0.replicas != nil }.map(\.name)
        guard let name = text(node, expected: "the name of a group or service") else { return nil }
        if groups.contains(name) || serviceNames.contains(name) { return name }
        let known = groups + serviceNames
        report(
            node, found: "'\(name)'",
            expected: nodeNames.contains(name)
                ? "a group: '\(name)' has no 'replicas'"
                : "a group or service of this file (\(known.joined(separator: ", ")))",
            suggestion: Self.nearest(name, in: known))
        return nil
    }

    private mutating func readRollout(_ node: YAMLNode) -> Scenario.Rollout? {
        var made = Scenario.Rollout(of: "")
        for (key, value) in pairs(node, RolloutKey.self) {
            switch key {
            case .of: made.of = groupOrService(value) ?? ""
            case .batch: made.batch = integer(value, 1...ScenarioLimits.members) ?? made.batch
            case .surge: made.surge = integer(value, 0...ScenarioLimits.members) ?? made.surge
            case .every: made.every = interval(value) ?? made.every
            case .drain: made.drain = interval(value) ?? made.drain
            case .close: made.closing = word(value, Scenario.Rollout.Closing.self) ?? made.closing
            }
        }
        return made.of.isEmpty ? nil : made
    }

    private mutating func readScale(_ node: YAMLNode) -> [Scenario.Verb] {
        var of: String?
        var to: Int?
        for (key, value) in pairs(node, ScaleKey.self) {
            switch key {
            case .of: of = groupOrService(value)
            case .to: to = integer(value, 0...ScenarioLimits.members)
            }
        }
        guard let of, let to else { return [] }
        return [.scale(of: of, to: to)]
    }

    private mutating func readKill(_ node: YAMLNode) -> [Scenario.Verb] {
        guard case .mapping = node else {
            return nodeName(node, allowsMembers: true).map { [.kill(of: $0, for: nil)] } ?? []
        }
        var of: String?
        var duration: Interval?
        for (key, value) in pairs(node, KillKey.self) {
            switch key {
            case .of: of = nodeName(value, allowsMembers: true)
            case .duration: duration = positiveInterval(value)
            }
        }
        return of.map { [.kill(of: $0, for: duration)] } ?? []
    }

    private mutating func readFailover(_ node: YAMLNode) -> Scenario.Failover? {
        var from: String?
        var to: String?
        var detection = Interval.seconds(0)
        var keepsTable = false
        for (key, value) in pairs(node, FailoverKey.self) {
            switch key {
            case .from: from = nodeName(value)
            case .to: to = nodeName(value)
            case .detect: detection = interval(value) ?? detection
            case .keepsTable: keepsTable = boolean(value) ?? false
            }
        }
        guard let from, let to else { return nil }
        guard from != to else {
            report(node, found: "a failover from '\(from)' to itself", expected: "two routers")
            return nil
        }
        for name in [from, to]
        where result.topology.node(named: name)?.role == .kubernetesNode {
            report(
                node, found: "a failover with '\(name)', a kubernetes-node",
                expected: "two routers; a cluster's node is killed, and what leads to services "
                    + "stays")
            return nil
        }
        var made = Scenario.Failover(from: from, to: to, detection: detection)
        made.keepsTable = keepsTable
        return made
    }

    private mutating func readLinkChange(_ node: YAMLNode) -> Scenario.LinkChange? {
        var ends: [Scenario.LinkEnd]?
        var isDown: Bool?
        var both = Scenario.LinkQualityChange()
        var forward: YAMLNode?
        var backward: YAMLNode?
        for (key, value) in pairs(node, LinkChangeKey.self) {
            switch key {
            case .between: ends = readEnds(value)
            case .down: isDown = boolean(value)
            case .forward: forward = value
            case .backward: backward = value
            case .delay, .jitter, .loss, .duplicates, .late, .lateness, .rate, .queue:
                if let key = QualityKey(rawValue: key.rawValue) { readQuality(key, value, &both) }
            }
        }
        var changes = [both, both]
        for (index, place) in [forward, backward].enumerated() {
            guard let place else { continue }
            for (key, value) in pairs(place, QualityKey.self) {
                readQuality(key, value, &changes[index])
            }
        }
        guard let ends else { return nil }
        let names = ends.map(\.node)
        let exists = result.topology.links.contains {
            let found = $0.ends.map(\.node)
            return found == names || found == names.reversed()
        }
        guard exists else {
            report(
                node, found: "no link between '\(names[0])' and '\(names[1])'",
                expected: "the two endpoints of a link of this file")
            return nil
        }
        return .init(ends[0], ends[1], isDown: isDown, forward: changes[0], backward: changes[1])
    }

    private mutating func readWorkloadChanges(_ node: YAMLNode) -> [Scenario.Verb] {
        guard let mapping = mapping(node, expected: "a workload, as 'shoppers: stop'") else {
            return []
        }
        var verbs: [Scenario.Verb] = []
        for (key, value) in mapping {
            guard let name = known(key, among: workloadNames, what: "a workload") else { continue }
            let model = result.workloads.first { $0.name == name }?.load.model ?? .open
            switch value.scalar?.string {
            case "start": verbs.append(.workload(name: name, .start))
            case "stop": verbs.append(.workload(name: name, .stop))
            case let word?:
                do {
                    let unit: Quantity = model == .open ? .rate : .count
                    verbs.append(.workload(name: name, .rate(try unit.parse(word))))
                } catch {
                    report(
                        value, found: Self.shown(value),
                        expected: model == .open
                            ? "start, stop or a rate as 4000/s"
                            : "start, stop or a number of flows",
                        suggestion: error.suggestion ?? Self.nearest(word, in: ["start", "stop"]))
                }
            case nil:
                report(value, found: Self.shown(value), expected: "start, stop or a rate as 4000/s")
            }
        }
        return verbs
    }

    private mutating func readDelete(_ node: YAMLNode) -> [Scenario.Verb] {
        var on: String?
        var filter = Scenario.EntryFilter()
        for (key, value) in pairs(node, DeleteKey.self) {
            switch key {
            case .on: on = nodeName(value, allowsMembers: true)
            case .proto: filter.transport = word(value, Scenario.Transport.self)
            case .src: filter.source = network(value)
            case .dst: filter.destination = network(value)
            case .replySource: filter.replySource = network(value)
            case .replyDestination: filter.replyDestination = network(value)
            case .sport: filter.sourcePort = integer(value, 0...65_535).map { UInt16($0) }
            case .dport: filter.destinationPort = integer(value, 0...65_535).map { UInt16($0) }
            case .state:
                let names = TCPState.named.map(\.name)
                if let word = word(value, of: names) {
                    filter.state = TCPState.named.first { $0.name == word }
                }
            case .zone: filter.zone = integer(value, 0...65_535).map { UInt16($0) }
            case .mark: filter.mark = integer(value, 0...Int(UInt32.max)).map { UInt32($0) }
            }
        }
        return on.map { [.delete(node: $0, filter)] } ?? []
    }

    // MARK: Expectations

    mutating func readExpectations(_ node: YAMLNode) {
        for element in elements(
            node, expected: "a list, as [{ that: \"max(gw.conntrack.count) <= 65536\" }]",
            limit: ScenarioLimits.expectations)
        {
            guard let made = readExpectation(element) else { continue }
            result.expectations.append(made.expectation)
            places.expectations.append(made.place)
        }
    }

    private mutating func readExpectation(
        _ node: YAMLNode
    ) -> (expectation: Scenario.Expectation, place: YAMLNode)? {
        if case .scalar(let scalar) = node, !scalar.string.isEmpty {
            return (.init(that: scalar.string), node)
        }
        var that: (String, YAMLNode)?
        var made = Scenario.Expectation(that: "")
        for (key, value) in pairs(node, ExpectKey.self) {
            switch key {
            case .that: that = text(value, expected: "a comparison").map { ($0, value) }
            case .severity:
                made.severity = word(value, Scenario.Expectation.Severity.self) ?? made.severity
            case .from: made.from = interval(value).map { Instant.start + $0 } ?? .start
            case .to: made.to = interval(value).map { Instant.start + $0 }
            case .tolerance: made.tolerance = quantity(value, .share)
            case .published: made.published = text(value, expected: "words")
            }
        }
        guard let that else { return nil }
        made.that = that.0
        return (made, that.1)
    }
}
