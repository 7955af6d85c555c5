import Foundation
import LinuxCalls
import Testing
import Wire

/// What a live 6.18 kernel did with 49 traces: the files under `Tests/Corpus`.
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
        let bytes = try contents(folder.appending(path: name + ".kernel.jsonl.gz").path)
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// The trace a recording is about.
    static func capture(_ name: String) throws -> ByteArraySource {
        ByteArraySource(try contents(folder.appending(path: name + ".pcap.gz").path))
    }

    static func nodeFile(_ name: String) -> String {
        folder.appending(path: name + ".node.yaml").path
    }

    /// Everything an input file gives, read in pieces of `pieceByteCount`.
    static func contents(_ path: String, pieceByteCount: Int = 10_000) throws -> [UInt8] {
        let file = try InputFile(opening: path)
        var whole: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: pieceByteCount)
        while true {
            var span = piece.mutableSpan
            let count = try file.read(into: &span, at: 0)
            if count == 0 { return whole }
            whole += piece[..<count]
        }
    }
}
