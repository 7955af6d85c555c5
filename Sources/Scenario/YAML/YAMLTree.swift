import Yams

// What becomes of a parsed tree before anybody reads it: merge keys are carried out, and its size
// with every alias written out is bounded.

/// Makes a plain tree out of one with merge keys.
///
/// An alias is a copy of what its anchor stands for. A tree of aliases to aliases may be endless
/// when written out, so the count stops at `nodeLimit`, and the depth at the nesting limit.
struct YAMLTree {
    /// Values in a file, aliases written out.
    static let nodeLimit = 1_000_000

    private(set) var findings: [Finding] = []
    private let document: YAMLDocument
    private var count = 0

    init(_ document: YAMLDocument) { self.document = document }

    /// The tree without merge keys; `nil`, with a finding, where it is too large.
    mutating func flattened(_ node: YAMLNode, depth: Int = 0) -> YAMLNode? {
        count += 1
        guard count <= Self.nodeLimit else {
            refuse(
                node, found: "more than \(Self.nodeLimit) values, aliases written out",
                expected: "fewer")
            return nil
        }
        guard depth <= YAMLDocument.nestingLimit else {
            refuse(
                node, found: "more than \(YAMLDocument.nestingLimit) levels",
                expected: "fewer within each other")
            return nil
        }
        switch node {
        case .scalar, .alias: return node
        case .sequence(var sequence):
            for index in sequence.indices {
                guard let element = flattened(sequence[index], depth: depth + 1) else { return nil }
                sequence[index] = element
            }
            return .sequence(sequence)
        case .mapping(let mapping): return flattened(mapping, depth: depth)
        }
    }

    private mutating func flattened(_ mapping: YAMLNode.Mapping, depth: Int) -> YAMLNode? {
        var own: [(YAMLNode, YAMLNode)] = []
        var merged: [(YAMLNode, YAMLNode)] = []
        for (key, value) in mapping {
            guard let value = flattened(value, depth: depth + 1) else { return nil }
            if Self.isMergeKey(key) {
                merged += sources(of: value)
            } else {
                own.append((key, value))
            }
        }
        guard !merged.isEmpty else {
            return .mapping(.init(own, mapping.tag, mapping.style, mapping.mark, mapping.anchor))
        }
        // What is written here wins over what is merged, an earlier source over a later one.
        var seen = Set(own.map { $0.0.string ?? "" })
        let added = merged.filter { seen.insert($0.0.string ?? "").inserted }
        return .mapping(
            .init(added + own, mapping.tag, mapping.style, mapping.mark, mapping.anchor))
    }

    private static func isMergeKey(_ key: YAMLNode) -> Bool {
        guard case .scalar(let scalar) = key else { return false }
        return scalar.style == .plain && scalar.string == "<<"
    }

    private mutating func sources(of value: YAMLNode) -> [(YAMLNode, YAMLNode)] {
        switch value {
        case .mapping(let mapping): return mapping.map { ($0.key, $0.value) }
        case .sequence(let sequence):
            return sequence.flatMap { element -> [(YAMLNode, YAMLNode)] in
                if case .mapping(let mapping) = element {
                    return mapping.map { ($0.key, $0.value) }
                }
                refuse(element, found: "no mapping to merge", expected: "an alias of a mapping")
                return []
            }
        case .scalar, .alias:
            refuse(value, found: "no mapping to merge", expected: "'<<: *name' of a mapping")
            return []
        }
    }

    private mutating func refuse(_ node: YAMLNode, found: String, expected: String) {
        findings.append(document.finding(at: node, found: found, expected: expected))
    }
}
