import Conntrack
import Wire
import Yams

// What follows from several parts of a file together, said before the run starts.

extension ScenarioReader {
    mutating func checkAll() {
        let findingsBefore = findings.count
        checkPools()
        noteSharedAddresses()
        let layout = result.topology.layout
        checkSize(layout)
        places.hasBadTopology = places.hasBadTopology || findings.count > findingsBefore
        checkRules(layout)
        checkMembers()
        checkTimes()
        checkServices()
        // Paths lean on nodes and links that could be read; a sweep on all the rest.
        if !places.hasBadTopology {
            checkRouting(layout)
            checkShares(layout)
            checkLoads(layout)
        }
        checkExpectations()
        if findings.isEmpty { checkSweepPaths() }
    }

    // MARK: Nodes

    private mutating func checkPools() {
        for node in result.topology.nodes {
            guard let replicas = node.replicas, !node.sharesAddresses,
                let place = places.nodes[node.name]
            else { continue }
            for family in Family.allCases {
                let pools = node.addresses.filter { $0.family == family }
                let count = pools.reduce(0) { $0 + $1.count }
                if !pools.isEmpty, count < replicas {
                    report(
                        place, found: "\(replicas) replicas on \(count) addresses",
                        expected: "an address each, or 'same_addresses: true'")
                }
            }
        }
    }

    /// Two machines with one address are an accident more often than a plan: it is said.
    private mutating func noteSharedAddresses() {
        var pools: [(node: String, pool: Scenario.AddressPool)] = []
        for node in result.topology.nodes {
            for pool in Self.allPools(node) {
                let other = pools.first { $0.node != node.name && $0.pool.overlaps(pool) }
                if let other {
                    notes.append(
                        "\(document.file): '\(other.node)' and '\(node.name)' both have "
                            + "\(other.pool.sharedAddress(with: pool)): packets to it reach one of "
                            + "them alone")
                }
                pools.append((node.name, pool))
            }
        }
    }

    private mutating func checkSize(_ layout: Scenario.Layout) {
        guard layout.members.count <= ScenarioLimits.members else {
            report(
                document.root["topology"] ?? document.root,
                found: "\(layout.members.count) machines, groups written out",
                expected: "at most \(ScenarioLimits.members)")
            return
        }
        for member in layout.members where member.interfaces.count > ScenarioLimits.linksPerNode {
            let name = result.topology.nodes[member.node].name
            report(
                places.nodes[name] ?? document.root,
                found: "\(member.interfaces.count) interfaces of '\(name)'",
                expected:
                    "at most \(ScenarioLimits.linksPerNode); links may share one: '\(name):lan'")
        }
        let duration = Double(result.duration.nanoseconds)
        let samples = duration / Double(max(1, result.sampleInterval.nanoseconds))
        if samples > Double(ScenarioLimits.samples), let place = places.sample ?? places.duration {
            report(
                place, found: "\(Int(samples)) samples",
                expected: "at most \(ScenarioLimits.samples); a longer 'sample'")
        }
    }

    /// `web-7` of a group of five is nobody.
    private mutating func checkMembers() {
        for (name, place) in places.memberNames {
            guard let dash = name.lastIndex(of: "-"),
                let ordinal = Int(name[name.index(after: dash)...])
            else { continue }
            let group = String(name[..<dash])
            guard let node = result.topology.node(named: group) else { continue }
            if let replicas = node.replicas, (0..<replicas).contains(ordinal) { continue }
            report(
                place, found: "'\(name)'",
                expected: node.replicas.map { "\(group)-0 to \(group)-\($0 - 1)" }
                    ?? "'\(group)', which is no group")
        }
    }

    private mutating func checkRules(_ layout: Scenario.Layout) {
        for node in result.topology.nodes {
            let member = layout.members.first { result.topology.nodes[$0.node].name == node.name }
            let names = member?.interfaces.map(\.name) ?? []
            for (rules, place) in zip(node.rules, places.rules[node.name] ?? []) {
                check(rules, at: place, interfaces: names)
            }
        }
    }

    /// The names a node's rules may use, those of its first member.
    func interfaceNames(of name: String) -> [String] {
        let layout = result.topology.layout
        let members = layout.members(of: name, in: result.topology)
        return members.first.map { layout.members[$0].interfaces.map(\.name) } ?? []
    }

    /// Compiles a ruleset to find its mistakes.
    mutating func check(_ rules: Scenario.RulesText, at node: YAMLNode, interfaces: [String]) {
        let language: RulesetSource.Language = rules.form == .nftables ? .nftables : .iptablesSave
        do {
            _ = try Ruleset(
                [.init(language, rules.text, file: rules.file, firstLine: rules.firstLine)],
                interfaces: interfaces)
        } catch {
            for found in error.findings {
                var finding = Finding(
                    file: found.file, line: found.line, column: found.column, found: found.found,
                    expected: found.expected, suggestion: found.suggestion)
                place(&finding, of: node, rules)
                findings.append(finding)
            }
        }
    }

    private func place(_ finding: inout Finding, of node: YAMLNode, _ rules: Scenario.RulesText) {
        guard case .scalar(let scalar) = node, rules.file == document.file else { return }
        if let block = document.place(of: scalar) {
            finding.column += block.indentation
            return
        }
        // Lines of this text are no lines of the file: quoted, folded, or from an option.
        let own = document.finding(at: node, found: "", expected: "")
        finding.expected += " (line \(finding.line - rules.firstLine + 1) of the ruleset)"
        finding.file = own.file
        finding.line = own.line
        finding.column = own.column
    }

    // MARK: Times

    private mutating func checkTimes() {
        let end = Instant.start + result.duration
        guard result.duration.nanoseconds > 0 else { return }
        for (workload, place) in zip(result.workloads, places.loads) {
            guard case .replay = workload.kind else {
                checkStages(workload, place, end)
                continue
            }
        }
        for (event, place) in zip(result.timeline, places.events) where event.time > end {
            report(
                place["at"] ?? place, found: "an event at \(Self.text(event.time - .start))",
                expected: "a time within the duration of \(Self.text(result.duration))")
        }
        for (expectation, place) in zip(result.expectations, places.expectations) {
            let to = expectation.to ?? end
            if expectation.from >= to || to > end {
                report(
                    place,
                    found: "a window from \(Self.text(expectation.from - .start)) to "
                        + Self.text(to - .start),
                    expected: "one within the duration of \(Self.text(result.duration))")
            }
        }
    }

    private mutating func checkStages(
        _ workload: Scenario.Workload, _ place: YAMLNode, _ end: Instant
    ) {
        let length = workload.load.stages.reduce(Int64(0)) { sum, stage in
            let (total, overflow) = sum.addingReportingOverflow(stage.duration.nanoseconds)
            return overflow ? Int64.max / 2 : total
        }
        guard workload.start < end else {
            report(
                place, found: "a start at \(Self.text(workload.start - .start))",
                expected: "one before the end at \(Self.text(result.duration))")
            return
        }
        let last = workload.start + Interval(nanoseconds: length)
        guard last > end else { return }
        report(
            place, found: "stages of '\(workload.name)' until \(Self.text(last - .start))",
            expected: "stages within the duration of \(Self.text(result.duration))")
    }

    /// A duration as a file would have it.
    static func text(_ interval: Interval) -> String {
        let nanoseconds = interval.nanoseconds
        for (unit, factor) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000)]
        where nanoseconds % Int64(factor) == 0 {
            return "\(nanoseconds / Int64(factor))\(unit)"
        }
        return "\(nanoseconds)ns"
    }

    // MARK: Services

    private mutating func checkServices() {
        var seen: [String: String] = [:]
        for (service, place) in zip(result.services, places.services) {
            let key =
                "\(service.virtualAddress.text(service.family)) \(service.port)/"
                + service.transport.rawValue
            if let other = seen[key] {
                report(
                    place, found: "the address and port of service '\(other)'",
                    expected: "an address and port of its own")
            }
            seen[key] = service.name
            let nodes =
                service.nodes.isEmpty
                ? result.topology.nodes.filter { $0.role == .kubernetesNode }.map(\.name)
                : service.nodes
            if nodes.isEmpty {
                report(
                    place, found: "a service without nodes",
                    expected: "a node with 'role: kubernetes-node', or 'nodes: [gw]'")
            }
            if service.isExternalTrafficLocal {
                report(
                    place, found: "'external_traffic: local'",
                    expected: "'cluster', the default: which endpoints are a node's own is not "
                        + "part of the rules written here")
            }
            if service.dropsReusedPorts, service.mode != .ipvs {
                report(place, found: "'reuse: drop-syn' without ipvs", expected: "'mode: ipvs'")
            }
        }
        for (node, target) in places.targets {
            switch target.host {
            case .service(let name):
                guard let service = result.services.first(where: { $0.name == name }),
                    target.ports.lowerBound != 0,
                    target.ports != service.port...service.port
                        || target.transport != service.transport
                else { continue }
                report(
                    node,
                    found: "\(target.ports.lowerBound)/\(target.transport.rawValue) of "
                        + "service '\(name)'",
                    expected: "\(service.port)/\(service.transport.rawValue), or the name alone")
            case .nodePort(let name, _):
                guard let service = result.services.first(where: { $0.name == name }),
                    service.nodePort == nil
                else { continue }
                report(
                    node, found: "service '\(name)', which has no node port",
                    expected: "'node_port: 30443' in the service")
            case .node, .addresses: break
            }
        }
    }
}

extension Scenario.AddressPool {
    func overlaps(_ other: Self) -> Bool {
        guard family == other.family, first.high == other.first.high else { return false }
        return first.low < other.first.low
            ? other.first.low - first.low < UInt64(count)
            : first.low - other.first.low < UInt64(other.count)
    }

    /// The first address both have.
    func sharedAddress(with other: Self) -> String {
        (first.low < other.first.low ? other.first : first).text(family)
    }
}
