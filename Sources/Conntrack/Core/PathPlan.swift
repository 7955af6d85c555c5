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
                    Station($0.priority, .chain(AskedChain($0)), order: $0.order)
                }
                if tracks(family) {
                    let order = ruleset.trackerOrder(family)
                    stations += Self.trackerStations(hook).map { Station($0, $1, order: order) }
                }
                if translates(family), let kind = NAT.kind(at: hook) {
                    let priority =
                        kind == .source
                        ? HookPriority.sourceNAT : HookPriority.destinationNAT
                    stations.append(
                        Station(priority, .translate(kind), order: ruleset.natOrder(family)))
                }
                steps += stations.sorted(by: <).map(\.step)
                bounds.append(steps.count)
            }
        }
    }

    /// A station with what its place depends on.
    ///
    /// Observed on 6.18: among equal priorities, the one registered last stands first.
    private struct Station: Comparable {
        let priority: Int32
        let step: PathStep
        let order: Int
        /// The tracker has the order of the last chain registered before it.
        let isChain: Bool

        init(_ priority: Int32, _ step: PathStep, order: Int) {
            self.priority = priority
            self.step = step
            self.order = order
            isChain = if case .chain = step { true } else { false }
        }

        static func < (left: Station, right: Station) -> Bool {
            (left.priority, right.order, left.isChain ? 1 : 0)
                < (right.priority, left.order, right.isChain ? 1 : 0)
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

    /// Where among the stations of a last hook confirmation stands: behind them where nothing tracks.
    func confirmation(in stations: Range<Int>) -> Int {
        stations.first { steps[$0] == .confirm } ?? stations.upperBound
    }

    func natChains(at hook: Hook, _ family: Family) -> [AskedChain] {
        natChains[Self.index(hook, family)]
    }
}
