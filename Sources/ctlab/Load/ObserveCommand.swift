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
            node_exporter's names and ends: for its textfile collector, beside its own conntrack \
            collector. Each series says its table, source="netns:ctlab-gw"; node_exporter's own \
            have no source: node_nf_conntrack_entries{source=""}. What a host does not say is \
            printed as '-', and left out of JSON and OpenMetrics. Ctrl-C ends it; before the end \
            of --for with exit code 5.

            EXAMPLES
              sudo ctlab observe
              sudo ctlab observe netns:ctlab-gw --states 10
              ctlab observe ssh:root@gw.example
              ctlab observe http://gw.example:9100/metrics
              sudo ctlab observe netns:gw --format openmetrics > gw.tmp && \\
                  mv gw.tmp /var/lib/prometheus/node-exporter/gw.prom
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, jsonl, openmetrics }

    @Argument(help: ArgumentHelp("\(Vantage.forms)."))
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
        if states != nil, place != "local", !place.hasPrefix("netns:") {
            throw ValidationError(
                "--states: found it with '\(place)', expected it with this machine's namespaces")
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
                code: .usage, text: "observe: found '\(place)', expected \(Vantage.forms)")
        }
        if states != nil, !ProcessOwner.isRoot {
            throw Failure(
                code: .environment, text: "--states: listing the table needs root; run with sudo")
        }
        var probe: HostProbe
        do throws(ProbeError) {
            probe = try HostProbe.open(vantage)
        } catch {
            throw ObserveOptions.failure(error, vantage)
        }
        do throws(ProbeError) {
            // What cannot be listed now is not going to be.
            if states != nil, format != .openmetrics { try probe.collect() }
        } catch {
            throw ObserveOptions.failure(error, vantage)
        }
        if format == .openmetrics {
            let sample = try see(&probe, vantage, withStates: states != nil)
            try Output.write(OpenMetricsText(sample, of: place).exposition)
            return
        }
        try watch(&probe, vantage)
    }

    private func watch(_ probe: inout HostProbe, _ vantage: Vantage) throws {
        let interruption = try GeneratorOptions.interruption()
        var last = try see(&probe, vantage, withStates: false)
        if format == .text {
            guard try Output.line(SeriesRecord.tableHeading) else { return }
        }
        let start = MonotonicClock.now()
        var second = 0
        while second < seconds ?? Int.max {
            second += 1
            let due = start + UInt64(second) * 1_000_000_000
            while MonotonicClock.now() < due {
                if interruption.take() { return try end(interrupted: second - 1) }
                MonotonicClock.sleep(until: min(due, MonotonicClock.now() + 50_000_000))
            }
            var record = SeriesRecord(second: second)
            do throws(ProbeError) {
                let withStates = states.map { second % $0 == 0 } ?? false
                let sample = try probe.sample(withStates: withStates)
                record.add(sample, since: last)
                last = sample
            } catch {
                if case .interrupted = error { return try end(interrupted: second - 1) }
                // One that is missing is said; the next one may be there again.
                Message.error("second \(second): \(error)")
                continue
            }
            guard try tell(record) else { return }
        }
    }

    /// An end by a signal is a good one, unless there was to be another.
    private func end(interrupted watched: Int) throws(Failure) {
        guard let seconds else { return }
        throw Failure(
            code: .interrupted, text: "interrupted; \(watched) of \(seconds) seconds were watched")
    }

    private func tell(_ record: SeriesRecord) throws(Failure) -> Bool {
        guard format == .jsonl else { return try Output.line(record.tableLine) }
        var json = JSONText()
        record.write(to: &json)
        return try Output.write(json)
    }

    private func see(
        _ probe: inout HostProbe, _ vantage: Vantage, withStates: Bool
    ) throws(Failure) -> HostSample {
        do throws(ProbeError) {
            return try probe.sample(withStates: withStates)
        } catch {
            throw ObserveOptions.failure(error, vantage)
        }
    }
}
