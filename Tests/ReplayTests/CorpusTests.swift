import Conntrack
import Foundation
import Replay
import Report
import Scenario
import Testing
import Wire

/// The model against the kernel: every packet of the recorded traces, compared one by one.
///
/// What chance decides is taken from the recording: where the kernel drew a port, the model starts
/// its search there, and must come to the same mapping. Ids are not compared, timeouts within a
/// second. Which expired connection a lookup happens to meet depends on the secret hash key, so a
/// DESTROY of an expired connection may come with another packet, or with none.
@Suite("Recorded traces")
struct CorpusTests {
    private struct Catcher: ReplaySink {
        var outcome: PacketOutcome?
        var isClosed: Bool { false }

        mutating func take(_ outcome: PacketOutcome) { self.outcome = outcome }
        mutating func take(_ event: ConntrackEvent, _ base: TimeBase) {}
    }

    @Test("The model does with every packet what the kernel did", arguments: Recordings.names)
    func agrees(name: String) throws {
        let file = try NodeFile.read(Recordings.nodeFile(name))
        var replayer = Replayer(file.configuration, wants: .outcomes)
        var reader = try CaptureReader(try Recordings.capture(name))
        let decoder = JSONDecoder()
        var number = 0
        for line in try Recordings.lines(name) {
            let kernel = try decoder.decode(PacketOutcome.self, from: Data(line.utf8))
            let record = try #require(try reader.next())
            var catcher = Catcher()
            replayer.node.portHints.source = Self.drawnPort(kernel)
            replayer.take(
                reader.buffer.span.extracting(record.range), number: number,
                timestamp: record.timestamp, on: nil, &catcher)
            let model = try #require(catcher.outcome)
            let differences = Self.differences(kernel, model)
            #expect(
                differences.isEmpty,
                "\(name) packet \(number): \(differences.joined(separator: "; "))")
            number += 1
        }
        #expect(number > 0)
        #expect(try reader.next() == nil)
    }

    /// The port or id the kernel gave a new mapping, if this packet made one.
    private static func drawnPort(_ outcome: PacketOutcome) -> UInt16? {
        let made = (outcome.events ?? []).filter { $0.type == "NEW" }.map(\.entry)
        for entry in made + [outcome.entry].compactMap(\.self)
        where entry.status.contains("SRC_NAT") {
            return (entry.reply.destinationPort ?? entry.reply.id).map { UInt16($0) }
        }
        return nil
    }

    private static func differences(
        _ kernel: PacketOutcome, _ model: PacketOutcome
    ) -> [String] {
        var list: [String] = []
        func compare<Value: Equatable>(_ what: String, _ kernel: Value, _ model: Value) {
            if kernel != model { list.append("\(what): kernel \(kernel), model \(model)") }
        }
        compare("interface", kernel.ingress, model.ingress)
        compare("verdict", kernel.verdict, model.verdict)
        compare("state", kernel.state, model.state)
        compare("direction", kernel.direction, model.direction)
        compare("output", numberless(kernel.out), numberless(model.out))
        compare("answers", drawless(kernel.answers), drawless(model.answers))
        compare("remarks", kernel.invalidReasons ?? [], model.invalidReasons ?? [])
        // The recordings could not look GRE entries up.
        if model.entry?.proto != 47, !areSame(kernel.entry, model.entry) {
            list.append(
                "entry: kernel \(String(describing: kernel.entry)), "
                    + "model \(String(describing: model.entry))")
        }
        // `found` follows the draws of a port search, `count` the collector.
        for name in ["invalid", "error", "drop", "insert_failed", "early_drop", "clash_resolve"] {
            compare(name, kernel.counters?[name] ?? 0, model.counters?[name] ?? 0)
        }
        let kernelEvents = events(kernel.events)
        let modelEvents = events((model.before?.events ?? []) + (model.events ?? []))
        if kernelEvents.count != modelEvents.count
            || !zip(kernelEvents, modelEvents).allSatisfy({
                $0.type == $1.type && areSame($0.entry, $1.entry)
            })
        {
            list.append("events: kernel \(kernelEvents), model \(modelEvents)")
        }
        return list
    }

    /// The output without the identification of IPv6 fragments, which is drawn at random.
    private static func numberless(_ output: [OutputRecord]?) -> [OutputRecord] {
        (output ?? []).map { record in
            var digits = Array(record.bytes)
            guard digits.first == "6", digits.count >= 96, digits[12..<14] == ["2", "c"] else {
                return record
            }
            digits.replaceSubrange(88..<96, with: repeatElement("0", count: 8))
            return OutputRecord(interface: record.interface, bytes: String(digits))
        }
    }

    /// Answers without what is drawn or hashed with a secret: the identification of an IPv4 ICMP
    /// packet, and the header checksum with it, the flow label of an IPv6 one.
    private static func drawless(_ answers: [OutputRecord]?) -> [OutputRecord] {
        (answers ?? []).map { record in
            var digits = Array(record.bytes)
            let places =
                switch (digits.first, digits.count > 40 ? String(digits[18..<20]) : "") {
                case ("4", "01"): [8..<12, 20..<24]
                case ("6", _): [3..<8]
                default: [] as [Range<Int>]
                }
            for place in places {
                digits.replaceSubrange(place, with: repeatElement("0", count: place.count))
            }
            return OutputRecord(interface: record.interface, bytes: String(digits))
        }
    }

    /// Without the ends of expired connections, which come when somebody meets them.
    private static func events(_ events: [EventRecord]?) -> [EventRecord] {
        (events ?? []).filter { $0.type != "DESTROY" || ($0.entry.timeout ?? 0) > 0 }
    }

    /// Equal in what a recording holds, the timeout within a second.
    private static func areSame(_ kernel: EntryRecord?, _ model: EntryRecord?) -> Bool {
        guard var kernel, var model else { return kernel == nil && model == nil }
        guard abs((kernel.timeout ?? 0) - (model.timeout ?? 0)) <= 1 else { return false }
        model.timeout = nil
        kernel.timeout = nil
        model.id = nil
        kernel.id = nil
        // Not every recording has these.
        if kernel.zone == nil { model.zone = nil }
        if kernel.mark == nil { model.mark = nil }
        if kernel.packets == nil { (model.packets, model.bytes) = (nil, nil) }
        return kernel == model
    }
}
