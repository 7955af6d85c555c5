internal import Wire

// The stations of a packet's path, in order of priority: rules, reassembly, tracking, translation,
// confirmation. The plan is made when rules or settings change, so that a packet only walks it.

/// A base chain, and whether it must be shown the packet's connection.
struct AskedChain: Hashable, BitwiseCopyable {
    let index: Int
    let readsEntry: Bool

    init(_ chain: BaseChain) {
        index = chain.index
        readsEntry = chain.readsEntry
    }
}

/// One station at a hook.
enum PathStep: Hashable, BitwiseCopyable {
    case chain(AskedChain)
    case reassemble
    case track
    case translate(NATKind)
    case confirm
}

/// What happens at each hook for each family: all stations in one array, hook after hook, so that
/// walking a hook copies nothing.
struct PathPlan: Sendable {
    private(set) var steps: [PathStep] = []
    private var bounds: [Int] = [0]
    /// Nat chains by hook and family, in order of priority.
    private var natChains: [[AskedChain]] = []

    init(_ ruleset: Ruleset, tracks: (Family) -> Bool, translates: (Family) -> Bool) {
        for family in Family.allCases {
            for hook in Hook.allCases {
                let chains = ruleset.baseChains.filter {
                    $0.hook == hook && $0.families.contains(family)
                }
                natChains.append(chains.filter { $0.kind == .nat }.map(AskedChain.init))
                var stations = chains.filter { $0.kind != .nat }.map {
                    (priority: $0.priority, step: PathStep.chain(AskedChain($0)))
                }
                if tracks(family) { stations += Self.trackerStations(hook) }
                if translates(family), let kind = NAT.kind(at: hook) {
                    let priority =
                        kind == .source
                        ? HookPriority.sourceNAT : HookPriority.destinationNAT
                    stations.append((priority, .translate(kind)))
                }
                // A stable order: chains stand before what was registered after them.
                let sorted = stations.enumerated().sorted {
                    ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset)
                }
                steps += sorted.map(\.element.step)
                bounds.append(steps.count)
            }
        }
    }

    private static func trackerStations(_ hook: Hook) -> [(priority: Int32, step: PathStep)] {
        switch hook {
        case .prerouting, .output:
            [(HookPriority.defragmentation, .reassemble), (HookPriority.conntrack, .track)]
        case .input, .postrouting: [(HookPriority.confirm, .confirm)]
        case .forward: []
        }
    }

    @inline(__always)
    private static func index(_ hook: Hook, _ family: Family) -> Int {
        (family == .ipv4 ? 0 : 5) + Int(hook.rawValue)
    }

    /// Where in `steps` the stations of a hook stand.
    @inline(__always)
    func range(of hook: Hook, _ family: Family) -> Range<Int> {
        let index = Self.index(hook, family)
        return bounds[index]..<bounds[index + 1]
    }

    func natChains(at hook: Hook, _ family: Family) -> [AskedChain] {
        natChains[Self.index(hook, family)]
    }
}
