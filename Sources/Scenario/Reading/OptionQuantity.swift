public import Conntrack

/// Quantities of a command line, in the words of scenario files: a unit is never guessed.
///
/// A problem says what was found, what was expected, and what may have been meant; whoever asks
/// puts the option's name in front.
public enum OptionQuantity {
    /// A duration: `90s`, `300ms`, `1h30m`.
    public static func duration(_ text: String) throws(ValueProblem) -> Interval {
        Interval(nanoseconds: Int64(try Quantity.duration.parse(text)))
    }

    /// Bytes: `512MiB`, `4GB`.
    public static func byteCount(_ text: String) throws(ValueProblem) -> Int {
        Int(try Quantity.size.parse(text))
    }

    /// A rate, per second: `4000/s`, `2k/s`, `30/min`.
    public static func perSecond(_ text: String) throws(ValueProblem) -> Double {
        try Quantity.rate.parse(text)
    }

    /// A rate that may change, per second: `4000/s`, or `200/s..4000/s`.
    public static func ramp(
        _ text: String
    ) throws(ValueProblem) -> (from: Double, to: Double) {
        if let (low, high) = try DistributionText.range(text, of: .rate) { return (low, high) }
        let rate = try perSecond(text)
        return (rate, rate)
    }

    /// A share from 0 to 1: `0.5%`, `0.005`.
    public static func share(_ text: String) throws(ValueProblem) -> Double {
        try Quantity.share.parse(text)
    }

    /// Durations that differ from flow to flow, in nanoseconds: `300ms`, `exponential(mean=2s)`.
    public static func durations(_ text: String) throws(ValueProblem) -> Scenario.Distribution {
        try DistributionText.parse(text, of: .duration)
    }
}
