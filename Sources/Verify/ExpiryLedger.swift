internal import Report

/// Squares what the collector did in one arm with what it did in the other.
///
/// Whether an entry past its time is removed by the collector now, or by the next lookup later, is
/// chance. So the end of an expired entry is no event to be compared; it is noted, and the numbers
/// of entries are compared as if both arms had seen it.
struct ExpiryLedger: Sendable {
    /// Expired entries that have gone in the expected arm, less those in the found one.
    private var lead = 0
    private var expectedCount = 0
    private var foundCount = 0

    /// The events without the ends of expired entries.
    mutating func takeExpected(_ events: [EventRecord]) -> [EventRecord] {
        let rest = events.filter { !Self.isExpiry($0) }
        lead += events.count - rest.count
        return rest
    }

    mutating func takeFound(_ events: [EventRecord]) -> [EventRecord] {
        let rest = events.filter { !Self.isExpiry($0) }
        lead -= events.count - rest.count
        return rest
    }

    /// New numbers of entries, where they have changed.
    mutating func note(expectedCount: Int?, foundCount: Int?) {
        if let expectedCount { self.expectedCount = expectedCount }
        if let foundCount { self.foundCount = foundCount }
    }

    /// Both numbers, if they do not fit together.
    ///
    /// After it has spoken it takes the difference for settled, so that one is told once.
    mutating func differingCounts() -> (Int, Int)? {
        guard expectedCount + lead != foundCount else { return nil }
        lead = foundCount - expectedCount
        return (expectedCount, foundCount)
    }

    /// The kernel leaves the timeout out when it is over.
    private static func isExpiry(_ event: EventRecord) -> Bool {
        event.type == "DESTROY" && event.entry.timeout == nil
    }
}
