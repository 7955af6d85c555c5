// The language of expectations: `max(gw.conntrack.count) <= 0.75 * gw.conntrack.max`.
//
// A sentence is a comparison, or several joined by `and` and `or`. Its sides are numbers with
// units, series, functions over series, and arithmetic. A series alone is its value at the end of
// the window. A `-` inside a name belongs to the name: subtraction has blanks around it.
//
//   functions   max min mean p50 p90 p99 p999   of a gauge, of a histogram, or of rate(counter)
//               sum                              of a counter: its growth; of a histogram: all values
//               count                            of a histogram: how many values
//               rate                             of a counter: growth per second over the window
//               last                             of a gauge or counter
//               time_to(condition)               from the window's start to the first sample for
//                                                which it holds; never is infinite
//   windows     rate(gw.conntrack.drop, from=10s, to=20s) narrows the expectation's own

/// A sentence about series, checked against the names and units of a scenario.
public struct Expression: Sendable, Hashable {
    public var text: String
    var root: Term

    /// What a value is, as exponents: a rate is time -1.
    struct Dimension: Sendable, Hashable {
        var time = 0
        var size = 0

        static let number = Dimension()
        static let duration = Dimension(time: 1)
        static let rate = Dimension(time: -1)
        static let bytes = Dimension(size: 1)
    }

    enum Function: String, Sendable, Hashable, CaseIterable {
        case max, min, mean, sum, last, rate, count, p50, p90, p99, p999
        case timeTo = "time_to"

        /// The share of values a percentile is above.
        var quantile: Double? {
            switch self {
            case .p50: 0.5
            case .p90: 0.9
            case .p99: 0.99
            case .p999: 0.999
            default: nil
            }
        }
    }

    enum Operator: String, Sendable, Hashable {
        case add = "+"
        case subtract = "-"
        case multiply = "*"
        case divide = "/"
    }

    enum Relation: String, Sendable, Hashable, CaseIterable {
        case atMost = "<="
        case atLeast = ">="
        case equal = "=="
        case unequal = "!="
        case about = "~="
        case below = "<"
        case above = ">"
    }

    /// Seconds from the run's start that a function looks at; `nil` is the expectation's own end.
    struct Window: Sendable, Hashable {
        var from: Double?
        var to: Double?
    }

    indirect enum Term: Sendable, Hashable {
        /// Durations in seconds, rates per second, sizes in bytes.
        case number(Double, Dimension)
        case series(SeriesName)
        /// `rate(counter)` where a series is wanted: growth per second, sample by sample.
        case rates(SeriesName)
        case call(Function, Term, Window)
        case arithmetic(Operator, Term, Term)
        case negated(Term)
        case comparison(Relation, Term, Term)
        case both(Term, Term)
        case either(Term, Term)
    }

    /// Reads a sentence.
    ///
    /// - Throws: the first mistake, with its place in `text`.
    public init(_ text: String, in catalogue: SeriesCatalogue) throws(ExpressionError) {
        self.text = text
        var parser = try ExpressionParser(text, catalogue)
        root = try parser.sentence()
    }

    /// Whether `~=` occurs, which needs a tolerance.
    public var needsTolerance: Bool { Self.hasAbout(root) }

    private static func hasAbout(_ term: Term) -> Bool {
        switch term {
        case .comparison(.about, _, _): true
        case .both(let left, let right), .either(let left, let right):
            hasAbout(left) || hasAbout(right)
        default: false
        }
    }
}

/// Why a sentence was refused.
public struct ExpressionError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Characters before the place, from 0.
    public var offset: Int
    public var found: String
    public var expected: String
    public var suggestion: String?

    public var description: String {
        let hint = suggestion.map { "; did you mean '\($0)'?" } ?? ""
        return "character \(offset + 1): found \(found), expected \(expected)\(hint)"
    }
}
