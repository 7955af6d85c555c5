import Conntrack
import Yams

// Whether every value of a sweep makes a scenario, and every expectation names what is recorded.

extension ScenarioReader {
    /// Values of a sweep tried before it is refused for their number.
    private static let sweepTrials = 200

    /// Every value of a sweep has to make a scenario; combinations are not tried.
    mutating func checkSweepPaths() {
        guard isWhole, let sweep = result.sweep else { return }
        var trials = 0
        for (axis, place) in zip(sweep.matrix, places.sweepPaths) {
            for value in axis.values {
                trials += 1
                guard trials <= Self.sweepTrials else { return }
                if let finding = trial(axis.path, value) {
                    report(
                        place.node, found: "\(axis.path) = \(value) (\(finding.found))",
                        expected: finding.expected, suggestion: finding.suggestion)
                    break
                }
            }
        }
    }

    /// The first finding with a value of the sweep in its place.
    private func trial(_ path: String, _ value: String) -> Finding? {
        do {
            var changed = document
            try changed.apply(.init(path: path, value: value))
            var reader = ScenarioReader(changed, load: load)
            reader.isWhole = false
            reader.readAll()
            reader.checkAll()
            return reader.findings.first
        } catch {
            return error.findings.first
        }
    }

    mutating func checkExpectations() {
        // A workload or node with a mistake in it has its series all the same.
        let catalogue = SeriesCatalogue(
            result, workloads: workloadNames, tracksAll: places.hasBadTopology)
        for (expectation, place) in zip(result.expectations, places.expectations) {
            do {
                let expression = try Expression(expectation.that, in: catalogue)
                if expression.needsTolerance, expectation.tolerance == nil {
                    report(
                        place, found: "'~=' without a tolerance",
                        expected: "'tolerance: 5%' beside it")
                }
            } catch {
                var finding = document.finding(
                    at: place, found: error.found, expected: error.expected,
                    suggestion: error.suggestion)
                finding.column += error.offset + (Self.isQuoted(place) ? 1 : 0)
                findings.append(finding)
            }
        }
    }

    private static func isQuoted(_ node: YAMLNode) -> Bool {
        guard case .scalar(let scalar) = node else { return false }
        return scalar.style == .doubleQuoted || scalar.style == .singleQuoted
    }
}
