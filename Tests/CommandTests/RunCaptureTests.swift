import Foundation
import Testing

/// `ctlab run --pcap` and `--node-file`, and what other tools make of them.
@Suite struct RunCaptureTests {
    /// Nothing to be malformed without it; Debian's package is called `tshark`.
    static let tshark = ["/usr/bin/tshark", "/usr/local/bin/tshark"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    static let captures = [
        ("timewait-arithmetic", "gw:eth0", "1s"),
        ("timewait-arithmetic", "clients", "1s"),
        ("udp-timeout-too-short", "gw-stream", "5s"),
        ("dns-five-seconds", "node:eth0", "2s"),
        ("syn-flood", "gw", "11s"),
        ("dnat-reverse-translation", "gw", "10s"),
        ("scaled-to-zero", "node", "2s"),
    ]

    @Test(
        "tshark finds no malformed packet and no wrong checksum in what a run writes",
        .enabled(if: tshark != nil, "there is no tshark"), arguments: captures)
    func isWellFormed(_ scenario: String, _ place: String, _ until: String) throws {
        let scratch = try Scratch()
        let capture = scratch.folder.appending(path: "x.pcap").path
        let run = try Command.run([
            "run", "scenarios/\(scenario).yaml", "--until", until, "--quiet", "--pcap",
            "\(place)=\(capture)",
        ])
        #expect([0, 3].contains(run.status), "\(run.error)")
        let program = try #require(Self.tshark)
        let checks = ["ip", "tcp", "udp"].flatMap { ["-o", "\($0).check_checksum:TRUE"] }
        let all = try Command.run(program: program, ["-r", capture] + checks)
        #expect(all.status == 0, "\(all.error)")
        #expect(all.output.split(separator: "\n").count > 10)
        let bad = try Command.run(
            program: program,
            [
                "-r", capture, "-Y",
                "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 "
                    + "|| udp.checksum.status == 0",
            ] + checks)
        #expect(bad.status == 0, "\(bad.error)")
        #expect(bad.output == "")
    }

    @Test("what a node receives is replayed on its node file, to the table of the run")
    func replays() throws {
        let scratch = try Scratch()
        let capture = scratch.folder.appending(path: "gw.pcapng").path
        let node = scratch.folder.appending(path: "gw.node.yaml").path
        let out = scratch.folder.appending(path: "out").path
        let run = try Command.run([
            "run", "scenarios/udp-timeout-too-short.yaml", "--until", "5s", "--pcap",
            "gw-stream=\(capture)", "--node-file", "gw-stream=\(node)", "--out", out,
        ])
        #expect(!run.error.contains("another table"))
        let replay = try Command.run([
            "replay", capture, "--node", node, "--format", "none", "--list", "--quiet",
        ])
        #expect(replay.status == 0, "\(replay.error)")
        let tables = try String(contentsOfFile: out + "/conntrack.txt", encoding: .utf8)
        let wanted = tables.components(separatedBy: "# gw-stream\n").dropFirst().first ?? ""
        func flows(_ text: some StringProtocol) -> [String] {
            text.split(separator: "\n").filter { $0.hasPrefix("udp") }.map {
                // Without the seconds left, and the numbers at its end.
                $0.split(separator: " ").filter { $0.contains("=") || $0.hasPrefix("[") }
                    .joined(separator: " ")
            }.sorted()
        }
        let expected = flows(wanted.components(separatedBy: "# ").first ?? "")
        #expect(expected.count > 40)
        #expect(flows(replay.output) == expected)
    }

    @Test("what keeps a replay from the same table is told")
    func tellsObstacles() throws {
        let scratch = try Scratch()
        let capture = scratch.folder.appending(path: "x.pcapng").path
        let own = try Command.run([
            "run", "scenarios/table-full-burst.yaml", "--until", "1s", "--pcap",
            "haproxy=\(capture)",
        ])
        #expect(
            own.error.contains("a replay leads to another table than the run: haproxy sent "),
            "\(own.error)")
        let begun = try Command.run([
            "run", "scenarios/collector-lag.yaml", "--until", "1s", "--pcap", "gw=\(capture)",
        ])
        #expect(begun.error.contains("gw began with entries in its table"), "\(begun.error)")
    }

    @Test(
        "wrong places are refused with what there is",
        arguments: [
            (["--pcap", "gw"], "--pcap: found 'gw', expected node:interface=file or node=file"),
            (["--pcap", "gw:eth0:x=f"], "expected node:interface=file or node=file"),
            (["--pcap", "gx=f"], "--pcap: found no node 'gx', expected one of clients, gw, "),
            (["--pcap", "gw:eth7=f"], "found no interface 'eth7' on gw, expected one of eth0, "),
            (["--node-file", "gw:eth0=f"], "--node-file: found 'gw:eth0=/"),
            (
                ["--node-file", "clients=f"],
                "--node-file: found 'clients', which tracks nothing, expected one of gw"
            ),
        ])
    func refuses(_ options: [String], _ message: String) throws {
        let scratch = try Scratch()
        let arguments = options.map {
            $0.hasSuffix("=f") ? $0.dropLast(1) + scratch.folder.appending(path: "f").path : $0
        }
        let run = try Command.run(
            ["run", "scenarios/timewait-arithmetic.yaml", "--until", "1s"] + arguments)
        #expect(run.status == 2)
        #expect(run.error.contains(message), "\(run.error)")
    }
}
