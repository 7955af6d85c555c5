import Conntrack
import Testing

@testable import Simulator

/// The queue against the plainest thing that can be right: a sorted array.
@Suite struct EventQueueTests {
    /// Pending events, each with when it was pushed.
    private struct Reference {
        var pending: [(time: UInt64, index: UInt32)] = []

        mutating func push(_ time: UInt64, _ index: UInt32) {
            let place = pending.firstIndex { $0.time > time } ?? pending.count
            pending.insert((time, index), at: place)
        }
    }

    /// Stretches over which times are drawn: within a slot, over several levels, all of 64 bits.
    static let spreads: [UInt64] = [1, 3, 4096, 100_000, 5_000_000_000, 1 << 50, 1 << 63]

    @Test(
        "events come out by time, and as pushed among equal times", arguments: spreads,
        UInt64(0)..<12)
    func keepsTheOrder(spread: UInt64, seed: UInt64) {
        var dice = Dice(seed: seed)
        var queue = EventQueue()
        var reference = Reference()
        var now: UInt64 = 0
        var number: UInt32 = 0
        for _ in 0..<3000 {
            if reference.pending.isEmpty || dice.chance(of: 11, in: 20) {
                // Some at once, some at times that others have too.
                let drawn = dice.next() % spread
                let delay = dice.chance(of: 1, in: 4) ? 0 : drawn
                let time = now.addingReportingOverflow(delay).overflow ? .max : now + delay
                queue.push(Event(.sample, at: time, number))
                reference.push(time, number)
                number += 1
            } else {
                let expected = reference.pending.removeFirst()
                let found = queue.pop()
                #expect(found?.time == expected.time, "seed \(seed)")
                #expect(found?.index == expected.index, "seed \(seed)")
                now = expected.time
            }
            #expect(queue.count == reference.pending.count)
        }
        for expected in reference.pending {
            #expect(queue.pop()?.index == expected.index, "seed \(seed)")
        }
        #expect(queue.pop()?.index == nil)
    }

    @Test("nothing behind the limit comes out, and what is pushed before it still does")
    func keepsTheLimit() {
        var queue = EventQueue()
        queue.push(Event(.sample, at: 1_000_000_000, 1))
        #expect(queue.pop(through: 999_999_999)?.index == nil)
        queue.push(Event(.sample, at: 10, 2))
        queue.push(Event(.sample, at: 10, 3))
        #expect(queue.pop(through: 999_999_999)?.index == 2)
        #expect(queue.pop(through: 999_999_999)?.index == 3)
        #expect(queue.pop(through: 999_999_999)?.index == nil)
        #expect(queue.pop()?.index == 1)
    }

    @Test("a burst at one moment keeps its order")
    func keepsBursts() {
        var queue = EventQueue()
        for number in 0..<UInt32(10_000) { queue.push(Event(.sample, at: 5_000_000, number)) }
        for number in 0..<UInt32(10_000) { #expect(queue.pop()?.index == number) }
    }
}
