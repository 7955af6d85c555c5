import Foundation
import Testing

/// Files beside the tests: output of real kernels and tools.
enum Fixture {
    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures")

    /// The lines of a file, without their line feeds.
    static func lines(_ name: String) -> [String] {
        guard let data = try? Data(contentsOf: folder.appending(path: name)) else {
            Issue.record("missing fixture \(name)")
            return []
        }
        var lines = String(decoding: data, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        return lines
    }

    /// A sample of tool output: the lines below `$ command`, up to the next command.
    static func output(of command: String, in name: String) -> [String] {
        let lines = lines("samples/" + name)
        guard let start = lines.firstIndex(of: "$ " + command) else {
            Issue.record("\(name) has no '$ \(command)'")
            return []
        }
        return Array(lines[(start + 1)...].prefix { !$0.hasPrefix("$ ") })
    }
}
