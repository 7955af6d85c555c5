import Conntrack
import Yams

// Walks a scenario file. Every part reports what is wrong with it and goes on, so that one run
// shows all of a file's mistakes; what follows from the parts together is checked afterwards.

/// The reading of one scenario file.
struct ScenarioReader: DocumentReader {
    let document: YAMLDocument
    let load: FileLoader
    var findings: [Finding] = []
    var notes: [String] = []
    var result = Scenario(name: "", about: "", duration: .seconds(0))
    var places = ScenarioPlaces()

    /// A trial of a sweep's value looks at no sweeps itself.
    var isWhole = true
    // Names of the file, known before its parts are read: they refer to each other.
    private(set) var nodeNames: [String] = []
    private(set) var serviceNames: [String] = []
    private(set) var workloadNames: [String] = []

    init(_ document: YAMLDocument, load: @escaping FileLoader) {
        self.document = document
        self.load = load
    }

    mutating func readAll() {
        guard case .mapping(let top) = document.root else {
            report(document.root, found: Self.shown(document.root), expected: "'key: value' lines")
            return
        }
        collectNames(top)
        let pairs = self.pairs(document.root, ScenarioKey.self)
        // In the order of the keys' enumeration: later parts lean on earlier ones.
        for (key, value) in ScenarioKey.allCases.flatMap({ key in pairs.filter { $0.key == key } })
        {
            switch key {
            case .version: readVersion(value)
            case .name: readName(value)
            case .about: readAbout(value)
            case .sources:
                result.sources = elements(value, expected: "a list of texts", limit: 50)
                    .compactMap { text($0, expected: "a source in words") }
            case .seed: readSeed(value)
            case .duration:
                result.duration = positiveInterval(value) ?? .seconds(0)
                places.duration = value
            case .sample:
                result.sampleInterval = positiveInterval(value) ?? .seconds(1)
                places.sample = value
            case .topology:
                let before = findings.count
                readTopology(value)
                places.hasBadTopology = findings.count > before
            case .services: readServices(value)
            case .workloads: readWorkloads(value)
            case .timeline: readTimeline(value)
            case .expect: readExpectations(value)
            case .sweep: readSweep(value)
            case .limits: readBounds(value)
            }
        }
    }

    // MARK: Names

    private mutating func collectNames(_ top: YAMLNode.Mapping) {
        nodeNames = Self.names(top["topology"]?["nodes"])
        serviceNames = Self.names(top["services"])
        workloadNames = Self.names(top["workloads"])
    }

    private static func names(_ node: YAMLNode?) -> [String] {
        guard case .mapping(let mapping)? = node else { return [] }
        return mapping.keys.compactMap(\.string)
    }

    /// A name that stands for itself in paths and series: `gw`, `kube-node`, `web_2`.
    mutating func newName(_ node: YAMLNode, of what: String) -> String? {
        guard let name = node.string, (1...40).contains(name.utf8.count),
            name.utf8.first.map({ Self.isLetter($0) }) == true,
            name.utf8.last.map({ $0 != UInt8(ascii: "-") }) == true,
            name.utf8.allSatisfy({
                Self.isLetter($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
                    || $0 == UInt8(ascii: "_")
            })
        else {
            report(
                node, found: Self.shown(node),
                expected: "a name of \(what): letters, digits, '-' and '_', a letter first, "
                    + "at most 40")
            return nil
        }
        if let other = places.names[name] {
            report(
                node, found: "the name '\(name)' of \(what)",
                expected: "another name: it is already that of \(other)")
            return nil
        }
        places.names[name] = what
        return name
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte)
    }

    /// The name of a node or group of the file.
    mutating func nodeName(_ node: YAMLNode, allowsMembers: Bool = false) -> String? {
        guard let name = text(node, expected: "the name of a node") else { return nil }
        if nodeNames.contains(name) { return name }
        if allowsMembers, let dash = name.lastIndex(of: "-"),
            nodeNames.contains(String(name[..<dash])), Int(name[name.index(after: dash)...]) != nil
        {
            places.memberNames.append((name, node))
            return name
        }
        report(
            node, found: "'\(name)'",
            expected: "a node of this file (\(nodeNames.joined(separator: ", ")))",
            suggestion: Self.nearest(name, in: nodeNames))
        return nil
    }

    mutating func known(_ node: YAMLNode, among names: [String], what: String) -> String? {
        guard let name = text(node, expected: "the name of \(what)") else { return nil }
        guard names.contains(name) else {
            let list = names.isEmpty ? "there is none" : names.joined(separator: ", ")
            report(
                node, found: "'\(name)'", expected: "\(what) of this file (\(list))",
                suggestion: Self.nearest(name, in: names))
            return nil
        }
        return name
    }

    // MARK: The top

    private mutating func readVersion(_ node: YAMLNode) {
        if node.string != "1" { report(node, found: Self.shown(node), expected: "version 1") }
    }

    private mutating func readName(_ node: YAMLNode) {
        guard let name = node.string, (1...60).contains(name.utf8.count),
            name.utf8.allSatisfy({
                (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
            })
        else {
            report(
                node, found: Self.shown(node),
                expected: "lower-case words joined by hyphens, as table-full-burst")
            return
        }
        result.name = name
    }

    private mutating func readAbout(_ node: YAMLNode) {
        guard let about = text(node, expected: "one sentence") else { return }
        guard about.count <= 500 else {
            report(node, found: "\(about.count) characters", expected: "one sentence, at most 500")
            return
        }
        result.about = about.trimmed
    }

    private mutating func readSeed(_ node: YAMLNode) {
        guard let seed = node.string.flatMap({ UInt64($0) }) else {
            report(
                node, found: Self.shown(node),
                expected: "a whole number from 0 to \(UInt64.max)")
            return
        }
        result.seed = seed
    }

    private mutating func readBounds(_ node: YAMLNode) {
        for (key, value) in pairs(node, LimitsKey.self) {
            guard let count = positive(value, .count).map({ Int($0) }) else { continue }
            switch key {
            case .packets: result.bounds.packets = count
            case .flows: result.bounds.flows = count
            case .queuedEvents: result.bounds.queuedEvents = count
            }
        }
    }

    private mutating func readSweep(_ node: YAMLNode) {
        var sweep = Scenario.Sweep(matrix: [])
        for (key, value) in pairs(node, SweepKey.self) {
            switch key {
            case .matrix:
                guard let mapping = mapping(value, expected: "paths with lists of values") else {
                    continue
                }
                for (pathNode, list) in mapping {
                    guard let path = text(pathNode, expected: "a path, as gw.cpus") else {
                        continue
                    }
                    let values = elements(list, expected: "a list of values", limit: 1000)
                        .compactMap(YAMLText.written)
                    guard !values.isEmpty else {
                        report(list, found: "no values", expected: "at least one")
                        continue
                    }
                    places.sweepPaths.append((path, pathNode))
                    sweep.matrix.append(.init(path: path, values: values))
                }
            case .seeds: sweep.seeds = readSeeds(value)
            }
        }
        let points = sweep.pointCount
        guard points <= ScenarioLimits.sweepPoints else {
            report(
                node, found: "\(points) points", expected: "at most \(ScenarioLimits.sweepPoints)")
            return
        }
        result.sweep = sweep
    }

    private mutating func readSeeds(_ node: YAMLNode) -> [UInt64] {
        if case .sequence(let sequence) = node {
            return sequence.compactMap { integer($0, 0...Int.max).map { UInt64($0) } }
        }
        let words = (node.string ?? "").split(separator: ".").map(\.trimmed)
        let ends = words.compactMap { UInt64($0) }
        guard ends.count == words.count, let low = ends.first, let high = ends.last,
            ends.count <= 2, low <= high, high - low < 10_000
        else {
            report(
                node, found: Self.shown(node),
                expected: "seeds as 1..5 (at most 10000), or a list of whole numbers")
            return []
        }
        return Array(low...high)
    }
}

/// Where things stand, for checks that look at several at once.
struct ScenarioPlaces {
    var duration: YAMLNode?
    var sample: YAMLNode?
    /// Something of the topology could not be read.
    var hasBadTopology = false
    /// Names in use, and of what.
    var names: [String: String] = [:]
    /// `group-3`, said somewhere.
    var memberNames: [(name: String, node: YAMLNode)] = []
    var sweepPaths: [(path: String, node: YAMLNode)] = []
    var nodes: [String: YAMLNode] = [:]
    var rules: [String: [YAMLNode]] = [:]
    var links: [YAMLNode] = []
    var routes: [YAMLNode] = []
    var services: [YAMLNode] = []
    var workloads: [YAMLNode] = []
    /// Stages, or what stands for them.
    var loads: [YAMLNode] = []
    var targets: [(node: YAMLNode, target: Scenario.Target)] = []
    var events: [YAMLNode] = []
    var expectations: [YAMLNode] = []
}
