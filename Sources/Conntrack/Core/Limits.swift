/// What bounds a machine's table.
///
/// Each bound is named here and counted when it is met.
public struct Limits: Sendable, Hashable, BitwiseCopyable {
    /// `nf_conntrack_max`: connections per namespace; 0 is no limit.
    public var connections: UInt32
    /// `nf_conntrack_buckets` in force.
    public var buckets: UInt32
    /// `nf_conntrack_expect_max`.
    public var expectations: UInt32

    public init(connections: UInt32, buckets: UInt32, expectations: UInt32 = 4096) {
        self.connections = connections
        self.expectations = expectations
        self.buckets = max(1, buckets)
    }

    /// Chain links a lookup for a free place may pass: this many, plus a draw below
    /// `chainLengthSpread` (spec table.md §10).
    public static let chainLength: UInt32 = 50
    public static let chainLengthSpread: UInt32 = 30
    /// Buckets early drop looks through (spec table.md §9).
    public static let earlyDropBuckets: UInt32 = 8
    /// Expired connections one bucket gives up per visit of a dump (spec table.md §6).
    public static let dumpEvictions = 8
    /// First round of the port search (spec nat.md §3.2).
    public static let portAttempts = 128
}
