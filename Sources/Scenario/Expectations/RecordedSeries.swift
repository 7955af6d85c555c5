public import Conntrack

// What a run has recorded, as expectations and outputs read it.

/// The samples of one series.
public struct RecordedSeries: Sendable {
    public enum Values: Sendable {
        /// Gauges and counters: the value at each time.
        case samples([Double])
        /// What was recorded since the time before.
        case histograms([ValueHistogram])
    }

    public var kind: SeriesKind
    public var unit: SeriesUnit
    /// Ascending; as many as there are values.
    public var times: [Instant]
    public var values: Values

    public init(_ kind: SeriesKind, _ unit: SeriesUnit, times: [Instant], _ values: Values) {
        self.kind = kind
        self.unit = unit
        self.times = times
        self.values = values
    }

    /// Samples of a window; the ends belong to it.
    func indices(from: Instant, to: Instant) -> Range<Int> {
        let count =
            switch values {
            case .samples(let samples): min(times.count, samples.count)
            case .histograms(let histograms): min(times.count, histograms.count)
            }
        let low = times[..<count].partitioned { $0 >= from }
        let high = times[..<count].partitioned { $0 > to }
        return low..<max(low, high)
    }
}

/// Where expectations find series: a simulated run, or a measured one.
public protocol SeriesSource {
    /// The series of this name, as the catalogue has it; `nil` where nothing was recorded.
    func series(named name: String) -> RecordedSeries?
}

extension ArraySlice {
    /// The first place from which on `isRight` holds; the slice has to be ordered by it.
    fileprivate func partitioned(_ isRight: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if isRight(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

/// How values are spread, with a relative error below 1 in 1000.
///
/// Buckets as HdrHistogram has them, kept sparse: one of these exists per sample and series, and
/// an array over the whole range would be 250 kB each.
public struct ValueHistogram: Sendable, Hashable {
    /// Sorted by bucket.
    private var buckets: [Bucket] = []
    public private(set) var count: UInt64 = 0
    public private(set) var sum = 0.0
    public private(set) var minimum: UInt64 = .max
    public private(set) var maximum: UInt64 = 0

    private struct Bucket: Sendable, Hashable {
        var index: UInt32
        var count: UInt64
    }

    public init() {}

    public var isEmpty: Bool { count == 0 }

    public mutating func record(_ value: UInt64, times: UInt64 = 1) {
        guard times > 0 else { return }
        add(Self.index(of: value), times)
        count += times
        sum += Double(value) * Double(times)
        minimum = min(minimum, value)
        maximum = max(maximum, value)
    }

    public mutating func merge(_ other: ValueHistogram) {
        guard !other.isEmpty else { return }
        var merged: [Bucket] = []
        merged.reserveCapacity(buckets.count + other.buckets.count)
        var left = buckets[...]
        var right = other.buckets[...]
        while let a = left.first, let b = right.first {
            if a.index == b.index {
                merged.append(.init(index: a.index, count: a.count + b.count))
                left.removeFirst()
                right.removeFirst()
            } else if a.index < b.index {
                merged.append(a)
                left.removeFirst()
            } else {
                merged.append(b)
                right.removeFirst()
            }
        }
        buckets = merged + left + right
        count += other.count
        sum += other.sum
        minimum = min(minimum, other.minimum)
        maximum = max(maximum, other.maximum)
    }

    /// The smallest recorded value that `part` of all values do not exceed; `nil` when empty.
    public func quantile(_ part: Double) -> Double? {
        guard count > 0 else { return nil }
        let rank = max(1, UInt64((min(max(part, 0), 1) * Double(count)).rounded(.up)))
        if rank >= count { return Double(maximum) }
        var seen: UInt64 = 0
        for bucket in buckets {
            seen += bucket.count
            if seen >= rank {
                return Double(min(max(Self.middle(of: bucket.index), minimum), maximum))
            }
        }
        return Double(maximum)
    }

    /// Counts per bucket with the bucket's middle value, ascending.
    public var spread: [(value: UInt64, count: UInt64)] {
        buckets.map { (Self.middle(of: $0.index), $0.count) }
    }

    private mutating func add(_ index: UInt32, _ times: UInt64) {
        var low = 0
        var high = buckets.count
        while low < high {
            let middle = (low + high) / 2
            if buckets[middle].index < index { low = middle + 1 } else { high = middle }
        }
        if low < buckets.count, buckets[low].index == index {
            buckets[low].count += times
        } else {
            buckets.insert(.init(index: index, count: times), at: low)
        }
    }

    /// Bits of a value that are kept: values below 2^10 exactly, others with 9 bits behind the
    /// leading one.
    private static let keptBits = 10

    private static func index(of value: UInt64) -> UInt32 {
        let width = UInt64.bitWidth - value.leadingZeroBitCount
        let shift = max(0, width - keptBits)
        return UInt32(shift << (keptBits - 1)) + UInt32(value >> UInt64(shift))
    }

    private static func middle(of index: UInt32) -> UInt64 {
        let half = UInt32(1) << UInt32(keptBits - 1)
        guard index >= half * 2 else { return UInt64(index) }
        let shift = index / half - 1
        let mantissa = UInt64(index - shift * half)
        return mantissa << UInt64(shift) + (UInt64(1) << UInt64(shift)) / 2
    }
}
