import Foundation
import Testing

extension LiveTests {
    /// `ctlab verify` as a person runs it.
    @Suite(.enabled(if: LiveMachine.isThere, "the live kernel is not there"))
    struct VerifyCommandTests {
        /// The command stands beside the tests' own program.
        static let program: URL = {
            let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            return URL(filePath: link ?? "").deletingLastPathComponent().appending(path: "ctlab")
        }()

        static func start(_ arguments: [String], _ output: Pipe) throws -> Process {
            let process = Process()
            process.executableURL = program
            process.arguments = ["verify"] + arguments
            process.standardOutput = output
            process.standardError = output
            try process.run()
            return process
        }

        static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
            let pipe = Pipe()
            let process = try start(arguments, pipe)
            let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            return (process.terminationStatus, String(decoding: data, as: UTF8.self))
        }

        @Test("a recorded trace agrees, and the end says how much was compared")
        func verifiesATrace() throws {
            let trace = Trace.folder.appending(path: "0002-tcp-realistic").path
            let result = try Self.run([trace + ".pcap.gz", "--node", trace + ".node.yaml"])
            #expect(result.status == 0, "\(result.output)")
            #expect(result.output.contains("300 packets, 0 with a difference"), "\(result.output)")
        }

        @Test("the folder for finds is made before the first packet, or refused")
        func makesTheFolder() throws {
            let folder = FileManager.default.temporaryDirectory
                .appending(path: "ctlab-finds-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: folder) }
            let inside = folder.appending(path: "a/b").path
            let made = try Self.run(
                ["--fuzz", "--kind", "udp", "--packets", "1", "--out", inside])
            #expect(made.status == 0, "\(made.output)")
            #expect(FileManager.default.fileExists(atPath: inside))
            let refused = try Self.run(["--fuzz", "--packets", "1", "--out", "/dev/null/finds"])
            #expect(refused.status == 2)
            #expect(refused.output.contains("--out: found '/dev/null/finds'"), "\(refused.output)")
        }

        @Test(
            "wrong usage is refused with a sentence",
            arguments: [
                [], ["--fuzz", "a.pcap"], ["--fuzz", "--node", "n.yaml"],
                ["--fuzz", "--packets", "0"],
                ["a.pcap"], ["--fuzz", "--kind", "sctp6"],
            ])
        func refusesUsage(_ arguments: [String]) throws {
            let result = try Self.run(arguments)
            #expect(result.status == 2, "\(result.output)")
            #expect(!result.output.isEmpty)
        }
    }
}
