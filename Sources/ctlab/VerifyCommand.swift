import ArgumentParser
import Conntrack
import Foundation
import Fuzz
import LinuxCalls
import LiveKernel
import Report
import Scenario
import Verify
import Wire

/// `ctlab verify`: the model and the live kernel, packet by packet.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compare the model with this machine's kernel, packet by packet.",
        discussion: """
            Plays NODE twice: on the live kernel, as a throw-away router in a network namespace \
            of its own, and on the model. Every packet goes through both, and everything they \
            say is compared: verdict, class, bytes, entry, events, counters, and the table at the \
            end. Nothing of the machine itself is touched, but for nf_conntrack_max if NODE sets \
            it, which is put back. Needs root, tun, nft and ip.

            Where they differ it stops, shows the packets that led there and both views, and \
            exits with 3. A fuzzed trace is shrunk first, and written out as a capture, a node \
            file and what the kernel did. Pauses in a trace are real.

            EXAMPLES
              sudo ctlab verify trace.pcap --node gateway.yaml
              sudo ctlab verify --fuzz --kind all --seed 1 --packets 200000
            """)

    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case tcp, udp, icmp, nat, sctp, gre, udplite, mixed, all

        var kinds: [FuzzKind] {
            FuzzKind(rawValue: rawValue).map { [$0] } ?? FuzzKind.allCases
        }
    }

    @Argument(help: "A capture; '-' is standard input.")
    var trace: String?

    @Option(help: "The machine, as a node file (YAML).")
    var node: String?

    @Flag(help: "Make traces up instead of reading one.")
    var fuzz = false

    @Option(help: "Seed of the traces made up.")
    var seed: UInt64 = 1

    @Option(help: "Packets to make up, about.")
    var packets = 20_000

    @Option(help: "What the traces made up are about.")
    var kind = Kind.all

    @Flag(help: "Let some of the traces made up stop for longer than their timeouts.")
    var pauses = false

    @Flag(help: "Go on behind a difference, and count them by kind.")
    var keepGoing = false

    @Option(help: "Write what the live kernel does with each packet of TRACE to this file (JSONL).")
    var record: String?

    @Option(help: "Folder for the trace and node file of a difference; made if it is not there.")
    var out = "."

    func validate() throws {
        if fuzz == (trace != nil) {
            let found = fuzz ? "a trace and --fuzz" : "neither a trace nor --fuzz"
            throw ValidationError("found \(found), expected one of them")
        }
        if fuzz, node != nil {
            throw ValidationError("--node: found with --fuzz, which makes its own")
        }
        if fuzz, record != nil {
            throw ValidationError("--record: found with --fuzz, expected a trace")
        }
        if packets < 1 {
            throw ValidationError("--packets: found \(packets), expected a number from 1 on")
        }
    }

    mutating func run() throws {
        let started = MonotonicClock.now()
        do {
            if let trace {
                try verify(trace, started)
            } else {
                try verifyFuzz(started)
            }
        } catch let error as LiveKernelError {
            throw Self.failure(error)
        }
    }

    private static func failure(_ error: LiveKernelError) -> Failure {
        Failure(code: error.isUnavailable ? .environment : .failed, text: "\(error)")
    }

    // MARK: A trace

    private func verify(_ trace: String, _ started: UInt64) throws {
        let machine = try readNode()
        var packets = try TracePackets(trace)
        var ending: (any Error)?
        var recording = JSONText()
        let isRecorded = record != nil
        let result = try Verification.run(
            machine, keepsGoing: keepGoing || isRecorded,
            record: { if isRecorded { recording.line($0) } },
            next: { () throws(LiveKernelError) in
                do {
                    return try packets.next()
                } catch {
                    ending = error
                    return nil
                }
            })
        if let record { try Self.write(recording.bytes, to: URL(filePath: record)) }
        for name in result.settingsLeftOut {
            Message.error("\(name) is not set on the live kernel")
        }
        let text = DifferenceText(
            isColoured: false,
            interfaceNames: machine.configuration.interfaces.map(\.name))
        if let first = result.first { try Self.say(text.lines(first)) }
        if !result.table.isEmpty {
            try Self.say(["after the last packet the tables differ"] + text.lines(result.table))
        }
        try Self.say(Self.counts(result.differencesByKind))
        try Self.say([
            "\(result.packetCount) packets, \(result.disagreementCount) with a difference, "
                + Self.rate(result.packetCount, since: started)
        ])
        if result.evictions.searches > 0 { try Self.say([result.evictions.text]) }
        if (ending as? CaptureError)?.underlying is Interrupted {
            throw Failure(code: .interrupted, text: "interrupted; the result is partial")
        }
        if let ending { throw Failure(code: .failed, text: "\(trace): \(ending)") }
        try Self.leave(agrees: result.agrees)
    }

    private func readNode() throws -> NodeFile {
        guard let node else {
            throw Failure(code: .usage, text: "found no --node, expected the machine's file")
        }
        let file: NodeFile
        do {
            file = try NodeFile.read(node)
        } catch {
            throw Failure(code: .usage, text: "the node file is refused\n\(error)")
        }
        guard file.iptablesText == nil else {
            throw Failure(
                code: .usage,
                text:
                    "\(node): found 'iptables_save', expected nftables text alone: the live kernel "
                    + "gets its rules from nft")
        }
        return file
    }

    // MARK: Traces made up

    private func verifyFuzz(_ started: UInt64) throws {
        try makeFolder()
        let interruption = Interruption()
        let plan = FuzzPlan(
            seed: seed, kinds: kind.kinds, packetCount: packets, hasPauses: pauses,
            keepsGoing: keepGoing)
        let tally: FuzzTally
        do {
            tally = try FuzzRun.run(plan) { Self.hasHappened(interruption) }
            for (trace, result) in tally.examples { try tell(trace, result) }
        } catch let error as FuzzRunError {
            throw Failure(
                code: error.isUnavailable ? .environment : .failed, text: "\(error)")
        }
        try Self.say(Self.counts(tally.differencesByKind))
        let kinds = tally.packetsByKind.map { "\($0.kind.rawValue) \($0.count)" }
        try Self.say([
            "seed \(seed): \(tally.packetCount) packets in \(tally.traceCount) traces ("
                + kinds.joined(separator: ", ") + "), \(tally.disagreeingTraceCount) traces "
                + "with a difference, " + Self.rate(tally.packetCount, since: started)
        ])
        if tally.unsettledTraceCount > 0 {
            try Self.say([
                "\(tally.unsettledTraceCount) traces with pauses differed once and not again"
            ]
            )
        }
        if Self.hasHappened(interruption) {
            throw Failure(code: .interrupted, text: "interrupted; the result is partial")
        }
        try Self.leave(agrees: tally.agrees)
    }

    /// Makes the folder of `--out` if it is not there: before the first packet, so that no find is
    /// lost for want of it.
    private func makeFolder() throws {
        do {
            try FileManager.default.createDirectory(
                atPath: out, withIntermediateDirectories: true)
        } catch {
            throw Failure(
                code: .usage,
                text: "--out: found '\(out)', expected a folder, or a path to make one")
        }
    }

    /// Shrinks a trace that differs, writes it out and shows what is left of it.
    private func tell(_ trace: FuzzCase, _ result: VerificationResult) throws {
        let packets = try FuzzRun.shrink(trace, result)
        let name = "difference-\(trace.kind.rawValue)-\(trace.seed)"
        let folder = URL(filePath: out)
        var writer = CaptureWriter()
        for packet in packets { writer.append(packet.bytes.span, timestamp: packet.time) }
        let capture = folder.appending(path: name + ".pcap")
        let node = folder.appending(path: name + ".node.yaml")
        var recording = JSONText()
        for outcome in try FuzzRun.recording(trace, packets) { recording.line(outcome) }
        try Self.write(writer.take(), to: capture)
        try Self.write(Array(trace.node.text.utf8), to: node)
        try Self.write(recording.bytes, to: folder.appending(path: name + ".kernel.jsonl"))
        try Self.say(["shrunk from \(trace.packets.count) packets to \(packets.count)"])
        try Self.say([trace.node.text])
        let again = try FuzzRun.again(trace, packets)
        let text = DifferenceText(
            isColoured: false, interfaceNames: trace.node.interfaces.map(\.name))
        if let first = again.first {
            try Self.say(text.lines(first))
        } else if !again.table.isEmpty {
            try Self.say(["the tables differ"] + text.lines(again.table))
        } else {
            try Self.say(["it did not show again; the first time it was this"])
            try Self.say(result.first.map(text.lines) ?? text.lines(result.table))
        }
        try Self.say([
            "to see it again: sudo ctlab verify \(capture.path) --node \(node.path)", "",
        ])
    }

    private static func write(_ bytes: [UInt8], to file: URL) throws {
        do {
            try Data(bytes).write(to: file)
        } catch {
            let reason = (error as NSError).localizedDescription
            throw Failure(code: .failed, text: "\(file.path): \(reason)")
        }
    }

    // MARK: Telling

    private static func say(_ lines: [String]) throws(Failure) {
        guard !lines.isEmpty else { return }
        try Output.write(lines.map { $0 + "\n" }.joined())
    }

    private static func hasHappened(_ interruption: borrowing Interruption?) -> Bool {
        switch interruption {
        case .some(let signals): signals.hasHappened
        case .none: false
        }
    }

    private static func counts(_ counts: [(kind: Difference.Kind, count: Int)]) -> [String] {
        counts.sorted { $0.count > $1.count }.map { "\($0.count) × \($0.kind.rawValue)" }
    }

    private static func rate(_ packets: Int, since started: UInt64) -> String {
        let seconds = Double(MonotonicClock.now() - started) / 1e9
        return String(format: "%.1f s, %.0f packets/s", seconds, Double(packets) / seconds)
    }

    private static func leave(agrees: Bool) throws {
        guard !agrees else { return }
        throw Failure(code: .expectation, text: "the model and the live kernel differ")
    }
}

/// The IP packets of a capture, one after the other.
struct TracePackets {
    private var reader: CaptureReader

    init(_ path: String) throws {
        do {
            reader = try CaptureReader(
                try InputFile(opening: path, interruption: Interruption()))
        } catch {
            throw Failure(code: .usage, text: "\(path): \(error)")
        }
    }

    /// The next packet; one that the capture cut short is filled up with zeros.
    mutating func next() throws -> TracePacket? {
        while let record = try reader.next() {
            switch record.content {
            case .ipv4, .ipv6: break
            case .other, .malformed: continue
            }
            var bytes = Array(reader.buffer[record.range])
            let missing = record.originalByteCount - record.capturedByteCount
            bytes += repeatElement(0, count: max(0, min(missing, 65_575 - bytes.count)))
            return TracePacket(
                nanoseconds: record.timestamp, bytes: bytes,
                interface: reader.interfaces[record.interface].name)
        }
        return nil
    }
}
