internal import Report

/// Disagreements as a person reads them: the packets that led there, then both views.
public struct DifferenceText: Sendable {
    private let outcomes: OutcomeText

    public init(isColoured: Bool, interfaceNames: [String]) {
        outcomes = OutcomeText(isColoured: isColoured, interfaceNames: interfaceNames)
    }

    /// The whole story of a disagreement, line by line.
    public func lines(_ disagreement: Disagreement) -> [String] {
        var lines = ["packet \(disagreement.packet): the live kernel and the model disagree"]
        if !disagreement.history.isEmpty {
            lines.append("before, the same flow on the live kernel:")
            lines += disagreement.history.map { outcomes.line($0) }
        }
        lines.append("live kernel:")
        lines.append(outcomes.line(disagreement.live))
        lines.append("model:")
        lines.append(outcomes.line(disagreement.model))
        return lines + self.lines(disagreement.differences)
    }

    /// The differences, one under the other.
    public func lines(_ differences: [Difference]) -> [String] {
        differences.flatMap { difference in
            ["\(difference.kind.rawValue):"] + block("live ", difference.expected)
                + block("model", difference.found)
        }
    }

    private func block(_ name: String, _ text: String) -> [String] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.enumerated().map { index, line in
            "  \(index == 0 ? name : "     ")  \(line)"
        }
    }
}
