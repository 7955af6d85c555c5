public import Conntrack
import Wire

/// A machine written as a node file: what `NodeFile.parse` reads gives the same machine again.
///
/// Settings that have their default values are left out.
public struct NodeFileText: Sendable, Hashable {
    public let text: String

    /// - Parameters:
    ///   - rules: What `configuration.ruleset` was made of.
    ///   - comment: The first line.
    public init(_ configuration: NodeConfiguration, rules: [RulesetSource], comment: String) {
        var lines = ["# \(comment)", "version: 1"]
        if configuration.profile != .linux618 {
            lines.append("kernel: \"\(configuration.profile.rawValue)\"")
        }
        lines.append("hz: \(configuration.tickRate.hertz)")
        lines.append("seed: \(configuration.seed)")
        lines.append("tracking: \(configuration.tracking.rawValue)")
        lines.append("interfaces:")
        var routed: Set<Prefix> = []
        for interface in configuration.interfaces {
            lines += Self.lines(
                interface, routes: interface.routes.filter { routed.insert($0).inserted })
        }
        let settings = Self.settings(configuration.sysctl)
        if !settings.isEmpty { lines += ["sysctl:"] + settings.map { "  \($0)" } }
        for (language, key) in [
            (RulesetSource.Language.nftables, "ruleset"), (.iptablesSave, "iptables_save"),
        ] {
            let texts = rules.filter { $0.language == language }.map(\.text)
            guard !texts.isEmpty else { continue }
            // The indentation is said, because a text may begin with blanks.
            lines.append("\(key): |2")
            for text in texts {
                lines += text.split(separator: "\n", omittingEmptySubsequences: false)
                    .map { $0.isEmpty ? "" : "  \($0)" }
            }
        }
        self.text = lines.joined(separator: "\n") + "\n"
    }

    /// - Parameter routes: Without those of an interface before: of equal routes the first wins
    ///   here, and a kernel's routing table takes a prefix only once.
    private static func lines(_ interface: Interface, routes: [Prefix]) -> [String] {
        var lines = ["  \(interface.name):"]
        for (key, prefixes) in [("addresses", interface.addresses), ("routes", routes)]
        where !prefixes.isEmpty {
            let texts = prefixes.map { "\"\($0.address.text($0.family))/\($0.length)\"" }
            lines.append("    \(key): [\(texts.joined(separator: ", "))]")
        }
        lines.append("    mtu: \(interface.mtu)")
        if interface.isDefault { lines.append("    default: true") }
        return lines
    }

    private static func settings(_ sysctl: Sysctl) -> [String] {
        let usual = Sysctl()
        return Sysctl.names.compactMap { short in
            let name = "net.netfilter.nf_conntrack_\(short)"
            guard let value = sysctl.value(of: name), value != usual.value(of: name) else {
                return nil
            }
            return "\(name): \(value)"
        }
    }
}
