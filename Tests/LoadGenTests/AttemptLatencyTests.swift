import Histogram
import Testing

@testable import LoadGen

/// Percentiles of all attempts, those that came to nothing among them.
@Suite struct AttemptLatencyTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var name: String
        /// Milliseconds.
        var succeeded: [UInt64]
        var gaveUp: [UInt64]
        var percentile: Double
        var expected: AttemptLatency

        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row(
            name: "all succeed: the percentile is that of the successes",
            succeeded: Array(1...100), gaveUp: [], percentile: 50, expected: .within(50_000)),
        Row(
            name: "one in twenty gives up: the 90th percentile is reached",
            succeeded: Array(1...95), gaveUp: Array(repeating: 10_000, count: 5), percentile: 90,
            expected: .within(90_000)),
        Row(
            name: "one in twenty gives up: the 99th is not, and longer than they waited",
            succeeded: Array(1...95), gaveUp: Array(repeating: 10_000, count: 5), percentile: 99,
            expected: .moreThan(10_000_000)),
        Row(
            name: "whoever gave up at once did not succeed quickly",
            succeeded: [100, 100], gaveUp: [1, 1], percentile: 50, expected: .within(100_000)),
        Row(
            name: "one of a thousand gives up: the maximum is not reached",
            succeeded: Array(repeating: 2, count: 999), gaveUp: [7000], percentile: 100,
            expected: .moreThan(7_000_000)),
        Row(
            name: "one of a thousand gives up: 99.9 of a hundred are reached",
            succeeded: Array(repeating: 2, count: 999), gaveUp: [7000], percentile: 99.9,
            expected: .within(2000)),
        Row(
            name: "none succeeds: half of them waited longer than that",
            succeeded: [], gaveUp: Array(1...100), percentile: 50, expected: .moreThan(50_000)),
        Row(
            name: "those that were refused at once stand behind the slowest that succeeded",
            succeeded: [3, 4], gaveUp: [1, 1], percentile: 90, expected: .moreThan(4000)),
    ]

    @Test("no percentile is below a lower one", arguments: UInt64(0)..<50)
    func isMonotone(seed: UInt64) {
        var dice = LoadDice(seed: seed)
        var latencies = Latencies()
        for _ in 0..<dice.next() % 200 {
            _ = latencies.complete.record(1 + dice.next() % 5000)
        }
        for _ in 0...dice.next() % 200 { _ = latencies.gaveUp.record(1 + dice.next() % 5000) }
        var last: (isBound: Bool, value: UInt64) = (false, 0)
        for percentile in stride(from: 1.0, through: 100, by: 0.5) {
            let next: (isBound: Bool, value: UInt64) =
                switch latencies.ofAllAttempts(percentile) {
                case .within(let value): (false, value)
                case .moreThan(let value): (true, value)
                }
            #expect(next.value >= last.value, "seed \(seed), p\(percentile)")
            #expect(next.isBound || !last.isBound, "seed \(seed), p\(percentile)")
            last = next
        }
    }

    @Test("a flow that gave up counts as longer than it had waited", arguments: rows)
    func counts(_ row: Row) {
        var latencies = Latencies()
        for value in row.succeeded { _ = latencies.complete.record(value * 1000) }
        for value in row.gaveUp { _ = latencies.gaveUp.record(value * 1000) }
        #expect(latencies.attemptCount == UInt64(row.succeeded.count + row.gaveUp.count))
        let found = latencies.ofAllAttempts(row.percentile)
        // Three significant digits is what a histogram keeps.
        switch (found, row.expected) {
        case (.within(let value), .within(let expected)),
            (.moreThan(let value), .moreThan(let expected)):
            #expect(abs(Double(value) / Double(expected) - 1) < 0.001, "\(found)")
        default: Issue.record("found \(found), expected \(row.expected)")
        }
    }
}
