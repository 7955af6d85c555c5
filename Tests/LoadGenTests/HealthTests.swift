import Foundation
import LinuxCalls
import Testing
import Wire

@testable import LoadGen

/// A target asked whether it is well.
@Suite struct HealthTests {
    /// Looks until `moment` on a clock of our own, often enough for what loopback takes.
    private static func look(
        _ probe: inout HealthProbe, from start: UInt64, seconds: Int
    ) -> String? {
        for step in 0..<(seconds * 20) {
            if let failure = probe.look(at: start + UInt64(step) * 50_000_000) { return failure }
            MonotonicClock.sleep(until: MonotonicClock.now() + 200_000)
        }
        return nil
    }

    @Test("a target that listens is well, and one that stops listening is not, after so many times")
    func noticesTheEnd() throws {
        var listener: SocketTable? = try SocketTable(slotCount: 1)
        let any = SocketAddress(.ipv4, Address(ipv4: 0x7F00_0001), port: 0)
        try listener?.listen(0, on: any, backlog: 16)
        let bound = listener?.localAddress(0)
        let address = try #require(bound)
        var probe = try HealthProbe(.connect(address), failures: 3)
        let start = MonotonicClock.now()
        #expect(Self.look(&probe, from: start, seconds: 5) == nil)
        #expect(probe.failures == 0)
        listener = nil
        let failure = Self.look(&probe, from: start + 6_000_000_000, seconds: 10)
        let sentence = try #require(failure)
        #expect(sentence.contains("connect \(address) failed 3 times in a row"), "\(sentence)")
        #expect(sentence.contains("Connection refused"), "\(sentence)")
    }

    @Test("a target that never answers fails by the clock")
    func noticesSilence() throws {
        // A listener whose queue is full takes no further connection, and says nothing.
        var table = try SocketTable(slotCount: 8)
        let any = SocketAddress(.ipv4, Address(ipv4: 0x7F00_0001), port: 0)
        try table.listen(0, on: any, backlog: 0)
        let bound = table.localAddress(0)
        let address = try #require(bound)
        for slot in 1..<4 { try table.connect(slot, to: address, from: nil) }
        var probe = try HealthProbe(.connect(address), failures: 2)
        let failure = Self.look(&probe, from: MonotonicClock.now(), seconds: 30)
        let sentence = try #require(failure)
        #expect(sentence.contains("failed 2 times in a row, at last: no answer within 2 s"))
    }

    @Test(
        "the host of a web address is read, and what may be read in two ways is none",
        arguments: [
            ("http://web.example/ready", "web.example"), ("https://10.0.0.1:8443", "10.0.0.1"),
            ("http://[fd00::1]:80/x", "fd00::1"), ("http://web?x@y", "web"),
            ("http://127.0.0.1@10.0.0.1/", nil), ("http://127.0.0.1:80@10.0.0.1/", nil),
            ("http://127.0.0.1\\@web/", nil), ("http://{a,b}/", nil), ("http://[1-9]/", nil),
            ("http:///x", nil), ("http://web:port/", nil), ("ftp://web/", nil), ("web", nil),
            ("http://we b/", nil), ("http://%31/", nil),
        ] as [(String, String?)])
    func readsHosts(_ url: String, _ host: String?) {
        #expect(HealthProbe.Question.host(ofURL: url) == host)
    }

    @Test("curl does what it is told here, and nothing of what ~/.curlrc says")
    func ignoresOwnSettings() throws {
        let home = FileManager.default.temporaryDirectory.appending(path: "ctlab-\(UUID())")
        try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: home) }
        try Data("write-out = \"heeded\"\n".utf8).write(to: home.appending(path: ".curlrc"))
        let program = try #require(WebQuestion.program)
        func output(_ arguments: [String]) throws -> String {
            let process = Process()
            process.executableURL = URL(filePath: program.path)
            process.arguments = arguments
            process.environment = ["HOME": home.path]
            let pipe = Pipe()
            process.standardOutput = pipe
            try process.run()
            process.waitUntilExit()
            return String(
                decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        }
        let url = "file:///dev/null"
        #expect(try output(["--", url]) == "heeded")
        #expect(
            try output(WebQuestion.arguments(url, seconds: 2, followsRedirections: false, [])) == ""
        )
    }
}
