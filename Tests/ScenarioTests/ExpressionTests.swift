import Conntrack
import Testing

@testable import Scenario

/// What the sentences of `expect:` mean.
@Suite struct ExpressionTests {
    struct Recording: SeriesSource {
        var recorded: [String: RecordedSeries] = [:]

        func series(named name: String) -> RecordedSeries? { recorded[name] }
    }

    static let catalogue: SeriesCatalogue = {
        var scenario = Scenario(name: "t", about: "", duration: .seconds(10))
        var gateway = Scenario.Node(name: "kube-gw")
        gateway.role = .router
        var host = Scenario.Node(name: "web")
        host.replicas = 2
        host.tracking = .none
        scenario.topology.nodes = [gateway, host]
        scenario.workloads = [
            .init(name: "w", from: "web", to: nil, .scan(.init()), .init(.open, stages: []))
        ]
        return SeriesCatalogue(scenario)
    }()

    /// Samples at 1 s to 10 s: count rises by 100 to 1000, drops begin after 6 s, and the latency
    /// of each second is as many milliseconds.
    static let recording: Recording = {
        let times = (1...10).map { Instant.start + .seconds($0) }
        let count = (1...10).map { Double($0) * 100 }
        let drops = (1...10).map { Double(max(0, $0 - 6)) * 5 }
        let histograms = (1...10).map { second -> ValueHistogram in
            var values = ValueHistogram()
            values.record(UInt64(second) * 1_000_000, times: 10)
            return values
        }
        return Recording(recorded: [
            "kube-gw.conntrack.count": .init(.gauge, .count, times: times, .samples(count)),
            "kube-gw.conntrack.max": .init(
                .gauge, .count, times: times, .samples(.init(repeating: 1000, count: 10))),
            "kube-gw.conntrack.drop": .init(.counter, .count, times: times, .samples(drops)),
            "w.connect": .init(.histogram, .duration, times: times, .histograms(histograms)),
            "kube-gw.memory.kernel": .init(
                .gauge, .size, times: times, .samples(count.map { $0 * 1000 })),
        ])
    }()

    static func result(
        _ text: String, from: Int64 = 0, to: Int64? = nil, tolerance: Double? = nil
    ) throws -> ExpectationResult {
        var expectation = Scenario.Expectation(that: text)
        expectation.from = .start + .seconds(from)
        expectation.to = to.map { .start + .seconds($0) }
        expectation.tolerance = tolerance
        return try expectation.evaluate(
            over: recording, until: .start + .seconds(10), in: catalogue)
    }

    static let sentences: [(String, Bool)] = [
        ("max(kube-gw.conntrack.count) == 1000", true),
        ("min(kube-gw.conntrack.count) == 100", true),
        ("mean(kube-gw.conntrack.count) == 550", true),
        ("p50(kube-gw.conntrack.count) == 500", true),
        ("last(kube-gw.conntrack.count) == 1000", true),
        ("kube-gw.conntrack.count == 1000", true),
        ("max(kube-gw.conntrack.count) <= 0.75 * kube-gw.conntrack.max", false),
        ("max(kube-gw.conntrack.count) <= 75% * kube-gw.conntrack.max", false),
        ("max(kube-gw.conntrack.count) / kube-gw.conntrack.max <= 1", true),
        ("sum(kube-gw.conntrack.drop) == 20", true),
        ("sum(kube-gw.conntrack.drop, to=6s) == 0", true),
        ("sum(kube-gw.conntrack.drop, from=6s, to=8s) == 10", true),
        ("rate(kube-gw.conntrack.drop) == 2/s", true),
        ("rate(kube-gw.conntrack.drop, from=8s) == 5/s", true),
        ("max(rate(kube-gw.conntrack.drop)) == 5/s", true),
        ("min(rate(kube-gw.conntrack.drop)) == 0", true),
        ("p99(w.connect) < 250ms", true), ("p99(w.connect) > 9.9ms", true),
        ("max(w.connect) == 10ms", true), ("count(w.connect) == 100", true),
        ("count(w.connect, from=5s, to=6s) == 10", true), ("mean(w.connect) == 5.5ms", true),
        ("time_to(kube-gw.conntrack.count >= 400) == 4s", true),
        ("time_to(kube-gw.conntrack.drop > 0) == 7s", true),
        ("time_to(kube-gw.conntrack.count >= 2000) > 1h", true),
        ("time_to(kube-gw.conntrack.count >= 0.5 * kube-gw.conntrack.max) == 5s", true),
        ("1000 / time_to(kube-gw.conntrack.count >= 1000) == 100/s", true),
        ("max(kube-gw.memory.kernel) == 1MB", true),
        ("max(kube-gw.memory.kernel) / max(kube-gw.conntrack.count) == 1kB", true),
        ("2 + 3 * 4 == 14", true), ("(2 + 3) * 4 == 20", true), ("-2 + 5 == 3", true),
        ("10 - 2 - 3 == 5", true), ("1 == 1 and 1 == 2", false), ("1 == 2 or 1 == 1", true),
        ("1 == 1 or 1 == 1 and 1 == 2", true), ("1 != 2", true), ("1 > 2", false),
        ("1.5k == 1500", true), ("65_536 == 65536", true), ("60/min == 1/s", true),
        ("150% == 1.5", true),
    ]

    @Test("a sentence over series holds or does not", arguments: sentences)
    func evaluates(_ text: String, _ holds: Bool) throws {
        let result = try Self.result(text)
        #expect(result.holds == holds, "\(result.observed)")
    }

    @Test("the expectation's window bounds every function in it")
    func keepsToTheWindow() throws {
        #expect(try Self.result("max(kube-gw.conntrack.count) == 500", from: 2, to: 5).holds)
        #expect(try Self.result("sum(kube-gw.conntrack.drop) == 0", to: 6).holds)
        #expect(
            try Self.result("time_to(kube-gw.conntrack.count >= 400) == 2s", from: 2).holds)
    }

    @Test("about equal is as exact as the tolerance says")
    func comparesRoughly() throws {
        #expect(try Self.result("1040 ~= 1000", tolerance: 0.05).holds)
        #expect(try !Self.result("1060 ~= 1000", tolerance: 0.05).holds)
        #expect(try !Self.result("1000.1 ~= 1000").holds)
    }

    @Test("a figure of which nothing was recorded never holds")
    func refusesNothing() throws {
        for text in ["max(w.active) <= 5", "max(w.active) > 5", "max(w.active) == 5"] {
            #expect(try !Self.result(text).holds)
        }
        #expect(
            try Self.result("max(w.active) <= 5").observed
                == "max(w.active) is nothing recorded, expected <= 5")
    }

    @Test("the outcome says what was found, when, and in which series")
    func explains() throws {
        let result = try Self.result(
            "max(kube-gw.conntrack.count) <= 0.75 * kube-gw.conntrack.max")
        #expect(result.observed == "max(kube-gw.conntrack.count) is 1000, expected <= 750")
        #expect(result.moment == .start + .seconds(10))
        #expect(result.series == ["kube-gw.conntrack.count", "kube-gw.conntrack.max"])
        let slow = try Self.result("p99(w.connect) < 2ms")
        #expect(slow.observed == "p99(w.connect) is 10ms, expected < 2ms")
        #expect(
            try Self.result("rate(kube-gw.conntrack.drop) < 1/s").observed
                == "rate(kube-gw.conntrack.drop) is 2/s, expected < 1/s")
    }

    static let mistakes: [(String, String)] = [
        (
            "max(kube-gw.conntrack.cout) <= 5",
            "character 5: found the series "
                + "'kube-gw.conntrack.cout', expected what 'kube-gw' records (packets.received, "
                + "packets.forwarded, packets.local, packets.sent, packets.dropped, packets.invalid, "
                + "bytes.received, bytes.forwarded, and 73 more); did you mean "
                + "'kube-gw.conntrack.count'?"
        ),
        (
            "max(kube.conntrack.count) <= 5",
            "character 5: found the series "
                + "'kube.conntrack.count', expected a node or workload of this file before the dot "
                + "(kube-gw, web, web-0, web-1, w, run)"
        ),
        ("p99(w.conect) < 1s", "did you mean 'w.connect'?"),
        (
            "max(web.conntrack.count) < 1",
            "character 5: found the series "
                + "'web.conntrack.count', expected a node with a connection table "
                + "('web' has 'tracking: none')"
        ),
        (
            "maxi(w.active) < 1",
            "character 1: found the function 'maxi', expected one of max, min, "
                + "mean, sum, last, rate, count, p50, p90, p99, p999, time_to; did you mean 'max'?"
        ),
        (
            "p99(w.connect) < 250",
            "character 18: found a number, expected a duration, as on the "
                + "left"
        ),
        (
            "sum(w.attempted) < 5s",
            "character 20: found a duration, expected a number, as on the "
                + "left"
        ),
        ("rate(w.attempted) > 5", "found a number, expected a rate per second"),
        (
            "max(w.active) = 5",
            "character 15: found '=', expected a comparison (<=, >=, ==, !=, <, "
                + ">, ~=); did you mean '=='?"
        ),
        ("max(w.active)", "character 14: found the end, expected a comparison"),
        (
            "sum(w.active) == 5",
            "character 5: found 'sum' of the level 'w.active', expected "
                + "max(w.active), mean(w.active) or last(w.active)"
        ),
        (
            "max(w.attempted) == 5",
            "found 'max' of the counter 'w.attempted', expected "
                + "sum(w.attempted), or max(rate(w.attempted))"
        ),
        (
            "w.connect < 5s",
            "character 1: found the histogram 'w.connect' alone, expected a "
                + "function of it, as p99(w.connect)"
        ),
        ("last(w.connect) < 5s", "found 'last' of the histogram"),
        ("max(w.active, from=5s, to=3s) < 1", "expected a window whose 'from' is before its 'to'"),
        ("max(w.active, form=5s) < 1", "found 'form', expected 'from=' or 'to='"),
        (
            "max(w.active) ≤ 5",
            "character 15: found '≤', expected a number, a series or a "
                + "function; did you mean '<='?"
        ),
        ("max(w.active) < 5 6", "found '6', expected the end of the sentence"),
        ("max(w.active < 5", "character 14: found '<', expected ')'"),
        ("5 parsecs < 6", "character 3: found 'parsecs', expected a comparison"),
        ("5parsecs < 6", "expected a number with a known unit"), ("", "found the end"),
        (String(repeating: "(", count: 5000), "found 5000 characters, expected at most 2000"),
        (String(repeating: "(", count: 50) + "1", "expected at most 32 brackets"),
        (String(repeating: "-", count: 50) + "1", "expected at most 32 brackets"),
    ]

    @Test("a mistake is shown with its place before anything runs", arguments: mistakes)
    func refuses(_ text: String, _ wanted: String) {
        do {
            _ = try Expression(text, in: Self.catalogue)
            Issue.record("'\(text)' was read")
        } catch {
            #expect(error.description.contains(wanted), "\(error)")
        }
    }

    @Test("no text traps the reader", arguments: UInt64(0)..<300)
    func survivesAnything(seed: UInt64) {
        var dice = Dice(seed: seed)
        let words = [
            "max", "(", ")", "w.connect", "kube-gw.conntrack.count", "5", "5ms", "<", "<=", "-",
            "+",
            "*", "/", ",", "from", "=", "to", "and", "or", "rate", "time_to", " ", ".", "%", "é",
            "-",
        ]
        let text = (0..<dice.below(20)).map { _ in words[Int(dice.below(UInt32(words.count)))] }
            .joined(separator: dice.below(2) == 0 ? " " : "")
        _ = try? Expression(text, in: Self.catalogue)
    }

    // MARK: Histograms

    @Test("a histogram keeps values to one in a thousand", arguments: UInt64(0)..<5)
    func keepsValues(seed: UInt64) {
        var dice = Dice(seed: seed)
        var values: [UInt64] = []
        var whole = ValueHistogram()
        var parts = [ValueHistogram](repeating: ValueHistogram(), count: 4)
        for index in 0..<4000 {
            let value = dice.next() >> UInt64(dice.below(60))
            values.append(value)
            whole.record(value)
            parts[index % 4].record(value)
        }
        values.sort()
        for part in [0.001, 0.5, 0.9, 0.99, 0.999, 1] {
            let exact = Double(values[max(0, Int((part * 4000).rounded(.up)) - 1)])
            let found = whole.quantile(part) ?? -1
            #expect(abs(found - exact) <= exact / 1000, "seed \(seed), \(part)")
        }
        var merged = ValueHistogram()
        for part in parts { merged.merge(part) }
        #expect(merged.quantile(0.99) == whole.quantile(0.99))
        #expect(merged.count == 4000)
        #expect(merged.minimum == values.first)
        #expect(merged.maximum == values.last)
    }

    @Test("an empty histogram has no quantile, and extremes fit")
    func holdsExtremes() {
        var values = ValueHistogram()
        #expect(values.quantile(0.5) == nil)
        values.record(0)
        values.record(.max)
        #expect(values.quantile(0) == 0)
        #expect(values.quantile(1) == Double(UInt64.max))
    }
}
