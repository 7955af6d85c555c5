import Conntrack
import Wire
import Yams

// `topology:` nodes: addresses, settings, rules, tables, CPUs, listeners.

extension ScenarioReader {
    mutating func readTopology(_ node: YAMLNode) {
        for (key, value) in pairs(node, TopologyKey.self) {
            switch key {
            case .nodes: readNodes(value)
            case .links: readLinks(value)
            case .routes: readRoutes(value)
            }
        }
    }

    private mutating func readNodes(_ node: YAMLNode) {
        guard let mapping = mapping(node, expected: "nodes, as 'gw: { role: router }'") else {
            return
        }
        guard !mapping.isEmpty, mapping.count <= ScenarioLimits.nodes else {
            report(
                node, found: "\(mapping.count) nodes", expected: "1 to \(ScenarioLimits.nodes)")
            return
        }
        for (key, value) in mapping {
            guard let name = newName(key, of: "a node") else { continue }
            places.nodes[name] = key
            var made = Scenario.Node(name: name)
            readNode(value, owner: key, into: &made)
            result.topology.nodes.append(made)
        }
    }

    private mutating func readNode(
        _ node: YAMLNode, owner: YAMLNode, into made: inout Scenario.Node
    ) {
        let pairs = self.pairs(node, NodeKey.self, owner: owner)
        // Settings depend on the kernel, and the file of settings comes before the list.
        for (key, value) in pairs {
            switch key {
            case .kernel: made.profile = word(value, KernelProfile.self) ?? made.profile
            case .replicas: made.replicas = integer(value, 1...ScenarioLimits.members)
            case .hz:
                let rates = TickRate.supported.map(String.init)
                made.tickRate =
                    word(value, of: rates).flatMap { UInt32($0) }.flatMap(TickRate.init(hertz:))
                    ?? made.tickRate
            default: break
            }
        }
        for (key, value) in pairs where key == .sysctlFile { readSysctlFile(value, into: &made) }
        var hasTracking = false
        for (key, value) in pairs {
            switch key {
            case .kernel, .hz, .replicas, .sysctlFile: break
            case .role: made.role = word(value, Scenario.Role.self) ?? made.role
            case .addresses: made.addresses = pools(value, isGroup: made.replicas != nil)
            case .sameAddresses: made.sharesAddresses = boolean(value) ?? false
            case .interfaces: made.interfaces = readInterfaces(value)
            case .tracking:
                hasTracking = true
                made.tracking = word(value, Scenario.Tracking.self) ?? made.tracking
            case .sysctl: readSysctls(value, into: &made)
            case .nftables: readRules(value, .nftables, into: &made)
            case .iptablesSave: readRules(value, .iptablesSave, into: &made)
            case .rulesetFile: readRulesFile(value, .nftables, into: &made)
            case .iptablesSaveFile: readRulesFile(value, .iptablesSave, into: &made)
            case .table: made.initialEntries = readInitialEntries(value)
            case .tableFile:
                if let text = text(
                    named: value, limit: ScenarioLimits.tableFileByteCount, load)
                {
                    made.savedTable = SavedTable(
                        text, file: value.string ?? "", findings: &findings)
                }
            case .chainLimit: made.chainLimit = readChainLimit(value)
            case .portSearch:
                made.portSearchStart = word(value, PortSearchStart.self) ?? made.portSearchStart
            case .cpus: made.cpus = integer(value, 1...ScenarioLimits.cpus) ?? 1
            case .processing: made.processing = distribution(value, .duration) ?? .constant(0)
            case .confirming: made.confirming = distribution(value, .duration) ?? .constant(0)
            case .steering: made.steering = word(value, Scenario.Steering.self) ?? made.steering
            case .listen: made.listeners = readListeners(value)
            case .backlog: made.backlog = integer(value, 1...1_000_000) ?? made.backlog
            case .closedPorts:
                made.host.rejectsClosedPorts = word(value, of: ["reject", "silent"]) != "silent"
            }
        }
        if !hasTracking { made.tracking = Self.usualTracking(made, pairs.map(\.key)) }
    }

    /// An end system without rules, settings of the tracker or a table is only its sockets.
    private static func usualTracking(
        _ node: Scenario.Node, _ keys: [NodeKey]
    ) -> Scenario.Tracking {
        guard node.role == .host else { return .auto }
        let isTracked =
            !node.rules.isEmpty || node.sysctl != Sysctl()
            || keys.contains(.table) || keys.contains(.tableFile)
        return isTracked ? .auto : .none
    }

    mutating func pools(_ node: YAMLNode, isGroup: Bool) -> [Scenario.AddressPool] {
        oneOrMany(node, expected: "a list of addresses, as [10.0.0.1/24]", limit: 4096)
            .compactMap { pool($0) }
            .map { isGroup ? Self.groupPool($0) : $0 }
    }

    /// A group's pool: from the address on to the end of its network, or all usable of a network.
    private static func groupPool(_ pool: Scenario.AddressPool) -> Scenario.AddressPool {
        let bits = pool.family.addressBits - pool.prefixLength
        guard bits >= 2 else { return pool }
        var made = pool
        if pool.count > 1 {
            made.first = pool[1]
            made.count = max(1, pool.count - 2)
            return made
        }
        let size = bits >= 24 ? UInt64(ScenarioLimits.addressesPerPool) : 1 << UInt64(bits)
        let offset = pool.first.low & (size - 1)
        made.count = Int(max(1, size - 1 - min(size - 1, offset)))
        return made
    }

    private mutating func readInterfaces(_ node: YAMLNode) -> [Scenario.NodeInterface] {
        guard let mapping = mapping(node, expected: "interfaces, as 'lan: { mtu: 1500 }'") else {
            return []
        }
        var made: [Scenario.NodeInterface] = []
        for (key, value) in mapping {
            guard let name = interfaceName(key) else { continue }
            var interface = Scenario.NodeInterface(name: name)
            for (key, value) in pairs(value, NodeInterfaceKey.self) {
                switch key {
                case .addresses: interface.addresses = pools(value, isGroup: false)
                case .mtu: interface.mtu = integer(value, 68...65_535) ?? 1500
                }
            }
            made.append(interface)
        }
        return made
    }

    private mutating func interfaceName(_ node: YAMLNode) -> String? {
        guard let name = node.string, InterfaceName.isValid(name) else {
            report(node, found: Self.shown(node), expected: InterfaceName.wanted)
            return nil
        }
        return name
    }

    private mutating func readChainLimit(_ node: YAMLNode) -> ClosedRange<UInt32>? {
        let words = (node.string ?? "").split(separator: ".").map(\.trimmed)
        let ends = words.compactMap { UInt32($0) }
        guard ends.count == words.count, let low = ends.first, let high = ends.last,
            ends.count <= 2, low <= high, low > 0, high <= 100_000
        else {
            report(
                node, found: Self.shown(node),
                expected: "a number from 1 to 100000, or a range as 50..79")
            return nil
        }
        return low...high
    }

    private mutating func readInitialEntries(_ node: YAMLNode) -> [Scenario.InitialEntries] {
        elements(node, expected: "a list of entries", limit: 1000).compactMap { element in
            var count: Int?
            var source: String?
            var target: Scenario.Target?
            var state = TCPState.established
            var timeout: Interval?
            var isAssured = true
            for (key, value) in pairs(element, InitialEntriesKey.self) {
                switch key {
                case .count: count = integer(value, 1...ScenarioLimits.initialEntries)
                case .from: source = nodeName(value)
                case .to: target = readTarget(value)
                case .state:
                    let names = TCPState.named.map(\.name)
                    if let word = word(value, of: names) {
                        state = TCPState.named.first { $0.name == word } ?? state
                    }
                case .timeout: timeout = positiveInterval(value)
                case .assured: isAssured = boolean(value) ?? true
                }
            }
            guard let count, let source, let target else { return nil }
            var made = Scenario.InitialEntries(count: count, from: source, to: target)
            made.state = state
            made.timeout = timeout
            made.isAssured = isAssured
            return made
        }
    }

    // MARK: Rules

    private mutating func readRules(
        _ node: YAMLNode, _ form: Scenario.RulesText.Form, into made: inout Scenario.Node
    ) {
        guard case .scalar(let scalar) = node else {
            report(node, found: Self.shown(node), expected: "a ruleset's text")
            return
        }
        let firstLine = document.place(of: scalar)?.firstLine ?? Self.mark(node).line
        made.rules.append(
            .init(form, scalar.string, file: document.file, firstLine: max(1, firstLine)))
        places.rules[made.name, default: []].append(node)
    }

    private mutating func readRulesFile(
        _ node: YAMLNode, _ form: Scenario.RulesText.Form, into made: inout Scenario.Node
    ) {
        guard let text = text(named: node, limit: RulesetLimits.textByteCount, load) else { return }
        made.rules.append(.init(form, text, file: node.string ?? ""))
        places.rules[made.name, default: []].append(node)
    }

    // MARK: Listeners

    private mutating func readListeners(_ node: YAMLNode) -> [Scenario.Listener] {
        oneOrMany(node, expected: "a list of ports, as [443/tcp]", limit: 1000)
            .compactMap { readListener($0) }
    }

    private mutating func readListener(_ node: YAMLNode) -> Scenario.Listener? {
        guard case .mapping = node else {
            return portAndTransport(node).map { Scenario.Listener($0.ports, $0.transport) }
        }
        var listener: Scenario.Listener?
        let pairs = self.pairs(node, ListenKey.self)
        for (key, value) in pairs where key == .port {
            listener = portAndTransport(value).map { Scenario.Listener($0.ports, $0.transport) }
        }
        // Read even where the port is wrong: all mistakes in one run.
        var made = listener ?? Scenario.Listener(1...1, .tcp)
        for (key, value) in pairs {
            switch key {
            case .port: break
            case .behaviour:
                switch word(value, of: ["serve", "silent", "refuse"]) {
                case "silent": made.behaviour = .silent
                case "refuse": made.behaviour = .refuse
                default: break
                }
            case .processing: made.processing = distribution(value, .duration) ?? .constant(0)
            case .workers: made.workers = integer(value, 1...1_000_000)
            case .proxy:
                if let proxy = readProxy(value) { made.behaviour = .proxy(proxy) }
            }
        }
        return listener == nil ? nil : made
    }

    private mutating func readProxy(_ node: YAMLNode) -> Scenario.Proxy? {
        var target: Scenario.Target?
        var timeout: Interval?
        var pool: Scenario.ConnectionPool?
        for (key, value) in pairs(node, ProxyKey.self) {
            switch key {
            case .to: target = readTarget(value)
            case .connectTimeout: timeout = positiveInterval(value)
            case .pool: pool = readPool(value)
            }
        }
        guard let target else { return nil }
        var made = Scenario.Proxy(to: target)
        made.connectTimeout = timeout ?? made.connectTimeout
        made.pool = pool
        return made
    }

    mutating func readPool(_ node: YAMLNode) -> Scenario.ConnectionPool? {
        var size: Int?
        var idle: Interval?
        for (key, value) in pairs(node, PoolKey.self) {
            switch key {
            case .size: size = integer(value, 1...1_000_000)
            case .idle: idle = positiveInterval(value)
            }
        }
        guard let size else { return nil }
        return idle.map { .init(size: size, idle: $0) } ?? .init(size: size)
    }
}

/// Names an interface may have.
enum InterfaceName {
    static let wanted = "an interface name of 1 to 15 visible characters, without '/'"

    static func isValid(_ name: String) -> Bool {
        (1...15).contains(name.utf8.count) && name != "." && name != ".."
            && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }
    }
}
