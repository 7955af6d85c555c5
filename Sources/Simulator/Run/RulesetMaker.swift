import Conntrack
import Scenario
import Wire

/// Rules of nodes: those they are given, and those of services on top.
struct RulesetMaker {
    /// Addresses that answer for each group of endpoints.
    typealias Endpoints = [String: [Address]]

    /// Compiles the rules of a node.
    func ruleset(
        of node: Scenario.Node, _ scenario: Scenario, interfaces: [String], endpoints: Endpoints
    ) throws(WorldError) -> Ruleset {
        var text = ""
        for rules in node.rules where rules.form == .nftables { text += rules.text + "\n" }
        guard !text.isEmpty else { return .empty }
        let place = node.rules.first
        do {
            return try Ruleset(
                nftables: text, file: place?.file ?? node.name,
                firstLine: place?.firstLine ?? 1, interfaces: interfaces)
        } catch {
            let lines = error.findings.map {
                "\($0.file):\($0.line):\($0.column): found \($0.found), expected \($0.expected)"
            }
            throw WorldError(description: lines.joined(separator: "\n"))
        }
    }
}
