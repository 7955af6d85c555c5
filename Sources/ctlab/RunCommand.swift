import ArgumentParser
import Conntrack
import Foundation
import LinuxCalls
import Report
import Scenario
import Simulator
import Wire

/// `ctlab run`: a scenario in virtual time.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a scenario in virtual time.",
        discussion: """
            Simulates the hosts, links, rules and load that FILE describes, and says what came \
            out: a summary, what was expected, and a diagnosis. Results go to standard output, \
            progress and messages to standard error.

            EXAMPLES
              ctlab run scenarios/table-full-burst.yaml
              ctlab run burst.yaml --set gw.sysctl.nf_conntrack_max=131072 --seed 7
              ctlab run burst.yaml --out result --pcap gw:eth0=gw.pcap

            What a node receives, by all of its interfaces, and the node itself, for 'ctlab \
            replay' and 'ctlab verify':
              ctlab run burst.yaml --until 5s --pcap gw=gw.pcapng --node-file gw=gw.node.yaml
              sudo ctlab verify gw.pcapng --node gw.node.yaml
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, json, jsonl, csv, openmetrics
    }

    @Argument(help: "A scenario file (YAML).")
    var file: String

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("Replace a value of the file; may be repeated.", valueName: "path=value")
    )
    var overrides: [String] = []

    @Option(help: "Seed of everything random; overrides the file's.")
    var seed: UInt64?

    @Option(help: ArgumentHelp("End the run at this time, as in 90s.", valueName: "time"))
    var until: String?

    @Option(
        help: ArgumentHelp("Also print the tables as they stand at this time.", valueName: "time"))
    var listAt: String?

    @Option(
        help: ArgumentHelp(
            """
            Write what tcpdump would see at an interface; without an interface, all that the node \
            receives. May be repeated.
            """,
            valueName: "node[:interface]=file"))
    var pcap: [String] = []

    @Option(
        help: ArgumentHelp(
            "Write a node as it begins, as 'ctlab replay --node' takes it; may be repeated.",
            valueName: "node=file"))
    var nodeFile: [String] = []

    @Option(
        help: ArgumentHelp(
            "Write summary.json, series.csv, events.jsonl and conntrack.txt there.",
            valueName: "dir"))
    var out: String?

    @Option(
        help: ArgumentHelp(
            "How many ctnetlink messages (NEW, UPDATE, DESTROY) --out keeps, the first ones.",
            valueName: "count"))
    var events = 100_000

    @Option(
        help: "text: a summary; json: the summary; jsonl, csv: series; openmetrics: end figures.")
    var format = Format.text

    @Flag(help: "Print what the kernels would have logged, as 'dmesg'.")
    var kernelLog = false

    @Option(
        help: ArgumentHelp(
            "Refuse scenarios that need more, as in 4GiB; default: half of the machine's memory.",
            valueName: "size"))
    var maxMemory: String?

    @Flag(help: "No progress, no notes.")
    var quiet = false

    func validate() throws {
        guard (0...Self.eventLimit).contains(events) else {
            throw ValidationError(
                "--events: found \(events), expected a number from 0 to \(Self.eventLimit)")
        }
    }

    /// Some 2.5 GB of events.
    private static let eventLimit = 10_000_000

    mutating func run() throws {
        let file = try ScenarioInput.read(self.file, set: overrides)
        let scenario = file.scenario
        for note in file.notes where !quiet { Message.error(note) }
        try checkMemory(scenario)
        var options = RunOptions()
        options.seed = seed
        let end = Instant.start + scenario.duration
        options.end = try until.map { try time($0, "--until", from: Instant(nanoseconds: 1), end) }
        options.listAt = try listAt.map {
            try time($0, "--list-at", from: .start, options.end ?? end)
        }
        try makeDirectory()
        options.eventLimit = out == nil ? 0 : events

        var run: Simulator.Run
        do {
            run = try Simulator.Run(scenario, options)
        } catch {
            throw Failure(code: .usage, text: "the scenario cannot be run\n\(error)")
        }
        let captures = try openCaptures(&run)
        try writeNodeFiles(run)
        var progress = ProgressLine(isQuiet: quiet)
        let interruption = Interruption()
        var isInterrupted = false
        while run.advance() {
            progress.show(run.progress)
            if Self.hasHappened(interruption) {
                isInterrupted = true
                break
            }
        }
        progress.clear()
        run.finishCaptures()
        try captures.close()
        try tellObstacles(run)
        let output = RunOutput(
            file: file, format: format, showsKernelLog: kernelLog, directory: out)
        let summary = run.summary(scenarioHash: output.hash)
        try output.write(&run, summary)
        let messages = run.eventCounts
        if messages.leftOut > 0, !quiet {
            Message.error(
                "events.jsonl has the first \(messages.kept) ctnetlink messages of "
                    + "\(UInt64(messages.kept) + messages.leftOut); --events keeps more")
        }
        try finish(run, summary, isInterrupted)
    }

    private static func hasHappened(_ interruption: borrowing Interruption?) -> Bool {
        switch interruption {
        case .some(let waiting): waiting.hasHappened
        case .none: false
        }
    }

    // MARK: Before

    private func time(
        _ text: String, _ option: String, from first: Instant, _ last: Instant
    ) throws -> Instant {
        let time = Instant.start + (try OptionValue.read(option, text, OptionQuantity.duration))
        guard time >= first, time <= last else {
            let end = NumberText.duration(last.nanoseconds)
            throw Failure(
                code: .usage,
                text: "\(option): found '\(text)', expected a time within the run, "
                    + (first > .start ? "above 0s and up to \(end)" : "from 0s to \(end)"))
        }
        return time
    }

    /// Makes --out's folder before anything is simulated.
    private func makeDirectory() throws {
        guard let out else { return }
        do {
            try FileManager.default.createDirectory(
                at: URL(filePath: out), withIntermediateDirectories: true)
        } catch {
            throw Failure(
                code: .failed,
                text: "--out: cannot make the folder '\(out)': \(error.localizedDescription)")
        }
    }

    private func checkMemory(_ scenario: Scenario) throws {
        let estimate = MemoryEstimate(scenario).total
        let limit: Int
        if let maxMemory {
            limit = try OptionValue.read("--max-memory", maxMemory, OptionQuantity.byteCount)
        } else {
            limit = Int(clamping: ProcessInfo.processInfo.physicalMemory / 2)
        }
        guard estimate > limit else { return }
        throw Failure(
            code: .environment,
            text: "the scenario would need about \(NumberText.bytes(UInt64(estimate))), more than "
                + "\(NumberText.bytes(UInt64(limit))); lower its load, or raise --max-memory")
    }

    private func openCaptures(_ run: inout Simulator.Run) throws -> CaptureFiles {
        let files = CaptureFiles()
        for text in pcap {
            guard let request = PcapRequest(text) else {
                throw Failure(
                    code: .usage,
                    text: "--pcap: found '\(text)', expected node:interface=file or node=file")
            }
            let file = try files.open(request.path)
            do {
                try run.capture(
                    CaptureRequest(node: request.node, interface: request.interface)
                ) { bytes in files.write(bytes, to: file) }
            } catch {
                throw Failure(code: .usage, text: "--pcap: \(error)")
            }
        }
        return files
    }

    private func writeNodeFiles(_ run: borrowing Simulator.Run) throws {
        for text in nodeFile {
            guard let request = PcapRequest(text), request.interface == nil else {
                throw Failure(
                    code: .usage, text: "--node-file: found '\(text)', expected node=file")
            }
            let file: NodeFileText
            do {
                file = try run.nodeFile(of: request.node)
            } catch {
                throw Failure(code: .usage, text: "--node-file: \(error)")
            }
            do {
                try Data(file.text.utf8).write(to: URL(filePath: request.path))
            } catch {
                let reason = (error as NSError).localizedDescription
                throw Failure(code: .failed, text: "--node-file: \(request.path): \(reason)")
            }
        }
    }

    // MARK: After

    /// Says why what a node has received does not make the same table again.
    private func tellObstacles(_ run: borrowing Simulator.Run) throws {
        guard !quiet else { return }
        for request in pcap.compactMap(PcapRequest.init) where request.interface == nil {
            for obstacle in try run.replayObstacles(of: request.node) {
                Message.error(
                    "\(request.path): a replay leads to another table than the run: \(obstacle)")
            }
        }
    }

    private func finish(
        _ run: borrowing Simulator.Run, _ summary: RunSummary, _ isInterrupted: Bool
    ) throws {
        let failed = zip(run.expectations(), summary.expectations)
            .filter { !$0.1.isMet && $0.1.severity == "fail" }
        for (result, outcome) in failed {
            Message.write("\nfailed: \(outcome.that)\n  \(outcome.found)")
            let moment = result.moment ?? run.now
            for line in run.recorded.excerpt(of: result.series, around: moment) {
                Message.write("  " + line)
            }
        }
        if isInterrupted {
            throw Failure(
                code: .interrupted, text: "interrupted; the result is partial\n" + command)
        }
        if let reason = run.stopReason {
            throw Failure(code: .failed, text: "\(reason)\n" + command)
        }
        guard failed.isEmpty else {
            let count = failed.count
            throw Failure(
                code: .expectation,
                text: "\(count) expectation\(count == 1 ? "" : "s") failed; again with\n" + command)
        }
    }

    /// The command that replays this run.
    private var command: String {
        var words = ["ctlab", "run", file]
        for override in overrides { words += ["--set", "'\(override)'"] }
        if let seed { words += ["--seed", "\(seed)"] }
        if let until { words += ["--until", until] }
        return words.joined(separator: " ")
    }
}

/// `NODE:INTERFACE=FILE` or `NODE=FILE`.
struct PcapRequest {
    var node: String
    var interface: String?
    var path: String

    init?(_ text: String) {
        guard let sign = text.firstIndex(of: "=") else { return nil }
        let place = text[..<sign].split(separator: ":", omittingEmptySubsequences: false)
        guard (1...2).contains(place.count), place.allSatisfy({ !$0.isEmpty }) else { return nil }
        node = String(place[0])
        interface = place.count == 2 ? String(place[1]) : nil
        path = String(text[text.index(after: sign)...])
        guard !path.isEmpty else { return nil }
    }
}
