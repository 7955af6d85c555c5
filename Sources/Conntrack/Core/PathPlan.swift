internal import Wire

// The stations of a packet's path, in order of priority: rules, reassembly, tracking, translation,
// confirmation. The plan is made when rules or settings change, so that a packet only walks it.

/// One station at a hook.
enum PathStep: Hashable, BitwiseCopyable {
    case chain(Int)
    case reassemble
    case track
    case translate(NATKind)
    case confirm
}

/// What happens at each hook for each family.
struct PathPlan: Sendable {
    private var steps: [[PathStep]]
    /// Nat chains by hook and family, in order of priority.
    private var natChains: [[Int]]

    init(_ ruleset: Ruleset, tracks: (Family) -> Bool, translates: (Family) -> Bool) {
        steps = []
        natChains = []
        for family in Family.allCases {
            for hook in Hook.allCases {
                let chains = ruleset.baseChains.filter {
                    $0.hook == hook && $0.families.contains(family)
                }
                natChains.append(chains.filter { $0.kind == .nat }.map(\.index))
                var stations = chains.filter { $0.kind != .nat }.map {
                    (priority: $0.priority, step: PathStep.chain($0.index))
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
                steps.append(sorted.map(\.element.step))
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

    private static func index(_ hook: Hook, _ family: Family) -> Int {
        (family == .ipv4 ? 0 : Hook.allCases.count) + Int(hook.rawValue)
    }

    func steps(at hook: Hook, _ family: Family) -> [PathStep] {
        steps[Self.index(hook, family)]
    }

    func natChains(at hook: Hook, _ family: Family) -> [Int] {
        natChains[Self.index(hook, family)]
    }
}
