import Foundation
import Testing

extension LiveTests {
    /// What the hosts of a scenario send through one of its nodes goes through the live kernel too.
    @Suite(.enabled(if: LiveMachine.isThere, "the live kernel is not there"))
    struct ScenarioTwoArmTests {
        struct Row: Sendable, CustomTestStringConvertible {
            /// What it shows.
            var kind: String
            var scenario: String
            var node: String
            var until: String
            var settings: [String] = []
            /// Packets that have to be compared at least, so that an empty trace is no success.
            var packets: Int
            /// Whether the live machine's own limit is lowered while it runs.
            var lowersLimit = false

            var testDescription: String { "\(kind): \(node) of \(scenario), \(until)" }
        }

        static let rows = [
            Row(
                kind: "TCP, connections come and go", scenario: "timewait-arithmetic", node: "gw",
                until: "1s", settings: ["gw.sysctl.nf_conntrack_max=262144"], packets: 15_000),
            Row(
                kind: "UDP behind a masquerade", scenario: "udp-timeout-too-short",
                node: "gw-stream", until: "5s", packets: 150),
            Row(
                kind: "source ports translated at random", scenario: "snat-exhaustion",
                node: "gw-98", until: "2s", packets: 1500),
            Row(
                kind: "uploads to a translated destination, late segments",
                scenario: "stale-segment-reset", node: "gw-plain", until: "500ms", packets: 300),
            Row(
                kind: "INVALID: the other direction takes another way",
                scenario: "asymmetric-return", node: "gw2", until: "3s", packets: 50),
            Row(
                kind: "dropped by a rule", scenario: "firewall-missing-established", node: "gw",
                until: "3s", packets: 80),
            Row(
                kind: "a table of 2 048 full of UDP", scenario: "ndots-amplification",
                node: "small", until: "5s", packets: 8000, lowersLimit: true),
        ].filter { !$0.lowersLimit || LiveMachine.hasRoom }

        @Test("a node's packets make no difference on the live kernel", arguments: rows)
        func agrees(_ row: Row) throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "ctlab-\(UUID())")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let trace = folder.appending(path: "trace.pcapng").path
            let node = folder.appending(path: "trace.node.yaml").path
            let run = try Self.ctlab(
                [
                    "run", Self.scenarios.appending(path: "\(row.scenario).yaml").path, "--until",
                    row.until, "--pcap", "\(row.node)=\(trace)", "--node-file",
                    "\(row.node)=\(node)",
                ] + row.settings.flatMap { ["--set", $0] })
            // So early expectations may fail; nothing else may.
            #expect([0, 3].contains(run.status), "\(run.output)")
            #expect(!run.output.contains("a replay leads to another table"), "\(run.output)")
            let verified = try VerifyCommandTests.run([trace, "--node", node])
            #expect(verified.status == 0, "\(verified.output)")
            let words = verified.output.split { $0 == " " || $0 == "\n" }
            let place = try #require(words.lastIndex(of: "packets,"), "\(verified.output)")
            #expect(words[place...].starts(with: ["packets,", "0", "with", "a", "difference,"]))
            #expect((Int(words[place - 1]) ?? 0) >= row.packets, "\(verified.output)")
        }

        private static let scenarios = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "scenarios")

        private static func ctlab(
            _ arguments: [String]
        ) throws -> (status: Int32, output: String) {
            let pipe = Pipe()
            let process = Process()
            process.executableURL = VerifyCommandTests.program
            process.arguments = arguments
            process.standardOutput = pipe
            process.standardError = pipe
            try process.run()
            let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            return (process.terminationStatus, String(decoding: data, as: UTF8.self))
        }
    }
}
