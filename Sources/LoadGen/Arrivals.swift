internal import RealModule

/// The moments at which flows of an open workload begin: a rate in stages, and how evenly.
public struct Arrivals: Sendable, Codable, Hashable {
    /// A rate that holds, or changes evenly, for a while.
    public struct Stage: Sendable, Codable, Hashable {
        public var seconds: Double
        /// Flows a second; of a population, flows.
        public var fromPerSecond: Double
        public var toPerSecond: Double

        public init(seconds: Double, from: Double, to: Double) {
            self.seconds = seconds
            fromPerSecond = from
            toPerSecond = to
        }

        /// How many arrivals it has on average.
        var mass: Double { seconds * (fromPerSecond + toPerSecond) / 2 }

        /// Seconds into the stage at which `mass` arrivals have come.
        func time(of mass: Double) -> Double {
            let slope = seconds > 0 ? (toPerSecond - fromPerSecond) / seconds : 0
            let root = Double.sqrt(max(0, fromPerSecond * fromPerSecond + 2 * slope * mass))
            // This form of the quadratic's solution holds for a slope of zero, too.
            let divisor = fromPerSecond + root
            guard divisor > 0 else { return mass > 0 ? seconds : 0 }
            return min(seconds, 2 * mass / divisor)
        }
    }

    public enum Spacing: Sendable, Codable, Hashable {
        /// Evenly.
        case uniform
        /// Each independent of the others, as from many people.
        case poisson
        /// So many at once, at the stage's rate on average; the first at the start.
        case bursts(size: Int)
    }

    public var stages: [Stage]
    public var spacing: Spacing

    public init(stages: [Stage], spacing: Spacing) {
        self.stages = stages
        self.spacing = spacing
    }

    /// The highest rate of all stages.
    public var peakPerSecond: Double {
        stages.reduce(0) { max($0, $1.fromPerSecond, $1.toPerSecond) }
    }

    public var totalSeconds: Double { stages.reduce(0) { $0 + $1.seconds } }

    /// How many arrivals there are on average in the first `seconds`.
    func arrivals(within seconds: Double) -> Double {
        var (sum, left) = (0.0, seconds)
        for stage in stages where left > 0 {
            let part = min(left, stage.seconds)
            let slope =
                stage.seconds > 0 ? (stage.toPerSecond - stage.fromPerSecond) / stage.seconds : 0
            sum += part * (stage.fromPerSecond + slope * part / 2)
            left -= stage.seconds
        }
        return sum
    }

    /// Seconds until `count` arrivals have come on average; all there are, if those are fewer.
    func seconds(untilArrivals count: Double) -> Double {
        var (sum, left) = (0.0, count)
        for stage in stages {
            guard stage.mass < left else { return sum + stage.time(of: left) }
            left -= stage.mass
            sum += stage.seconds
        }
        return sum
    }

    /// With a rate that is so many times lower; bursts keep their moments, and are counted out
    /// (`PlanShare`).
    func divided(by parts: Int) -> Arrivals {
        if case .bursts = spacing { return self }
        var arrivals = self
        for index in arrivals.stages.indices {
            arrivals.stages[index].fromPerSecond /= Double(parts)
            arrivals.stages[index].toPerSecond /= Double(parts)
        }
        return arrivals
    }
}

/// Draws the arrivals of one run, one after the other.
///
/// Arrivals are drawn in a time in which the rate is one, and carried over to the stages' time: a
/// rate that changes needs no thinning, and the draws do not depend on it.
public struct ArrivalClock: Sendable {
    private let arrivals: Arrivals
    private var dice: LoadDice
    private var stage = 0
    /// Arrivals of the stages before the present one, and their seconds.
    private var massBefore = 0.0
    private var secondsBefore = 0.0
    /// Where the next arrival stands, in arrivals.
    private var mass = 0.0
    /// Arrivals of a burst, and those of the present one that are to come.
    private var burstSize = 1
    private var leftInBurst = 0
    private var lastMoment: UInt64 = 0

    /// - Parameter share: The part of each burst that is drawn.
    public init(_ arrivals: Arrivals, seed: UInt64, share: PlanShare = PlanShare()) {
        self.arrivals = arrivals
        dice = LoadDice(seed: seed)
        switch arrivals.spacing {
        case .poisson: break
        // Even arrivals stand in the middle of their gaps: none falls on a run's very end.
        case .uniform: mass = -0.5
        case .bursts(let size):
            mass = -Double(max(1, size))
            burstSize = share.count(of: max(1, size))
        }
    }

    /// Nanoseconds from the start to the next arrival; `nil` behind the last stage.
    public mutating func next() -> UInt64? {
        guard burstSize > 0 else { return nil }
        if leftInBurst > 0 {
            leftInBurst -= 1
            return lastMoment
        }
        switch arrivals.spacing {
        case .uniform: mass += 1
        case .poisson: mass += -Double.log(1 - dice.unit())
        case .bursts(let size):
            mass += Double(max(1, size))
            leftInBurst = burstSize - 1
        }
        while stage < arrivals.stages.count {
            let current = arrivals.stages[stage]
            // What falls on a stage's very end, whatever a product's last bit says, is the next's.
            if mass - massBefore < current.mass * (1 - 1e-12) {
                let seconds = secondsBefore + current.time(of: max(0, mass - massBefore))
                lastMoment = UInt64(seconds * 1e9)
                return lastMoment
            }
            massBefore += current.mass
            secondsBefore += current.seconds
            stage += 1
        }
        leftInBurst = 0
        return nil
    }
}

/// The generator's source of chance: SplitMix64, seeded.
///
/// Written down here because this room does not see the model's.
struct LoadDice: Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but not including, 1.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A number of the standard normal distribution.
    mutating func normal() -> Double {
        let radius = Double.sqrt(-2 * Double.log(1 - unit()))
        return radius * Double.cos(2 * .pi * unit())
    }
}
