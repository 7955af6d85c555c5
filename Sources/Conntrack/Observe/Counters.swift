/// The statistics of one namespace, summed over its CPUs (spec table.md §15).
///
/// They wrap at 2^32.
/// Kernel: `struct ip_conntrack_stat`, shown by `conntrack -S` and /proc/net/stat/nf_conntrack.
public struct Counters: Hashable, Sendable, BitwiseCopyable {
    public var found: UInt32 = 0
    public var invalid: UInt32 = 0
    public var insert: UInt32 = 0
    public var insertFailed: UInt32 = 0
    public var drop: UInt32 = 0
    public var earlyDrop: UInt32 = 0
    public var error: UInt32 = 0
    public var searchRestart: UInt32 = 0
    public var clashResolve: UInt32 = 0
    public var chainTooLong: UInt32 = 0
    public var expectNew: UInt32 = 0
    public var expectCreate: UInt32 = 0
    public var expectDelete: UInt32 = 0

    public init() {}

    /// Names as `conntrack -S` prints them, in its order, with the three it leaves out at the end.
    public var named: [(name: String, value: UInt32)] {
        [
            ("found", found), ("invalid", invalid), ("insert", insert),
            ("insert_failed", insertFailed), ("drop", drop), ("early_drop", earlyDrop),
            ("error", error), ("search_restart", searchRestart),
            ("clash_resolve", clashResolve), ("chaintoolong", chainTooLong),
            ("expect_new", expectNew), ("expect_create", expectCreate),
            ("expect_delete", expectDelete),
        ]
    }
}
