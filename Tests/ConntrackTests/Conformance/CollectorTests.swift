import Testing

@testable import Conntrack

extension Machine {
    /// What one run of the collector did.
    struct CollectorRun: Equatable {
        /// The tick it began at.
        var tick: UInt64
        var removed: Int
    }

    /// Waits for the collector's next run.
    @discardableResult
    mutating func nextRun() -> CollectorRun {
        ticks = collector.nextRun
        return CollectorRun(tick: ticks, removed: node.table.collect(atTick: ticks))
    }

    /// Waits for a run that completes a cycle; returns all runs up to it.
    @discardableResult
    mutating func finishCycle() -> [CollectorRun] {
        var runs = [nextRun()]
        while collector.nextBucket != 0 { runs.append(nextRun()) }
        return runs
    }

    /// Whether timers expire as the kernel's wheel lets them; the cases of gc.md §6 do without.
    var roundsTimers: Bool {
        get { collector.roundsTimers }
        set { node.table.collector.roundsTimers = newValue }
    }
}

/// gc.md §2: cycles, runs, and the mean that decides about the next cycle.
///
/// All figures are exact.
@Suite struct CollectorTests {
    /// A machine without timer rounding, at the moment before its first cycle.
    private static func machine(
        rate: TickRate = .reference, buckets: UInt32 = 1024, max: UInt32 = 0
    ) -> Machine {
        var machine = Machine(buckets: buckets, max: max, rate: rate)
        machine.roundsTimers = false
        machine.ticks = machine.collector.nextRun
        return machine
    }

    @Test("gc.md case 1: an empty table is scanned after 1 s and then every 60 s")
    func emptyTable() {
        var machine = Self.machine(buckets: 262_144)
        #expect(machine.finishCycle() == [Machine.CollectorRun(tick: 250, removed: 0)])
        // A scan within one tick counts as having taken one, which the wait is shortened by.
        #expect(machine.finishCycle() == [Machine.CollectorRun(tick: 250 + 14_999, removed: 0)])
        #expect(machine.collector.nextRun == 250 + 2 * 14_999)
    }

    @Test("gc.md case 2: one connection with 10 s left: 15000 - 123 - 121 = 14756 ticks")
    func oneConnection() {
        var machine = Self.machine()
        machine.enter(1, life: 2500)
        machine.nextRun()
        #expect(machine.collector.seen == 102)
        #expect(machine.collector.mean == 14_756)
        #expect(machine.collector.nextRun == 250 + 14_755)
    }

    @Test(
        "gc.md cases 3 and 4: many connections with 1 s left",
        arguments: [
            (1000, UInt32(1619)), (100_000, 1619), (500, 1889), (100, 5236), (10, 12_550),
        ])
    func shortLives(connections: Int, interval: UInt32) {
        var machine = Self.machine(buckets: 16384)
        machine.enter(connections, life: 250)
        // The scan takes several slices, all of them at the same tick of the test's clock.
        repeat { machine.node.table.collect(atTick: 250) } while machine.collector.nextBucket != 0
        #expect(machine.collector.mean == interval)
        #expect(machine.collector.seen == 100 + 2 * Int32(connections))
    }

    @Test(
        "gc.md cases 3, 5 and 20, §2.1: the interval after 2000 connections",
        arguments: [
            // Ticks per second, seconds left, ticks to the next cycle.
            (UInt32(250), UInt32(1), UInt32(1619)), (250, 3, 2095), (250, 10, 3760),
            (250, 30, 8475), (250, 60, 15_000), (250, 120, 15_000), (250, 400, 15_000),
            (1000, 1, 3740), (1000, 3, 5693), (1000, 10, 12_522), (1000, 30, 31_952),
            (1000, 60, 60_000), (1000, 120, 60_000),
            (100, 1, 964), (100, 3, 1149), (100, 10, 1795), (100, 30, 3615), (100, 60, 6000),
            (100, 120, 6000),
        ])
    func intervals(hertz: UInt32, seconds: UInt32, interval: UInt32) throws {
        var machine = Self.machine(rate: try #require(TickRate(hertz: hertz)))
        machine.enter(2000, life: seconds * hertz)
        machine.finishCycle()
        #expect(machine.collector.mean == interval)
        let start = UInt64(hertz)
        // A scan within one tick counts as having taken one.
        let due = start + UInt64(interval)
        #expect(machine.collector.nextRun == (machine.ticks == start ? due - 1 : due))
    }

    @Test("gc.md §2: what is left counts as at least 1 s and at most 300 s")
    func clamps() {
        for (left, counted) in [
            (UInt32(1), UInt32(250)), (249, 250), (75_000, 75_000), (1 << 30, 75_000),
        ] {
            var one = Self.machine()
            one.enter(1, life: left)
            one.nextRun()
            var other = Self.machine()
            other.enter(1, life: counted)
            other.nextRun()
            #expect(one.collector.nextRun == other.collector.nextRun)
        }
    }

    @Test("gc.md case 6: 1000 expired: 257, 257, 257 and 229, a tick apart, and 60 s to the next")
    func budget() {
        var machine = Self.machine()
        machine.enter(1000, life: 1)
        machine.pass(ticks: 1)
        machine.node.table.collector.nextRun = machine.ticks
        let runs = machine.finishCycle()
        #expect(runs.map(\.removed) == [257, 257, 257, 229])
        #expect(runs.map(\.tick) == [251, 252, 253, 254])
        #expect(machine.collector.nextRun == 251 + 15_000)
        #expect(machine.count == 0)
    }

    @Test(
        "gc.md cases 7 and 8: the budget trips only at a further link",
        arguments: [
            (257, [257]), (258, [257, 1]), (256, [256]), (514, [257, 257]),
        ])
    func exactBudget(expired: Int, removed: [Int]) {
        var machine = Self.machine()
        machine.enter(expired, life: 1)
        machine.pass(ticks: 1)
        machine.node.table.collector.nextRun = machine.ticks
        #expect(machine.finishCycle().map(\.removed) == removed)
    }

    @Test(
        "gc.md case 20: removals per run at each tick rate",
        arguments: [
            (UInt32(100), 641), (250, 257), (1000, 65),
        ])
    func budgets(hertz: UInt32, removals: Int) throws {
        var machine = Self.machine(rate: try #require(TickRate(hertz: hertz)))
        machine.enter(1500, life: 1)
        machine.pass(ticks: 1)
        machine.node.table.collector.nextRun = machine.ticks
        let runs = machine.finishCycle()
        #expect(runs.dropLast().allSatisfy { $0.removed == removals })
        #expect(runs.map(\.removed).reduce(0, +) == 1500)
        #expect(runs.count == (1500 + removals - 1) / removals)
    }

    @Test("gc.md §2: removals of a cycle older than 60 s follow without delay")
    func longCycle() {
        var machine = Self.machine()
        machine.enter(1000, life: 1)
        machine.pass(ticks: 1)
        machine.node.table.collector.nextRun = machine.ticks
        machine.nextRun()
        #expect(machine.collector.nextRun == machine.ticks + 1)
        machine.node.table.collector.nextRun = machine.ticks + 15_000
        machine.node.table.collector.shouldDropEarly = true
        machine.nextRun()
        #expect(machine.collector.nextRun == machine.ticks + 1, "as soon as this run is over")
        #expect(machine.collector.shouldDropEarly, "a run that ends without delay keeps the flag")
    }

    @Test("gc.md case 9: what expires a tick after the scan is counted until the next cycle")
    func justMissed() {
        var machine = Self.machine()
        machine.enter(1, life: 1)
        #expect(machine.nextRun().removed == 0)
        machine.ticks = machine.collector.nextRun - 1
        machine.collectWhatIsDue()
        #expect(machine.count == 1)
        #expect(machine.ticks > 250 + 14_500, "nearly 60 s later")
        #expect(machine.nextRun().removed == 1)
        #expect(machine.count == 0)
    }

    @Test("gc.md case 10: 10000 made 0.5 s before a scan go 1619 ticks after it, in 39 runs")
    func burstSeen() {
        var machine = Self.machine(buckets: 16384)
        machine.ticks = 125
        machine.enter(10_000, life: 250)
        let scan = machine.finishCycle()
        #expect(scan.map(\.removed).allSatisfy { $0 == 0 })
        #expect(machine.collector.seen == 20_100)
        #expect(machine.collector.nextRun == 250 + 1619)
        let removal = machine.finishCycle()
        #expect(removal.count == 39)
        #expect(removal.map(\.removed) == [Int](repeating: 257, count: 38) + [234])
        #expect(machine.count == 0)
    }

    @Test("gc.md case 21: a connection already dying is skipped and not counted again")
    func skipsDying() throws {
        for isExpired in [true, false] {
            var machine = Self.machine(max: 100)
            machine.enter(98, life: isExpired ? 1 : 7500)
            machine.pass(ticks: 1)
            let slot = try #require(machine.chainStarts.first)
            machine.node.table.records[slot].status.insert(.dying)
            machine.node.table.collector.nextRun = machine.ticks
            machine.node.table.collector.shouldDropEarly = true
            let removed = machine.nextRun().removed
            #expect(removed == (isExpired ? 97 : 4), "98 - 4 is below 95 of 100")
            #expect(machine.node.journal.events.filter { $0.kind == .destroy }.count == removed)
        }
    }

    @Test("a table that shrinks during a cycle ends the cycle where its buckets end")
    func shrinksDuringCycle() {
        var machine = Self.machine(buckets: 16384)
        machine.enter(10_000, life: 1)
        machine.pass(ticks: 1)
        machine.node.table.collector.nextRun = machine.ticks
        while machine.collector.nextBucket < 8192 { machine.nextRun() }
        machine.node.table.resize(buckets: 8192, at: machine.now)
        let left = machine.count
        #expect(machine.nextRun().removed == 0)
        #expect(machine.collector.nextBucket == 0)
        #expect(machine.count == left)
        #expect(machine.collector.nextRun > machine.ticks + 14_000, "the next cycle, in its time")
    }

    @Test("gc.md §5.4: runs of a long scan are cut after 10 ms in whole ticks, and follow at once")
    func slices() {
        var machine = Self.machine(buckets: 65536)
        machine.enter(50_000, life: 75_000)
        let runs = machine.finishCycle()
        // 100000 links at 0.9 µs are 90 ms; "later than 3 ticks from now" is the fourth: 16 ms.
        #expect(runs.count == 6)
        #expect(zip(runs, runs.dropFirst()).allSatisfy { $1.tick - $0.tick == 4 })
    }

    @Test(
        "gc.md §5.4: nearly empty tables of 262144 and 1048576 buckets take one run",
        arguments: [
            UInt32(262_144), 1_048_576,
        ])
    func emptyScan(buckets: UInt32) {
        var machine = Self.machine(buckets: buckets)
        machine.enter(20, life: 75_000)
        #expect(machine.finishCycle().count == 1)
    }
}

extension Machine {
    /// The connections at the head of each chain, in the collector's order.
    fileprivate var chainStarts: [Slot] {
        (0..<node.table.buckets.count).compactMap {
            let first = node.table.buckets[$0].first
            return first == .none ? nil : first.slot
        }
    }
}
