// Recursive descent with the unit of every part known as it is read, so that a mistake is named
// where it stands.

/// Reads one sentence.
struct ExpressionParser {
    private typealias Typed = (term: Expression.Term, dimension: Expression.Dimension, offset: Int)

    private let tokens: [ExpressionLexer.Token]
    private let catalogue: SeriesCatalogue
    private var place = 0
    private var depth = 0

    private static let depthLimit = 32

    init(_ text: String, _ catalogue: SeriesCatalogue) throws(ExpressionError) {
        tokens = try ExpressionLexer.tokens(of: text)
        self.catalogue = catalogue
    }

    /// The whole text.
    mutating func sentence() throws(ExpressionError) -> Expression.Term {
        let term = try disjunction()
        guard next.kind == .end else {
            throw failure(next, expected: "the end of the sentence, 'and' or 'or'")
        }
        return term
    }

    private var next: ExpressionLexer.Token { tokens[place] }

    private mutating func take(_ text: String) -> Bool {
        guard next.text == text, next.kind != .quantity else { return false }
        place += 1
        return true
    }

    // MARK: Sentences

    private mutating func disjunction() throws(ExpressionError) -> Expression.Term {
        var left = try conjunction()
        while take("or") { left = .either(left, try conjunction()) }
        return left
    }

    private mutating func conjunction() throws(ExpressionError) -> Expression.Term {
        var left = try comparison()
        while take("and") { left = .both(left, try comparison()) }
        return left
    }

    private mutating func comparison() throws(ExpressionError) -> Expression.Term {
        let left = try sum()
        guard let relation = Expression.Relation(rawValue: next.text), next.kind == .sign else {
            let isAssignment = next.text == "="
            throw failure(
                next, expected: "a comparison (<=, >=, ==, !=, <, >, ~=)",
                suggestion: isAssignment ? "==" : nil)
        }
        place += 1
        let right = try sum()
        try match(left, right)
        return .comparison(relation, left.term, right.term)
    }

    // MARK: Arithmetic

    private mutating func sum() throws(ExpressionError) -> Typed {
        var left = try product()
        while let operation = Expression.Operator(rawValue: next.text), next.kind == .sign,
            operation == .add || operation == .subtract
        {
            place += 1
            let right = try product()
            try match(left, right)
            left.term = .arithmetic(operation, left.term, right.term)
        }
        return left
    }

    private mutating func product() throws(ExpressionError) -> Typed {
        var left = try factor()
        while let operation = Expression.Operator(rawValue: next.text), next.kind == .sign,
            operation == .multiply || operation == .divide
        {
            place += 1
            let right = try factor()
            let sign = operation == .multiply ? 1 : -1
            left.dimension.time += sign * right.dimension.time
            left.dimension.size += sign * right.dimension.size
            left.term = .arithmetic(operation, left.term, right.term)
        }
        return left
    }

    private mutating func factor() throws(ExpressionError) -> Typed {
        let token = next
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else {
            throw failure(token, expected: "at most \(Self.depthLimit) brackets within each other")
        }
        switch token.kind {
        case .quantity:
            place += 1
            let (value, dimension) = try quantity(token)
            return (.number(value, dimension), dimension, token.offset)
        case .name:
            place += 1
            if next.text == "(", next.kind == .sign { return try call(token) }
            let series = try series(token)
            guard series.metric.kind != .histogram else {
                throw ExpressionError(
                    offset: token.offset, found: "the histogram '\(token.text)' alone",
                    expected: "a function of it, as p99(\(token.text))")
            }
            return (.call(.last, .series(series), .init()), Self.dimension(series), token.offset)
        case .sign where token.text == "(":
            place += 1
            let inner = try sum()
            guard take(")") else { throw failure(next, expected: "')'") }
            return (inner.term, inner.dimension, token.offset)
        case .sign where token.text == "-":
            place += 1
            let inner = try factor()
            return (.negated(inner.term), inner.dimension, token.offset)
        default: throw failure(token, expected: "a number, a series or a function")
        }
    }

    private func quantity(
        _ token: ExpressionLexer.Token
    ) throws(ExpressionError) -> (Double, Expression.Dimension) {
        let readings: [(Quantity, Expression.Dimension, Double)] = [
            (.share, .number, 1), (.count, .number, 1), (.duration, .duration, 1e-9),
            (.rate, .rate, 1), (.size, .bytes, 1),
        ]
        for (quantity, dimension, factor) in readings {
            // A bare number is no share of at most 1 here.
            if quantity == .share, !token.text.hasSuffix("%") { continue }
            if let value = try? quantity.parse(token.text) { return (value * factor, dimension) }
        }
        if token.text.hasSuffix("%"), let value = Quantity.number(token.text.dropLast()) {
            return (value / 100, .number)
        }
        throw failure(
            token, expected: "a number with a known unit (ns us ms s min h d, /s, B kB MB GiB, %)")
    }

    // MARK: Functions

    private mutating func call(_ name: ExpressionLexer.Token) throws(ExpressionError) -> Typed {
        guard let function = Expression.Function(rawValue: name.text) else {
            let names = Expression.Function.allCases.map(\.rawValue)
            throw ExpressionError(
                offset: name.offset, found: "the function '\(name.text)'",
                expected: "one of \(names.joined(separator: ", "))",
                suggestion: Spelling.nearest(name.text, in: names))
        }
        place += 1  // The bracket.
        if function == .timeTo {
            let condition = try comparison()
            let window = try window()
            return (.call(.timeTo, condition, window), .duration, name.offset)
        }
        let (inner, dimension) = try argument(of: function)
        let window = try window()
        return (.call(function, inner, window), dimension, name.offset)
    }

    /// The series a function looks at, with the dimension of what it makes of it.
    private mutating func argument(
        of function: Expression.Function
    ) throws(ExpressionError) -> (Expression.Term, Expression.Dimension) {
        let token = next
        guard token.kind == .name else { throw failure(token, expected: "the name of a series") }
        place += 1
        if token.text == "rate", next.text == "(", function != .rate {
            place += 1
            let inner = next
            guard inner.kind == .name else {
                throw failure(inner, expected: "the name of a counter")
            }
            place += 1
            let series = try series(inner)
            try check(.rate, series, inner)
            guard take(")") else { throw failure(next, expected: "')'") }
            guard function != .sum, function != .count else {
                throw failure(
                    token, expected: "a series: '\(function.rawValue)' of a rate is no figure")
            }
            var dimension = Self.dimension(series)
            dimension.time -= 1
            return (.rates(series), dimension)
        }
        let series = try series(token)
        try check(function, series, token)
        var dimension = Self.dimension(series)
        if function == .rate { dimension.time -= 1 }
        if function == .count { dimension = .number }
        return (.series(series), dimension)
    }

    /// Whether a function makes sense of a series.
    private func check(
        _ function: Expression.Function, _ series: SeriesName, _ token: ExpressionLexer.Token
    ) throws(ExpressionError) {
        let name = token.text
        func refuse(_ what: String, _ instead: String) -> ExpressionError {
            ExpressionError(
                offset: token.offset, found: "'\(function.rawValue)' of \(what) '\(name)'",
                expected: instead)
        }
        switch (function, series.metric.kind) {
        case (.sum, .counter), (.rate, .counter), (.last, .counter), (.last, .gauge),
            (.sum, .histogram), (.count, .histogram), (.timeTo, _):
            return
        case (.last, .histogram): throw refuse("the histogram", "max, mean or p99 of it")
        case (.rate, .gauge), (.sum, .gauge), (.count, .gauge):
            throw refuse("the level", "max(\(name)), mean(\(name)) or last(\(name))")
        case (.rate, .histogram): throw refuse("the histogram", "count(\(name)) or a percentile")
        case (.count, .counter): throw refuse("the counter", "sum(\(name)), its growth")
        case (_, .counter):
            throw refuse("the counter", "sum(\(name)), or \(function.rawValue)(rate(\(name)))")
        case (_, .gauge), (_, .histogram): return
        }
    }

    private func series(_ token: ExpressionLexer.Token) throws(ExpressionError) -> SeriesName {
        if let series = catalogue.series(named: token.text) { return series }
        let problem = catalogue.problem(with: token.text)
        throw ExpressionError(
            offset: token.offset, found: problem.found, expected: problem.expected,
            suggestion: problem.suggestion)
    }

    /// `, from=10s, to=20s)`.
    private mutating func window() throws(ExpressionError) -> Expression.Window {
        var window = Expression.Window()
        while take(",") {
            let word = next
            guard word.text == "from" || word.text == "to" else {
                throw failure(word, expected: "'from=' or 'to='")
            }
            place += 1
            guard take("=") else { throw failure(next, expected: "'='") }
            let token = next
            guard token.kind == .quantity, let value = try? Quantity.duration.parse(token.text)
            else {
                throw failure(token, expected: Quantity.duration.wanted)
            }
            place += 1
            if word.text == "from" { window.from = value / 1e9 } else { window.to = value / 1e9 }
        }
        if let from = window.from, let to = window.to, from >= to {
            throw failure(next, expected: "a window whose 'from' is before its 'to'")
        }
        guard take(")") else { throw failure(next, expected: "')'") }
        return window
    }

    // MARK: Units

    private static func dimension(_ series: SeriesName) -> Expression.Dimension {
        switch series.metric.unit {
        case .count: .number
        case .duration: .duration
        case .size: .bytes
        }
    }

    /// Both sides have to measure the same; a 0 measures anything.
    private func match(_ left: Typed, _ right: Typed) throws(ExpressionError) {
        if left.dimension == right.dimension || Self.isZero(left.term) || Self.isZero(right.term) {
            return
        }
        throw ExpressionError(
            offset: right.offset, found: right.dimension.words,
            expected: "\(left.dimension.words), as on the left")
    }

    private static func isZero(_ term: Expression.Term) -> Bool {
        if case .number(0, .number) = term { true } else { false }
    }

    private func failure(
        _ token: ExpressionLexer.Token, expected: String, suggestion: String? = nil
    ) -> ExpressionError {
        ExpressionError(
            offset: token.offset, found: token.kind == .end ? "the end" : "'\(token.text)'",
            expected: expected, suggestion: suggestion)
    }
}

extension Expression.Dimension {
    /// What a finding calls it.
    var words: String {
        switch (time, size) {
        case (0, 0): "a number"
        case (1, 0): "a duration"
        case (-1, 0): "a rate per second"
        case (0, 1): "a size in bytes"
        case (-1, 1): "bytes per second"
        default: "time^\(time) × bytes^\(size)"
        }
    }
}
