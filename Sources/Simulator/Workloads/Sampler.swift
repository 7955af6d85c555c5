import Conntrack

/// A stream of chance of its own, so that what one workload draws does not shift another's draws.
struct Sampler: BitwiseCopyable {
    private var dice: Dice

    init(seed: UInt64) { dice = Dice(seed: seed) }

    mutating func next() -> UInt64 { dice.next() }

    mutating func below(_ bound: UInt32) -> UInt32 { dice.below(bound) }
}
