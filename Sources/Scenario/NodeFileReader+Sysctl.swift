import Conntrack
import Yams

// `sysctl:` and `sysctl_file:` of a node file. In the first an unknown name is a mistake; in the
// second, which may be all of `sysctl -a`, it is told and passed over.

extension NodeFileReader {
    mutating func readSysctls(_ fileNode: YAMLNode?, _ node: YAMLNode?, _ load: Load) {
        if let fileNode,
            let text = text(named: fileNode, limit: NodeFile.Limits.sysctlFileByteCount, load)
        {
            readSysctlFile(text, file: fileNode.string ?? "")
        }
        guard let node else { return }
        guard case .mapping(let mapping) = node else {
            report(
                node, found: Self.shown(node),
                expected: "'name: value' lines, as 'net.netfilter.nf_conntrack_max: 65536'")
            return
        }
        for (key, value) in mapping {
            guard let name = key.string, let text = value.string else {
                report(value, found: Self.shown(value), expected: "a whole number")
                continue
            }
            do {
                try result.configuration.sysctl.set(name, to: text)
                result.sysctls.append(.init(name: name, value: text))
            } catch {
                report(error, key: key, value: value)
            }
        }
    }

    private mutating func report(_ error: SysctlError, key: YAMLNode, value: YAMLNode) {
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
        case .otherProfile(let name, let profile):
            // Settings of a tracker that the older kernel has and the model has not.
            let isProfile = result.configuration.profile.rawValue == profile
            report(
                key, found: "'\(name)'",
                expected: isProfile
                    ? "a setting of a tracker that is modelled"
                    : "a setting of Linux \(result.configuration.profile.rawValue); "
                        + "this one exists in \(profile)")
        }
    }

    // MARK: The file

    private mutating func readSysctlFile(_ text: String, file: String) {
        var ignoredCount = 0
        var unknownNames: [String] = []
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            guard let (name, value) = setting(line, file: file, line: index + 1) else { continue }
            guard Self.concernsTracking(name) else {
                ignoredCount += 1
                continue
            }
            do {
                try result.configuration.sysctl.set(name, to: value)
                result.sysctls.append(.init(name: name, value: value))
            } catch .badValue(_, let found, let expected) {
                let column = line.count - (line.lastRange(of: found)?.count ?? 0) + 1
                findings.append(
                    Finding(
                        file: file, line: index + 1, column: column, found: "'\(found)'",
                        expected: expected))
            } catch {
                // Counters, and settings of trackers that are not modelled.
                unknownNames.append(name)
            }
        }
        if ignoredCount > 0 {
            result.notes.append(
                "\(file): \(ignoredCount) names that do not concern connection tracking ignored")
        }
        if !unknownNames.isEmpty {
            result.notes.append(
                "\(file): not part of the model, ignored: \(unknownNames.joined(separator: ", "))")
        }
    }

    /// A line `name = value`, or `nil` for blank lines, comments and, with a finding, anything else.
    private mutating func setting(
        _ line: Substring, file: String, line number: Int
    ) -> (name: String, value: String)? {
        let trimmed = line.trimmingBlanks
        guard let first = trimmed.first, first != "#", first != ";" else { return nil }
        let parts = trimmed.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        var name = parts[0].trimmingBlanks
        guard parts.count == 2, !name.isEmpty else {
            findings.append(
                Finding(
                    file: file, line: number, column: 1, found: "'\(trimmed.prefix(60))'",
                    expected: "'name = value'"))
            return nil
        }
        // As sysctl.d writes them: a dash before names that may be missing, slashes for dots.
        if name.first == "-" { name = name.dropFirst() }
        let dotted = name.contains("/") && !name.contains(".")
        return (
            dotted ? String(name.map { $0 == "/" ? "." : $0 }) : String(name),
            String(parts[1].trimmingBlanks)
        )
    }

    /// Whether the model could have a use for a name of `sysctl -a`.
    private static func concernsTracking(_ name: String) -> Bool {
        name.hasPrefix("net.netfilter.nf_conntrack_") || name.hasPrefix("nf_conntrack_")
            || [
                "net.nf_conntrack_max", "net.ipv4.ipfrag_time", "net.core.message_burst",
                "net.core.message_cost",
            ].contains(name)
    }
}

extension Substring {
    fileprivate var trimmingBlanks: Substring {
        let blanks: Set<Character> = [" ", "\t", "\r", "\r\n"]
        var rest = drop { blanks.contains($0) }
        while let last = rest.last, blanks.contains(last) { rest.removeLast() }
        return rest
    }

    /// The last occurrence of `text` and everything behind it.
    fileprivate func lastRange(of text: String) -> Substring? {
        guard !text.isEmpty else { return nil }
        return indices.reversed().map { self[$0...] }.first { $0.hasPrefix(text) }
    }
}
