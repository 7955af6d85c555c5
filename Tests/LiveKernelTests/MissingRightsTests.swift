import Foundation
import Testing

extension LiveTests {
    /// `ctlab verify` where something is missing: a sentence that says what and how to get it, and
    /// exit code 4.
    @Suite(.enabled(if: LiveMachine.isThere, "the live kernel is not there"))
    struct MissingRightsTests {
        struct Row: CustomTestStringConvertible, Sendable {
            let name: String
            /// Runs what follows it without what is missing.
            let command: String
            let sentence: String
            let remedy: String

            var testDescription: String { name }
        }

        static let rows = [
            Row(
                name: "root", command: "setpriv --reuid=65534 --clear-groups",
                sentence: "need root", remedy: "run with sudo"),
            Row(
                name: "tun", command: mounting("mount -t tmpfs none /dev/net"),
                sentence: "there is no /dev/net/tun", remedy: "modprobe tun"),
            Row(
                name: "nft and ip", command: mounting("mount -t tmpfs none /usr/sbin"),
                sentence: "there is no nft", remedy: "install the package nftables"),
            Row(
                name: "CAP_SYS_ADMIN", command: "setpriv --bounding-set -sys_admin",
                sentence: "unshare", remedy: "CAP_SYS_ADMIN"),
            Row(
                name: "CAP_NET_ADMIN", command: "setpriv --bounding-set -net_admin",
                sentence: "not permitted", remedy: "CAP_NET_ADMIN"),
            Row(
                name: "a writable /proc/sys",
                command: mounting(
                    "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys"),
                sentence: "Read-only file system", remedy: "writable /proc/sys"),
        ]

        /// In a mount namespace of its own.
        private static func mounting(_ commands: String) -> String {
            "unshare --mount --propagation private sh -ec '\(commands); exec \"$@\"' --"
        }

        @Test("without what it needs it says so, and how to get it", arguments: rows)
        func saysWhatIsMissing(_ row: Row) throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "ctlab-\(UUID())")
            try FileManager.default.createDirectory(
                at: folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o755])
            defer { try? FileManager.default.removeItem(at: folder) }
            // Where anybody may read it.
            let program = folder.appending(path: "ctlab").path
            try FileManager.default.copyItem(
                atPath: VerifyCommandTests.program.path, toPath: program)

            let process = Process()
            let pipe = Pipe()
            process.executableURL = URL(filePath: "/bin/sh")
            process.arguments = [
                "-c", "exec \(row.command) \"$0\" verify --fuzz --packets 100 --out \"$1\"",
                program, folder.path,
            ]
            process.standardOutput = pipe
            process.standardError = pipe
            try process.run()
            let output = String(
                decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 4, "\(output)")
            #expect(output.contains(row.sentence) && output.contains(row.remedy), "\(output)")
            #expect(output.split(separator: "\n").count == 1, "\(output)")
        }
    }
}
