internal import RealModule

/// How long a connection stays open once it stands.
public enum HoldTime: Sendable, Codable, Hashable {
    case none
    case fixed(seconds: Double)
    case uniform(from: Double, to: Double)
    case exponential(meanSeconds: Double)
    case lognormal(medianSeconds: Double, p99Seconds: Double)
    /// Until the run ends.
    case forever

    /// The mean, in seconds; for ever counts as an hour.
    public var meanSeconds: Double {
        switch self {
        case .none: 0
        case .fixed(let seconds): seconds
        case .uniform(let from, let to): (from + to) / 2
        case .exponential(let mean): mean
        case .lognormal(let median, _):
            median * Double.exp(Self.spread(self) * Self.spread(self) / 2)
        case .forever: 3600
        }
    }

    /// The normal distribution's value that one in a hundred exceeds.
    private static let p99 = 2.326_347_874_040_841

    private static func spread(_ time: HoldTime) -> Double {
        guard case .lognormal(let median, let p99) = time, median > 0, p99 > median else {
            return 0
        }
        return Double.log(p99 / median) / Self.p99
    }

    /// Draws one, in nanoseconds; `nil` is for ever.
    func draw(_ dice: inout LoadDice) -> UInt64? {
        let seconds: Double
        switch self {
        case .none: return 0
        case .forever: return nil
        case .fixed(let fixed): seconds = fixed
        case .uniform(let from, let to): seconds = from + (to - from) * dice.unit()
        case .exponential(let mean): seconds = -mean * Double.log(1 - dice.unit())
        case .lognormal(let median, _):
            seconds = median * Double.exp(Self.spread(self) * dice.normal())
        }
        return UInt64(min(max(0, seconds), 1e9) * 1e9)
    }
}
