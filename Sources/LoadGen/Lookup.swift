// Names, looked up as a stub resolver does it: A and AAAA leave one socket, one right behind the
// other, and share its five-tuple. A tracker that has not confirmed the first meets the second: the
// race of which one answer in two is the tell-tale.

/// How a name is looked up.
public struct Lookup: Sendable, Codable, Hashable {
    /// Where queries go, by UDP, at the flow's own destination; `nil` is the flow's own port.
    public var port: UInt16?
    /// Queries that leave one socket in one call; two are A and AAAA.
    public var queriesPerSocket = 2
    /// Sockets of one lookup, one after the other, each with a source port of its own: the names of
    /// a search list, or a socket for each record.
    public var socketCount = 1
    /// Nanoseconds until queries without an answer are sent again, or given up.
    public var timeout: UInt64 = 5_000_000_000
    /// How often a query is sent at most.
    public var attempts = 1

    public init() {}

    /// Queries of one lookup if all are answered.
    var queryCount: Int { queriesPerSocket * socketCount }

    /// Nanoseconds a lookup takes at most.
    var longest: UInt64 { timeout * UInt64(attempts * socketCount) }

    /// A query: it asks the far end for an answer, which is the same bytes, and so has its number.
    static func query(_ number: Int) -> [UInt8] {
        Instruction.mark + [UInt8(truncatingIfNeeded: number)]
            + Array(repeating: 0, count: byteCount - Instruction.mark.count - 1)
    }

    /// The number of the query that `bytes` answer; `nil` if they answer none.
    static func number(ofAnswer bytes: [UInt8]) -> Int? {
        guard bytes.count == byteCount, bytes.starts(with: Instruction.mark) else { return nil }
        return Int(bytes[Instruction.mark.count])
    }

    /// Of one datagram: a short name's query.
    static let byteCount = 45
}

/// What became of a workload's queries, a socket's at a time.
///
/// What was asked and is none of the rest is still open.
public struct LookupCounts: Sendable, Codable, Hashable {
    /// Times a socket's queries were sent, or sent again.
    public var asked = 0
    /// Of these: every answer came in time.
    public var answered = 0
    /// Some answers came in time, and one did not: the race's tell-tale.
    public var partlyAnswered = 0
    /// No answer came in time, or nobody listens.
    public var unanswered = 0
    /// Broken off before their time was over.
    public var unfinished = 0
    /// Answers that did not come in time, or at all.
    public var lostAnswers = 0

    public init() {}

    static func + (left: LookupCounts, right: LookupCounts) -> LookupCounts {
        var sum = left
        sum.asked += right.asked
        sum.answered += right.answered
        sum.partlyAnswered += right.partlyAnswered
        sum.unanswered += right.unanswered
        sum.unfinished += right.unfinished
        sum.lostAnswers += right.lostAnswers
        return sum
    }

    func since(_ old: LookupCounts) -> LookupCounts {
        var change = self
        change.asked -= old.asked
        change.answered -= old.answered
        change.partlyAnswered -= old.partlyAnswered
        change.unanswered -= old.unanswered
        change.unfinished -= old.unfinished
        change.lostAnswers -= old.lostAnswers
        return change
    }

    /// Under the names of a report.
    var named: [(name: String, count: Int)] {
        [
            ("asked", asked), ("answered", answered), ("one_of_two", partlyAnswered),
            ("none", unanswered), ("unfinished", unfinished),
            ("lost_answers", lostAnswers),
        ]
    }
}

/// A lookup under way.
struct LookupProgress {
    /// Queries that have no answer yet, a bit each.
    var open: UInt8 = 0
    /// Times they were sent.
    var sends = 0
    var socketsLeft = 0
}
