// Values that differ from flow to flow. Parameters are in the unit of what they describe:
// nanoseconds, bytes, or a count.

extension Scenario {
    /// How a value is spread.
    public enum Distribution: Sendable, Hashable {
        case constant(Double)
        /// Evenly over `low...high`.
        case uniform(low: Double, high: Double)
        case exponential(mean: Double)
        /// Half of all values lie below `median`, 99 of 100 below `p99`.
        case lognormal(median: Double, p99: Double)
        /// Values from `minimum` up with the tail index `shape` (above 1 the mean is finite).
        case pareto(minimum: Double, shape: Double)
        /// Bell-shaped and cut off at 0.
        case normal(mean: Double, deviation: Double)

        public var isConstant: Bool {
            if case .constant = self { true } else { false }
        }
    }
}
