internal import Wire

/// Who jumps to whom, and what that rules out.
///
/// The kernel checks, for every base chain, all chains that can be reached from it: jumps must not
/// loop or nest deeper than it has room for, and nat statements must be where they make sense.
/// Chains nobody reaches are not looked at.
struct ChainGraph {
    struct Problem {
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
        /// A named verdict map, which chains ask and which jumps on: no chain of its own.
        var isMap = false
    }

    /// The chains by their indexes in the program, then the named verdict maps.
    private var nodes: [Node] = []

    mutating func addChain() { nodes.append(Node()) }

    /// The map's number among the nodes.
    mutating func addMap() -> Int {
        nodes.append(Node(isMap: true))
        return nodes.count - 1
    }

    /// A jump from a chain or map to a chain, or the question a chain asks a map.
    mutating func addJump(from node: Int, to target: Int, at position: SourcePosition) {
        nodes[node].edges.append(Edge(target: target, position: position))
    }

    mutating func add(_ restricted: Restricted, in chain: Int) {
        nodes[chain].restricted.append(restricted)
    }

    mutating func noteEntryRead(in chain: Int) { nodes[chain].readsEntry = true }

    /// Everything wrong with what `bases` reach.
    func check(_ bases: [(chain: Int, kind: ChainKind, hook: Hook)]) -> [Problem] {
        let isBase = Set(bases.map(\.chain))
        var problems: [Problem] = []
        for edge in nodes.flatMap(\.edges) where isBase.contains(edge.target) {
            problems.append(
                Problem(
                    position: edge.position, found: "a jump to a base chain",
                    expected: "a chain without hook"))
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
                let reached = depth[chain] + (nodes[edge.target].isMap ? 0 : 1)
                depth[edge.target] = max(depth[edge.target], reached)
                if reached > RulesetLimits.jumpDepth {
                    return [
                        Problem(
                            position: edge.position,
                            found: "a jump that nests \(reached) chains",
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

    /// Of each chain, whether it or one it leads to reads the connection.
    func entryReaders() -> [Bool] {
        var sources = [[Int]](repeating: [], count: nodes.count)
        for (source, node) in nodes.enumerated() {
            for edge in node.edges { sources[edge.target].append(source) }
        }
        var reads = nodes.map(\.readsEntry)
        var open = nodes.indices.filter { reads[$0] }
        while let reader = open.popLast() {
            for source in sources[reader] where !reads[source] {
                reads[source] = true
                open.append(source)
            }
        }
        return reads
    }
}
