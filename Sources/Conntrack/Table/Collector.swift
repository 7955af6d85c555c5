// The garbage collector: spec gc.md. One work item for the whole table; no connection has a timer
// of its own. A cycle is one pass over all buckets, cut into runs by a budget of removals and by a
// slice of time; what is left of the mean life of what it saw decides when the next cycle begins.
// All arithmetic is the kernel's integer arithmetic on ticks, floors included.

/// What the collector remembers between runs.
public struct Collector: Sendable, BitwiseCopyable {
    /// The bucket the next run begins with; 0 begins a cycle.
    ///
    /// In a table that has shrunk it may lie beyond the end: the run finds nothing, and the cycle is
    /// over.
    public internal(set) var nextBucket: UInt32 = 0
    /// Running mean of remaining lives, in ticks.
    public internal(set) var mean: UInt32
    var seen: Int32 = 100
    var cycleStart = Tick(0)
    /// Every chain has been walked, or was empty, since then.
    private var wholeSince = Tick(0)
    /// Set by a refused packet; eats into a nearly full table at the next run.
    public internal(set) var shouldDropEarly = false
    /// The tick, unwrapped, at which the next run is due.
    public internal(set) var nextRun: UInt64
    /// Whether delays go through the kernel's timer wheel, which only rounds up (spec gc.md §2.2).
    public var roundsTimers = true
    public internal(set) var runs: UInt64 = 0

    let hertz: UInt32

    init(_ rate: TickRate) {
        hertz = rate.hertz
        mean = 60 * rate.hertz
        nextRun = UInt64(rate.hertz)  // The first run is one second after the start.
    }

    mutating func beginCycle(at now: Tick) {
        mean = longestInterval
        seen = 100
        wholeSince = cycleStart
        cycleStart = now
    }

    /// Whether the bounds in the bucket heads may be compared: see `ExpiryBound`.
    @inline(__always)
    func keepsSummariesFresh(at now: Tick) -> Bool {
        now.raw &- wholeSince.raw < ExpiryBound.unit * 2000
    }

    var longestInterval: UInt32 { 60 * hertz }
    var shortestInterval: UInt32 { hertz }
    /// Longest remaining life that counts in the mean.
    var longestLife: Int32 { Int32(300 * hertz) }
    /// A run stops at the first link it meets after more removals than this.
    var removalBudget: UInt32 { 64000 / hertz }
    /// 10 ms, rounded up to ticks.
    var slice: UInt32 { (10 * hertz + 999) / 1000 }

    /// What a scan costs on the reference machine, to know where a slice ends: nanoseconds for a
    /// bucket and for a link in it (spec gc.md §5.4).
    static let bucketNanoseconds: UInt64 = 6
    static let linkNanoseconds: UInt64 = 900

    /// When a timer armed at `now` for `delay` ticks really fires.
    func due(after delay: UInt32, at now: UInt64) -> UInt64 {
        guard roundsTimers, delay > 0 else { return now + UInt64(delay) }
        return TickRate.wheel(after: UInt64(delay), at: now)
    }
}

extension ConnectionTable {
    /// Makes one run of the collector and schedules the next.
    ///
    /// `mayDropEarly` tells whether the protocol lets an assured connection in this state go when
    /// the table is nearly full.
    ///
    /// `ticks` is the unwrapped tick counter. Returns the number of connections removed.
    ///
    /// Kernel: `gc_worker()`; spec gc.md §2.
    @discardableResult
    public mutating func collect(atTick ticks: UInt64) -> Int {
        let now = Moment(tickRate.instant(ofTick: ticks), tickRate)
        collector.runs &+= 1
        var bucket = collector.nextBucket
        let ceiling = collector.shouldDropEarly ? limits.connections / 100 * 95 : 0
        if bucket == 0 { collector.beginCycle(at: now.tick) }
        var mean = Int64(collector.mean)
        var removed: UInt32 = 0
        var nanoseconds: UInt64 = 0
        // "Later than the end of the slice", in whole ticks, is one tick more.
        let sliceNanoseconds = tickRate.instant(ofTick: UInt64(collector.slice) + 1).nanoseconds
        var delay: UInt32? = nil

        scan: while bucket < buckets.count {
            nanoseconds += Collector.bucketNanoseconds
            var summary = ChainSummary(at: now.tick)
            var link = buckets[bucket].first
            while link != .none {
                if removed > collector.removalBudget {
                    collector.nextBucket = bucket
                    collector.mean = UInt32(truncatingIfNeeded: mean)
                    let isLongCycle =
                        now.tick.ticks(after: collector.cycleStart)
                        >= Int32(collector.longestInterval)
                    delay = isLongCycle ? 0 : 1
                    break scan
                }
                nanoseconds += Collector.linkNanoseconds
                let slot = link.slot
                let here = link
                let record = records[slot]
                link = next(record, link.direction)
                let remaining = record.deadline.ticks(after: now.tick)
                if remaining <= 0 {
                    if link != .none, link.slot == slot { link = next(record, link.direction) }
                    if delete(slot, at: now) { removed += 1 }
                    continue
                }
                if !expectationsHaveTimers, record.status.contains(.helper) {
                    expireExpectations(of: slot, at: now)
                }
                let life = Int64(
                    min(max(remaining, Int32(collector.shortestInterval)), collector.longestLife))
                collector.seen &+= 1
                mean += (life - mean) / Int64(collector.seen)
                if mayGo(record, slot, ceiling) {
                    if link != .none, link.slot == slot { link = next(record, link.direction) }
                    if delete(slot, at: now) { removed += 1 }
                    continue
                }
                summary.add(here, record)
            }
            buckets[bucket].adopt(summary)
            bucket += 1
            if nanoseconds >= sliceNanoseconds, bucket < buckets.count {
                collector.nextBucket = bucket
                collector.mean = UInt32(truncatingIfNeeded: mean)
                delay = 0
                break scan
            }
        }
        finishRun(
            delay, mean: UInt32(truncatingIfNeeded: mean), atTick: ticks, now,
            took: nanoseconds)
        return Int(removed)
    }

    /// Whether the collector may take a live connection from a nearly full namespace: spec gc.md §3.
    func mayGo(_ record: ConnectionRecord, _ slot: Slot, _ ceiling: UInt32) -> Bool {
        guard ceiling != 0, !record.status.contains(.dying),
            namespaces[record.namespace].count >= ceiling
        else { return false }
        if !record.status.contains(.assured) { return true }
        return Trackers.mayDropAssured(record.protocolNumber, states[slot])
    }

    private mutating func finishRun(
        _ cut: UInt32?, mean: UInt32, atTick ticks: UInt64, _ now: Moment, took: UInt64
    ) {
        var delay: UInt32
        if let cut {
            delay = cut
        } else {
            collector.nextBucket = 0
            let interval = min(
                max(mean, collector.shortestInterval), collector.longestInterval)
            let spent = UInt32(max(now.tick.ticks(after: collector.cycleStart), 1))
            delay = interval > spent ? interval - spent : 1
            collector.mean = interval
        }
        if delay != 0 { collector.shouldDropEarly = false }
        // A run without delay follows at once: after the time this one took.
        let busy = max(1, tickRate.ticks64(at: Instant(nanoseconds: took)))
        collector.nextRun = delay == 0 ? ticks + busy : collector.due(after: delay, at: ticks)
    }
}
