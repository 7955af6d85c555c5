import Foundation
import Testing

/// What a live 6.18 kernel did with 44 traces: the fixtures under `Fixtures/corpus`.
enum Recordings {
    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().appending(path: "Fixtures/corpus")

    /// `0001-tcp-realistic` and so on, in order.
    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasSuffix(".kernel.jsonl.gz") }
            .map { String($0.dropLast(".kernel.jsonl.gz".count)) }.sorted()
    }()

    /// The lines of a recording.
    static func lines(_ name: String) throws -> [String] {
        let gunzip = Process()
        gunzip.executableURL = URL(filePath: "/usr/bin/gzip")
        gunzip.arguments = ["-dc", folder.appending(path: name + ".kernel.jsonl.gz").path]
        let pipe = Pipe()
        gunzip.standardOutput = pipe
        try gunzip.run()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        gunzip.waitUntilExit()
        return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
