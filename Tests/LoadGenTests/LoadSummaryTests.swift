import Histogram
import LinuxCalls
import Report
import Testing
import Wire

@testable import LoadGen

/// What a run's end says, of flows that never stood and of runs that are not whole.
@Suite struct LoadSummaryTests {
    static let plan = Plan(
        workloads: [
            QuickProfile.churn.workload(
                TargetPool(addresses: AddressPool(.ipv4, first: .zero), firstPort: 80))
        ], duration: 1_000_000_000)

    static func summary(_ change: (inout LoadResult) -> Void) -> LoadSummary {
        var result = LoadResult(
            flows: [FlowCounts()], latencies: [Latencies()],
            processor: ProcessorTime(user: 0, system: 0), origin: 0, elapsed: 1_000_000_000,
            wasInterrupted: false, healthFailure: nil, lostProcesses: [], lateSeconds: [0, 0])
        change(&result)
        return LoadSummary(plan: plan, result: result, first: nil, last: nil, peak: 0)
    }

    static func json(_ summary: LoadSummary) -> String {
        var text = JSONText()
        summary.write(to: &text)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    @Test("flows that gave up have a line of their own, and a share in that of all attempts")
    func showsThoseThatGaveUp() {
        let summary = Self.summary { result in
            for _ in 0..<95 {
                _ = result.latencies[0].connect.record(1000)
                _ = result.latencies[0].complete.record(1500)
            }
            for _ in 0..<5 { _ = result.latencies[0].gaveUp.record(1_000_000) }
        }
        let lines = summary.lines
        #expect(lines.contains { $0.hasPrefix("  connect  (of 95 that stood) p50 1.000 ms") })
        #expect(lines.contains { $0.hasPrefix("  complete (of 95 answered) p50 1.500 ms") })
        #expect(lines.contains { $0.hasPrefix("  gave up  (on 5 flows) after p50 1000.") })
        let all = lines.first { $0.hasPrefix("  all      (of 100 attempts) p50 1.500 ms") }
        #expect(all?.contains("p90 1.500 ms  p99 >1000.") == true, "\(lines)")
        let json = Self.json(summary)
        #expect(json.contains(#""gave_up_us":{"count":5,"p50":100"#), "\(json)")
        #expect(
            json.contains(
                #""attempts_us":{"count":100,"p50":1500,"p90":1500,"more_than":{"p99":100"#),
            "\(json)")
    }

    @Test("where all succeeded, one line says so and nothing is said of others")
    func keepsQuiet() {
        let summary = Self.summary { _ = $0.latencies[0].complete.record(1500) }
        #expect(!summary.lines.contains { $0.contains("gave up") || $0.contains("attempts") })
        #expect(Self.json(summary).contains(#""attempts_us":{"count":1,"p50":1500"#))
    }

    @Test("the end says of every run whether it is whole")
    func saysWhetherItIsWhole() {
        let whole = Self.json(Self.summary { _ in })
        #expect(
            whole.contains(
                #""partial":false,"interrupted":false,"health_failure":null,"lost_workers":[],"#
                    + #""late_seconds":[0,0]"#), "\(whole)")
        let partial = Self.summary {
            $0.wasInterrupted = true
            $0.healthFailure = "no answer"
            $0.lostProcesses = ["worker 2 ended"]
            $0.lateSeconds = [0, 12]
            $0.flows[0].orphaned = 3
        }
        let json = Self.json(partial)
        #expect(
            json.contains(
                #""partial":true,"interrupted":true,"health_failure":"no answer","#
                    + #""lost_workers":["worker 2 ended"],"late_seconds":[0,12]"#), "\(json)")
        #expect(json.contains(#""orphaned":3"#))
        #expect(partial.lines.contains { $0.contains("3 gone with their worker") })
        #expect(
            partial.lines.contains(
                "worker 2 answered late in 12 seconds: what it did after it told last is not known")
        )
        let late = Self.summary { $0.lateSeconds = [1, 0] }
        #expect(
            late.lines.contains(
                "worker 1 answered late in 1 second: what it did in them is counted in later ones"))
    }

    @Test("an answer that did not come is said as that")
    func saysMissingAnswers() {
        let peer = SocketAddress(.ipv4, Address(ipv4: 0x7F00_0001), port: 80)
        let summary = Self.summary {
            $0.flows[0].add(.unanswered, peer)
            $0.flows[0].add(.timedOut, peer)
        }
        #expect(summary.lines.contains("  1 × 127.0.0.1:80: no answer came in time"))
        #expect(
            summary.lines.contains("  1 × connect 127.0.0.1:80: Connection timed out (errno 110)"))
    }

    struct Row: CustomTestStringConvertible, Sendable {
        var dropped: Int
        var withoutSlot = 0
        var isStopped = false
        var expected: String

        var testDescription: String { expected }
    }

    @Test(
        "starts that were dropped are told with their reason",
        arguments: [
            Row(
                dropped: 7, withoutSlot: 7,
                expected: "the schedule was not kept: no connection slot was free for 7 starts;"),
            Row(
                dropped: 7, isStopped: true,
                expected: "7 starts were due when the run was stopped, and were not made"),
            Row(
                dropped: 7,
                expected: "the schedule was not kept: 7 starts were still due at the end, and the "
                    + "generator was behind by up to 900 ms;"),
        ])
    func namesTheReason(_ row: Row) {
        let summary = Self.summary {
            $0.flows[0].droppedStarts = row.dropped
            $0.flows[0].startsWithoutSlot = row.withoutSlot
            $0.flows[0].largestLag = 900_000_000
            $0.wasInterrupted = row.isStopped
        }
        let remarks = summary.lines.filter { $0.contains("starts were") || $0.contains("schedule") }
        #expect(remarks.first?.hasPrefix("  " + row.expected) == true, "\(summary.lines)")
        #expect(
            summary.lines.contains { $0.contains("the generator's descriptors") }
                == (row.withoutSlot > 0))
    }
}
