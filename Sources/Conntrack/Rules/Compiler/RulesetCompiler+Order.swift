internal import Wire

// The order of a set's elements, and those that get into each other's way.

extension RulesetCompiler {
    /// Sorts single-field elements and deals with those that overlap.
    mutating func disjoint(
        _ elements: [Element], data: SetSyntax.Data, overlaps: Overlaps
    ) throws(Stop) -> [Element] {
        // Stable, so that of equal elements the first stays.
        let sorted = elements.enumerated().sorted {
            ($0.element.lows[0], $0.element.highs[0], $0.offset)
                < ($1.element.lows[0], $1.element.highs[0], $1.offset)
        }
        var result: [Element] = []
        for (_, element) in sorted {
            guard let last = result.last, element.lows[0] <= last.highs[0] else {
                result.append(element)
                continue
            }
            let isSame = element.lows == last.lows && element.highs == last.highs
            let holdsSame = element.data == last.data && element.verdict == last.verdict
            if isSame, holdsSame { continue }
            guard case .merged = overlaps else {
                throw fail(
                    at: max(element.position, last.position),
                    found: "an element that overlaps another",
                    expected: "elements that do not overlap")
            }
            result[result.count - 1].highs[0] = max(last.highs[0], element.highs[0])
        }
        return result
    }

    /// Sorts elements of several single values.
    mutating func unique(
        _ elements: [Element], data: SetSyntax.Data
    ) throws(Stop) -> [Element] {
        let sorted = elements.enumerated().sorted {
            $0.element.lows == $1.element.lows
                ? $0.offset < $1.offset
                : $0.element.lows.lexicographicallyPrecedes($1.element.lows)
        }
        var result: [Element] = []
        for (_, element) in sorted {
            if let last = result.last, last.lows == element.lows {
                guard last.data == element.data, last.verdict == element.verdict else {
                    throw fail(
                        at: element.position, found: "a key that stands in the map already",
                        expected: "each key once")
                }
                continue
            }
            result.append(element)
        }
        return result
    }

    /// Concatenations with intervals: no two may hold the same key.
    mutating func apart(_ elements: [Element]) throws(Stop) -> [Element] {
        guard elements.count <= RulesetLimits.intervalConcatenations else {
            throw fail(
                at: elements[0].position,
                found: "\(elements.count) concatenations with intervals among them",
                expected: "at most \(RulesetLimits.intervalConcatenations) in a set")
        }
        var result: [Element] = []
        for (_, element) in elements.enumerated().sorted(by: {
            ($0.element.lows[0], $0.offset) < ($1.element.lows[0], $1.offset)
        }) {
            var isKnown = false
            for other in result where element.overlaps(other) {
                isKnown =
                    element.lows == other.lows && element.highs == other.highs
                    && element.data == other.data && element.verdict == other.verdict
                guard isKnown else {
                    throw fail(
                        at: max(element.position, other.position),
                        found: "an element that overlaps another",
                        expected: "elements that do not overlap")
                }
                break
            }
            if !isKnown { result.append(element) }
        }
        return result
    }
}
