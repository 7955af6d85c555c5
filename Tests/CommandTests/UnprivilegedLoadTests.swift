import Foundation
import Testing

/// What whoever is not root hears of the commands that need it: a sentence, and what to do.
@Suite(.enabled(if: LoadScript.isPossible))
struct UnprivilegedLoadTests {
    /// Runs the command as nobody, who can read it at a place of its own.
    private static func run(_ arguments: String) throws -> Command {
        try Command.run(
            program: "/bin/bash",
            [
                "-c",
                """
                setpriv --reuid 65534 --regid 65534 --clear-groups "$1" \(arguments)
                """, "bash", Command.program.path,
            ])
    }

    /// Whether nobody may start the command where it was built.
    static let isPossible: Bool = {
        let command = try? run("--version")
        return command?.status == 0
    }()

    @Test(
        "as nobody: a sentence with a remedy, and a code",
        .enabled(if: isPossible),
        arguments: [
            RefusedCall(
                arguments: ["lab", "run", "--", "ceiling"], status: 4,
                sentence: "network namespaces need root; run with sudo"),
            RefusedCall(
                arguments: ["lab", "run", "--set", "nf_conntrack_max=4000", "--", "ceiling"],
                status: 4, sentence: "network namespaces need root; run with sudo"),
            RefusedCall(
                arguments: ["lab", "up"], status: 4,
                sentence: "network namespaces need root; run with sudo"),
            RefusedCall(
                arguments: ["lab", "down"], status: 4,
                sentence: "network namespaces need root; run with sudo"),
            RefusedCall(
                arguments: ["timeouts", "--target", "127.0.0.1:9"], status: 4,
                sentence: "listing the table needs root; run with sudo"),
            RefusedCall(
                arguments: ["early-drop", "--target", "127.0.0.1:9"], status: 4,
                sentence: "listing the table needs root; run with sudo"),
            RefusedCall(
                arguments: ["observe", "--states", "5", "--for", "1"], status: 4,
                sentence: "--states: listing the table needs root; run with sudo"),
        ])
    func saysWhatRootIsNeededFor(_ call: RefusedCall) throws {
        let command = try Self.run(call.arguments.joined(separator: " "))
        #expect(command.status == call.status, "\(command.error)")
        #expect(command.error.contains(call.sentence), "\(command.error)")
    }

    @Test("another namespace is not to be entered as nobody", .enabled(if: isPossible))
    func saysThatNamespacesNeedRoot() throws {
        let name = "ctlab-nobody-\(getpid())"
        _ = try Command.run(program: "/usr/sbin/ip", ["netns", "add", name])
        defer { _ = try? Command.run(program: "/usr/sbin/ip", ["netns", "del", name]) }
        for arguments in [
            "observe netns:\(name) --for 1",
            "ceiling --target 127.0.0.1:9 --observe netns:\(name)",
        ] {
            let command = try Self.run(arguments)
            #expect(command.status == 4, "\(command.error)")
            #expect(command.error.contains("run with sudo"), "\(command.error)")
        }
    }

    @Test(
        "root without a capability hears a sentence as well",
        arguments: [
            (
                "sys_admin", "observe netns:$name --for 1",
                "entering a namespace takes CAP_SYS_ADMIN"
            ),
            (
                "sys_admin", "ceiling --target 127.0.0.1:9 --observe netns:$name",
                "entering a namespace takes CAP_SYS_ADMIN"
            ),
            ("net_admin", "observe --states 5 --for 1", "listing a table CAP_NET_ADMIN"),
            (
                "net_admin", "timeouts --target 127.0.0.1:9 --of rst",
                "listing a table CAP_NET_ADMIN"
            ),
            ("net_admin", "early-drop --target 127.0.0.1:9", "listing a table CAP_NET_ADMIN"),
        ])
    func saysWhichCapabilityIsMissing(
        _ capability: String, _ arguments: String, _ sentence: String
    ) throws {
        let script = """
            name=ctlab-capability-$$-\(capability)
            ip netns add $name
            setpriv --bounding-set -\(capability) --inh-caps -\(capability) "$1" \(arguments)
            status=$?
            ip netns del $name
            exit $status
            """
        let command = try Command.run(
            program: "/bin/bash", ["-c", script, "bash", Command.program.path])
        #expect(command.status == 4, "\(command.error)")
        #expect(command.error.contains("Operation not permitted (errno 1)"), "\(command.error)")
        #expect(command.error.contains(sentence), "\(command.error)")
    }
}
