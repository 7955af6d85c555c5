import LinuxCalls
import Testing

@testable import LoadGen

/// Measurement over prediction: the arithmetic, on curves whose answers are known.
@Suite struct ComparisonTests {
    /// Rises by 100 a second to 1000, holds, falls to 400 between 20 s and 26 s, holds.
    private static let knownCount = Curve([
        .init(0, 0), .init(10, 1000), .init(20, 1000), .init(26, 400), .init(40, 400),
    ])

    private static func table(
        _ count: Curve, limit: Double = 1000, drops: Double = 0, evictions: Double = 0
    ) -> TableCurve {
        TableCurve(
            count: count, limit: Curve([.init(0, limit)]),
            drop: Curve([.init(0, 0), .init(10, 0), .init(20, drops)]),
            earlyDrop: Curve([.init(0, 0), .init(40, evictions)]))
    }

    @Test(
        "a curve is straight between its points, and level beyond its ends",
        arguments: [(-5.0, 0.0), (0, 0), (2.5, 250), (10, 1000), (15, 1000), (23, 700), (99, 400)])
    func interpolates(seconds: Double, value: Double) {
        #expect(Self.knownCount.value(at: seconds) == value)
    }

    @Test("points come in any order; of two of one moment the later counts")
    func sorts() {
        let curve = Curve([.init(2, 20), .init(0, 0), .init(1, 10), .init(1, 30)])
        #expect(curve.points.map(\.seconds) == [0, 1, 1, 2])
        #expect(curve.value(at: 1) == 30)
        #expect(Curve().value(at: 0) == nil)
    }

    @Test(
        "a mean is an area over a time",
        arguments: [(0.0, 10.0, 500.0), (10, 20, 1000), (20, 26, 700), (26, 40, 400), (0, 20, 750)])
    func averages(from: Double, to: Double, mean: Double) {
        #expect(abs((Self.knownCount.mean(from: from, to: to) ?? 0) - mean) < 1e-9)
    }

    @Test("an uneven sampling does not shift a mean")
    func averagesUnevenSamples() {
        let dense = Curve(
            (0...100).map { .init(Double($0) / 100, 100) } + [.init(2, 300), .init(3, 300)])
        // One second at 100, one rising to 300, one at 300.
        #expect(abs((dense.mean(from: 0, to: 3) ?? 0) - 200) < 1e-9)
        #expect(dense.mean(from: 2, to: 2) == nil)
    }

    @Test("a table is full where the line between two samples reaches its maximum")
    func findsFullness() throws {
        // One in a thousand short of 1000 counts as full: 999 is reached at 9.99 s.
        let time = try #require(Self.table(Self.knownCount).timeToFull(within: 40))
        #expect(abs(time - 9.99) < 1e-9)
        // Sampled once a second, the moment is the same: it does not hang on the sampling.
        let sampled = Curve(
            (0...40).map { second in
                .init(Double(second), Self.knownCount.value(at: Double(second)) ?? 0)
            })
        #expect(abs((Self.table(sampled).timeToFull(within: 40) ?? 0) - 9.99) < 1e-9)
    }

    @Test("a look that comes late does not make the table fill later")
    func toleratesLateLooks() {
        let looks = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15].map { second in
            Curve.Point(Double(second), Self.knownCount.value(at: Double(second)) ?? 0)
        }
        #expect(abs((Self.table(Curve(looks)).timeToFull(within: 40) ?? 0) - 9.99) < 1e-9)
        // Never before the last look at which it was not.
        let steep = Curve([.init(0, 0), .init(1, 990), .init(2, 995), .init(9, 1000)])
        #expect((Self.table(steep).timeToFull(within: 40) ?? 0) > 2)
    }

    @Test("a table that never fills, has no maximum, or fills too late, is not full")
    func findsNoFullness() {
        #expect(Self.table(Self.knownCount, limit: 1002).timeToFull(within: 40) == nil)
        #expect(Self.table(Self.knownCount, limit: 0).timeToFull(within: 40) == nil)
        #expect(Self.table(Self.knownCount).timeToFull(within: 9) == nil)
    }

    @Test("the maximum counts as it stood at the time")
    func followsTheLimit() throws {
        var table = Self.table(Self.knownCount, limit: 2000)
        #expect(table.timeToFull(within: 40) == nil)
        // Somebody lowers it at 15 s: the table is full from there on.
        table.limit = Curve([.init(0, 2000), .init(15, 2000), .init(15, 800), .init(40, 800)])
        #expect(table.timeToFull(within: 40) == 20)
        table.count = Curve((0...40).map { .init(Double($0), min(1000, Double($0) * 100)) })
        #expect(table.timeToFull(within: 40) == 15)
    }

    @Test("equal curves have no distance and no errors")
    func comparesEqualCurves() throws {
        let table = Self.table(Self.knownCount, drops: 1000)
        let comparison = Comparison(predicted: table, measured: table, seconds: 40)
        #expect(comparison.isWithin)
        #expect(comparison.figures.map(\.kind) == [.plateau, .timeToFull, .drops])
        #expect(comparison.figures.map(\.errorPercent) == [0, 0, 0])
        #expect(comparison.figures.map(\.predicted)[0] == 400)
        #expect(comparison.figures.map(\.measured)[2] == 1000)
        let distance = try #require(comparison.distance)
        #expect(distance.largest == 0)
        #expect(distance.rootMeanSquare == 0)
        #expect(distance.points == 5)
    }

    @Test("distance is told in entries, at the moments of measurement")
    func measuresDistance() throws {
        let flat = Curve([.init(0, 100), .init(40, 100)])
        let other = Curve([.init(0, 100), .init(10, 103), .init(20, 96), .init(30, 100)])
        let distance = try #require(CurveDistance(flat, other, within: 40))
        #expect(distance.largest == 4)
        #expect(distance.largestAt == 20)
        // (0 + 9 + 16 + 0) / 4 is 6.25.
        #expect(distance.rootMeanSquare == 2.5)
        // Points behind the end, and before the beginning, are none of the run's.
        let early = try #require(CurveDistance(flat, other, within: 10))
        #expect(early.largest == 3)
        #expect(early.points == 2)
        #expect(CurveDistance(flat, Curve(), within: 40) == nil)
        #expect(CurveDistance(Curve(), other, within: 40) == nil)
    }

    struct ErrorRow: Sendable, CustomTestStringConvertible {
        var predicted: Double?
        var measured: Double?
        var error: Double?
        var isWithin: Bool

        var testDescription: String { "\(predicted ?? -1) and \(measured ?? -1)" }
    }

    @Test(
        "an error is in per cent of what was predicted; the bound itself is within",
        arguments: [
            ErrorRow(predicted: 200, measured: 204, error: 2, isWithin: true),
            ErrorRow(predicted: 200, measured: 196, error: 2, isWithin: true),
            ErrorRow(predicted: 200, measured: 205, error: 2.5, isWithin: false),
            ErrorRow(predicted: 0, measured: 0, error: 0, isWithin: true),
            ErrorRow(predicted: 0, measured: 1, error: 100, isWithin: false),
            ErrorRow(predicted: 5, measured: 0, error: 100, isWithin: false),
            ErrorRow(predicted: nil, measured: nil, error: 0, isWithin: true),
            ErrorRow(predicted: 5, measured: nil, error: nil, isWithin: false),
            ErrorRow(predicted: nil, measured: 5, error: nil, isWithin: false),
        ])
    func figuresErrors(_ row: ErrorRow) {
        let figure = ComparedFigure(
            .drops, predicted: row.predicted, measured: row.measured, withinPercent: 2)
        #expect(figure.errorPercent == row.error)
        #expect(figure.isWithin == row.isWithin)
    }

    @Test("evictions are shown where there were any, and judged where that is asked for")
    func comparesEvictions() throws {
        let quiet = Self.table(Self.knownCount)
        let busy = Self.table(Self.knownCount, evictions: 100)
        let comparison = Comparison(predicted: quiet, measured: busy, seconds: 40)
        #expect(comparison.figures.last?.kind == .earlyDrops)
        #expect(comparison.figures.last?.errorPercent == 100)
        #expect(comparison.isWithin)
        let bounds = try #require(ComparisonBounds("early=10"))
        #expect(
            !Comparison(predicted: quiet, measured: busy, seconds: 40, within: bounds).isWithin)
        #expect(Comparison(predicted: quiet, measured: quiet, seconds: 40).figures.count == 3)
    }

    @Test("one figure outside its bound is enough")
    func judges() {
        let predicted = Self.table(Self.knownCount, drops: 1000)
        let measured = Self.table(Self.knownCount, drops: 1101)
        #expect(!Comparison(predicted: predicted, measured: measured, seconds: 40).isWithin)
        var bounds = ComparisonBounds()
        bounds.drops = 11
        #expect(
            Comparison(predicted: predicted, measured: measured, seconds: 40, within: bounds)
                .isWithin)
    }

    @Test("what a host does not say is not held against the measurement")
    func judgesNothingUnsaid() {
        let count = Curve([Curve.Point(0, 10), Curve.Point(40, 10)])
        let none = Curve([Curve.Point(0, 0), Curve.Point(40, 0)])
        let predicted = TableCurve(count: count, limit: none, drop: none, earlyDrop: none)
        let measured = TableCurve(count: count, limit: Curve(), drop: Curve(), earlyDrop: Curve())
        let comparison = Comparison(predicted: predicted, measured: measured, seconds: 40)
        #expect(comparison.isWithin)
        #expect(comparison.figures.last?.measured == nil)
        #expect(comparison.figures.last?.withinPercent == nil)
    }

    @Test("bounds are read by name; what cannot be one is refused")
    func readsBounds() {
        #expect(ComparisonBounds("plateau=3,full=6%,drops=0")?.plateau == 3)
        #expect(ComparisonBounds("plateau=3,full=6%,drops=0")?.full == 6)
        #expect(ComparisonBounds("plateau=3,full=6%,drops=0")?.drops == 0)
        #expect(ComparisonBounds("drops=20")?.plateau == 2)
        for text in ["", "plateau", "plateau=", "plateau=-1", "peak=2", "plateau=2,,", "full=nan"] {
            #expect(ComparisonBounds(text) == nil, "\(text)")
        }
    }

    // MARK: The picture

    @Test("the picture shows where the curves part, and the maximum they come near")
    func draws() {
        let predicted = Curve([.init(0, 0), .init(10, 100), .init(20, 100)])
        let measured = Curve([.init(0, 0), .init(10, 100), .init(20, 50)])
        let chart = CurveChart(
            predicted: predicted, measured: measured, limit: 100, seconds: 20, width: 21,
            height: 5)
        #expect(
            chart.lines == [
                "entries   · predicted   o measured   ● both   - nf_conntrack_max",
                "100 │---------●●●●········",
                "    │       ●●    ooooo",
                " 50 │    ●●●           ooo",
                "    │  ●●",
                "  0 │●●",
                "    └─────────────────────",
                "     0 s  5 s  10 s 15 s20 s",
            ])
    }

    @Test("a curve far below the maximum is drawn in its own scale")
    func scales() {
        let curve = Curve([.init(0, 0), .init(10, 100)])
        let chart = CurveChart(
            predicted: curve, measured: Curve(), limit: 10_000, seconds: 10, width: 30, height: 4)
        #expect(chart.lines[0] == "entries   · predicted   o measured   ● both")
        #expect(chart.lines[1].hasPrefix("100 │"))
        #expect(chart.lines[1].hasSuffix("·"))
    }

    @Test(
        "numbers are told as people read them",
        arguments: [
            (0.0, "0"), (999, "999"), (1000, "1 000"), (1_234_567.4, "1 234 567"),
            (-1500, "-1 500"),
        ])
    func tellsNumbers(value: Double, text: String) {
        #expect(FigureText.whole(value) == text)
    }

    @Test("digits behind the point are rounded, and a 0 alone is left out")
    func tellsFractions() {
        #expect(FigureText.fixed(6.665, 2) == "6.67")
        #expect(FigureText.fixed(0.04, 1) == "0.0")
        #expect(FigureText.fixed(-2.05, 2) == "-2.05")
        #expect(FigureText.short(2) == "2")
        #expect(FigureText.short(2.25) == "2.3")
    }
}
