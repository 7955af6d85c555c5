/// Whether the flows of a run pass through the table that is watched.
///
/// Every flow that stands has an entry in each table it passes. A table that hardly grows while
/// many stand is another one: of a wrong namespace, or one where nothing needs tracking. A table
/// that has met its maximum proves nothing, because there flows take each other's places.
public struct TablePassage: Sendable {
    /// Fewer flows than this may hide behind what else goes on in a table.
    private static let fewest = 100

    private let place: String
    private let before: HostSample?
    private var standing = 0
    private var growth = 0
    private var hasMetLimit = false

    /// - Parameters:
    ///   - place: Whose table it is, for the sentence.
    ///   - before: The table before the first flow; `nil` where nobody looks.
    public init(of place: String, before: HostSample?) {
        self.place = place
        self.before = before
    }

    /// Notes that so many flows have entries to be seen in `sample`.
    public mutating func note(standing: Int, _ sample: HostSample?) {
        guard let before, let sample else { return }
        self.standing = max(self.standing, standing)
        growth = max(growth, sample.count - before.count)
        let evicted = ["drop", "early_drop"].contains {
            (sample.change($0, since: before) ?? 0) > 0
        }
        if sample.isFull || evicted { hasMetLimit = true }
    }

    /// The sentence, where the flows do not pass; `nil` where they do, or nobody can tell.
    ///
    /// - Parameter noun: What was noted: `connections stood`.
    public func detour(of noun: String) -> String? {
        guard standing >= Self.fewest, !hasMetLimit, growth * 10 < standing else { return nil }
        return "\(standing) \(noun) and the table of \(place) grew by \(growth): they do not pass "
            + "through it; watch the host that tracks them (--observe), and see that a rule there "
            + "needs tracking: nft list ruleset"
    }
}
