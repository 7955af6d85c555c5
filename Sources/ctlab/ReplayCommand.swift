import ArgumentParser
import Conntrack
import Foundation
import LinuxCalls
import Replay
import Report
import Scenario
import Wire

/// `ctlab replay`: packets in, decisions out.
struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Push captured packets through one tracked machine.",
        discussion: """
            Reads pcap or pcapng (gzip too), pushes every packet through the machine NODE \
            describes and prints one line a packet. Without NODE: one interface, tracking on, \
            kernel defaults. Decisions go to standard output, everything else to standard error.

            --list, --events, --stats and --kernel-log print what 'conntrack -L', '-E', '-S' and \
            'dmesg' would, byte for byte when --format is none.

            EXAMPLES
              Every packet's fate, then the table and the counters:
                ctlab replay trace.pcap --node gateway.yaml --list --stats
              One JSON object a packet, and one with the final state:
                ctlab replay trace.pcap --node gateway.yaml --format jsonl
              Why the fourth packet went where it went, step by step:
                ctlab replay trace.pcap --node gateway.yaml --explain 3
              Only the table:
                ctlab replay trace.pcap --format none --list
              Live, until Ctrl-C:
                tcpdump -i any -w - -U | ctlab replay - --node gateway.yaml
            """)

    /// Which packets are explained: all of them, or the one of this number.
    enum Explanation: ExpressibleByArgument {
        case all
        case packet(Int)

        init?(argument: String) {
            guard let number = Int(argument), number >= 0 else { return nil }
            self = .packet(number)
        }

        var defaultValueDescription: String { "all" }

        var packets: ExplainedPackets {
            switch self {
            case .all: .all
            case .packet(let number): .packet(number)
            }
        }
    }

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, jsonl, none
    }

    @Argument(help: "A capture; '-' is standard input.")
    var trace: String

    @Option(help: "The machine, as a node file (YAML).")
    var node: String?

    @Option(help: "How packets are told: a line, a JSON object, or not at all.")
    var format = Format.text

    @Flag(help: "Print the table after the last packet, as 'conntrack -L'.")
    var list = false

    @Flag(help: "Print every event as it happens, as 'conntrack -E'.")
    var events = false

    @Flag(help: "Print the counters, as 'conntrack -S', and those of the rules.")
    var stats = false

    @Flag(help: "Print what the kernel would have logged, as 'dmesg'.")
    var kernelLog = false

    @Flag(help: "Print what the table costs: in the kernel, in the model, in this process.")
    var memory = false

    @Option(
        name: .long, defaultAsFlag: .all,
        help: ArgumentHelp(
            "Tell the way of every packet, or of packet N: lookups, rules, states, windows, ports.",
            valueName: "N"))
    var explain: Explanation?

    @Option(help: "Seed of everything random; overrides the node file's.")
    var seed: UInt64?

    @Option(help: "Stop after this many frames.")
    var limit: Int?

    @Flag(help: "No summary and no warnings on standard error.")
    var quiet = false

    func validate() throws {
        if let limit, limit < 0 {
            throw ValidationError("--limit: found \(limit), expected a number from 0 on")
        }
        if explain != nil, format != .text {
            throw ValidationError("--explain tells in lines of text: found '--format \(format)'")
        }
        let texts = [
            (list, "--list"), (events, "--events"), (stats, "--stats"),
            (kernelLog, "--kernel-log"), (memory, "--memory"),
        ].filter(\.0).map(\.1)
        if format == .jsonl, let text = texts.first {
            throw ValidationError(
                "\(text) prints text, which would stand between the JSON objects; the last "
                    + "object, 'final', has it all")
        }
    }

    mutating func run() throws {
        let machine = try readNode()
        var configuration = machine?.configuration ?? Self.plainMachine
        if let seed { configuration.seed = seed }
        for note in machine?.notes ?? [] { say(note) }

        var reader = try openTrace()
        var replayer = Replayer(configuration, wants: wants)
        replayer.explained = explain?.packets ?? .none
        var output = ReplayOutput(
            format: format, isColoured: isColoured, showsEvents: events,
            interfaceNames: configuration.interfaces.map(\.name), isLive: trace == "-")
        var notes = CaptureNotes()
        var ending: (any Error)?
        do {
            try replayer.replay(&reader, limit: limit, &notes, &output)
        } catch {
            ending = error
        }
        finish(&replayer, &output)
        for sentence in notes.sentences(replayer.clock) { say(sentence) }
        if !quiet { Message.write(summary(replayer)) }
        try leave(ending, output)
        if case .packet(let number) = explain, !replayer.hasExplained, !output.isClosed {
            throw Failure(
                code: .usage,
                text:
                    "--explain: found '\(number)', expected the number of an IP packet of \(trace); "
                    + "0 is the first of \(replayer.tally.packets) replayed")
        }
    }

    // MARK: Before

    /// Without a node file: one interface, IPv4 and IPv6 tracked, kernel defaults.
    private static var plainMachine: NodeConfiguration {
        var configuration = NodeConfiguration()
        configuration.tracking = .always
        return configuration
    }

    private func readNode() throws -> NodeFile? {
        guard let node else { return nil }
        do {
            return try NodeFile.read(node)
        } catch {
            throw Failure(code: .usage, text: "the node file is refused\n\(error)")
        }
    }

    /// Opens the capture, and reads its first header.
    private func openTrace() throws -> CaptureReader {
        do {
            return try CaptureReader(
                try InputFile(opening: trace, interruption: Interruption()))
        } catch let error as CaptureError where error.underlying is Interrupted {
            throw Failure(code: .interrupted, text: "interrupted before the first packet")
        } catch {
            throw Failure(code: .usage, text: Self.aboutTrace(trace, error))
        }
    }

    /// The error with its file, which a system call's error already names.
    private static func aboutTrace(_ trace: String, _ error: any Error) -> String {
        error is SystemCallError ? "\(error)" : "\(trace): \(error)"
    }

    private var wants: ReplayWants {
        var wants: ReplayWants = []
        if format != .none { wants.insert(.outcomes) }
        if events { wants.insert(.events) }
        return wants
    }

    private var isColoured: Bool {
        let wish = ProcessInfo.processInfo.environment["NO_COLOR"] ?? ""
        return wish.isEmpty && StandardStream.output.isTerminal
    }

    // MARK: After

    private func finish(_ replayer: inout Replayer, _ output: inout ReplayOutput) {
        guard !output.isClosed else { return }
        if format == .jsonl {
            let entries = replayer.list()
            let summary = replayer.summary(version: ProductVersion.text)
            let recorder = replayer.recorder
            output.write(final: summary, table: entries.lazy.map { recorder.record($0) })
        }
        // With nothing beside it, a section is exactly what the tool prints.
        let sections = [list, stats, kernelLog, memory].filter { $0 }.count
        let hasHeads = format == .text || events || sections > 1
        if list {
            let entries = replayer.list()
            let listing = Listing(replayer.base)
            let now = replayer.clock.now
            output.section("conntrack -L", hasHeads)
            for entry in entries { output.write(line: listing.line(entry, at: now)) }
            output.flush()
            if !quiet { Message.write(ToolMessage.flowsShown(entries.count)) }
        }
        if stats {
            output.section("conntrack -S", hasHeads)
            output.write(line: replayer.node.counters.toolLine())
            for line in replayer.node.ruleset.counterLines() { output.write(line: line) }
        }
        if kernelLog {
            output.section("dmesg", hasHeads)
            for line in replayer.node.kernelLog.lines { output.write(line: line.dmesg) }
        }
        if memory {
            output.section("memory", hasHeads)
            for line in MemoryReport(replayer).lines { output.write(line: line) }
        }
        output.flush()
        let forgotten = replayer.node.kernelLog.forgottenCount
        if forgotten > 0 { say("\(forgotten) older lines of the kernel log were let go") }
    }

    private func summary(_ replayer: borrowing Replayer) -> String {
        let tally = replayer.tally
        return "ctlab \(ProductVersion.text), seed \(replayer.node.configuration.seed): "
            + "\(tally.packets) packets in \(OutcomeRecorder.time(replayer.clock.now)) s: "
            + "\(tally.forwarded) forwarded, \(tally.local) local, \(tally.dropped) dropped"
    }

    private func leave(_ ending: (any Error)?, _ output: borrowing ReplayOutput) throws {
        if let failure = output.failure, !failure.isReaderGone {
            throw Failure(code: .failed, text: "\(failure)")
        }
        // A reader that has seen enough is no failure.
        if output.isClosed { return }
        switch ending {
        case nil: return
        case let error as CaptureError where error.underlying is Interrupted:
            throw Failure(code: .interrupted, text: "interrupted; the result is partial")
        case let error?:
            throw Failure(code: .failed, text: Self.aboutTrace(trace, error))
        }
    }

    private func say(_ text: String) {
        if !quiet { Message.error(text) }
    }
}
