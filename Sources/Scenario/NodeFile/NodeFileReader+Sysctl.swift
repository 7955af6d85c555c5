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
                try result.configuration.sysctl.set(
                    name, to: text, tickRate: result.configuration.tickRate)
                result.sysctls.append(.init(name: name, value: text))
            } catch {
                report(
                    error, key: key, value: value, profile: result.configuration.profile)
            }
        }
    }

    // MARK: The file

    private mutating func readSysctlFile(_ text: String, file: String) {
        var ignoredCount = 0
        var unknownNames: [String] = []
        for line in settings(of: text, file: file) {
            guard Self.concernsTracking(line.name) else {
                ignoredCount += 1
                continue
            }
            do {
                try result.configuration.sysctl.set(
                    line.name, to: line.value, tickRate: result.configuration.tickRate)
                result.sysctls.append(.init(name: line.name, value: line.value))
            } catch .badValue(_, let found, let expected) {
                findings.append(
                    Finding(
                        file: file, line: line.number, column: line.column(of: found),
                        found: "'\(found)'", expected: expected))
            } catch {
                // Counters, and settings of trackers that are not modelled.
                unknownNames.append(line.name)
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
}
