import Foundation
import Testing

/// What the command prints, and how it ends.
@Suite struct CommandTests {
    static let captures = [
        "asymmetric", "dnat-reverse", "ftp-nat", "table-full", "tcp-masquerade", "udp-stream",
    ]

    // MARK: Shipped captures

    @Test(
        "each shipped capture prints its golden text, in every process alike", arguments: captures)
    func matchesGolden(_ name: String) throws {
        let options = ["--list", "--stats", "--kernel-log", "--quiet"]
        let golden = try String(
            contentsOf: Command.root.appending(path: "scenarios/captures/\(name).txt"),
            encoding: .utf8)
        for _ in 0..<2 {
            let command = try Command.replay(name, options)
            #expect(command.status == 0)
            #expect(command.error.isEmpty)
            #expect(command.output == golden, "if this is wanted: make goldens")
        }
    }

    @Test(
        "--explain tells the golden story", arguments: ["asymmetric", "tcp-masquerade", "ftp-nat"])
    func tellsTheStory(_ name: String) throws {
        let golden = try String(
            contentsOf: Command.root.appending(path: "scenarios/captures/\(name).explain"),
            encoding: .utf8)
        let command = try Command.replay(name, ["--explain", "--quiet"])
        #expect(command.status == 0)
        #expect(command.output == golden, "if this is wanted: make goldens")
    }

    @Test("--explain N tells of one packet only, and changes no packet's line")
    func explainsOnePacket() throws {
        let plain = try Command.replay("tcp-masquerade", ["--quiet"])
        let all = try Command.replay("tcp-masquerade", ["--explain", "--quiet"])
        let one = try Command.replay("tcp-masquerade", ["--explain", "3", "--quiet"])
        let isStory = { (line: Substring) in line.hasPrefix("  ") && !line.hasPrefix("     ") }
        let lines = plain.output.split(separator: "\n")
        for text in [all.output, one.output] {
            let told = text.split(separator: "\n").filter { lines.contains($0) }
            #expect(told == lines)
        }
        #expect(one.output.split(separator: "\n").filter(isStory).count < 12)
        let refused = try Command.replay(
            "tcp-masquerade", ["--explain", "--format", "jsonl", "--quiet"])
        #expect(refused.status != 0)
    }

    @Test("--explain N says so where the capture has no packet N")
    func explainsNoPacket() throws {
        let command = try Command.replay("tcp-masquerade", ["--explain", "99999", "--quiet"])
        #expect(command.status == 2)
        #expect(
            command.error.contains("--explain: found '99999', expected the number of an IP packet"))
    }

    @Test("each shipped capture has a golden text, and each text a capture")
    func hasAllGoldens() throws {
        let folder = Command.root.appending(path: "scenarios/captures").path
        let files = try FileManager.default.contentsOfDirectory(atPath: folder)
        let pcaps = files.filter { $0.hasSuffix(".pcap") }.map { $0.dropLast(5) }
        let texts = files.filter { $0.hasSuffix(".txt") }.map { $0.dropLast(4) }
        #expect(pcaps.map(String.init).sorted() == Self.captures)
        #expect(texts.map(String.init).sorted() == Self.captures)
    }

    @Test("JSON lines: an object a packet, then one with 'final'; the same in every process")
    func printsJSONLines() throws {
        let command = try Command.replay("tcp-masquerade", ["--format", "jsonl", "--quiet"])
        #expect(command.status == 0)
        let lines = command.output.split(separator: "\n")
        #expect(lines.count == 14)
        for (index, line) in lines.dropLast().enumerated() {
            #expect(line.hasPrefix("{\"packet\":\(index),\"time\":"))
        }
        #expect(lines.last?.hasPrefix("{\"final\":{\"entries\":[{") == true)
        let again = try Command.replay("tcp-masquerade", ["--format", "jsonl", "--quiet"])
        #expect(again.output == command.output)
    }

    // MARK: What the tools print

    @Test("--format none --list prints what 'conntrack -L' does, on both streams")
    func printsTheTableAlone() throws {
        let command = try Command.replay("udp-stream", ["--format", "none", "--list"])
        let lines = command.output.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines.allSatisfy { $0.hasPrefix("udp      17 ") })
        #expect(
            command.error.split(separator: "\n").first
                == "conntrack v1.4.7 (conntrack-tools): 2 flow entries have been shown.")
    }

    @Test("--events prints what 'conntrack -E' does: a complete TCP life")
    func printsEvents() throws {
        let command = try Command.replay(
            "tcp-masquerade", ["--format", "none", "--events", "--quiet"])
        let heads = command.output.split(separator: "\n").filter { $0.contains(" tcp ") }
            .map { $0.prefix { $0 != "=" }.dropLast(4) }
        #expect(
            heads == [
                "    [NEW] tcp      6 120 SYN_SENT", " [UPDATE] tcp      6 60 SYN_RECV",
                " [UPDATE] tcp      6 432000 ESTABLISHED", " [UPDATE] tcp      6 120 FIN_WAIT",
                " [UPDATE] tcp      6 60 CLOSE_WAIT", " [UPDATE] tcp      6 30 LAST_ACK",
                " [UPDATE] tcp      6 120 TIME_WAIT",
            ])
    }

    @Test("--stats alone is a line of 'conntrack -S'")
    func printsCounters() throws {
        let command = try Command.replay("table-full", ["--format", "none", "--stats", "--quiet"])
        #expect(command.output.hasPrefix("cpu=0   \tfound="))
        #expect(command.output.split(separator: "\n").count == 1)
    }

    @Test("--memory says what the table costs three times over")
    func printsMemory() throws {
        let command = try Command.replay("table-full", ["--format", "none", "--memory", "--quiet"])
        let lines = command.output.split(separator: "\n").map { $0.prefix { $0 != ":" } }
        #expect(lines == ["kernel", "model", "process"])
    }

    // MARK: Input

    @Test("standard input is read like a file")
    func readsStandardInput() throws {
        let pcap = Command.root.appending(path: "scenarios/captures/udp-stream.pcap")
        let piped = try Command.run(
            ["replay", "-", "--format", "jsonl"], input: try Data(contentsOf: pcap))
        let read = try Command.run(["replay", pcap.path, "--format", "jsonl"])
        #expect(piped.status == 0)
        #expect(piped.output == read.output)
    }

    @Test("without a node file: one interface, tracking on")
    func needsNoNode() throws {
        let command = try Command.run(
            ["replay", "scenarios/captures/udp-stream.pcap", "--format", "none", "--list"])
        #expect(command.status == 0)
        #expect(command.output.contains("[UNREPLIED]"))
    }

    @Test("a capture cut off in a record: everything before it, then the place, exit code 1")
    func endsAtATruncatedRecord() throws {
        let scratch = try Scratch()
        let whole = try Data(
            contentsOf: Command.root.appending(path: "scenarios/captures/udp-stream.pcap"))
        let path = try scratch.file("cut.pcap", whole.dropLast(10))
        let command = try Command.run(["replay", path, "--quiet"])
        #expect(command.status == 1)
        #expect(command.output.split(separator: "\n").count >= 7)
        // Seven records of 16 + 188 bytes behind the header of 24.
        #expect(command.error.hasPrefix("ctlab: \(path): byte 1452: found the end of the capture"))
    }

    @Test("--limit stops early, --seed goes into the last line")
    func takesLimitAndSeed() throws {
        let command = try Command.replay(
            "udp-stream", ["--format", "jsonl", "--limit", "3", "--seed", "77", "--quiet"])
        #expect(command.output.split(separator: "\n").count == 4)
        #expect(command.output.hasSuffix("\"version\":\"0.1.0\",\"seed\":77}}\n"))
    }

    // MARK: Mistakes

    @Test(
        "wrong usage ends with 2 and says what is wrong",
        arguments: [
            (["replay"], "Missing expected argument '<trace>'"),
            (["replay", "x.pcap", "--format", "yaml"], "The value 'yaml' is invalid"),
            (["replay", "x.pcap", "--explian"], "Unknown option '--explian'"),
            (["replay", "x.pcap", "--limit", "-1"], "--limit"),
            (["replay", "x.pcap", "--format", "jsonl", "--list"], "--list prints text"),
            (["replay", "absent.pcap"], "absent.pcap"),
            (["replay", "README.md"], "README.md"),
            (["reply", "x.pcap"], "reply"),
        ])
    func refusesUsage(_ arguments: [String], _ text: String) throws {
        let command = try Command.run(arguments)
        #expect(command.status == 2)
        #expect(command.output.isEmpty)
        #expect(command.error.contains(text), "\(command.error)")
    }

    @Test("a node file's mistakes are all shown, exit code 2")
    func refusesNodeFiles() throws {
        let scratch = try Scratch()
        let path = try scratch.file("bad.yaml", Data("version: 1\nhz: 7\ninterfaces: {}\n".utf8))
        let command = try Command.run(
            ["replay", "scenarios/captures/udp-stream.pcap", "--node", path])
        #expect(command.status == 2)
        let lines = command.error.split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines[1].hasPrefix("\(path):2:5: found '7', expected one of 100, 250, 300, 1000"))
        #expect(lines[2].hasPrefix("\(path):3:13: found a mapping, expected at least one"))
    }

    @Test(
        "help and version are no failure",
        arguments: [["--help"], ["replay", "--help"], ["--version"]])
    func helps(_ arguments: [String]) throws {
        let command = try Command.run(arguments)
        #expect(command.status == 0)
        #expect(!command.output.isEmpty)
        #expect(command.error.isEmpty)
    }

    // MARK: Ends

    @Test("a reader that goes away ends the command without noise")
    func survivesClosedReaders() throws {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = [
            "-c",
            "set -o pipefail; '\(Command.program.path)' replay scenarios/captures/table-full.pcap"
                + " --node scenarios/captures/table-full.node.yaml --format jsonl | head -1",
        ]
        process.currentDirectoryURL = Command.root
        let output = Pipe()
        let error = Pipe()
        process.standardOutput = output
        process.standardError = error
        try process.run()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        let noise = try error.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(String(decoding: text, as: UTF8.self).split(separator: "\n").count == 1)
        #expect(!String(decoding: noise, as: UTF8.self).contains("ctlab: "))
    }

    @Test("an interrupt while waiting for input: what was replayed so far, exit code 5")
    func survivesInterrupts() throws {
        let whole = try Data(
            contentsOf: Command.root.appending(path: "scenarios/captures/udp-stream.pcap"))
        let process = Process()
        process.executableURL = Command.program
        process.arguments = ["replay", "-", "--format", "jsonl"]
        let (input, output, error) = (Pipe(), Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        process.standardError = error
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: whole.prefix(24 + 204))
        // Once the first packet is told, the command can only wait for the second.
        let first = output.fileHandleForReading.availableData
        process.interrupt()
        process.waitUntilExit()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        let noise = try error.fileHandleForReading.readToEnd() ?? Data()
        #expect(process.terminationStatus == 5)
        #expect(String(decoding: first, as: UTF8.self).hasPrefix("{\"packet\":0,"))
        let lines = String(decoding: first + text, as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines.last?.hasPrefix("{\"final\":") == true)
        #expect(
            String(decoding: noise, as: UTF8.self).contains(
                "ctlab: interrupted; the result is partial"))
    }
}
