import Testing

@testable import Conntrack

/// What is wrong with a text, where, and what could stand there: word for word.
@Suite("Rules: findings")
struct RulesFindingTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var text: String
        var findings: [String]

        var testDescription: String { text.split(separator: "\n").joined(separator: " ⏎ ") }

        init(_ text: String, _ findings: String...) {
            self.text = text
            self.findings = findings
        }
    }

    static let statement = RulesetParser.anyStatement
    static let command =
        "a command (table, chain, rule, set, map, element, ct, add, create, insert, delete, flush, "
        + "define, redefine, undefine)"

    @Test("In a rule, which stands on line 4", arguments: rules)
    func rule(_ row: Row) {
        #expect(findings(RulesSupport.forward(row.text)) == row.findings)
    }

    @Test("In a text", arguments: texts)
    func text(_ row: Row) {
        #expect(findings(row.text) == row.findings)
    }

    /// The findings without the file's name.
    private func findings(_ text: String) -> [String] {
        do {
            _ = try RulesSupport.ruleset(text)
            return []
        } catch let error as RulesetError {
            return error.findings.map { String($0.description.dropFirst("t.nft:".count)) }
        } catch {
            return ["another error: \(error)"]
        }
    }

    @Test("A finding names file, line, column, what stands there and what could")
    func shape() throws {
        let error = #expect(throws: RulesetError.self) {
            try Ruleset(
                nftables: "table ip t { chain c {\n  ip sadr 10.0.0.1\n} }", file: "node.yaml",
                firstLine: 12, interfaces: [])
        }
        let finding = try #require(error?.findings.first)
        #expect(finding.file == "node.yaml" && finding.line == 13 && finding.column == 6)
        #expect(finding.found == "'sadr'" && finding.suggestion == "saddr")
        #expect(
            error?.description
                == "node.yaml:13:6: found 'sadr', expected one of the supported keys of 'ip': "
                + "saddr, daddr, protocol, ttl, dscp; did you mean 'saddr'?")
    }

    @Test("All findings of a text come in its order, and not more than a hundred")
    func many() {
        let text = RulesSupport.forward(
            (0..<150).map { "nonsense\($0)" }.joined(separator: "\n"))
        let found = findings(text)
        #expect(found.count == RulesetLimits.findings)
        #expect(found.first?.hasPrefix("4:1: found 'nonsense0'") == true)
        #expect(found.last?.hasPrefix("103:1: found 'nonsense99'") == true)
    }
}
