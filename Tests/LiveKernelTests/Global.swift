import Foundation
import Testing

/// The settings of the whole machine, as a test looks at them.
enum Global {
    private static let folder = "/proc/sys/net/netfilter/"

    static func limit() throws -> String {
        try String(contentsOfFile: folder + "nf_conntrack_max", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    static func number(_ name: String) throws -> Int {
        let text = try String(contentsOfFile: folder + name, encoding: .utf8)
        return try #require(Int(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    static func bucketCount() throws -> Int { try number("nf_conntrack_buckets") }

    static func write(_ name: String, _ value: String) throws {
        let file = try #require(FileHandle(forWritingAtPath: folder + name))
        try file.write(contentsOf: Data((value + "\n").utf8))
        try file.close()
    }

    /// Writes the note a run leaves about what it has changed.
    static func leaveNote(_ text: String) throws {
        try FileManager.default.createDirectory(
            atPath: "/run/ctlab", withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(filePath: "/run/ctlab/changed-sysctls"))
    }
}
