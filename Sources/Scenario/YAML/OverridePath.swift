import Yams

// `gw.sysctl.nf_conntrack_max`, `shoppers.stages[2].rate`, `duration`: where a value from the
// command line or of a sweep goes.

/// A place in a document, and the value that is put there.
struct OverridePath {
    private enum Step {
        case key(String)
        case index(Int)
    }

    private let override: YAMLDocument.Override
    private let number: Int
    private let document: YAMLDocument
    private var steps: [Step] = []
    private var value: YAMLNode = .init("")

    /// Names below these are addressed by the name alone: `gw` for `topology.nodes.gw`.
    private static let roots = [["topology", "nodes"], ["workloads"], ["services"]]

    init(
        _ override: YAMLDocument.Override, number: Int, in document: YAMLDocument
    ) throws(FileError) {
        self.override = override
        self.number = number
        self.document = document
        steps = try parsedSteps()
        value = try parsedValue()
    }

    /// The tree with the value in its place.
    func applied(to root: YAMLNode) throws(FileError) -> YAMLNode {
        guard case .key(let first)? = steps.first else { throw refusal("no path", "a name first") }
        if let name = longestKey(at: 0, in: root)?.name, !name.isEmpty {
            return try replaced(root, from: 0)
        }
        for path in Self.roots {
            guard let place = path.reduce(root, { $0[$1] ?? YAMLNode("") }) as YAMLNode?,
                longestKey(at: 0, in: place) != nil
            else { continue }
            let changed = try replaced(place, from: 0)
            return rebuilt(root, path[...], changed)
        }
        if ScenarioKey.allCases.contains(where: { $0.rawValue == first }) {
            return try replaced(root, from: 0)
        }
        let known =
            (keys(of: root)
                + Self.roots.flatMap { path in
                    keys(of: path.reduce(root) { $0[$1] ?? YAMLNode("") })
                })
        throw refusal(
            "'\(first)'", "a key of the file, or a node, workload or service of it",
            suggestion: Spelling.nearest(first, in: known))
    }

    // MARK: Reading

    private func parsedSteps() throws(FileError) -> [Step] {
        var steps: [Step] = []
        for part in override.path.split(separator: ".", omittingEmptySubsequences: false) {
            var name = part
            var indices: [Int] = []
            while name.last == "]", let open = name.lastIndex(of: "[") {
                guard let index = Int(name[name.index(after: open)...].dropLast()), index >= 0
                else { throw refusal("'\(part)'", "a place in a list, as stages[2], from 0") }
                indices.insert(index, at: 0)
                name = name[..<open]
            }
            guard !name.isEmpty else { throw refusal("'\(override.path)'", "names between dots") }
            steps.append(.key(String(name)))
            steps += indices.map { .index($0) }
        }
        return steps
    }

    /// The value as YAML, with marks that lead to this override: it is read as if it stood in a
    /// line of its own behind the file's last.
    private func parsedValue() throws(FileError) -> YAMLNode {
        let text = override.value.isEmpty ? "''" : override.value
        guard !text.contains(where: \.isNewline) else {
            throw refusal("several lines", "a value on one line")
        }
        do {
            let blank = String(repeating: "\n", count: document.lineCount + number)
            return try YAMLDocument(blank + text, file: override.place).root
        } catch {
            throw FileError(
                error.findings.map {
                    var finding = $0
                    finding.line = 1
                    return finding
                })
        }
    }

    // MARK: Walking

    /// The longest run of steps, joined by dots, that is a key of `node`: settings have dots.
    private func longestKey(at start: Int, in node: YAMLNode) -> (name: String, count: Int)? {
        guard case .mapping(let mapping) = node else { return nil }
        var names: [String] = []
        for step in steps[start...] {
            guard case .key(let name) = step else { break }
            names.append(name)
        }
        for count in stride(from: names.count, to: 0, by: -1) {
            let joined = names[..<count].joined(separator: ".")
            let match = mapping.keys.compactMap(\.string).first { key in
                key == joined || Self.bareSetting(key) == Self.bareSetting(joined)
            }
            if let match { return (match, count) }
        }
        return nil
    }

    /// A setting's name without the prefix that may be left out.
    private static func bareSetting(_ name: String) -> String {
        let prefix = "net.netfilter."
        return name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
    }

    private func replaced(_ node: YAMLNode, from start: Int) throws(FileError) -> YAMLNode {
        guard start < steps.count else { return value }
        switch steps[start] {
        case .index(let index):
            guard case .sequence(var sequence) = node, sequence.indices.contains(index) else {
                let count = if case .sequence(let list) = node { list.count } else { 0 }
                throw refusal("[\(index)]", "a place in a list of \(count), from 0")
            }
            sequence[index] = try replaced(sequence[index], from: start + 1)
            return .sequence(sequence)
        case .key:
            guard case .mapping(let mapping) = node else {
                if case .scalar(let scalar) = node, scalar.string.isEmpty {
                    return try replaced(
                        .mapping(.init([], .implicit, .any, node.mark)), from: start)
                }
                throw refusal("'\(override.path)'", "a path into mappings and lists of the file")
            }
            return .mapping(try replaced(mapping, from: start))
        }
    }

    private func replaced(
        _ mapping: YAMLNode.Mapping, from start: Int
    ) throws(FileError) -> YAMLNode.Mapping {
        var pairs = mapping.map { ($0.key, $0.value) }
        if let (name, count) = longestKey(at: start, in: .mapping(mapping)),
            let place = pairs.firstIndex(where: { $0.0.string == name })
        {
            pairs[place].1 = try replaced(pairs[place].1, from: start + count)
        } else {
            // A key that is not there yet; the reader says whether it may be.
            let (name, count) = newKey(at: start)
            let key = YAMLNode.scalar(.init(name, .implicit, .any, value.mark))
            let empty = YAMLNode.mapping(.init([], .implicit, .any, value.mark))
            pairs.append((key, try replaced(empty, from: start + count)))
        }
        return .init(pairs, mapping.tag, mapping.style, mapping.mark)
    }

    /// A key that does not exist: `net.…` and what follows a `sysctl` are settings, dots and all.
    private func newKey(at start: Int) -> (String, Int) {
        var names: [String] = []
        for step in steps[start...] {
            guard case .key(let name) = step else { break }
            names.append(name)
        }
        let isSetting =
            names.first == "net"
            || start > 0
                && {
                    if case .key("sysctl") = steps[start - 1] { true } else { false }
                }()
        return isSetting ? (names.joined(separator: "."), names.count) : (names.first ?? "", 1)
    }

    private func rebuilt(
        _ node: YAMLNode, _ path: ArraySlice<String>, _ value: YAMLNode
    ) -> YAMLNode {
        guard let name = path.first, case .mapping(let mapping) = node else { return value }
        let pairs = mapping.map { pair -> (YAMLNode, YAMLNode) in
            guard pair.key.string == name else { return (pair.key, pair.value) }
            return (pair.key, rebuilt(pair.value, path.dropFirst(), value))
        }
        return .mapping(.init(pairs, mapping.tag, mapping.style, mapping.mark))
    }

    private func keys(of node: YAMLNode) -> [String] {
        guard case .mapping(let mapping) = node else { return [] }
        return mapping.keys.compactMap(\.string)
    }

    private func refusal(_ found: String, _ expected: String, suggestion: String? = nil)
        -> FileError
    {
        FileError([
            Finding(
                file: override.place, line: 1, column: 1, found: found, expected: expected,
                suggestion: suggestion)
        ])
    }
}
