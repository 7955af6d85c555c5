import Foundation
import Testing

extension LiveTests {
    /// What a run that is killed leaves behind, and what the next one puts back.
    @Suite(.enabled(if: LiveMachine.isThere, "the live kernel is not there"))
    struct KilledRunTests {
        @Test("after SIGKILL and a new start no namespace, device or changed setting is left")
        func survivesBeingKilled() throws {
            let limit = try LiveMachine.limitAtRest()
            let settings = Global.settings()
            #expect(settings["/proc/sys/net/netfilter/nf_conntrack_max"] == limit + "\n")
            #expect(settings["/proc/sys/net/netfilter/nf_log_all_netns"] != nil)
            let folder = FileManager.default.temporaryDirectory.appending(path: "ctlab-\(UUID())")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }

            // The recording with the longest pauses, on a machine that changes a global setting.
            let trace = Trace.folder.appending(path: "0043-tcp-gaps").path
            let node = folder.appending(path: "node.yaml")
            let text = try String(contentsOfFile: trace + ".node.yaml", encoding: .utf8)
            let changed = text.replacingOccurrences(
                of: "sysctl:\n", with: "sysctl:\n  net.netfilter.nf_conntrack_max: 54321\n")
            try Data(changed.utf8).write(to: node)
            let process = try VerifyCommandTests.start(
                [trace + ".pcap.gz", "--node", node.path], Pipe())
            let id = String(process.processIdentifier)
            // It may have to wait for its turn on this machine, and gives up by itself.
            while Global.tunCount(openIn: id) < 2, process.isRunning { usleep(10_000) }
            #expect(try Global.limit() == "54321")
            let namespaces = Global.namespaces(openIn: id)
            #expect(namespaces.count == 1)
            #expect(kill(process.processIdentifier, SIGKILL) == 0)
            process.waitUntilExit()
            #expect(process.terminationReason == .uncaughtSignal)

            // The namespace went with its only holder, and the devices with the namespace.
            let processes = try FileManager.default.contentsOfDirectory(atPath: "/proc")
            for process in processes where process.allSatisfy(\.isNumber) {
                #expect(Global.namespaces(openIn: process).isDisjoint(with: namespaces))
            }
            let devices = try FileManager.default.contentsOfDirectory(atPath: "/sys/class/net")
            #expect(!devices.contains("lan") && !devices.contains("wan"))

            let quick = Trace.folder.appending(path: "0001-tcp-realistic").path
            let next = try VerifyCommandTests.run(
                [quick + ".pcap.gz", "--node", quick + ".node.yaml"])
            #expect(next.status == 0, "\(next.output)")
            #expect(try LiveMachine.limitAtRest() == limit)
            let now = Global.settings()
            for (path, value) in settings.sorted(by: { $0.key < $1.key }) {
                #expect(now[path] == value, "\(path)")
            }
        }
    }
}
