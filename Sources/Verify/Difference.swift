/// One thing in which the two arms disagree about a packet.
public struct Difference: Sendable, Hashable {
    /// What kind of thing: the unit of counting with `--keep-going`.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case interface = "ingress interface"
        case tuple
        case verdict
        case state
        case direction
        case remarks = "invalid_reason"
        case output = "output bytes"
        case answers = "answers of reject rules"
        case entry = "entry"
        case entryTuples = "entry tuples"
        case entryStatus = "entry status"
        case entryTimeout = "entry timeout"
        case entryProtocol = "entry protocol state"
        case entryRest = "entry mark, zone or accounting"
        case events
        case counters
        case count = "number of entries"
        case port = "translated port"
        case table = "final table"
        case evictions = "how often early drop finds a victim"
    }

    public var kind: Kind
    /// What the reference arm (the live kernel, or a recording of it) says.
    public var expected: String
    /// What the arm under test says.
    public var found: String

    public init(_ kind: Kind, expected: String, found: String) {
        self.kind = kind
        self.expected = expected
        self.found = found
    }
}
