public import Scenario

// How long flows last, in a scenario's words.

extension HoldTime {
    /// Reads `none`, `forever`, or a scenario's durations: `300ms`, `exponential(mean=2s)`,
    /// `uniform(1s..2s)`, `lognormal(median=300ms, p99=5s)`.
    public init(option text: String) throws(ValueProblem) {
        switch text {
        case "none": self = .none
        case "forever": self = .forever
        default:
            guard let time = HoldTime(try OptionQuantity.durations(text)) else {
                throw ValueProblem(
                    found: "'\(text.prefix(60))'",
                    expected: "none, forever, a duration, or uniform, exponential, lognormal ones")
            }
            self = time
        }
    }

    /// A scenario's durations as the generator draws them; `nil` for those it does not draw.
    init?(_ time: Scenario.Distribution) {
        switch time {
        case .constant(let value): self = value > 0 ? .fixed(seconds: value / 1e9) : .none
        case .uniform(let low, let high): self = .uniform(from: low / 1e9, to: high / 1e9)
        case .exponential(let mean): self = .exponential(meanSeconds: mean / 1e9)
        case .lognormal(let median, let p99):
            self = .lognormal(medianSeconds: median / 1e9, p99Seconds: p99 / 1e9)
        case .pareto, .normal: return nil
        }
    }
}
