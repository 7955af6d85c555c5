internal import Wire

/// Who jumps to whom, and what that rules out.
///
/// The kernel checks, for every base chain, all chains that can be reached from it: jumps must not
/// loop or nest deeper than it has room for, and nat statements must be where they make sense.
/// Chains nobody reaches are not looked at.
struct ChainGraph {
    struct Problem: Hashable {
        var position: SourcePosition
        var found: String
        var expected: String
    }

    /// A statement that only some hooks and chain types allow.
    struct Restricted {
        var position: SourcePosition
        var word: String
        var hooks: [Hook]
        /// Only in chains of type nat.
        var needsNAT: Bool
    }

    private struct Edge {
        var target: Int
        var position: SourcePosition
    }

    private struct Node {
        var edges: [Edge] = []
        var restricted: [Restricted] = []
        var readsEntry = false
    }

    private var nodes: [Node] = []
    private var mapJumps: [Edge] = []

    mutating func addChain() { nodes.append(Node()) }

    mutating func addJump(from chain: Int, to target: Int, at position: SourcePosition) {
        nodes[chain].edges.append(Edge(target: target, position: position))
    }

    /// A jump that stands in a map, whoever asks the map.
    mutating func addMapJump(to target: Int, at position: SourcePosition) {
        mapJumps.append(Edge(target: target, position: position))
    }

    mutating func add(_ restricted: Restricted, in chain: Int) {
        nodes[chain].restricted.append(restricted)
    }

    mutating func noteEntryRead(in chain: Int) { nodes[chain].readsEntry = true }

    /// Everything wrong with what `bases` reach.
    func check(_ bases: [(chain: Int, kind: ChainKind, hook: Hook)]) -> [Problem] {
        let isBase = Set(bases.map(\.chain))
        var problems: [Problem] = []
        for edge in nodes.flatMap(\.edges) + mapJumps where isBase.contains(edge.target) {
            let problem = Problem(
                position: edge.position, found: "a jump to a base chain",
                expected: "a chain without hook")
            if problems.last != problem { problems.append(problem) }
        }
        if problems.isEmpty { problems += checkDepth(bases.map(\.chain)) }
        for place in reachable(bases) {
            for restricted in nodes[place.chain].restricted
            where !restricted.hooks.contains(place.hook)
                || (restricted.needsNAT && place.kind != .nat)
            {
                let names = restricted.hooks.map(\.name).joined(separator: ", ")
                let type = restricted.needsNAT ? "in a chain of type nat " : ""
                problems.append(
                    Problem(
                        position: restricted.position,
                        found: "'\(restricted.word)' at hook \(place.hook.name)",
                        expected: "it \(type)at one of the hooks \(names)"))
            }
        }
        return problems
    }

    private struct Place: Hashable {
        var chain: Int
        var kind: ChainKind
        var hook: Hook
    }

    /// Each chain with each kind of base chain that reaches it, once, in a fixed order.
    private func reachable(_ bases: [(chain: Int, kind: ChainKind, hook: Hook)]) -> [Place] {
        var found: [Place] = bases.map { Place(chain: $0.chain, kind: $0.kind, hook: $0.hook) }
        var seen = Set(found)
        var next = 0
        while next < found.count {
            let place = found[next]
            next += 1
            for edge in nodes[place.chain].edges {
                let reached = Place(chain: edge.target, kind: place.kind, hook: place.hook)
                if seen.insert(reached).inserted { found.append(reached) }
            }
        }
        return found
    }

    /// Loops, and jumps that nest too deep: chains are taken off once all that jump to them are.
    private func checkDepth(_ bases: [Int]) -> [Problem] {
        var isReached = [Bool](repeating: false, count: nodes.count)
        var open = bases
        for base in bases { isReached[base] = true }
        while let chain = open.popLast() {
            for edge in nodes[chain].edges where !isReached[edge.target] {
                isReached[edge.target] = true
                open.append(edge.target)
            }
        }
        var jumpsLeft = [Int](repeating: 0, count: nodes.count)
        for (chain, node) in nodes.enumerated() where isReached[chain] {
            for edge in node.edges { jumpsLeft[edge.target] += 1 }
        }
        var depth = [Int](repeating: 1, count: nodes.count)
        open = nodes.indices.filter { isReached[$0] && jumpsLeft[$0] == 0 }
        while let chain = open.popLast() {
            isReached[chain] = false
            for edge in nodes[chain].edges {
                depth[edge.target] = max(depth[edge.target], depth[chain] + 1)
                if depth[chain] >= RulesetLimits.jumpDepth {
                    return [
                        Problem(
                            position: edge.position,
                            found: "a jump that nests \(depth[chain] + 1) chains",
                            expected: "at most \(RulesetLimits.jumpDepth), base chain included")
                    ]
                }
                jumpsLeft[edge.target] -= 1
                if jumpsLeft[edge.target] == 0 { open.append(edge.target) }
            }
        }
        // What is left jumps in a circle, or is reached from one.
        guard let position = positionInLoop(isReached) else { return [] }
        return [
            Problem(
                position: position, found: "a jump that leads back to its own chain",
                expected: "chains without loops")
        ]
    }

    /// A jump that is part of a circle among the chains in `left`.
    private func positionInLoop(_ left: [Bool]) -> SourcePosition? {
        guard var chain = left.firstIndex(of: true) else { return nil }
        var visited = [Bool](repeating: false, count: nodes.count)
        // Every chain left is jumped to by another one that is left: walk against the jumps
        // until a chain comes again.
        var sources = [Int: (chain: Int, position: SourcePosition)]()
        for (source, node) in nodes.enumerated() where left[source] {
            for edge in node.edges where left[edge.target] {
                sources[edge.target] = (source, edge.position)
            }
        }
        while !visited[chain] {
            visited[chain] = true
            guard let source = sources[chain] else { return nil }
            chain = source.chain
        }
        return sources[chain]?.position
    }

    /// Whether a rule that `base` reaches reads the connection.
    func readsEntry(from base: Int) -> Bool {
        var isReached = [Bool](repeating: false, count: nodes.count)
        var open = [base]
        isReached[base] = true
        while let chain = open.popLast() {
            if nodes[chain].readsEntry { return true }
            for edge in nodes[chain].edges where !isReached[edge.target] {
                isReached[edge.target] = true
                open.append(edge.target)
            }
        }
        return false
    }
}
