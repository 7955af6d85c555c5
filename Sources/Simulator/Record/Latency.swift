import Histogram

/// Latencies of one kind: of the whole run, and of the step that is being recorded.
///
/// Microseconds, three significant digits, one hour at most.
struct Latency {
    private(set) var total = Self.empty()
    private var step = Self.empty()
    /// Recorded since the latest step was taken.
    private var stepCount = 0

    private static func empty() -> Histogram<UInt32> {
        Histogram(
            lowestDiscernibleValue: 1, highestTrackableValue: 3_600_000_000,
            numberOfSignificantValueDigits: .three)
    }

    mutating func record(_ nanoseconds: UInt64) {
        step.record(min(max(1, (nanoseconds + 500) / 1000), 3_600_000_000))
        stepCount += 1
    }

    /// Hands over the values recorded since the last call, each with its count.
    mutating func takeStep() -> [(microseconds: UInt64, count: UInt64)] {
        guard stepCount > 0 else { return [] }
        var values: [(microseconds: UInt64, count: UInt64)] = []
        for value in step.recordedValues() {
            values.append((value.value, UInt64(value.count)))
            total.record(value.value, count: value.count)
        }
        step.reset()
        stepCount = 0
        return values
    }
}
