internal import Report

/// When entries expire, as far as the answers about them told.
///
/// Looking a tuple up makes the kernel remove expired entries it meets. Right behind a packet of
/// that tuple this changes nothing, because the packet has just walked the same bucket; for a
/// packet that never reached the tracker the book is asked first.
struct ExpiryBook {
    private var deadlines: [FlowTuple: UInt64] = [:]

    /// Notes what is known about `entry` at `now` (nanoseconds).
    mutating func note(_ entry: KernelEntry, at now: UInt64) {
        // Remaining seconds are cut, so that the entry may live up to a second longer.
        let seconds = UInt64(max(0, entry.record.timeout ?? 0)) + 1
        let deadline = now + seconds * 1_000_000_000
        deadlines[entry.original] = deadline
        deadlines[entry.reply] = deadline
    }

    /// Whether the entry of `tuple` is known to be past its time at `now`.
    func isExpired(_ tuple: FlowTuple, at now: UInt64) -> Bool {
        deadlines[tuple].map { now >= $0 } ?? false
    }
}
