import Testing
import Wire

@testable import LoadGen

/// When flows begin, and how long they last.
@Suite struct PacingTests {
    private static func arrivals(
        _ stages: [Arrivals.Stage], _ spacing: Arrivals.Spacing, seed: UInt64 = 1
    ) -> [UInt64] {
        var clock = ArrivalClock(Arrivals(stages: stages, spacing: spacing), seed: seed)
        var moments: [UInt64] = []
        while let moment = clock.next() { moments.append(moment) }
        return moments
    }

    @Test("uniform arrivals are one gap apart")
    func spacesUniformly() {
        let moments = Self.arrivals([Arrivals.Stage(seconds: 2, from: 100, to: 100)], .uniform)
        #expect(moments.count == 200)
        #expect(moments.first == 5_000_000)
        #expect(moments.last == 1_995_000_000)
        #expect(
            zip(moments, moments.dropFirst()).allSatisfy { abs(Int($1 - $0) - 10_000_000) <= 1 })
    }

    @Test("a rate that grows brings its mean, and most of it late")
    func ramps() {
        let moments = Self.arrivals([Arrivals.Stage(seconds: 10, from: 0, to: 200)], .uniform)
        #expect(moments.count == 1000)
        // Half the time brings a quarter of what a rate that starts at zero brings.
        #expect((249...250).contains(moments.count { $0 < 5_000_000_000 }))
        #expect(moments == moments.sorted())
    }

    @Test("a rate that falls to zero, and a stage without any")
    func falls() {
        let moments = Self.arrivals(
            [
                Arrivals.Stage(seconds: 10, from: 100, to: 0),
                Arrivals.Stage(seconds: 5, from: 0, to: 0),
                Arrivals.Stage(seconds: 1, from: 10, to: 10),
            ], .uniform)
        #expect(moments.count == 510)
        #expect(!moments.contains { $0 > 10_000_000_000 && $0 <= 15_000_000_000 })
    }

    @Test("Poisson arrivals have their rate, and gaps that vary as they should", arguments: 0..<20)
    func drawsPoisson(seed: Int) {
        let moments = Self.arrivals(
            [Arrivals.Stage(seconds: 100, from: 100, to: 100)], .poisson, seed: UInt64(seed))
        // Five standard deviations of a Poisson count.
        #expect(abs(moments.count - 10_000) < 500, "seed \(seed)")
        let gaps = zip(moments, moments.dropFirst()).map { Double($1 - $0) / 1e9 }
        let mean = gaps.reduce(0, +) / Double(gaps.count)
        let spread = (gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(gaps.count))
            .squareRoot()
        #expect(abs(spread / mean - 1) < 0.1, "seed \(seed)")
        #expect(moments == moments.sorted(), "seed \(seed)")
    }

    @Test("bursts come at once, at the same rate on average")
    func bursts() {
        let moments = Self.arrivals(
            [Arrivals.Stage(seconds: 10, from: 100, to: 100)], .bursts(size: 50))
        #expect(moments.count == 1000)
        #expect(Set(moments).count == 20)
        #expect(moments[0..<50].allSatisfy { $0 == 0 })
        #expect(moments.last == 9_500_000_000)
    }

    @Test(
        "the first burst comes at the workload's start, like the simulator's, and none at its end")
    func beginsWithABurst() {
        let second: UInt64 = 1_000_000_000
        // More at once than the rate brings in the whole time.
        let one = Self.arrivals(
            [Arrivals.Stage(seconds: 2, from: 100, to: 100)], .bursts(size: 500))
        #expect(one == Array(repeating: 0, count: 500))
        let late = Self.arrivals(
            [
                Arrivals.Stage(seconds: 3, from: 0, to: 0),
                Arrivals.Stage(seconds: 2, from: 100, to: 100),
            ], .bursts(size: 100))
        #expect(Set(late) == [3 * second, 4 * second])
        let growing = Self.arrivals(
            [Arrivals.Stage(seconds: 10, from: 0, to: 100)], .bursts(size: 250))
        #expect(growing.first == 0)
        #expect(growing.count == 500)
        // A rate that is no round number.
        let odd = Self.arrivals(
            [Arrivals.Stage(seconds: 3, from: 500 / 3, to: 500 / 3)], .bursts(size: 50))
        #expect(odd.count == 500)
    }

    @Test("the same seed draws the same, another one does not")
    func dependsOnSeed() {
        let stages = [Arrivals.Stage(seconds: 5, from: 100, to: 300)]
        let first = Self.arrivals(stages, .poisson, seed: 7)
        #expect(first == Self.arrivals(stages, .poisson, seed: 7))
        #expect(first != Self.arrivals(stages, .poisson, seed: 8))
    }

    struct HoldRow: CustomTestStringConvertible, Sendable {
        var text: String
        var time: HoldTime?
        /// Seconds half of all draws lie below.
        var median: Double?

        var testDescription: String { "hold: \(text)" }
    }

    @Test(
        "how long flows last is read and drawn",
        arguments: [
            HoldRow(text: "none", time: HoldTime.none, median: 0),
            HoldRow(text: "300ms", time: .fixed(seconds: 0.3), median: 0.3),
            HoldRow(text: "2min", time: .fixed(seconds: 120), median: 120),
            HoldRow(text: "forever", time: .forever),
            HoldRow(text: "uniform(1s..3s)", time: .uniform(from: 1, to: 3), median: 2),
            HoldRow(
                text: "exponential(mean=10s)", time: .exponential(meanSeconds: 10), median: 6.931),
            HoldRow(
                text: "lognormal(median=300ms, p99=5s)",
                time: .lognormal(medianSeconds: 0.3, p99Seconds: 5), median: 0.3),
            HoldRow(text: "uniform(3s..1s)"), HoldRow(text: "lognormal(1s)"),
            HoldRow(text: "pareto(min=1s, shape=2)"), HoldRow(text: "7"),
            HoldRow(text: "-1s"), HoldRow(text: "inf"), HoldRow(text: "soon"),
            HoldRow(text: "exponential("), HoldRow(text: ""),
        ])
    func readsHoldTimes(_ row: HoldRow) throws {
        #expect((try? HoldTime(option: row.text)) == row.time)
        guard let time = row.time, let median = row.median else { return }
        var dice = LoadDice(seed: 3)
        let draws = (0..<20_000).compactMap { _ in time.draw(&dice) }.sorted()
        #expect(abs(Double(draws[10_000]) / 1e9 - median) <= 0.05 * median)
    }

    @Test("one in a hundred lognormal draws exceeds its p99")
    func keepsThePercentile() {
        var dice = LoadDice(seed: 11)
        let time = HoldTime.lognormal(medianSeconds: 0.3, p99Seconds: 5)
        let above = (0..<100_000).filter { _ in time.draw(&dice) ?? 0 > 5_000_000_000 }.count
        #expect(abs(above - 1000) < 200)
    }

    // MARK: The timer wheel

    @Test("timers fire in their time, each once, however they are set", arguments: 0..<30)
    func firesTimers(seed: Int) {
        var dice = LoadDice(seed: UInt64(seed))
        let start: UInt64 = 5_000_000_123
        var wheel = TimerWheel(slotCount: 200, now: start)
        var deadlines = [UInt64?](repeating: nil, count: 200)
        var now = start
        var fired = 0
        for _ in 0..<5000 {
            let slot = Int(dice.next() % 200)
            switch dice.next() % 3 {
            case 0 where deadlines[slot] == nil:
                // From due already to several turns of the wheel ahead.
                let deadline = now &- 3_000_000 &+ dice.next() % 15_000_000_000
                wheel.set(slot, for: deadline)
                deadlines[slot] = deadline
            case 1:
                wheel.clear(slot)
                deadlines[slot] = nil
            default:
                now += dice.next() % 40_000_000
                while let slot = wheel.fire(by: now) {
                    let deadline = deadlines[slot]
                    #expect(deadline != nil && deadline.map { $0 <= now } == true, "seed \(seed)")
                    deadlines[slot] = nil
                    fired += 1
                }
                // Nothing due is left; a timer set for the past may wait for its spoke's end.
                let late = deadlines.compactMap { $0 }.filter { $0 + TimerWheel.grain < now }
                #expect(late.isEmpty, "seed \(seed)")
            }
            #expect(wheel.count == deadlines.count { $0 != nil }, "seed \(seed)")
        }
        #expect(fired > 100)
    }

    @Test("a pause longer than the wheel is round loses no timer")
    func survivesPauses() {
        var wheel = TimerWheel(slotCount: 3, now: 0)
        wheel.set(0, for: 1_000_000_000)
        wheel.set(1, for: 9_000_000_000)
        wheel.set(2, for: 90_000_000_000)
        var fired: [Int] = []
        while let slot = wheel.fire(by: 60_000_000_000) { fired.append(slot) }
        #expect(fired.sorted() == [0, 1])
        #expect(wheel.fire(by: 90_000_000_000) == 2)
        #expect(wheel.count == 0)
    }
}
