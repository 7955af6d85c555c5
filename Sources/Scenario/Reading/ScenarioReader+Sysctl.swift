import Conntrack
import Yams

// Settings of a scenario's nodes: those of the tracker, and those of an end system's sockets.

/// Settings of sockets, under their kernel names.
enum HostSetting: String, CaseIterable {
    case synRetries = "net.ipv4.tcp_syn_retries"
    case synLinearTimeouts = "net.ipv4.tcp_syn_linear_timeouts"
    case synAckRetries = "net.ipv4.tcp_synack_retries"
    case dataRetries = "net.ipv4.tcp_retries2"
    case ephemeralPorts = "net.ipv4.ip_local_port_range"
    case finTimeout = "net.ipv4.tcp_fin_timeout"
    case reusesTimeWait = "net.ipv4.tcp_tw_reuse"
    case backlog = "net.core.somaxconn"

    /// The setting of this name, which may lack its prefix: `tcp_syn_retries`.
    init?(named name: String) {
        guard
            let setting = Self.allCases.first(where: {
                $0.rawValue == name
                    || $0.rawValue.split(separator: ".").last.map { $0 == name }
                        == true
            })
        else { return nil }
        self = setting
    }

    /// Puts a value into a node.
    func set(_ value: String, in node: inout Scenario.Node) throws(ValueProblem) {
        switch self {
        case .synRetries: node.host.synRetries = try number(value, 0...127)
        case .synLinearTimeouts: node.host.synLinearTimeouts = try number(value, 0...127)
        case .synAckRetries: node.host.synAckRetries = try number(value, 0...255)
        case .dataRetries: node.host.dataRetries = try number(value, 0...255)
        case .finTimeout: node.host.finTimeout = .seconds(Int64(try number(value, 0...86_400)))
        case .reusesTimeWait: node.host.reusesTimeWait = try number(value, 0...2) == 1
        case .backlog: node.backlog = min(node.backlog, try number(value, 1...1_000_000))
        case .ephemeralPorts:
            let ends = value.split { $0 == " " || $0 == "\t" || $0 == "-" }.compactMap {
                UInt16($0)
            }
            guard ends.count == 2, ends[0] > 0, ends[0] <= ends[1] else {
                throw ValueProblem(
                    found: "'\(value)'", expected: "two ports, as \"32768 60999\"")
            }
            node.host.ephemeralPorts = ends[0]...ends[1]
        }
    }

    private func number(_ text: String, _ range: ClosedRange<Int>) throws(ValueProblem) -> Int {
        guard let value = Int(text), range.contains(value) else {
            throw ValueProblem(
                found: "'\(text)'",
                expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }
}

extension ScenarioReader {
    mutating func readSysctls(_ node: YAMLNode, into made: inout Scenario.Node) {
        guard
            let mapping = mapping(
                node, expected: "'name: value' lines, as 'net.netfilter.nf_conntrack_max: 65536'")
        else { return }
        for (key, value) in mapping {
            guard let (name, text) = setting(key, value) else { continue }
            apply(name, text, key: key, value: value, to: &made)
        }
    }

    /// Checks settings of the timeline against the node they are for.
    mutating func readSettingChanges(_ node: YAMLNode) -> [Scenario.SettingChange] {
        guard
            let nodes = mapping(
                node, expected: "nodes with settings, as 'gw: { nf_conntrack_max: … }'")
        else { return [] }
        var changes: [Scenario.SettingChange] = []
        for (key, settings) in nodes {
            guard let name = nodeName(key, allowsMembers: true),
                let mapping = mapping(settings, expected: "'name: value' lines")
            else { continue }
            let group = result.topology.node(named: name)
            var trial = group ?? Scenario.Node(name: name)
            for (settingKey, value) in mapping {
                guard let (setting, text) = setting(settingKey, value) else { continue }
                apply(setting, text, key: settingKey, value: value, to: &trial)
                changes.append(
                    .init(
                        node: name, name: HostSetting(named: setting)?.rawValue ?? setting,
                        value: text))
            }
        }
        return changes
    }

    private mutating func setting(
        _ key: YAMLNode, _ value: YAMLNode
    ) -> (name: String, value: String)? {
        guard let name = key.string, case .scalar(let scalar) = value, !scalar.string.isEmpty else {
            report(value, found: Self.shown(value), expected: "a setting's value")
            return nil
        }
        return (name, scalar.string.filter { $0 != "_" || !scalar.string.allSatisfy(Self.isDigit) })
    }

    private static func isDigit(_ character: Character) -> Bool {
        character.isASCII && character.isNumber || character == "_"
    }

    private mutating func apply(
        _ name: String, _ text: String, key: YAMLNode, value: YAMLNode,
        to made: inout Scenario.Node
    ) {
        if let setting = HostSetting(named: name) {
            do {
                try setting.set(text, in: &made)
            } catch {
                report(value, error)
            }
            return
        }
        do {
            try made.sysctl.set(name, to: text, tickRate: made.tickRate)
        } catch .unknown(_, let suggestion) {
            let hosts = HostSetting.allCases.map { setting in
                // As the name was written: with its prefix or without.
                name.contains(".")
                    ? setting.rawValue
                    : setting.rawValue.split(separator: ".").last.map(String.init) ?? ""
            }
            report(
                key, found: "'\(name)'",
                expected: "a setting of connection tracking or of sockets, as "
                    + "net.netfilter.nf_conntrack_max",
                suggestion: suggestion ?? Self.nearest(name, in: hosts))
        } catch {
            report(error, key: key, value: value, profile: made.profile)
        }
    }

    mutating func readSysctlFile(_ node: YAMLNode, into made: inout Scenario.Node) {
        guard let text = text(named: node, limit: NodeFile.Limits.sysctlFileByteCount, load) else {
            return
        }
        let file = node.string ?? ""
        var ignored: [String] = []
        for line in settings(of: text, file: file) {
            do {
                if let setting = HostSetting(named: line.name) {
                    try setting.set(line.value, in: &made)
                } else if Self.concernsTracking(line.name) {
                    try made.sysctl.set(
                        line.name, to: line.value, tickRate: made.tickRate)
                }
            } catch SysctlError.badValue(_, let found, let expected) {
                refuse(line, found, expected, file)
            } catch let problem as ValueProblem {
                refuse(line, line.value, problem.expected, file)
            } catch {
                ignored.append(line.name)
            }
        }
        guard !ignored.isEmpty else { return }
        notes.append("\(file): not part of the model, ignored: \(ignored.joined(separator: ", "))")
    }

    private mutating func refuse(
        _ line: SettingLine, _ found: String, _ expected: String, _ file: String
    ) {
        findings.append(
            Finding(
                file: file, line: line.number, column: line.column(of: found), found: "'\(found)'",
                expected: expected))
    }
}
