// What a table did in the course of a run, measured or predicted: both in one shape, so that one can
// be laid over the other.

/// A quantity over time: points joined by straight lines.
public struct Curve: Sendable, Codable, Hashable {
    public struct Point: Sendable, Hashable {
        /// Since the run's start.
        public var seconds: Double
        public var value: Double

        public init(_ seconds: Double, _ value: Double) {
            self.seconds = seconds
            self.value = value
        }
    }

    /// In order of time.
    public private(set) var points: [Point]

    /// - Parameter points: In any order; of two of one moment the later counts.
    public init(_ points: [Point] = []) {
        self.points = points.enumerated()
            .sorted { ($0.element.seconds, $0.offset) < ($1.element.seconds, $1.offset) }
            .map(\.element)
    }

    // As pairs: a curve has hundreds of points.

    public init(from decoder: any Decoder) throws {
        let pairs = try decoder.singleValueContainer().decode([[Double]].self)
        self.init(pairs.filter { $0.count == 2 }.map { Point($0[0], $0[1]) })
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(
            points.map { [($0.seconds * 1000).rounded() / 1000, $0.value] })
    }

    /// The value at a moment; before the first point the first one's, behind the last the last's.
    public func value(at seconds: Double) -> Double? {
        guard let first = points.first, let last = points.last else { return nil }
        if seconds <= first.seconds { return first.value }
        if seconds >= last.seconds { return last.value }
        var low = 0
        var high = points.count - 1
        while high - low > 1 {
            let middle = (low + high) / 2
            if points[middle].seconds <= seconds { low = middle } else { high = middle }
        }
        let (left, right) = (points[low], points[high])
        let span = right.seconds - left.seconds
        guard span > 0 else { return right.value }
        return left.value + (right.value - left.value) * (seconds - left.seconds) / span
    }

    /// The mean over a stretch of time, by area.
    public func mean(from: Double, to: Double) -> Double? {
        guard from < to, let first = value(at: from), let last = value(at: to) else { return nil }
        let inner = points.filter { $0.seconds > from && $0.seconds < to }
        let all = [Point(from, first)] + inner + [Point(to, last)]
        let area = zip(all, all.dropFirst()).reduce(0) {
            $0 + ($1.1.seconds - $1.0.seconds) * ($1.0.value + $1.1.value) / 2
        }
        return area / (to - from)
    }

    /// By how much it has grown between two moments.
    public func growth(from: Double, to: Double) -> Double? {
        guard let first = value(at: from), let last = value(at: to) else { return nil }
        return last - first
    }
}

/// A table over time.
public struct TableCurve: Sendable, Codable, Hashable {
    /// Entries, as `nf_conntrack_count`.
    public var count: Curve
    /// `nf_conntrack_max`; 0 is no limit.
    public var limit: Curve
    /// `conntrack -S`, since the start: packets refused, entries evicted for others.
    public var drop: Curve
    public var earlyDrop: Curve
    /// Entries by protocol and state at the run's end, where they were listed.
    public var states: [StateCount]?

    public init(
        count: Curve, limit: Curve, drop: Curve, earlyDrop: Curve, states: [StateCount]? = nil
    ) {
        self.count = count
        self.limit = limit
        self.drop = drop
        self.earlyDrop = earlyDrop
        self.states = states
    }

    /// The share of its maximum that a full table may lack: an entry that goes makes room for a
    /// moment.
    static let slack = 0.001

    /// When the table was full for the first time within `seconds`; `nil` if it was not.
    ///
    /// Between two samples, where the rise reaches it: as steep as it was before, or steeper. The
    /// straight line from one sample to the other would be late, because a full table rises no more.
    public func timeToFull(within seconds: Double) -> Double? {
        var earlier: Curve.Point?
        var previous: Curve.Point?
        for point in count.points where point.seconds <= seconds {
            let limit = limit.value(at: point.seconds) ?? 0
            let full = limit - max(1, limit * Self.slack)
            guard limit > 0, point.value >= full else {
                earlier = previous
                previous = point
                continue
            }
            guard let previous, point.value > previous.value else { return point.seconds }
            let slope = max(Self.slope(earlier, previous), Self.slope(previous, point))
            guard slope > 0 else { return point.seconds }
            return previous.seconds + max(0, full - previous.value) / slope
        }
        return nil
    }

    /// Entries a second from one point to the next; 0 where there is no telling.
    private static func slope(_ from: Curve.Point?, _ to: Curve.Point) -> Double {
        guard let from, to.seconds > from.seconds else { return 0 }
        return (to.value - from.value) / (to.seconds - from.seconds)
    }
}
