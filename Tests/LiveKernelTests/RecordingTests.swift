import Foundation
import LinuxCalls
import LiveKernel
import Report
import Scenario
import Testing
import Verify
import Wire

extension LiveTests {
    /// The traces whose recordings other rooms are held against, played on this machine's kernel.
    ///
    /// It has to do now what it did then. This holds the whole live arm, from the tun devices to
    /// ctnetlink, against an account that was taken with other tools.
    @Suite(.enabled(if: LiveMachine.isThere, "the live kernel is not there"))
    struct RecordingTests {
        /// The traces without pauses.
        ///
        /// What a timeout of a second does to the packet behind a pause of two depends on how busy the
        /// machine is; `ctlab verify` compares such traces at the kernel's own times.
        /// Nor can one be played again where most packets are addressed to ports the kernel drew.
        static let names = Trace.names.filter {
            !$0.contains("gaps") && !$0.contains("random")
        }

        @Test("the kernel does what the recording says", arguments: names)
        func agrees(_ name: String) throws {
            let trace = try Trace(name)
            // A port drawn after a clash may be one that a later packet happens to be about.
            var differences = try Self.differences(trace)
            for _ in 0..<2 where !differences.isEmpty && name.contains("nat") {
                differences = try Self.differences(trace)
            }
            #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))")
        }

        /// What the kernel does now and did not then, a line a packet.
        private static func differences(_ trace: Trace) throws -> [String] {
            let node = LiveNode(trace.node)
            let chooser = IngressChooser(node)
            var router = try LiveRouter(node)
            var comparison = Comparison(ruleset: node.ruleset)
            var lines: [String] = []
            for (number, packet) in trace.packets.enumerated() {
                let recorded = trace.outcomes[number]
                let step = try router.send(
                    packet.bytes, number: number, on: chooser.interface(for: packet.bytes),
                    traceTime: packet.nanoseconds - trace.packets[0].nanoseconds)
                let seen = asRecorded(step.outcome, recorded)
                // Later recordings have accounting, the first have none.
                let then = asRecorded(recorded, recorded)
                let differences = comparison.differences(expected: then, found: seen)
                if !differences.isEmpty { lines.append("packet \(number): \(differences)") }
            }
            #expect(trace.packets.count == trace.outcomes.count)
            #expect(router.settingsLeftOut.isEmpty)
            return lines
        }

        /// The outcome without what the recorder did not take down: accounting, and entries of
        /// protocols it could not look up.
        private static func asRecorded(
            _ outcome: PacketOutcome, _ recorded: PacketOutcome
        ) -> PacketOutcome {
            var outcome = outcome
            let isKnown = outcome.entry.map { [1, 6, 17, 58].contains($0.proto) } ?? true
            if recorded.entry == nil, !isKnown { outcome.entry = nil }
            outcome.entry = outcome.entry.map(withoutAccounting)
            outcome.events = outcome.events?.map(withoutAccounting)
            let earlier = outcome.before?.events?.map(withoutAccounting)
            outcome.before?.events = earlier
            return outcome
        }

        private static func withoutAccounting(_ event: EventRecord) -> EventRecord {
            EventRecord(type: event.type, entry: withoutAccounting(event.entry))
        }

        private static func withoutAccounting(_ entry: EntryRecord) -> EntryRecord {
            var entry = entry
            entry.packets = nil
            entry.bytes = nil
            return entry
        }
    }
}

/// A recorded trace: the packets, the machine, and what the kernel did.
struct Trace {
    let node: NodeFile
    let packets: [TracePacket]
    let outcomes: [PacketOutcome]

    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../Corpus").standardizedFileURL

    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasSuffix(".pcap.gz") }
            .map { String($0.dropLast(".pcap.gz".count)) }.sorted()
    }()

    init(_ name: String) throws {
        node = try NodeFile.read(Self.folder.appending(path: name + ".node.yaml").path)
        let source = Bytes(try Self.unpacked(name + ".pcap.gz"))
        var reader = try CaptureReader(source)
        var packets: [TracePacket] = []
        while let record = try reader.next() {
            packets.append(
                TracePacket(
                    nanoseconds: record.timestamp, bytes: Array(reader.buffer[record.range])))
        }
        self.packets = packets
        let lines = String(
            decoding: try Self.unpacked(name + ".kernel.jsonl.gz"), as: UTF8.self)
        outcomes = try lines.split(separator: "\n").map {
            try JSONDecoder().decode(PacketOutcome.self, from: Data($0.utf8))
        }
    }

    private static func unpacked(_ file: String) throws -> [UInt8] {
        let file = try InputFile(opening: folder.appending(path: file).path)
        var whole: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            var span = piece.mutableSpan
            let count = try file.read(into: &span, at: 0)
            if count == 0 { return whole }
            whole += piece[..<count]
        }
    }

    /// A capture that is all there.
    private struct Bytes: ByteSource {
        private var rest: ArraySlice<UInt8>

        init(_ bytes: [UInt8]) { rest = bytes[...] }

        mutating func read(into buffer: inout MutableSpan<UInt8>, at offset: Int) -> Int {
            let count = min(rest.count, buffer.count - offset)
            for index in 0..<count { buffer[offset + index] = rest[rest.startIndex + index] }
            rest = rest.dropFirst(count)
            return count
        }
    }
}
