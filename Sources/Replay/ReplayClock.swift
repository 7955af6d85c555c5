public import Conntrack

/// A run's clock, driven by the timestamps of a capture.
///
/// It starts at the first packet and never goes back: a packet stamped earlier than the one before
/// it arrives at once. A gap of more than `longestGap` counts as that much, so that a broken stamp
/// cannot keep the collector busy for years.
public struct ReplayClock: Sendable {
    /// 30 days: six times the longest timeout a kernel starts with.
    public static let longestGap = Interval.seconds(30 * 86_400)

    /// Unix time of the first packet, in nanoseconds.
    public private(set) var epochNanoseconds: UInt64?
    public private(set) var now = Instant.start
    /// Packets stamped earlier than one before them.
    public private(set) var backwardCount = 0
    /// Gaps that were cut short.
    public private(set) var shortenedCount = 0
    private var latest: UInt64 = 0

    public init() {}

    /// Moves on to a packet's timestamp (nanoseconds of Unix time), and says what that is.
    public mutating func advance(to timestamp: UInt64) -> Instant {
        if epochNanoseconds == nil {
            epochNanoseconds = timestamp
            latest = timestamp
        }
        guard timestamp >= latest else {
            backwardCount += 1
            return now
        }
        var gap = Int64(clamping: timestamp - latest)
        if gap > Self.longestGap.nanoseconds {
            gap = Self.longestGap.nanoseconds
            shortenedCount += 1
        }
        latest = timestamp
        now = now + Interval(nanoseconds: gap)
        return now
    }
}
