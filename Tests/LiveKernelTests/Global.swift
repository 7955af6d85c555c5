import Foundation
import Testing

/// The settings of the whole machine, as a test looks at them.
enum Global {
    private static let folder = "/proc/sys/net/netfilter/"

    static func limit() throws -> String {
        try String(contentsOfFile: folder + "nf_conntrack_max", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The settings of the machine's own namespace that a run could have touched, by path.
    static func settings() -> [String: String] {
        let net = "/proc/sys/net/"
        let folders = ["netfilter", "ipv4/conf/all", "ipv4/conf/default", "ipv6/conf/all"]
        var paths = [net + "ipv4/ip_forward"]
        for folder in folders {
            let names = FileManager.default.enumerator(atPath: net + folder)
            while let name = names?.nextObject() as? String {
                paths.append("\(net)\(folder)/\(name)")
            }
        }
        var settings: [String: String] = [:]
        for path in paths where !path.hasSuffix("nf_conntrack_count") {
            settings[path] = try? String(contentsOfFile: path, encoding: .utf8)
        }
        return settings
    }

    /// Network namespaces besides the machine's own that the process `id` has open.
    static func namespaces(openIn id: String) -> Set<String> {
        let manager = FileManager.default
        let own = try? manager.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
        let folder = "/proc/\(id)/fd/"
        let files = (try? manager.contentsOfDirectory(atPath: folder))?.map { folder + $0 } ?? []
        let links = (files + ["/proc/\(id)/ns/net"]).compactMap {
            try? manager.destinationOfSymbolicLink(atPath: $0)
        }
        return Set(links.filter { $0.hasPrefix("net:[") && $0 != own })
    }

    /// Tun devices the process `id` holds.
    static func tunCount(openIn id: String) -> Int {
        let folder = "/proc/\(id)/fd/"
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.count {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: folder + $0))
                == "/dev/net/tun"
        }
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
