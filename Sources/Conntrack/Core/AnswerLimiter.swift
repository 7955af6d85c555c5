internal import Wire

// The kernel sends ICMP errors at a limited rate: `net.ipv4.icmp_ratelimit` and
// `net.ipv6.icmp.ratelimit`, milliseconds between two to the same address, after a burst of six.
// TCP resets are not limited, and neither is what the machine says to itself. Observed on 6.18.

/// How often each address may be told something.
struct AnswerLimiter: Sendable {
    private struct Bucket: Sendable {
        var tokens: Interval
        var last: Instant
    }

    private struct Receiver: Hashable {
        var address: Address
        var family: Family
    }

    private static let burst: Int64 = 6
    /// Addresses that are remembered; those that may be told a whole burst again go first.
    static let receiverLimit = 65_536

    private var buckets: [Receiver: Bucket] = [:]

    /// Whether an error may be sent to `address` now.
    ///
    /// - Parameter spacing: Between two; zero is no limit.
    mutating func maySend(
        to address: Address, _ family: Family, every spacing: Interval, at now: Instant
    ) -> Bool {
        guard spacing.nanoseconds > 0 else { return true }
        let whole = Interval(nanoseconds: spacing.nanoseconds * Self.burst)
        let receiver = Receiver(address: address, family: family)
        var bucket = buckets[receiver] ?? Bucket(tokens: whole, last: now)
        let tokens = min(
            whole.nanoseconds, bucket.tokens.nanoseconds + (now - bucket.last).nanoseconds)
        let mayDo = tokens >= spacing.nanoseconds
        bucket.tokens = Interval(nanoseconds: mayDo ? tokens - spacing.nanoseconds : tokens)
        bucket.last = now
        if buckets.count >= Self.receiverLimit, buckets[receiver] == nil {
            forgetRested(whole, at: now)
        }
        buckets[receiver] = bucket
        return mayDo
    }

    /// Makes room: first by whom nothing was told for a while, then by everybody.
    private mutating func forgetRested(_ whole: Interval, at now: Instant) {
        buckets = buckets.filter { now - $0.value.last < whole }
        if buckets.count >= Self.receiverLimit { buckets.removeAll(keepingCapacity: true) }
    }
}
