import ArgumentParser
import Foundation
import LinuxCalls
import LoadGen
import Report

/// `ctlab observe`: a host's table, second by second.
struct ObserveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "observe",
        abstract: "Watch a host's connection table, one line a second.",
        discussion: """
            Prints the table's count and limit, and the counters that moved. --states adds the \
            entries per state every so many seconds; listing them removes expired entries, those \
            of other namespaces too. With --format openmetrics it prints one reading under \
            node_exporter's names and ends: for a textfile collector.

            EXAMPLES
              sudo ctlab observe
              sudo ctlab observe netns:ctlab-gw --states 10
              sudo ctlab observe --format openmetrics > conntrack.prom
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, jsonl, openmetrics }

    @Argument(help: "local, or netns:NAME.")
    var place = "local"

    @Option(help: "text, jsonl or openmetrics.")
    var format = Format.text

    @Option(name: .customLong("for"), help: "Stop after so many seconds.")
    var seconds: Int?

    @Option(help: "Count the entries per state every so many seconds, at least 5.")
    var states: Int?

    func validate() throws {
        if let seconds, seconds < 1 {
            throw ValidationError("--for: found \(seconds), expected a number from 1 on")
        }
        if let states, states < 5 {
            throw ValidationError(
                "--states: found \(states), expected a number from 5 on: listing the table changes "
                    + "it")
        }
    }

    mutating func run() throws {
        guard let vantage = Vantage(place) else {
            throw Failure(
                code: .usage, text: "observe: found '\(place)', expected local or netns:NAME")
        }
        var probe: HostProbe
        do {
            probe = try HostProbe.open(vantage)
        } catch {
            throw ObserveOptions.failure(error, vantage)
        }
        if format == .openmetrics {
            let sample = try probe.sample(withStates: states != nil)
            Output.write(OpenMetricsText(sample).exposition)
            return
        }
        try watch(&probe)
    }

    private func watch(_ probe: inout HostProbe) throws {
        guard let interruption = Interruption() else {
            throw Failure(
                code: .environment, text: "no descriptor left; raise the limit: ulimit -n")
        }
        if format == .text { Output.line(SeriesRecord.tableHeading) }
        var last = try probe.sample()
        let start = MonotonicClock.now()
        var second = 0
        while second < seconds ?? Int.max {
            second += 1
            let due = start + UInt64(second) * 1_000_000_000
            while MonotonicClock.now() < due {
                if interruption.hasHappened { return }
                MonotonicClock.sleep(until: min(due, MonotonicClock.now() + 50_000_000))
            }
            let sample = try probe.sample(withStates: states.map { second % $0 == 0 } ?? false)
            var record = SeriesRecord(second: second)
            record.add(sample, since: last)
            last = sample
            if format == .jsonl {
                var json = JSONText()
                record.write(to: &json)
                try StandardStream.output.write(json.bytes.span)
            } else {
                try StandardStream.output.write(Array((record.tableLine + "\n").utf8).span)
            }
        }
    }
}
