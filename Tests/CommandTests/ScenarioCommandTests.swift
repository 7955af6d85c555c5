import Foundation
import Testing

/// `ctlab validate` and `ctlab list`, as a person would run them.
@Suite struct ScenarioCommandTests {
    @Test("a good file is told in a line, with what it would take")
    func validates() throws {
        let command = try Command.run(["validate", "scenarios/table-full-burst.yaml"])
        #expect(command.status == 0)
        #expect(
            command.output.hasPrefix(
                "scenarios/table-full-burst.yaml: good: 3 machines, 2 links, 2 workloads, "))
        #expect(command.error.isEmpty)
    }

    @Test("a wrong value is told with its place, and the exit code is 2")
    func refuses() throws {
        let command = try Command.run([
            "validate", "scenarios/table-full-burst.yaml", "--set", "haproxy.cpus=none", "--set",
            "burst.stages[1].rate=5",
        ])
        #expect(command.status == 2)
        #expect(command.output.isEmpty)
        #expect(
            command.error.split(separator: "\n").map(String.init) == [
                "--set haproxy.cpus=none:1:1: found 'none', expected a whole number from 1 to 1024",
                "--set burst.stages[1].rate=5:1:1: found '5', expected a rate with its unit, as "
                    + "4000/s (/s, /min, /h, k/s, M/s); did you mean '5/s'?",
                "ctlab: 1 of 1 files refused",
            ])
    }

    @Test("wrong usage is told, and the exit code is 2")
    func knowsItsUsage() throws {
        #expect(try Command.run(["validate"]).status == 2)
        #expect(try Command.run(["validate", "no-such-file.yaml"]).status == 2)
        #expect(
            try Command.run(["validate", "README.md", "--set", "cpus"]).error.contains(
                "--set: found 'cpus', expected path=value"))
        #expect(try Command.run(["list", "no-such-folder"]).status == 2)
    }

    @Test("the shipped scenarios are listed by name with what they are about")
    func lists() throws {
        let command = try Command.run(["list"])
        #expect(command.status == 0)
        let names = command.output.split(separator: "\n").map { $0.prefix { $0 != " " } }
        #expect(names.contains("table-full-burst"))
        #expect(names == names.sorted())
    }

    @Test("the schemas are printed as they are published", arguments: ["scenario", "node"])
    func printsSchemas(_ name: String) throws {
        let published = try String(
            contentsOf: Command.root.appending(path: "schema/\(name).schema.json"), encoding: .utf8)
        #expect(try Command.run(["validate", "--schema", name]).output == published)
    }

    // MARK: A saved table

    /// A gateway that begins with the entries of `table.txt`.
    private static let resumed = """
        version: 1
        name: resumed
        about: A gateway with the table it had.
        duration: 1s
        topology:
          nodes:
            clients: { addresses: [198.18.0.0/24] }
            gw: { role: router, table_file: table.txt }
            web: { addresses: [198.18.128.10/32], listen: [443/tcp] }
          links: [{ endpoints: [clients, gw] }, { endpoints: [gw, web] }]
        """

    /// Runs it from a folder that has the table.
    private static func run(_ table: String, _ arguments: [String]) throws -> Command {
        let scratch = try Scratch()
        _ = try scratch.file("table.txt", Data(table.utf8))
        let path = try scratch.file("resumed.yaml", Data(resumed.utf8))
        return try Command.run([arguments[0], path] + arguments.dropFirst())
    }

    @Test("a saved table is the one a run begins with, line by line")
    func resumes() throws {
        let lines = [
            "tcp      6 431999 ESTABLISHED src=10.0.0.2 dst=10.0.1.2 sport=40000 dport=80 "
                + "src=10.0.1.2 dst=203.0.113.1 sport=80 dport=1024 [ASSURED] mark=5 use=1",
            "tcp      6 119 SYN_SENT src=10.0.0.2 dst=10.0.1.2 sport=40001 dport=80 [UNREPLIED] "
                + "src=10.0.1.2 dst=10.0.0.2 sport=80 dport=40001 mark=0 use=1",
            "udp      17 29 src=10.0.0.2 dst=10.0.1.2 sport=1 dport=53 [UNREPLIED] src=10.0.1.2 "
                + "dst=10.0.0.2 sport=53 dport=1 mark=0 use=1",
            // The same tuple in other zones.
            "udp      17 28 src=10.0.0.2 dst=10.0.1.2 sport=1 dport=53 [UNREPLIED] src=10.0.1.2 "
                + "dst=10.0.0.2 sport=53 dport=1 mark=0 zone=7 use=1",
            "udp      17 27 src=10.0.0.2 dst=10.0.1.2 sport=2 dport=53 zone-orig=8 src=10.0.1.2 "
                + "dst=10.0.0.2 sport=53 dport=2 mark=0 use=1",
            "udp      17 26 src=10.0.0.2 dst=10.0.1.2 sport=3 dport=53 [UNREPLIED] src=10.0.1.2 "
                + "dst=10.0.0.2 sport=53 dport=3 zone-reply=9 mark=0 use=1",
            "icmpv6   58 29 src=fd00::2 dst=fd01::2 type=128 code=0 id=9 src=fd01::2 dst=fd00::2 "
                + "type=129 code=0 id=9 mark=0 use=1",
            "gre      47 179 src=10.0.0.2 dst=10.0.1.2 srckey=0x0 dstkey=0x0 src=10.0.1.2 "
                + "dst=10.0.0.2 srckey=0x0 dstkey=0x0 [ASSURED] mark=0 use=1",
            "sctp     132 209 ESTABLISHED src=10.0.0.2 dst=10.0.1.2 sport=10 dport=20 "
                + "src=10.0.1.2 dst=10.0.0.2 sport=20 dport=10 [ASSURED] mark=0 use=1",
        ]
        let table =
            "# as it was\n" + lines.joined(separator: "\n") + "\n\nconntrack v1.4.7 (…): 9\n"
        let command = try Self.run(table, ["run", "--list-at", "0s"])
        #expect(command.status == 0, "\(command.error)")
        for line in lines { #expect(command.output.contains("\n\(line)\n"), "\(line)") }
        #expect(!command.output.contains("did not go in"))
    }

    @Test("entries of a saved table that do not go in, or not with all they had, are counted")
    func countsRefusedEntries() throws {
        let table = (1...6).map {
            "udp 17 29 src=10.0.0.2 dst=10.0.1.2 sport=\($0 % 5 + 1) dport=53 [UNREPLIED] "
                + "src=10.0.1.2 dst=10.0.0.2 sport=53 dport=\($0 % 5 + 1) helper=tftp mark=0 use=1\n"
        }.joined()
        let whole = try Self.run(table, ["run"])
        #expect(whole.status == 0, "\(whole.error)")
        #expect(
            whole.output.contains(
                "gw: 1 of 6 entries of table.txt did not go in: the table is full, or has them "
                    + "already"), "\(whole.output)")
        #expect(
            whole.output.contains("gw: 5 entries of table.txt go on without their helper"),
            "\(whole.output)")
    }

    @Test("lines that are no entries are said before the run, with the table's own places")
    func refusesBrokenTables() throws {
        let table = """
            udp 17 29 src=10.0.0.2 dst=10.0.1.2 sport=1 dport=53 src=10.0.1.2 dst=10.0.0.2 sport=53 dport=1
            udp 17 29 src=10.0.0.2 dst=10.0.1.2 sport=1
            tcp 6 9 OPEN src=10.0.0.2 dst=10.0.1.2 sport=1 dport=5 src=10.0.1.2 dst=10.0.0.2 sport=5 dport=1
            udp 17 29 src=10.0.0.2 dst=10.0.1.2 sport=1 dport=53 src=10.0.1.2 dst=10.0.0.2 sport=53 dport=1 zone=70000
            """
        let command = try Self.run(table, ["validate"])
        #expect(command.status == 2)
        #expect(
            command.error.split(separator: "\n").dropLast().map(String.init) == [
                "table.txt:2:1: found 'udp 17 29 src=10.0.0.2 dst=10.0.1.2 sport=1', expected a line of "
                    + "conntrack -L or /proc/net/nf_conntrack",
                "table.txt:3:1: found 'tcp 6 9 OPEN src=10.0.0.2 dst=10.0.1.2 sport=1 dport=5 src=1',"
                    + " expected a line of conntrack -L or /proc/net/nf_conntrack",
                "table.txt:4:1: found 'udp 17 29 src=10.0.0.2 dst=10.0.1.2 sport=1 dport=53 src=10.',"
                    + " expected a line of conntrack -L or /proc/net/nf_conntrack",
            ], "\(command.error)")
    }
}
