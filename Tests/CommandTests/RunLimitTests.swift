import Foundation
import Testing

/// What `ctlab run` refuses before the run starts, and what it says.
@Suite struct RunLimitTests {
    @Test("a scenario that would need more memory than it may have is refused, exit code 4")
    func refusesMemory() throws {
        let run = try Command.run([
            "run", "scenarios/timewait-arithmetic.yaml", "--max-memory", "41MiB",
        ])
        #expect(run.status == 4)
        #expect(run.output.isEmpty)
        #expect(
            run.error.contains("ctlab: the scenario would need about "), "\(run.error)")
        #expect(
            run.error.contains(
                "more than 41 MiB; lower its load, or raise --max-memory"), "\(run.error)")
    }

    @Test(
        "a time outside the run, and a folder that cannot be, are refused before it begins",
        arguments: [
            RefusedCall(
                arguments: ["--until", "0s"],
                sentence: "--until: found '0s', expected a time within the run, above 0s and up to"),
            RefusedCall(
                arguments: ["--until", "30m"],
                sentence: "--until: found '30m', expected a time within the run"),
            RefusedCall(
                arguments: ["--until", "2s", "--list-at", "3s"],
                sentence: "--list-at: found '3s', expected a time within the run, from 0s to 2 s"),
            RefusedCall(
                arguments: ["--out", "/proc/nowhere"], status: 1,
                sentence: "--out: cannot make the folder '/proc/nowhere'"),
        ])
    func refusesTimes(_ row: RefusedCall) throws {
        let run = try Command.run(["run", "scenarios/timewait-arithmetic.yaml"] + row.arguments)
        #expect(run.status == row.status, "\(run.error)")
        #expect(run.output.isEmpty)
        #expect(run.error.contains(row.sentence), "\(run.error)")
    }

    @Test("the table as the run begins is shown by --list-at 0s")
    func listsTheBeginning() throws {
        let run = try Command.run([
            "run", "scenarios/snat-port-race.yaml", "--until", "10ms", "--list-at", "0s", "--quiet",
        ])
        #expect(run.output.contains("$ conntrack -L  # gw-10 at 0 s\n"))
        #expect(run.output.split(separator: "\n").count { $0.contains("dport=8080") } == 5120)
    }

    @Test("without --max-memory the limit is half of the machine's memory")
    func refusesHalfOfTheMachine() throws {
        let scratch = try Scratch()
        let file = try scratch.file(
            "huge.yaml",
            Data(
                """
                version: 1
                name: huge
                about: More entries than any machine holds.
                duration: 1h
                topology:
                  nodes:
                    clients: { addresses: [10.0.0.0/24] }
                    gw: { role: router, tracking: always, sysctl: { net.netfilter.nf_conntrack_max: 0 } }
                    web: { addresses: [198.51.100.7], listen: [53/udp] }
                  links: [{ endpoints: [clients, gw] }, { endpoints: [gw, web] }]
                workloads:
                  flood: { kind: udp-flood, from: clients, to: web:53/udp, rate: 10M/s }
                """.utf8))
        let run = try Command.run(["run", file])
        #expect(run.status == 4)
        let half = ProcessInfo.processInfo.physicalMemory / 2
        let shown = Double(half) / 1_073_741_824
        let amount = try #require(run.error.components(separatedBy: "more than ").last)
        let number = try #require(Double(amount.prefix { $0.isNumber || $0 == "." }))
        #expect(abs(number - shown) <= shown / 10 + 0.1, "\(run.error)")
        let raised = try Command.run(["run", file, "--max-memory", "100GB"])
        #expect(raised.status == 4)
    }

    @Test(
        "impossible combinations are named before the run",
        arguments: [
            (
                [
                    "short.rate=100k/s", "clients.addresses=[198.18.0.1]",
                    "web.addresses=[198.18.128.1]",
                ], "which needs 6000000 source ports at once, expected at most 28232"
            ),
            (["gw.sysctl.nf_conntrack_dccp_loose=1"], "expected a setting of Linux 6.18"),
            (["duration=60"], "expected a duration with its unit"),
        ])
    func refusesCombinations(_ settings: [String], _ message: String) throws {
        let run = try Command.run(
            ["run", "scenarios/timewait-arithmetic.yaml"] + settings.flatMap { ["--set", $0] })
        #expect(run.status == 2)
        #expect(run.output.isEmpty)
        #expect(run.error.contains(message), "\(run.error)")
    }

    @Test("--events out of its range is refused")
    func refusesEvents() throws {
        let run = try Command.run([
            "run", "scenarios/udp-sticky.yaml", "--out", "/nowhere", "--events=-1",
        ])
        #expect(run.status == 2)
        #expect(run.error.contains("expected a number from 0 to 10000000"), "\(run.error)")
    }
}
