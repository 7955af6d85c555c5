import Foundation
import Testing

/// `ctlab verify` as a person runs it.
@Suite(.serialized, .enabled(if: LiveMachine.isThere, "the live kernel is not there"))
struct VerifyCommandTests {
    /// The command stands beside the tests' own program.
    private static let program: URL = {
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(filePath: link ?? "").deletingLastPathComponent().appending(path: "ctlab")
    }()

    private static func start(_ arguments: [String], _ output: Pipe) throws -> Process {
        let process = Process()
        process.executableURL = program
        process.arguments = ["verify"] + arguments
        process.standardOutput = output
        process.standardError = output
        try process.run()
        return process
    }

    private static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
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

    @Test(
        "wrong usage is refused with a sentence",
        arguments: [
            [], ["--fuzz", "a.pcap"], ["--fuzz", "--node", "n.yaml"], ["--fuzz", "--packets", "0"],
            ["a.pcap"], ["--fuzz", "--kind", "sctp6"],
        ])
    func refusesUsage(_ arguments: [String]) throws {
        let result = try Self.run(arguments)
        #expect(result.status == 2, "\(result.output)")
        #expect(!result.output.isEmpty)
    }

    @Test("a run that is killed leaves nothing that the next one does not put back")
    func survivesBeingKilled() throws {
        let before = try Global.limit()
        let folder = FileManager.default.temporaryDirectory.appending(path: "ctlab-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        // The recording with the longest pauses, on a machine that changes a global setting.
        let trace = Trace.folder.appending(path: "0043-tcp-gaps")
        let node = folder.appending(path: "node.yaml")
        let text = try String(contentsOfFile: trace.path + ".node.yaml", encoding: .utf8)
        let changed = text.replacingOccurrences(
            of: "sysctl:\n", with: "sysctl:\n  net.netfilter.nf_conntrack_max: 54321\n")
        try Data(changed.utf8).write(to: node)
        let process = try Self.start([trace.path + ".pcap.gz", "--node", node.path], Pipe())
        var attempts = 0
        while try Global.limit() != "54321", attempts < 6000, process.isRunning {
            usleep(10_000)
            attempts += 1
        }
        #expect(try Global.limit() == "54321")
        #expect(kill(process.processIdentifier, SIGKILL) == 0)
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal)

        let devices = try FileManager.default.contentsOfDirectory(atPath: "/sys/class/net")
        #expect(!devices.contains("lan") && !devices.contains("wan"))
        let quick = Trace.folder.appending(path: "0001-tcp-realistic").path
        let next = try Self.run([quick + ".pcap.gz", "--node", quick + ".node.yaml"])
        #expect(next.status == 0, "\(next.output)")
        #expect(try Global.limit() == before)
    }
}
