// `300ms`, `uniform(1ms..5ms)`, `lognormal(median=300ms, p99=5s)`: a value or how it is spread.

/// Reads a distribution of a quantity.
enum DistributionText {
    /// Names with their parameters, as findings and the schema show them.
    static let forms: [(name: String, parameters: [String], example: String)] = [
        ("constant", [], "constant(300ms)"),
        ("uniform", [], "uniform(100ms..500ms)"),
        ("exponential", ["mean"], "exponential(mean=300ms)"),
        ("lognormal", ["median", "p99"], "lognormal(median=300ms, p99=5s)"),
        ("pareto", ["min", "shape"], "pareto(min=100ms, shape=1.5)"),
        ("normal", ["mean", "sd"], "normal(mean=300ms, sd=50ms)"),
    ]

    static func parse(
        _ text: String, of quantity: Quantity
    ) throws(ValueProblem) -> Scenario.Distribution {
        guard let open = text.firstIndex(of: "(") else {
            guard let (low, high) = try range(text, of: quantity) else {
                return .constant(try quantity.parse(text))
            }
            return try uniform(text, low, high)
        }
        let name = text[..<open].trimmed
        guard let form = forms.first(where: { $0.name == name }) else {
            let names = forms.map(\.name)
            throw ValueProblem(
                found: "'\(name.prefix(60))'", expected: "one of \(names.joined(separator: ", "))",
                suggestion: Spelling.nearest(name, in: names))
        }
        guard text.last == ")" else {
            throw ValueProblem(found: "'\(text.prefix(60))'", expected: "a ')' at its end")
        }
        let inner = String(text[text.index(after: open)...].dropLast()).trimmed
        switch form.name {
        case "constant": return .constant(try quantity.parse(inner))
        case "uniform":
            guard let (low, high) = try range(inner, of: quantity) else {
                throw ValueProblem(
                    found: "'\(inner.prefix(60))'", expected: "two bounds, as \(form.example)")
            }
            return try uniform(inner, low, high)
        default:
            return try spread(
                form.name, try arguments(inner, form.parameters, form.example), quantity)
        }
    }

    private static func spread(
        _ name: String, _ values: [String], _ quantity: Quantity
    ) throws(ValueProblem) -> Scenario.Distribution {
        let first = try positive(values[0], quantity)
        switch name {
        case "exponential": return .exponential(mean: first)
        case "lognormal":
            let p99 = try positive(values[1], quantity)
            guard p99 >= first else {
                throw ValueProblem(
                    found: "p99 \(values[1]) below the median \(values[0])",
                    expected: "a p99 above the median")
            }
            return .lognormal(median: first, p99: p99)
        case "pareto":
            return .pareto(minimum: first, shape: try positive(values[1], .count))
        default:
            return .normal(mean: first, deviation: try quantity.parse(values[1]))
        }
    }

    private static func positive(_ text: String, _ quantity: Quantity) throws(ValueProblem)
        -> Double
    {
        let value = try quantity.parse(text)
        guard value > 0 else {
            throw ValueProblem(found: "'\(text)'", expected: "more than 0")
        }
        return value
    }

    private static func uniform(
        _ text: String, _ low: Double, _ high: Double
    ) throws(ValueProblem) -> Scenario.Distribution {
        guard low <= high else {
            throw ValueProblem(found: "'\(text.prefix(60))'", expected: "the smaller bound first")
        }
        return low == high ? .constant(low) : .uniform(low: low, high: high)
    }

    /// The two ends of `a..b`; `nil` without the dots.
    static func range(
        _ text: String, of quantity: Quantity
    ) throws(ValueProblem) -> (low: Double, high: Double)? {
        guard let dots = text.firstRange(of: "..") else { return nil }
        let low = try quantity.parse(text[..<dots.lowerBound].trimmed)
        return (low, try quantity.parse(text[dots.upperBound...].trimmed))
    }

    /// Values of `name=value` parts in the order of `names`, each exactly once.
    static func arguments(
        _ text: String, _ names: [String], _ example: String
    ) throws(ValueProblem) -> [String] {
        var values = [String?](repeating: nil, count: names.count)
        for part in text.split(separator: ",") {
            let sides = part.split(separator: "=", maxSplits: 1).map(\.trimmed)
            guard sides.count == 2, let place = names.firstIndex(of: sides[0]),
                values[place] == nil
            else {
                throw ValueProblem(
                    found: "'\(part.trimmed.prefix(60))'", expected: "parameters as in \(example)",
                    suggestion: sides.first.flatMap { Spelling.nearest($0, in: names) })
            }
            values[place] = sides[1]
        }
        let found = values.compactMap { $0 }
        guard found.count == names.count else {
            throw ValueProblem(found: "'\(text.prefix(60))'", expected: "all of \(example)")
        }
        return found
    }
}

extension StringProtocol {
    /// Without blanks at its ends.
    var trimmed: String {
        var text = self[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
