import Testing

@testable import Conntrack

/// gc.md §2.2 and §5: the collector against the clock, as measured on the live kernel.
///
/// The kernel's timer wheel is in force here.
@Suite struct CollectorTimeTests {
    // MARK: Timer rounding (§2.2)

    @Test(
        "gc.md §2.2: delays are rounded up to the timer wheel's grain",
        arguments: [
            // Armed at, delay, fires at.
            [1000, 1, 1002], [1000, 62, 1063], [1000, 64, 1072], [1024, 500, 1528],
            [1024, 1619, 1024 + 1664], [0, 14_999, 15_360], [15_360, 14_999, 30_720],
            [0, 15_000, 15_360], [359, 15_000, 15_360], [360, 15_000, 15_872],
        ])
    func rounds(row: [UInt64]) {
        #expect(Collector(.reference).due(after: UInt32(row[1]), at: row[0]) == row[2])
    }

    @Test("gc.md §2.2: an idle table is scanned every 61.44 s")
    func idleInterval() {
        var machine = Machine(buckets: 512)
        let starts = (0..<10).map { _ in machine.nextRun().tick }
        #expect(starts[0] == 250)
        #expect(zip(starts[1...], starts[2...]).allSatisfy { $1 - $0 == 15_360 })
    }

    @Test("gc.md §2.2: lives of 1 s give cycles of 6.656 s, ten in a row")
    func shortInterval() {
        var machine = Machine(buckets: 4096)
        machine.enter(1000, life: 250)
        machine.ticks = 1024
        machine.node.table.collector.nextRun = 1024
        var starts: [UInt64] = []
        for _ in 0..<11 {
            // Those of the last cycle have long expired; a thousand new ones are seen alive.
            machine.ticks = machine.collector.nextRun
            machine.enter(1000, life: 250)
            starts.append(machine.finishCycle()[0].tick)
        }
        #expect(zip(starts, starts.dropFirst()).allSatisfy { $1 - $0 == 1664 }, "26 times 64 ticks")
    }

    // MARK: Bursts (§5.1)

    /// What became of a burst of connections that live for 1 s.
    private struct Burst {
        /// Ticks from the burst's end to the first removal.
        var held: UInt64
        var runs: [Machine.CollectorRun]

        /// Seconds from the first removal to the last.
        var secondsToRemove: Double {
            guard let first = runs.first, let last = runs.last else { return 0 }
            return Double(last.tick - first.tick) * 0.004
        }
    }

    /// Makes `count` connections at `tick` and lets only the collector work.
    private static func burst(_ count: Int, buckets: UInt32, at tick: UInt64) -> Burst {
        var machine = Machine(buckets: buckets)
        while machine.collector.nextRun <= tick { machine.nextRun() }
        machine.ticks = tick
        machine.enter(count, life: 250)
        var runs: [Machine.CollectorRun] = []
        while machine.count > 0 {
            let before = machine.count
            let run = machine.nextRun()
            #expect(machine.count == before - UInt32(run.removed))
            if run.removed > 0 { runs.append(run) }
        }
        return Burst(held: (runs.first?.tick ?? tick) - tick, runs: runs)
    }

    @Test(
        "gc.md §5.1: an unseen burst stays whole until the next scan, then goes 257 at a time",
        arguments: [
            // Connections, buckets, seconds to remove them all on the live kernel.
            (1000, UInt32(1024), 0.020), (1000, 16_384, 0.020), (10_000, 1024, 0.305),
            (10_000, 16_384, 0.306), (100_000, 16_384, 3.107),
        ])
    func bursts(connections: Int, buckets: UInt32, seconds: Double) {
        // A second after an idle scan: the next comes 60.44 s later.
        let burst = Self.burst(connections, buckets: buckets, at: 15_360 + 250)
        #expect(burst.held == 15_360 - 250)
        #expect(burst.runs.dropLast().allSatisfy { $0.removed == 257 })
        #expect(burst.runs.count == (connections + 256) / 257)
        #expect(
            zip(burst.runs, burst.runs.dropFirst()).allSatisfy { $1.tick - $0.tick == 2 },
            "8 ms a run: a straight line of 32125 a second")
        #expect(abs(burst.secondsToRemove - seconds) < 0.0085, "one run")
    }

    @Test("gc.md §5: a burst seen alive by a scan goes at the next one, within 7 s")
    func burstSeen() {
        let burst = Self.burst(10_000, buckets: 16_384, at: 15_360 - 100)
        #expect(burst.held <= 100 + 1664 + 64)
        #expect(burst.held > 1619)
        #expect(burst.runs.count == 39)
    }

    @Test(
        "gc.md §5: no burst outlives T + 61.44 s + N / 29800 s",
        arguments: [
            UInt64(300), 4000, 9000, 15_000, 15_359, 15_361, 20_000,
        ])
    func upperBound(tick: UInt64) {
        let burst = Self.burst(3000, buckets: 16_384, at: tick)
        let seconds = Double((burst.runs.last?.tick ?? 0) - tick) * 0.004
        #expect(seconds <= 1 + 61.44 + 3000.0 / 29_800)
    }

    // MARK: Steady arrival (§5.2)

    @Test(
        "gc.md case 19, §5.2: 1000 flows a second of 1 s each: a saw-tooth of 1000 to 7650",
        arguments: [
            // Timer rounding, ticks from one cycle to the next.
            (false, UInt64(1619)), (true, 1664),
        ])
    func sawTooth(roundsTimers: Bool, period: UInt64) {
        var machine = Machine(buckets: 262_144) { $0.udpTimeout = 1 }
        machine.roundsTimers = roundsTimers
        var cycles: [UInt64] = []
        var lows: [UInt32] = []
        var peaks: [UInt32] = []
        var wasRemoving = false
        // Four flows a tick for 45 s; lookups collect a little, as they do on the kernel.
        while machine.ticks < 45 * 250 {
            machine.pass(ticks: 1)
            let before = machine.count
            let isCycleStart = machine.collector.nextBucket == 0
            let runs = machine.collector.runs
            machine.collectWhatIsDue()
            if machine.collector.runs > runs, isCycleStart {
                cycles.append(machine.ticks)
                peaks.append(before)
            }
            let isRemoving = machine.collector.nextBucket != 0
            if wasRemoving, !isRemoving { lows.append(machine.count) }
            wasRemoving = isRemoving
            for _ in 0..<4 { machine.send(machine.freshTuple()) }
        }
        let periods = zip(cycles, cycles.dropFirst()).map { $1 - $0 }
        #expect(periods.count >= 5)
        #expect(periods.dropFirst().allSatisfy { $0 == period }, "found \(periods)")
        // R (T + P): 7476 or 7656, less what the lookups of some seconds find by chance.
        let formula = 1000 * (1 + Double(period) * 0.004)
        for peak in peaks.dropFirst(2) {
            #expect(abs(Double(peak) - formula) < 500, "found \(peaks), expected \(formula)")
        }
        for low in lows.dropFirst() { #expect(abs(Int(low) - 1100) < 200, "found \(lows)") }
    }

    // MARK: Lookups as collectors (§5.3)

    @Test(
        "gc.md §5.3: L lookups among B chains leave X exp(-2 L / B) of X expired connections",
        arguments: [
            UInt64(1), 2, 3,
        ])
    func lookupsCollect(seed: UInt64) {
        let buckets: UInt32 = 8192
        var machine = Machine(buckets: buckets, seed: seed)
        machine.enter(4000, life: 250)
        machine.pass(ticks: 250)
        for _ in 0..<(buckets / 2) {
            _ = machine.find(machine.freshTuple(), .none)
        }
        // exp(-1); the deviation is that of 4000 coins, and chains go as a whole.
        #expect(abs(Double(machine.count) - 4000 * 0.3679) < 4 * 35, "seed \(seed)")
    }

    @Test("gc.md §5.3: a steady load without any scan levels out near B / 2")
    func selfCollection() {
        let buckets: UInt32 = 4096
        var machine = Machine(buckets: buckets) { $0.udpTimeout = 1 }
        // 40 flows a tick: 10000 a second, all of them alive for 1 s.
        var counts: [Double] = []
        for step in 0..<800 {
            machine.pass(ticks: 1)
            for _ in 0..<40 { machine.send(machine.freshTuple()) }
            if step > 600 { counts.append(Double(machine.count)) }
        }
        // Each arrival is a lookup and finds 2 X / B expired ones: level where that is one.
        let level = counts.reduce(0, +) / Double(counts.count)
        #expect(abs(level - 10_000 - Double(buckets) / 2) < 250, "found \(level)")
    }

    @Test("gc.md §5.2: 1000 flows a second of 30 s each: 30000 to 45000, in cycles of 18 s")
    func thirtySeconds() {
        // Observed on 6.18 with this load and 262144 buckets: cycles of 16.66 to 18.46 s, lows of
        // 30003 to 30168, peaks of 45118 to 46875. What is left of 30 s is 15 s on average.
        var machine = Machine(buckets: 262_144)
        var peaks: [UInt32] = []
        var lows: [UInt32] = []
        var starts: [UInt64] = []
        while machine.ticks < 110 * 250 {
            machine.pass(ticks: 1)
            let before = machine.count
            let wasIdle = machine.collector.nextBucket == 0
            let runs = machine.collector.runs
            machine.collectWhatIsDue()
            if machine.collector.runs > runs, wasIdle {
                starts.append(machine.ticks)
                peaks.append(before)
            }
            if machine.collector.nextBucket == 0, !wasIdle { lows.append(machine.count) }
            for _ in 0..<4 { machine.send(machine.freshTuple()) }
        }
        let periods = zip(starts, starts.dropFirst()).map { Double($1 - $0) * 0.004 }
        #expect(periods.dropFirst().allSatisfy { $0 > 16.5 && $0 < 18.6 }, "found \(periods)")
        #expect(peaks.dropFirst(2).allSatisfy { $0 > 44_500 && $0 < 47_300 }, "found \(peaks)")
        #expect(lows.suffix(3).allSatisfy { $0 > 29_900 && $0 < 31_000 }, "found \(lows)")
    }
}
