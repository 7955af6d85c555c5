import Foundation
import Testing

/// Other hosts, as `observe`, `load` and the health probe see them.
@Suite struct ObserveCommandTests {
    private static let exposition = """
        # TYPE node_nf_conntrack_entries gauge
        node_nf_conntrack_entries 777
        node_nf_conntrack_entries_limit 4000

        """

    @Test("a node_exporter's host is watched line by line")
    func watchesMetrics() throws {
        let server = try PageServer { _ in (200, Self.exposition) }
        let command = try Command.run(["observe", "\(server.url)/metrics", "--for", "2"])
        #expect(command.status == 0, "\(command.error)")
        let lines = command.output.split(separator: "\n")
        #expect(lines.count == 3, "\(command.output)")
        let words = lines.last?.split(separator: " ") ?? []
        #expect(words.prefix(4) == ["2", "777", "4000", "19%"])
    }

    @Test("a host that says something else, or nothing, is said")
    func saysWhatIsMissing() throws {
        let server = try PageServer { path in path == "/empty" ? (200, "") : (404, "") }
        let empty = try Command.run(["observe", "\(server.url)/empty", "--for", "1"])
        #expect(empty.status == 4)
        #expect(empty.error.contains("found no node_nf_conntrack_entries"), "\(empty.error)")
        let missing = try Command.run(["observe", "\(server.url)/metrics", "--for", "1"])
        #expect(missing.status == 4)
        #expect(missing.error.contains("404"), "\(missing.error)")
        let states = try Command.run(["observe", "\(server.url)/metrics", "--states", "5"])
        #expect(states.status == 2)
        #expect(states.error.contains("--states"))
    }

    @Test("a health page that turns bad stops the run")
    func stopsForHealthPages() throws {
        // Good for three questions, then not any more.
        let asked = Counter()
        let server = try PageServer { _ in (asked.next() <= 3 ? 200 : 500, "") }
        // Nothing listens at the target, and nobody minds: what is asked is the page.
        let command = try Command.run([
            "load", "--quick", "churn", "--target", "127.0.0.1:9", "--rate", "10/s", "--for",
            "60s", "--observe", "none", "--health", "\(server.url)/ready",
        ])
        #expect(command.status == 5, "\(command.error)")
        let sentence = "/ready failed 3 times in a row, at last: answered with 500"
        #expect(command.error.contains(sentence), "\(command.error)")
        #expect(command.output.contains("churn: "))
    }

    @Test("what a textfile collector gets is in node_exporter's words, and names its source")
    func writesForTextfiles() throws {
        let server = try PageServer { _ in
            (200, Self.exposition + "node_sockstat_TCP_tw 3\nnode_nf_conntrack_stat_drop 2\n")
        }
        let place = "\(server.url)/metrics"
        let command = try Command.run(["observe", place, "--format", "openmetrics"])
        #expect(command.status == 0, "\(command.error)")
        let lines = command.output.split(separator: "\n").map(String.init)
        // Another help text than its own collector's would make it refuse the family.
        for line in [
            "# HELP node_sockstat_TCP_tw Number of TCP sockets in state tw.",
            "# HELP node_nf_conntrack_stat_drop Number of packets dropped due to conntrack failure.",
            "node_nf_conntrack_entries{source=\"\(place)\"} 777",
        ] {
            #expect(lines.contains(line), "\(command.output)")
        }
        #expect(lines.allSatisfy { $0.hasPrefix("#") || $0.contains("{source=\"\(place)\"} ") })
        #expect(!command.output.contains("TCP_inuse"))
        guard FileManager.default.isExecutableFile(atPath: "/usr/bin/promtool") else { return }
        let checked = try Command.run(
            program: "/usr/bin/promtool", ["check", "metrics"], input: Data(command.output.utf8))
        #expect(checked.status == 0, "\(checked.output) \(checked.error)")
    }

    // MARK: ssh

    /// Runs the command with an `ssh` that is a shell script.
    private static func run(_ arguments: String, ssh script: String) throws -> Command {
        let scratch = try Scratch()
        let path = try scratch.file("ssh", Data(("#!/bin/sh\n" + script + "\n").utf8))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return try Command.run(
            program: "/bin/bash",
            [
                "-c", "PATH=$2:$PATH; \"$1\" \(arguments)", "bash", Command.program.path,
                scratch.folder.path,
            ])
    }

    /// What `ssh` does, on this very machine: the last word is the command.
    private static let near = "for last; do :; done; exec /bin/sh -c \"$last\""

    @Test(
        "another host is watched by ssh, and nothing of it stays",
        .enabled(if: FileManager.default.fileExists(atPath: "/proc/sys/net/netfilter")))
    func watchesBySSH() throws {
        let command = try Self.run("observe ssh:admin@gw --for 2 --format jsonl", ssh: Self.near)
        #expect(command.status == 0, "\(command.error)")
        #expect(LoadCommandTests.number("second", in: command.output) == 2)
        let limit = try String(
            contentsOfFile: "/proc/sys/net/netfilter/nf_conntrack_buckets", encoding: .utf8)
        let buckets = LoadCommandTests.number("buckets", in: command.output)
        #expect(buckets != nil && buckets ?? 0 > 0, "\(limit) \(command.output)")
    }

    struct Row: CustomTestStringConvertible, Sendable {
        var name: String
        var script: String
        var sentence: String

        var testDescription: String { name }
    }

    @Test(
        "an ssh that leads nowhere is said",
        arguments: [
            Row(
                name: "refused", script: "echo 'Permission denied (publickey).' >&2; exit 255",
                sentence: "ssh admin@gw ended with code 255"),
            Row(
                name: "a host that does not track", script: "while read w; do echo '== end'; done",
                sentence: "admin@gw tracks no connections"),
            Row(
                name: "a host that never stops talking", script: "exec yes",
                sentence: "admin@gw: found more than 1048576 bytes of an answer"),
            Row(
                name: "a line that never ends", script: "exec tr '\\0' x < /dev/zero",
                sentence: "admin@gw: found more than 1048576 bytes of an answer"),
        ])
    func saysWhySSHFails(_ row: Row) throws {
        let command = try Self.run("observe ssh:admin@gw --for 1", ssh: row.script)
        #expect(command.status == 4)
        #expect(command.error.contains(row.sentence), "\(command.error)")
    }

    @Test("a host that falls silent is said second by second, and may come back")
    func bearsSilence() throws {
        // The third answer takes two seconds.
        let script = """
            n=0
            while read -r word; do
                n=$((n + 1)); [ $n = 3 ] && sleep 2
                printf '== count\\n%s\\n== max\\n100\\n== end\\n' $n
            done
            """
        let command = try Self.run("observe ssh:gw --for 6", ssh: script)
        #expect(command.status == 0, "\(command.error)")
        #expect(command.error.contains("second 2: gw did not answer in time"), "\(command.error)")
        // Late answers are nobody's: the count is that of the question.
        let last = command.output.split(separator: "\n").last?.split(separator: " ") ?? []
        #expect(last.prefix(3) == ["6", "7", "100"], "\(command.output)")
    }

    @Test(
        "a run whose observed host goes away goes on, and says how often it was not seen",
        .enabled(if: LoadScript.isPossible))
    func saysWhatWasNotSeen() throws {
        let scratch = try Scratch()
        let path = try scratch.file(
            "ssh",
            Data(
                """
                #!/bin/sh
                for n in 1 2 3; do
                    read -r word && printf '== count\\n%s\\n== max\\n100\\n== end\\n' $n
                done

                """.utf8))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        let command = try LoadScript.run(
            "PATH=\(scratch.folder.path):$PATH \"$ctlab\" load --quick churn --rate 20/s --for 4s "
                + "--target 127.0.0.1:9000 --observe ssh:gw")
        #expect(command.status == 0, "\(command.error)")
        #expect(command.error.contains("the observed table was not seen "), "\(command.error)")
        #expect(command.error.contains("ssh gw ended with code 0"), "\(command.error)")
    }
}
