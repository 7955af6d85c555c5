import Conntrack
import Wire
import Yams

// Walks the top of a node file. Every part reports what is wrong with it and goes on, so that one
// run shows all of a file's mistakes.

/// The reading of one node file.
struct NodeFileReader: DocumentReader {
    let document: YAMLDocument
    var findings: [Finding] = []
    var result = NodeFile(
        configuration: NodeConfiguration(), rulesetText: nil, sysctls: [], notes: [])

    static let keys = NodeFileKey.words

    /// Keys that a scenario has and a node file has not.
    static let scenarioKeys = [
        "name", "about", "duration", "topology", "nodes", "links", "workloads", "timeline",
        "expect", "sweep", "services", "hosts", "replicas", "role", "cpus", "nftables",
        "iptables", "table_file", "addresses",
    ]

    init(_ document: YAMLDocument) { self.document = document }

    typealias Load = FileLoader

    mutating func readAll(_ load: Load) {
        guard case .mapping(let top) = document.root else {
            report(document.root, found: Self.shown(document.root), expected: "'key: value' lines")
            return
        }
        for (key, _) in top { checkKey(key) }
        readVersion(top["version"])
        readMachine(top)
        readInterfaces(top["interfaces"])
        readSysctls(top["sysctl_file"], top["sysctl"], load)
        readRules(top, load)
    }

    private mutating func checkKey(_ key: YAMLNode) {
        guard let name = key.string else {
            report(key, found: Self.shown(key), expected: "a key")
            return
        }
        guard !Self.keys.contains(name) else { return }
        if Self.scenarioKeys.contains(name) {
            report(
                key, found: "'\(name)'",
                expected: "a key of a node file (\(Self.keys.joined(separator: ", "))); "
                    + "'\(name)' belongs to scenario files")
        } else {
            report(
                key, found: "'\(name)'", expected: "one of \(Self.keys.joined(separator: ", "))",
                suggestion: Self.nearest(name, in: Self.keys))
        }
    }

    private mutating func readVersion(_ node: YAMLNode?) {
        guard let node else {
            report(document.root, found: "no 'version'", expected: "'version: 1'")
            return
        }
        if node.string != "1" {
            report(node, found: Self.shown(node), expected: "version 1")
        }
    }

    // MARK: kernel, hz, seed, tracking

    private mutating func readMachine(_ top: YAMLNode.Mapping) {
        if let node = top["kernel"] {
            let names = KernelProfile.allCases.map { "\"\($0.rawValue)\"" }
            if let profile = node.string.flatMap(KernelProfile.init(rawValue:)) {
                result.configuration.profile = profile
            } else {
                report(
                    node, found: Self.shown(node),
                    expected: "one of \(names.joined(separator: ", "))")
            }
        }
        if let node = top["hz"] {
            if let rate = node.string.flatMap({ UInt32($0) }).flatMap(TickRate.init(hertz:)) {
                result.configuration.tickRate = rate
            } else {
                let rates = TickRate.supported.map(String.init).joined(separator: ", ")
                report(node, found: Self.shown(node), expected: "one of \(rates)")
            }
        }
        if let node = top["seed"] {
            if let seed = node.string.flatMap({ UInt64($0) }) {
                result.configuration.seed = seed
            } else {
                report(
                    node, found: Self.shown(node),
                    expected: "a whole number from 0 to \(UInt64.max)")
            }
        }
        if let node = top["tracking"] {
            if let mode = node.string.flatMap(TrackingMode.init(rawValue:)) {
                result.configuration.tracking = mode
            } else {
                let names = TrackingMode.allCases.map(\.rawValue)
                report(
                    node, found: Self.shown(node),
                    expected: "one of \(names.joined(separator: ", "))",
                    suggestion: node.string.flatMap { Self.nearest($0, in: names) })
            }
        }
    }
}
