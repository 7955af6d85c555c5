import Foundation
import LinuxCalls
import Testing

/// Files as they are read: plain, or gzip.
@Suite struct InputFileTests {
    /// A file that goes with the test.
    private static func withFile<Result>(
        _ data: Data, _ body: (String) throws -> Result
    ) throws -> Result {
        let place = FileManager.default.temporaryDirectory.appending(path: "ctlab-\(UUID())")
        try data.write(to: place)
        defer { try? FileManager.default.removeItem(at: place) }
        return try body(place.path)
    }

    private static func gzip(_ name: String) throws -> Data {
        try Data(contentsOf: Recordings.folder.appending(path: name))
    }

    static let name = "0001-tcp-realistic.pcap.gz"

    @Test("a plain file is handed on as it is, in pieces of any size", arguments: [1, 7, 100_000])
    func readsPlain(_ pieceByteCount: Int) throws {
        let data = Data((0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        let read = try Self.withFile(data) {
            try Recordings.contents($0, pieceByteCount: pieceByteCount)
        }
        #expect(Data(read) == data)
        #expect(try Self.withFile(Data([0x1f])) { try Recordings.contents($0) } == [0x1f])
        #expect(try Self.withFile(Data()) { try Recordings.contents($0) }.isEmpty)
    }

    @Test("gzip is decompressed, in pieces of any size", arguments: [1, 1000, 1_000_000])
    func readsGzip(_ pieceByteCount: Int) throws {
        let path = Recordings.folder.appending(path: Self.name).path
        let bytes = try Recordings.contents(path, pieceByteCount: pieceByteCount)
        // The length and the checksum of what was compressed end the file, little-endian.
        let data = try Self.gzip(Self.name)
        let length = data.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        #expect(bytes.count == length)
        #expect(
            bytes.prefix(4) == [0x4d, 0x3c, 0xb2, 0xa1]
                || bytes.prefix(4) == [0xd4, 0xc3, 0xb2, 0xa1])
    }

    @Test("members behind each other are one stream; padding behind them is nothing")
    func readsMembers() throws {
        let one = try Self.gzip(Self.name)
        let bytes = try Self.withFile(one) { try Recordings.contents($0) }
        #expect(try Self.withFile(one + one) { try Recordings.contents($0) } == bytes + bytes)
        #expect(try Self.withFile(one + Data(count: 512)) { try Recordings.contents($0) } == bytes)
    }

    @Test("a gzip stream that is cut off is an error, wherever it is cut")
    func refusesCutStreams() throws {
        let whole = try Self.gzip(Self.name)
        for end in stride(from: 3, to: whole.count, by: 97) {
            _ = try Self.withFile(whole.prefix(end)) { path in
                #expect(throws: GzipError.self, "cut at \(end)") {
                    try Recordings.contents(path)
                }
            }
        }
    }

    @Test("flipped bits of a gzip stream never trap")
    func survivesDamage() throws {
        let whole = try Self.gzip(Self.name)
        for place in stride(from: 2, to: whole.count, by: 53) {
            var damaged = whole
            damaged[place] ^= 1 << UInt8(place % 8)
            _ = try Self.withFile(damaged) { try? Recordings.contents($0) }
        }
    }

    @Test("a file that is not there is named, with the system's words")
    func refusesMissing() {
        let error = #expect(throws: SystemCallError.self) {
            try InputFile(opening: "/absent/file")
        }
        #expect(error?.isMissing == true)
        let text = error?.description ?? ""
        #expect(text.contains("/absent/file: No such file or directory"))
    }
}
