/// Looks for the highest level that stands: doubling until one does not, then closing in.
///
/// Pure arithmetic: it is told what stood and says what to try next. A level that did not stand
/// shows how much of it did; one more than that is tried first, because if that fails as well the
/// search is over.
public struct CeilingSearch: Sendable {
    /// The highest level known to stand.
    public private(set) var good = 0
    /// The lowest level known not to stand; `nil` while all did.
    public private(set) var bad: Int?
    private let start: Int
    private let most: Int
    /// Share of the level below which a difference does not matter.
    private let resolution: Double
    private var hasTriedNext = false

    /// - Parameters:
    ///   - start: The first level.
    ///   - most: Never tried beyond.
    ///   - resolution: 0 finds the exact level.
    public init(start: Int, most: Int, resolution: Double = 0) {
        precondition(start > 0 && most >= start, "levels go from 1 up")
        self.start = start
        self.most = most
        self.resolution = resolution
    }

    /// The level to try next; `nil` when the search is over.
    public var next: Int? {
        guard let bad else {
            if good == 0 { return start }
            return good >= most ? nil : min(most, good * 2)
        }
        let gap = bad - good
        guard gap > max(1, Int(Double(good) * resolution)) else { return nil }
        return hasTriedNext ? good + gap / 2 : good + 1
    }

    /// Notes that of `level`, `standing` stood.
    public mutating func note(level: Int, standing: Int) {
        guard standing < level else {
            hasTriedNext = bad != nil
            good = max(good, level)
            return
        }
        hasTriedNext = false
        good = max(good, standing)
        bad = min(bad ?? Int.max, max(level, good + 1))
        if bad == level, level == good + 1 { hasTriedNext = true }
    }
}
