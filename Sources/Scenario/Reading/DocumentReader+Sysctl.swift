import Conntrack
import Yams

// Settings by their kernel names, in a mapping or in a file as `sysctl -a` prints it.

/// One line of a file of settings.
struct SettingLine {
    var name: String
    var value: String
    var number: Int
    var text: Substring

    /// Where the value stands: the last place its characters do.
    func column(of found: String) -> Int {
        text.count - (text.lastOccurrence(of: found)?.count ?? 0) + 1
    }
}

extension DocumentReader {
    /// Says what is wrong with a setting, at its name or at its value.
    mutating func report(
        _ error: SysctlError, key: YAMLNode, value: YAMLNode, profile: KernelProfile
    ) {
        switch error {
        case .unknown(let name, let suggestion):
            report(
                key, found: "'\(name)'",
                expected: "a setting of connection tracking, as net.netfilter.nf_conntrack_max",
                suggestion: suggestion)
        case .readOnly(let name):
            report(key, found: "'\(name)'", expected: "a setting; this one can only be read")
        case .badValue(_, let found, let expected):
            report(value, found: "'\(found)'", expected: expected)
        case .otherProfile(let name, let owner):
            // Settings of a tracker that the older kernel has and the model has not.
            report(
                key, found: "'\(name)'",
                expected: profile.rawValue == owner
                    ? "a setting of a tracker that is modelled"
                    : "a setting of Linux \(profile.rawValue); this one exists in \(owner)")
        }
    }

    /// The settings of a file; anything else than `name = value`, blank lines and comments is
    /// reported.
    mutating func settings(of text: String, file: String) -> [SettingLine] {
        var lines: [SettingLine] = []
        for (index, line) in text.split(
            omittingEmptySubsequences: false, whereSeparator: \.isNewline
        )
        .enumerated() {
            let trimmed = line.trimmed
            guard let first = trimmed.first, first != "#", first != ";" else { continue }
            let parts = trimmed.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            var name = parts[0].trimmed
            guard parts.count == 2, !name.isEmpty else {
                findings.append(
                    Finding(
                        file: file, line: index + 1, column: 1, found: "'\(trimmed.prefix(60))'",
                        expected: "'name = value'"))
                continue
            }
            // As sysctl.d writes them: a dash before names that may be missing, slashes for dots.
            if name.first == "-" { name.removeFirst() }
            if name.contains("/"), !name.contains(".") {
                name = String(name.map { $0 == "/" ? "." : $0 })
            }
            lines.append(.init(name: name, value: parts[1].trimmed, number: index + 1, text: line))
        }
        return lines
    }

    /// Whether the model could have a use for a name of `sysctl -a`.
    static func concernsTracking(_ name: String) -> Bool {
        name.hasPrefix("net.netfilter.nf_conntrack_") || name.hasPrefix("nf_conntrack_")
            || [
                "net.nf_conntrack_max", "net.ipv4.ipfrag_time", "net.ipv4.icmp_ratelimit",
                "net.ipv4.icmp_ratemask", "net.ipv6.icmp.ratelimit", "net.core.message_burst",
                "net.core.message_cost",
            ].contains(name)
    }
}

extension Substring {
    /// The last occurrence of `text` and everything behind it.
    fileprivate func lastOccurrence(of text: String) -> Substring? {
        guard !text.isEmpty else { return nil }
        return indices.reversed().map { self[$0...] }.first { $0.hasPrefix(text) }
    }
}
