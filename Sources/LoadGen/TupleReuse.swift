// Datagram flows are pairs of ends, and there are only so many. What was used may be used again: at
// once, never, or after a rest that outlives the tracker's timeout, when it is a new flow there.

/// What becomes of new datagram flows once every five-tuple was used.
public enum TupleReuse: Sendable, Codable, Hashable {
    /// They start over.
    case cycle
    /// They are not begun: their starts are dropped.
    case never
    /// They start over with those that have rested so long; while none has, starts are dropped.
    case after(seconds: Double)

    /// As an option has it: `cycle`, `never`, `after(30s)`.
    public var text: String {
        switch self {
        case .cycle: "cycle"
        case .never: "never"
        case .after(let seconds): "after(\(seconds)s)"
        }
    }
}

/// When the five-tuples of a fan-out were used.
///
/// They are used in turn, so that the one that comes next has rested longest: it is enough to know
/// how many have not rested yet.
struct TupleRests {
    /// Nanoseconds within which uses count as one moment.
    private static let grain: UInt64 = 10_000_000

    private let reuse: TupleReuse
    private let tupleCount: Int
    private var usedCount = 0
    /// Uses that are not long enough ago: when each moment's have rested, and how many they are.
    private var resting: [(until: UInt64, count: Int)] = []
    /// Those before have rested.
    private var restedPlaces = 0
    private var restingCount = 0

    init(_ reuse: TupleReuse, tupleCount: Int) {
        self.reuse = reuse
        self.tupleCount = tupleCount
    }

    /// Takes the next five-tuple at `now`.
    ///
    /// - Returns: Whether there was one to take.
    mutating func take(at now: UInt64) -> Bool {
        switch reuse {
        case .cycle: return true
        case .never:
            guard usedCount < tupleCount else { return false }
            usedCount += 1
            return true
        case .after(let seconds):
            release(at: now)
            guard restingCount < tupleCount else { return false }
            let until = now + UInt64(seconds * 1e9) + Self.grain
            if let last = resting.last, until < last.until + Self.grain {
                resting[resting.count - 1].count += 1
            } else {
                resting.append((until, 1))
            }
            restingCount += 1
            return true
        }
    }

    private mutating func release(at now: UInt64) {
        while restedPlaces < resting.count, resting[restedPlaces].until <= now {
            restingCount -= resting[restedPlaces].count
            restedPlaces += 1
        }
        if restedPlaces > 1024, restedPlaces * 2 > resting.count {
            resting.removeFirst(restedPlaces)
            restedPlaces = 0
        }
    }
}
