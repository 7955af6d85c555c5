import Histogram
import Scenario

/// Latencies of one kind since they were last taken: cheap to record, and turned into the run's
/// own sparse form once a sample.
///
/// Microseconds with three significant digits, two hours at most.
struct Latency {
    private static let longest: UInt64 = 7_200_000_000
    private var step = Histogram<UInt32>(
        lowestDiscernibleValue: 1, highestTrackableValue: longest,
        numberOfSignificantValueDigits: .three)
    private var count = 0

    @inline(__always)
    mutating func record(_ nanoseconds: UInt64) {
        step.record(min((nanoseconds + 500) / 1000, Self.longest))
        count += 1
    }

    /// Hands over what was recorded since the last call, in nanoseconds.
    mutating func take() -> ValueHistogram {
        var taken = ValueHistogram()
        guard count > 0 else { return taken }
        for value in step.recordedValues() {
            taken.record(value.value * 1000, times: UInt64(value.count))
        }
        step.reset()
        count = 0
        return taken
    }
}
