internal import Wire

/// A compiled ruleset's changing part: counters, `numgen`, `jhash` seeds, rate limits.
///
/// What changes it is kept out of line: inlined into the evaluation's loop, the uniqueness checks
/// of all its arrays would run for every rule.
struct RuleState: Sendable {
    struct Counter: Sendable, Hashable, BitwiseCopyable {
        var packets: UInt64
        var bytes: UInt64
    }

    /// A rate limit's bucket; it is full before the first packet.
    struct Bucket: Sendable, BitwiseCopyable {
        /// Nanoseconds.
        var tokens: UInt64
        var last: Instant?
    }

    var counters: [Counter] = []
    /// The last number of each `numgen inc`, without its offset.
    var generated: [UInt32] = []
    /// The seed of each `jhash`; one without a seed draws its own when it first runs.
    var seeds: [UInt32?] = []
    var buckets: [Bucket] = []
    /// Of each dynamic set, its elements and when they expire.
    var elements: [[SetKey: Instant]] = []

    /// Counts a packet.
    @inline(never)
    mutating func count(_ index: Int, byteCount: UInt32) {
        counters[index].packets &+= 1
        counters[index].bytes &+= UInt64(byteCount)
    }

    /// The next number of a `numgen`.
    @inline(never)
    mutating func generate(
        _ index: Int, _ generator: NumberGenerator, _ dice: inout Dice
    ) -> UInt32 {
        guard !generator.isRandom else {
            return dice.below(generator.modulus) &+ generator.offset
        }
        let next = generated[index] &+ 1
        generated[index] = next < generator.modulus ? next : 0
        return generated[index] &+ generator.offset
    }

    /// The seed of a `jhash`.
    ///
    /// Where the rule gives none, the kernel draws one when the rule is loaded; the run's dice
    /// are not there yet at that time, so it is drawn when the rule first runs.
    @inline(never)
    mutating func seed(_ index: Int, _ dice: inout Dice) -> UInt32 {
        if let known = seeds[index] { return known }
        let drawn = UInt32(truncatingIfNeeded: dice.next() >> 32)
        seeds[index] = drawn
        return drawn
    }

    /// Takes a packet's cost out of the bucket; whether the rule goes on.
    ///
    /// A packet the bucket cannot pay for is over the limit and costs nothing.
    @inline(never)
    mutating func passes(_ index: Int, _ limit: RateLimit, _ now: Instant) -> Bool {
        var bucket = buckets[index]
        if let last = bucket.last, now > last {
            let sum = bucket.tokens.addingReportingOverflow(
                now.nanoseconds - last.nanoseconds)
            bucket.tokens = sum.overflow ? limit.maximum : min(limit.maximum, sum.partialValue)
        }
        bucket.last = now
        let pays = bucket.tokens >= limit.cost
        if pays { bucket.tokens -= limit.cost }
        buckets[index] = bucket
        return pays != limit.isOver
    }
}

extension HashExpression {
    /// `jhash` of the key in the registers, scaled to the modulus.
    func value(_ registers: borrowing RegisterFile, seed: UInt32) -> UInt32 {
        let hash = JenkinsHash.bytes(words(registers), byteCount: byteCount, initial: seed)
        return UInt32(truncatingIfNeeded: (UInt64(hash) * UInt64(modulus)) >> 32) &+ offset
    }

    /// The key as the kernel's registers hold it, read as little-endian words.
    private func words(_ registers: borrowing RegisterFile) -> JenkinsHash.InlineWords {
        var words = JenkinsHash.InlineWords()
        var count = 0
        for offset in parts.indices {
            let value = registers[firstRegister + Register(truncatingIfNeeded: offset)]
            switch parts[offset].byteCount {
            case 16:
                let (first, second, third, fourth) = value.words
                words[count] = first.byteSwapped
                words[count + 1] = second.byteSwapped
                words[count + 2] = third.byteSwapped
                words[count + 3] = fourth.byteSwapped
                count += 4
            case 8:
                words[count] = UInt32(truncatingIfNeeded: value.low)
                words[count + 1] = UInt32(truncatingIfNeeded: value.low >> 32)
                count += 2
            case let byteCount:
                let unused = 32 - 8 * UInt32(byteCount)
                words[count] =
                    parts[offset].isNetworkOrder
                    ? value.ipv4.byteSwapped >> unused : value.ipv4
                count += 1
            }
        }
        return words
    }
}
