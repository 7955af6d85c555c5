/// When entries go, told from how the table's count falls.
///
/// A group of flows whose last packets fall in a known stretch of time, all with one timeout, leaves
/// the table one timeout later, as far as somebody collects what has expired. The mean moment of
/// leaving, minus the mean moment of the last packets, is the timeout; the mean of many flows is
/// sharper than the sampling.
public struct DecayFit: Sendable, Hashable {
    /// A moment in seconds and how many there were.
    public struct Point: Sendable, Hashable {
        public var seconds: Double
        public var count: Int

        public init(seconds: Double, count: Int) {
            self.seconds = seconds
            self.count = count
        }
    }

    /// Seconds from last packets to leaving, on average.
    public var seconds: Double
    /// Flows it is the mean of.
    public var flows: Int
    /// Seconds within which the middle four fifths left: much more than the group's own width
    /// means several timeouts, or a collector that took its time.
    public var spread: Double

    /// Fits.
    ///
    /// - Parameters:
    ///   - points: The count, in order of time, from before the last packets to after the end.
    ///   - ended: How many flows' last packets had passed by when: counts from 0 up.
    ///   - background: Entries that are not of the group.
    /// - Returns: `nil` if fewer than nine tenths of the group have left by the last point, or
    ///   there is no group.
    public init?(points: [Point], ended: [Point], background: Int) {
        let total = ended.last?.count ?? 0
        guard total > 0, let last = points.last else { return nil }
        let left = max(0, last.count - background)
        guard left * 10 <= total else { return nil }
        guard let lastPacket = Self.meanMoment(ended, of: total) else { return nil }
        // Turned over, the falling count is a rising one: of those that have left. It starts where
        // the group is complete.
        let peak = points.indices.max { points[$0].count < points[$1].count } ?? 0
        let start = points.lastIndex { $0.count == points[peak].count } ?? peak
        let whole = max(1, points[start].count - background)
        let gone = points[start...].map {
            Point(seconds: $0.seconds, count: max(0, whole - max(0, $0.count - background)))
        }
        guard let leaving = Self.meanMoment(gone, of: gone.last?.count ?? 0) else { return nil }
        seconds = leaving - lastPacket
        flows = gone.last?.count ?? 0
        spread = Self.moment(gone, share: 0.9, of: flows) - Self.moment(gone, share: 0.1, of: flows)
    }

    /// The mean moment of a count's steps: each step in the middle between two looks.
    private static func meanMoment(_ points: [Point], of total: Int) -> Double? {
        guard total > 0, points.count > 1 else { return nil }
        var sum = 0.0
        var seen = points[0].count
        for (before, after) in zip(points, points.dropFirst()) where after.count > seen {
            sum += Double(after.count - seen) * (before.seconds + after.seconds) / 2
            seen = after.count
        }
        return seen > points[0].count ? sum / Double(seen - points[0].count) : nil
    }

    private static func moment(_ points: [Point], share: Double, of total: Int) -> Double {
        points.first { Double($0.count) >= share * Double(total) }?.seconds ?? 0
    }
}
