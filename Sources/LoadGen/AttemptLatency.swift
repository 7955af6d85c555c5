internal import Histogram

/// How long a share of all attempts took, those that came to nothing among them.
///
/// A percentile of the flows that succeeded looks the better the more flows failed: of a full table
/// it shows only those that found room. Here a flow that failed or was cut off counts as one that
/// is never answered: it stands behind all that were, however soon it failed.
public enum AttemptLatency: Sendable, Hashable {
    /// That share succeeded within so many microseconds.
    case within(UInt64)
    /// So many did not succeed: it is more than these microseconds, and nobody knows how many. No
    /// success took longer, and no lower percentile is higher.
    case moreThan(UInt64)
}

extension Latencies {
    /// Flows that are decided: answered, or given up.
    public var attemptCount: UInt64 { complete.totalCount + gaveUp.totalCount }

    /// The latency of all attempts at `percentile`, from their scheduled starts to their answers.
    public func ofAllAttempts(_ percentile: Double) -> AttemptLatency {
        // Rounded up as the histogram does it, which takes off an error of representation first.
        let rank = max(1, (percentile.nextDown / 100 * Double(attemptCount)).rounded(.up))
        let succeeded = Double(complete.totalCount)
        guard rank > succeeded else {
            return .within(complete.valueAtPercentile(100 * rank / succeeded))
        }
        var bounds = complete
        bounds.add(gaveUp)
        // Behind every success, and as far as that share of all attempts was seen to wait.
        let slowest = complete.totalCount > 0 ? complete.valueAtPercentile(100) : 0
        return .moreThan(max(slowest, bounds.valueAtPercentile(percentile)))
    }
}
