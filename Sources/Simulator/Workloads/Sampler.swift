import Conntrack
import Scenario

/// A stream of chance of its own, so that what one workload draws does not shift another's draws.
struct Sampler {
    private var dice: Dice

    init(seed: UInt64) { dice = Dice(seed: seed) }

    mutating func next() -> UInt64 { dice.next() }

    mutating func below(_ bound: UInt32) -> UInt32 { dice.below(bound) }

    /// Exponential with mean 1.
    mutating func waitingTime() -> Double {
        -Numerics.logarithm((Double(dice.next() >> 11) + 0.5) * 0x1p-53)
    }

    /// A value of a distribution, between 0 and `limit`.
    mutating func draw(_ distribution: Scenario.Distribution, limit: Double) -> Double {
        if case .constant(let value) = distribution { return max(0, min(value, limit)) }
        return max(0, min(distribution.draw(&dice), limit))
    }
}
