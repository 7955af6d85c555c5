public import Conntrack
import Foundation

// What a sentence comes to over what was recorded.

/// An expectation's outcome.
public struct ExpectationResult: Sendable, Hashable {
    public var expectation: Scenario.Expectation
    public var holds: Bool
    /// What was found: `max(gw.conntrack.count) is 65536, expected <= 49152`.
    public var observed: String
    /// When the figure that decided it was reached; `nil` where no single time did.
    public var moment: Instant?
    /// The series it looked at, in the order of the sentence.
    public var series: [String]
}

/// Evaluates one sentence over one window.
struct ExpressionEvaluator {
    private let source: any SeriesSource
    private let from: Instant
    private let to: Instant
    private let tolerance: Double

    private(set) var moment: Instant?
    private(set) var series: [String] = []
    private(set) var sentences: [String] = []

    init(_ source: any SeriesSource, from: Instant, to: Instant, tolerance: Double) {
        self.source = source
        self.from = from
        self.to = to
        self.tolerance = tolerance
    }

    mutating func holds(_ term: Expression.Term) -> Bool {
        switch term {
        case .both(let left, let right):
            let first = holds(left)
            return holds(right) && first
        case .either(let left, let right):
            let first = holds(left)
            return holds(right) || first
        case .comparison(let relation, let left, let right):
            let found = value(left)
            let wanted = value(right)
            let result = compare(found, relation, wanted)
            let dimension = Self.dimension(left) ?? Self.dimension(right) ?? .number
            sentences.append(
                "\(Self.text(left)) is \(FigureText.text(found, dimension)), expected "
                    + "\(relation.rawValue) \(FigureText.text(wanted, dimension))"
                    + (relation == .about
                        ? " ± \(FigureText.text(tolerance * 100, .number)) %" : ""))
            return result
        default: return false
        }
    }

    private func compare(_ left: Double, _ relation: Expression.Relation, _ right: Double) -> Bool {
        switch relation {
        case .atMost: left <= right
        case .atLeast: left >= right
        case .equal: left == right
        case .unequal: left != right
        case .below: left < right
        case .above: left > right
        case .about: left == right || abs(left - right) <= tolerance * abs(right)
        }
    }

    // MARK: Values

    /// Durations in seconds; not a number where nothing was recorded.
    private mutating func value(_ term: Expression.Term) -> Double {
        switch term {
        case .number(let value, _): return value
        case .negated(let inner): return -value(inner)
        case .arithmetic(let operation, let left, let right):
            let first = value(left)
            let second = value(right)
            switch operation {
            case .add: return first + second
            case .subtract: return first - second
            case .multiply: return first * second
            case .divide: return first / second
            }
        case .call(.timeTo, let condition, let window): return timeTo(condition, window)
        case .call(let function, .series(let name), let window):
            return apply(function, name, window)
        case .call(let function, .rates(let name), let window):
            return applyToRates(function, name, window)
        default: return .nan
        }
    }

    private func bounds(_ window: Expression.Window) -> (from: Instant, to: Instant) {
        func instant(_ seconds: Double) -> Instant {
            Instant(nanoseconds: UInt64((seconds * 1e9).rounded()))
        }
        return (max(from, window.from.map(instant) ?? from), min(to, window.to.map(instant) ?? to))
    }

    private mutating func recorded(_ name: SeriesName) -> RecordedSeries? {
        let text = name.description
        if !series.contains(text) { series.append(text) }
        return source.series(named: text)
    }

    /// What one recorded unit is in the unit of figures: seconds for nanoseconds.
    private static func scale(_ name: SeriesName) -> Double {
        name.metric.unit == .duration ? 1e-9 : 1
    }

    private mutating func apply(
        _ function: Expression.Function, _ name: SeriesName, _ window: Expression.Window
    ) -> Double {
        guard let recorded = recorded(name) else { return .nan }
        let (from, to) = bounds(window)
        let range = recorded.indices(from: from, to: to)
        switch recorded.values {
        case .samples(let samples):
            if name.metric.kind == .counter {
                return counter(function, samples, recorded.times, range, from, to)
                    * Self.scale(name)
            }
            return level(function, Array(samples[range]), Array(recorded.times[range]))
                * Self.scale(name)
        case .histograms(let histograms):
            // A sample holds what came since the one before: the first belongs to the window only
            // where it does not reach before it.
            var all = ValueHistogram()
            for index in range where recorded.times[index] > from || from == .start {
                all.merge(histograms[index])
            }
            return Self.figure(function, all) * (function == .count ? 1 : Self.scale(name))
        }
    }

    private mutating func counter(
        _ function: Expression.Function, _ samples: [Double], _ times: [Instant],
        _ range: Range<Int>,
        _ from: Instant, _ to: Instant
    ) -> Double {
        guard let last = range.last else { return .nan }
        if function == .last { return samples[last] }
        // At the run's start every counter is 0, whether it was sampled then or not.
        let isFromStart = from == .start
        let before = isFromStart ? 0 : samples[range.lowerBound]
        let growth = samples[last] - before
        if function == .sum { return growth }
        let begin = isFromStart ? Instant.start : times[range.lowerBound]
        let seconds = Double((times[last] - begin).nanoseconds) / 1e9
        return seconds > 0 ? growth / seconds : .nan
    }

    private mutating func level(
        _ function: Expression.Function, _ values: [Double], _ times: [Instant]
    ) -> Double {
        guard let last = values.last else { return .nan }
        switch function {
        case .last: return last
        case .mean: return values.reduce(0, +) / Double(values.count)
        case .max, .min:
            var best = 0
            for index in values.indices
            where function == .max ? values[index] > values[best] : values[index] < values[best] {
                best = index
            }
            moment = times[best]
            return values[best]
        default:
            guard let part = function.quantile else { return .nan }
            let sorted = values.sorted()
            let rank = Int((part * Double(sorted.count)).rounded(.up))
            return sorted[min(max(rank, 1), sorted.count) - 1]
        }
    }

    private mutating func applyToRates(
        _ function: Expression.Function, _ name: SeriesName, _ window: Expression.Window
    ) -> Double {
        guard let recorded = recorded(name), case .samples(let samples) = recorded.values else {
            return .nan
        }
        let (from, to) = bounds(window)
        let range = recorded.indices(from: from, to: to)
        var rates: [Double] = []
        var times: [Instant] = []
        for index in range.dropFirst(from == .start ? 0 : 1) {
            let before = index == 0 ? Instant.start : recorded.times[index - 1]
            let seconds = Double((recorded.times[index] - before).nanoseconds) / 1e9
            guard seconds > 0 else { continue }
            rates.append((samples[index] - (index == 0 ? 0 : samples[index - 1])) / seconds)
            times.append(recorded.times[index])
        }
        return level(function, rates, times) * Self.scale(name)
    }

    private static func figure(_ function: Expression.Function, _ values: ValueHistogram) -> Double
    {
        switch function {
        case .count: return Double(values.count)
        case .sum: return values.sum
        case .mean: return values.isEmpty ? .nan : values.sum / Double(values.count)
        case .max: return values.isEmpty ? .nan : Double(values.maximum)
        case .min: return values.isEmpty ? .nan : Double(values.minimum)
        default: return function.quantile.flatMap { values.quantile($0) } ?? .nan
        }
    }

    /// Seconds from the window's start to the first sample for which the condition holds.
    private mutating func timeTo(_ condition: Expression.Term, _ window: Expression.Window)
        -> Double
    {
        guard case .comparison(let relation, let left, let right) = condition else { return .nan }
        let (from, to) = bounds(window)
        guard let clock = Self.firstSeries(condition), let times = recorded(clock)?.times else {
            return .nan
        }
        for time in times where time >= from && time <= to {
            var inner = ExpressionEvaluator(source, from: from, to: time, tolerance: tolerance)
            guard inner.compare(inner.value(left), relation, inner.value(right)) else { continue }
            moment = time
            return Double((time - from).nanoseconds) / 1e9
        }
        return .infinity
    }

    /// Samples looked at for the first failure.
    private static let trialLimit = 5000

    /// When a sentence that held at the window's beginning held no longer; the window's end where it
    /// never did, or where only the whole window decides.
    func firstFailure(_ term: Expression.Term) -> Instant {
        guard let clock = Self.firstSeries(term),
            let times = source.series(named: clock.description)?.times
        else { return to }
        let inside = times.filter { $0 > from && $0 <= to }
        guard inside.count <= Self.trialLimit else { return to }
        func holds(until time: Instant) -> Bool {
            var part = ExpressionEvaluator(source, from: from, to: time, tolerance: tolerance)
            return part.holds(term)
        }
        guard let first = inside.first, holds(until: first) else { return to }
        return inside.first { !holds(until: $0) } ?? to
    }

    private static func firstSeries(_ term: Expression.Term) -> SeriesName? {
        switch term {
        case .series(let name), .rates(let name): name
        case .call(_, let inner, _), .negated(let inner): firstSeries(inner)
        case .arithmetic(_, let left, let right), .comparison(_, let left, let right),
            .both(let left, let right), .either(let left, let right):
            firstSeries(left) ?? firstSeries(right)
        case .number: nil
        }
    }
}

extension ExpressionEvaluator {
    /// The unit of a term's value; `nil` for a bare 0, which fits any.
    static func dimension(_ term: Expression.Term) -> Expression.Dimension? {
        switch term {
        case .number(0, .number): return nil
        case .number(_, let dimension): return dimension
        case .negated(let inner): return dimension(inner)
        case .call(.timeTo, _, _): return .duration
        case .call(.count, _, _): return .number
        case .call(let function, let inner, _):
            var found = dimension(inner) ?? .number
            if function == .rate { found.time -= 1 }
            return found
        case .series(let name): return seriesDimension(name)
        case .rates(let name):
            var found = seriesDimension(name)
            found.time -= 1
            return found
        case .arithmetic(let operation, let left, let right):
            guard operation == .multiply || operation == .divide else {
                return dimension(left) ?? dimension(right)
            }
            let sign = operation == .multiply ? 1 : -1
            let first = dimension(left) ?? .number
            let second = dimension(right) ?? .number
            return .init(
                time: first.time + sign * second.time, size: first.size + sign * second.size)
        case .comparison, .both, .either: return .number
        }
    }

    private static func seriesDimension(_ name: SeriesName) -> Expression.Dimension {
        switch name.metric.unit {
        case .count: .number
        case .duration: .duration
        case .size: .bytes
        }
    }

    /// A term as a sentence has it.
    static func text(_ term: Expression.Term) -> String {
        switch term {
        case .number(let value, let dimension): return FigureText.text(value, dimension)
        case .series(let name): return name.description
        case .rates(let name): return "rate(\(name))"
        case .negated(let inner): return "-\(text(inner))"
        case .call(.last, .series(let name), let window) where window == .init():
            return name.description
        case .call(let function, let inner, let window):
            let ends = [("from", window.from), ("to", window.to)].compactMap { word, value in
                value.map { ", \(word)=\(FigureText.text($0, .duration))" }
            }
            return "\(function.rawValue)(\(text(inner))\(ends.joined()))"
        case .arithmetic(let operation, let left, let right):
            return "\(text(left)) \(operation.rawValue) \(text(right))"
        case .comparison(let relation, let left, let right):
            return "\(text(left)) \(relation.rawValue) \(text(right))"
        case .both(let left, let right): return "\(text(left)) and \(text(right))"
        case .either(let left, let right): return "\(text(left)) or \(text(right))"
        }
    }
}

extension Scenario.Expectation {
    /// What the expectation comes to over a run that ended at `end`.
    ///
    /// A figure of which nothing was recorded compares with nothing: the expectation fails.
    /// - Throws: why the sentence cannot be read, which a scenario from a file never does.
    public func evaluate(
        over source: any SeriesSource, until end: Instant, in catalogue: SeriesCatalogue
    ) throws(ExpressionError) -> ExpectationResult {
        let expression = try Expression(that, in: catalogue)
        var evaluator = ExpressionEvaluator(
            source, from: from, to: min(to ?? end, end), tolerance: tolerance ?? 0)
        let holds = evaluator.holds(expression.root)
        let moment =
            holds ? evaluator.moment : evaluator.moment ?? evaluator.firstFailure(expression.root)
        return ExpectationResult(
            expectation: self, holds: holds,
            observed: evaluator.sentences.joined(separator: "; "), moment: moment,
            series: evaluator.series)
    }
}

/// Figures as people read them.
enum FigureText {
    static func text(_ value: Double, _ dimension: Expression.Dimension) -> String {
        guard !value.isNaN else { return "nothing recorded" }
        guard value.isFinite else { return value < 0 ? "-never" : "never" }
        switch (dimension.time, dimension.size) {
        case (1, 0): return duration(value)
        case (-1, 0): return "\(number(value))/s"
        case (0, 1): return "\(number(value))B"
        case (-1, 1): return "\(number(value))B/s"
        default: return number(value)
        }
    }

    private static func duration(_ seconds: Double) -> String {
        for (unit, factor) in [("s", 1.0), ("ms", 1e-3), ("us", 1e-6)] where abs(seconds) >= factor
        {
            return "\(number(seconds / factor))\(unit)"
        }
        return seconds == 0 ? "0s" : "\(number(seconds * 1e9))ns"
    }

    /// Whole numbers as they are, others with four places that say something.
    private static func number(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        if abs(value) >= 1000 { return String(format: "%.1f", value) }
        return String(format: "%.4g", value)
    }
}
