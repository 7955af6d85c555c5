import Foundation
import Testing
import Wire

/// What a live 6.18 kernel did with 44 traces: the files under `Tests/Corpus`.
enum Recordings {
    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Corpus")

    /// `0001-tcp-realistic` and so on, in order.
    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasSuffix(".kernel.jsonl.gz") }
            .map { String($0.dropLast(".kernel.jsonl.gz".count)) }.sorted()
    }()

    /// The lines of a recording.
    static func lines(_ name: String) throws -> [String] {
        String(decoding: try unpacked(name + ".kernel.jsonl.gz"), as: UTF8.self)
            .split(separator: "\n").map(String.init)
    }

    /// The trace a recording is about.
    static func capture(_ name: String) throws -> MemorySource {
        MemorySource(bytes: [UInt8](try unpacked(name + ".pcap.gz")))
    }

    static func nodeFile(_ name: String) -> String {
        folder.appending(path: name + ".node.yaml").path
    }

    private static func unpacked(_ file: String) throws -> Data {
        let gunzip = Process()
        gunzip.executableURL = URL(filePath: "/usr/bin/gzip")
        gunzip.arguments = ["-dc", folder.appending(path: file).path]
        let pipe = Pipe()
        gunzip.standardOutput = pipe
        try gunzip.run()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        gunzip.waitUntilExit()
        return data
    }
}

/// A capture that is in memory already.
struct MemorySource: ByteSource {
    var bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func read(into buffer: inout MutableSpan<UInt8>, at offset: Int) throws -> Int {
        let count = min(buffer.count - offset, bytes.count - position)
        for index in 0..<count { buffer[offset + index] = bytes[position + index] }
        position += count
        return count
    }
}
