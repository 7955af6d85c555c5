import Foundation
import Testing

/// Output that cannot be written.
@Suite struct OutputTests {
    private static func run(_ script: String) throws -> Command {
        try Command.run(program: "/bin/bash", ["-c", script, "bash", Command.program.path])
    }

    static let commands = [
        "list", "validate scenarios/*.yaml", "validate --schema scenario", "--help", "--version",
        "load --quick churn --target 127.0.0.1:9 --rate 10/s --for 30s --observe none",
        "load --quick churn --target 127.0.0.1:9 --rate 10/s --for 30s --observe none "
            + "--format jsonl",
    ]

    @Test("a full disk is a failure with a sentence", arguments: commands)
    func reportsFullDisks(_ arguments: String) throws {
        let command = try Self.run("\"$1\" \(arguments) > /dev/full")
        #expect(command.status == 1, "\(command.error)")
        #expect(
            command.error.contains("write standard output: No space left on device"),
            "\(command.error)")
    }

    @Test("a reader that has gone is none", arguments: commands)
    func bearsClosedReaders(_ arguments: String) throws {
        // The reader is gone before the first byte comes.
        let command = try Self.run(
            "(sleep 0.3; exec \"$1\" \(arguments)) | true; echo ${PIPESTATUS[0]}")
        #expect(command.output == "0\n", "\(command.error)")
        #expect(!command.error.contains("Broken pipe"), "\(command.error)")
    }
}
