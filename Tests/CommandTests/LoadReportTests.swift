import Foundation
import Testing

/// What a run with real sockets reports when not all goes well: of flows that never stood, of
/// workers that hang or are killed, and of a far end that goes away.
@Suite(.serialized, .enabled(if: LoadScript.isPossible))
struct LoadReportTests {
    private struct Percentiles: Decodable {
        var count: Int
        var p50: Int?
        var moreThan: [String: Int]?
    }

    private struct Flows: Decodable {
        var started: Int
        var connected: Int
        var completed: Int
        var failed: Int
        var unfinished: Int
        var orphaned: Int
        var active: Int
        var standing: Int
        var synRetransmitted: [Int]
    }

    private struct Workload: Decodable {
        var flows: Flows
        var connectUs: Percentiles
        var completeUs: Percentiles
        var gaveUpUs: Percentiles
        var attemptsUs: Percentiles
    }

    private struct Table: Decodable {
        var peak: Int
        var after: Int
    }

    private struct Final: Decodable {
        var partial: Bool
        var interrupted: Bool
        var lostWorkers: [String]
        var lateSeconds: [Int]
        var table: Table
        var workloads: [String: Workload]
    }

    private struct Record: Decodable {
        var second: Int
        var lateWorkers: Int?
        var workloads: [String: Flows]
    }

    /// The whole of a run told as JSON.
    private static func final(_ command: Command) throws -> Final {
        try LoadScript.final(command)
    }

    /// Its seconds.
    private static func records(_ command: Command) throws -> [Record] {
        try command.output.split(separator: "\n").dropLast().map {
            try LoadScript.decoder.decode(Record.self, from: Data($0.utf8))
        }
    }

    @Test("attempts that nobody answers count as SYNs sent again, and are no fast connections")
    func countsThoseThatGaveUp() throws {
        let command = try LoadScript.run(
            """
            nft 'table ip d { chain i { type filter hook input priority 0; tcp dport 9000 drop; }; }'
            "$ctlab" load --quick churn --target 127.0.0.1:9000 --rate 50/s --for 1s \
                --arrivals uniform --patience 1200ms --format jsonl
            """)
        #expect(command.status == 1, "\(command.error)")
        let churn = try #require(try Self.final(command).workloads["churn"])
        #expect(churn.flows.synRetransmitted.reduce(0, +) == 50, "\(command.output)")
        #expect(churn.gaveUpUs.count == 50)
        #expect(try #require(churn.gaveUpUs.p50) >= 1_190_000)
        #expect(churn.connectUs.count == 0)
        #expect(churn.attemptsUs.count == 50)
        #expect(churn.attemptsUs.p50 == nil)
        #expect(try #require(churn.attemptsUs.moreThan?["p50"]) >= 1_190_000)
    }

    @Test("a worker that hangs keeps no second from being told, and is named")
    func goesOnWithoutTheLate() throws {
        let command = try LoadScript.load(
            "--quick churn --rate 200/s --for 7s --processes 2",
            meanwhile: """
                reached '"second":1,'
                worker=$(pgrep -P $load | tail -1)
                kill -STOP $worker
                reached '"second":4,'; reached '"second":5,'
                kill -CONT $worker
                """)
        #expect(command.status == 0, "\(command.error)")
        let records = try Self.records(command)
        let late = records.filter { ($0.lateWorkers ?? 0) > 0 }
        #expect(late.count >= 2, "\(command.output)")
        // The other one went on meanwhile, and is seen to.
        #expect(late.contains { $0.workloads["churn"].map { $0.connected > 0 } == true })
        #expect(try Self.final(command).lateSeconds.reduce(0, +) >= late.count)
    }

    @Test("the only worker is killed: its latencies are told, and its flows are gone with it")
    func keepsWhatTheKilledHadTold() throws {
        let command = try LoadScript.load(
            "--quick hold --flows 50 --for 60s --processes 1",
            meanwhile: """
                reached '"standing":50'
                kill -KILL $(pgrep -P $load)
                """)
        #expect(command.status == 1, "\(command.error)")
        let final = try Self.final(command)
        #expect(final.partial)
        #expect(!final.interrupted)
        #expect(final.lostWorkers == ["worker 1 ended with code 137 before its time"])
        let hold = try #require(final.workloads["hold"])
        #expect(hold.connectUs.count == 50, "\(command.output)")
        #expect(hold.flows.orphaned == 50)
        #expect(hold.flows.active == 0 && hold.flows.standing == 0)
    }

    @Test("the seconds of a run add up to it, the part of one at its end too, and so does the peak")
    func isComplete() throws {
        for (seconds, count) in [("2500ms", 250), ("400ms", 40)] {
            let command = try LoadScript.run(
                """
                "$ctlab" load --quick churn --target 127.0.0.1:9000 --rate 100/s --for \(seconds) \
                    --arrivals uniform --format jsonl
                """)
            #expect(command.status == 0, "\(command.error)")
            let final = try Self.final(command)
            let parts = try Self.records(command).compactMap { $0.workloads["churn"] }
            #expect(parts.reduce(0) { $0 + $1.started } == count, "\(command.output)")
            #expect(parts.reduce(0) { $0 + $1.completed } == count, "\(command.output)")
            #expect(final.workloads["churn"]?.completeUs.count == count)
            // On loopback a port may be taken again within a second, and its entry with it.
            #expect((count * 9 / 10...count).contains(final.table.after))
            #expect(final.table.peak >= final.table.after, "\(command.output)")
        }
    }

    @Test("a far end that vanishes half-way is said, and the run does not end well")
    func saysThatTheTargetVanished() throws {
        let command = try LoadScript.load(
            "--quick churn --rate 100/s --for 8s --patience 1s",
            meanwhile: """
                reached '"second":2,'
                nft 'table ip d { chain i { type filter hook input priority 0; tcp dport 9000 drop; }; }'
                """)
        #expect(command.status == 1, "\(command.error)")
        #expect(
            command.error.contains("127.0.0.1:9000 seems gone since second "), "\(command.error)")
        let completed = try #require(try Self.final(command).workloads["churn"]).flows.completed
        #expect(
            command.error.contains(
                " of the run: no flow has succeeded since, \(completed) did before; see that it "
                    + "still runs and can be reached, and with --observe that no table on the way is full\n"
            ), "\(command.error)")
    }

    @Test("starts that a stop kept from being made are not laid to a lack of slots")
    func namesTheStop() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick churn --target 127.0.0.1:9000 --rate 5000/s --for 60s \
                --arrivals uniform --processes 1 &
            load=$!
            while [ "$(pgrep -cP $load)" != 1 ]; do sleep 0.05; done
            sleep 1.5
            worker=$(pgrep -P $load)
            kill -STOP $worker; sleep 1; kill -INT $load; sleep 0.5; kill -CONT $worker
            wait $load
            """)
        #expect(command.status == 5, "\(command.error)")
        #expect(
            command.output.contains(" starts were due when the run was stopped, and were not made"),
            "\(command.output)")
        #expect(!command.output.contains("no connection slot was free"), "\(command.output)")
        #expect(!command.output.contains("the generator's descriptors"), "\(command.output)")
    }

    @Test("a source address that is not this machine's is named, and no lack of ports is blamed")
    func namesTheSource() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick churn --target 127.0.0.1:9000 --rate 50/s --for 1s \
                --sources 198.51.100.7
            """)
        #expect(command.status == 1, "\(command.error)")
        #expect(
            command.output.contains(
                "× bind 198.51.100.7:0: Cannot assign requested address (errno 99)"),
            "\(command.output)")
        #expect(!command.output.contains("the generator's source ports"), "\(command.output)")
    }
}
