import Conntrack
import Wire
import Yams

// A node's rules: nftables text, what iptables-save prints, or both, each in the file or beside it.

extension NodeFileReader {
    /// A text of rules, and where it begins in the node file.
    private struct RulesText {
        var source: RulesetSource
        /// `nil` for a file of its own.
        var node: YAMLNode?
        /// `nil` where the text's lines are no lines of the node file: quoted or folded.
        var indentation: Int?
    }

    /// Reads and compiles all rules of the node.
    ///
    /// Interfaces have to be read before: rules name them.
    mutating func readRules(_ top: YAMLNode.Mapping, _ load: Load) {
        var texts: [RulesText] = []
        if let text = rules(.nftables, top, "ruleset", "ruleset_file", load) {
            result.rulesetText = text.source.text
            texts.append(text)
        }
        if let text = rules(.iptablesSave, top, "iptables_save", "iptables_save_file", load) {
            result.iptablesText = text.source.text
            texts.append(text)
        }
        guard !texts.isEmpty else { return }
        do {
            result.configuration.ruleset = try Ruleset(
                texts.map(\.source), interfaces: result.configuration.interfaces.map(\.name))
        } catch {
            for found in error.findings {
                let text = texts.first { $0.source.file == found.file }
                findings.append(finding(found, in: text))
            }
        }
    }

    /// The text under one of two keys; `nil`, with a finding, where both are there.
    private mutating func rules(
        _ language: RulesetSource.Language, _ top: YAMLNode.Mapping, _ key: String,
        _ fileKey: String, _ load: Load
    ) -> RulesText? {
        let (inline, fileNode) = (top[key], top[fileKey])
        if let inline, let fileNode {
            let later = Self.mark(inline) < Self.mark(fileNode) ? fileNode : inline
            report(later, found: "'\(key)' and '\(fileKey)'", expected: "one of the two")
            return nil
        }
        if let inline {
            guard case .scalar(let scalar) = inline else {
                let what = language == .nftables ? "nftables text" : "text of iptables-save"
                report(inline, found: Self.shown(inline), expected: what)
                return nil
            }
            let place = document.place(of: scalar)
            // The key tells texts of one file apart until findings have their places.
            let source = RulesetSource(
                language, scalar.string, file: key, firstLine: place?.firstLine ?? 1)
            return RulesText(source: source, node: inline, indentation: place?.indentation)
        }
        guard let fileNode,
            let text = text(named: fileNode, limit: RulesetLimits.textByteCount, load)
        else { return nil }
        return RulesText(
            source: RulesetSource(language, text, file: fileNode.string ?? ""), node: nil)
    }

    private func finding(_ found: RulesetFinding, in text: RulesText?) -> Finding {
        var finding = Finding(
            file: found.file, line: found.line, column: found.column, found: found.found,
            expected: found.expected, suggestion: found.suggestion)
        guard let text, let node = text.node else { return finding }
        finding.file = document.file
        guard let indentation = text.indentation else {
            let mark = Self.mark(node)
            let what = text.source.language == .nftables ? "ruleset" : "iptables-save text"
            finding.expected += " (line \(finding.line) of the \(what))"
            finding.line = mark.line
            finding.column = mark.column
            return finding
        }
        finding.column += indentation
        return finding
    }
}
