import Conntrack
import Foundation
import Report
import Testing
import Wire

/// The JSONL contract: every recorded line is read, and written again with the same bytes.
@Suite struct ContractTests {
    @Test("every line of the recordings is read and written back byte for byte")
    func roundTripsRecordings() throws {
        let decoder = JSONDecoder()
        var count = 0
        for name in Recordings.names {
            for line in try Recordings.lines(name) {
                let outcome = try decoder.decode(OutcomeLine.self, from: Data(line.utf8))
                var json = JSONText()
                json.line(outcome)
                #expect(String(decoding: json.bytes, as: UTF8.self) == line + "\n")
                count += 1
            }
        }
        #expect(Recordings.names.count >= 61)
        #expect(count > 17_000)
    }

    /// An outcome with every key in use.
    static let fullest: PacketOutcome = {
        var outcome = PacketOutcome(
            packet: 7, time: "1.000000002", state: "invalid", verdict: "dropped")
        outcome.ingress = "lan"
        var tuple = TupleRecord(source: "10.0.0.2", destination: "10.0.1.2")
        tuple.proto = 17
        tuple.sourcePort = 1000
        tuple.destinationPort = 53
        outcome.tuple = tuple
        outcome.direction = "original"
        outcome.reason = "rule"
        outcome.invalidReasons = ["nf_ct_proto_17: \"short\" \\ packet\u{1}"]
        outcome.hook = "forward: ip flt f line 3: \"drop\""
        outcome.out = [OutputRecord(interface: "wan", bytes: "4500")]
        var entry = EntryRecord(
            proto: 6, original: tuple, reply: tuple, status: ["SEEN_REPLY", "CONFIRMED"])
        entry.timeout = 120
        var tcp = TCPRecord(state: "ESTABLISHED")
        tcp.originalWindowScale = 7
        tcp.replyWindowScale = 0
        tcp.originalFlags = 3
        tcp.replyFlags = 35
        entry.tcp = tcp
        var sctp = SCTPRecord(state: "ESTABLISHED")
        sctp.originalTag = .max
        sctp.replyTag = 0
        entry.sctp = sctp
        entry.mark = 42
        entry.zone = 0
        entry.originalZone = 8
        entry.replyZone = 9
        entry.packets = [1, 2]
        entry.bytes = [40, 80]
        entry.id = 3_520_498_520
        outcome.entry = entry
        outcome.events = [EventRecord(type: "NEW", entry: entry)]
        outcome.counters = CounterChanges([
            .init(name: "insert_failed", value: 1), .init(name: "count", value: 3),
        ])
        outcome.evicted = 2
        outcome.before = Interlude(
            events: [EventRecord(type: "DESTROY", entry: entry)], counters: outcome.counters)
        return outcome
    }()

    @Test("keys stand in the contract's order")
    func ordersKeys() {
        var json = JSONText()
        json.line(Self.fullest)
        let text = String(decoding: json.bytes, as: UTF8.self)
        let keys = [
            "packet", "time", "in", "tuple", "state", "direction", "verdict", "reason",
            "invalid_reason", "hook", "out", "events", "entry", "counters", "evicted", "before",
        ]
        // The top level alone: objects inside are cut out.
        var depth = 0
        var top = ""
        for character in text {
            if character == "{" || character == "[" { depth += 1 }
            if depth == 1 { top.append(character) }
            if character == "}" || character == "]" { depth -= 1 }
        }
        let places = keys.map { top.firstRange(of: "\"\($0)\":")?.lowerBound }
        #expect(!places.contains(nil))
        #expect(places.compactMap { $0 } == places.compactMap { $0 }.sorted())
    }

    @Test("Codable reads what the writer wrote, strings with quotes and controls included")
    func readsItsOwn() throws {
        var json = JSONText()
        json.line(Self.fullest)
        let decoded = try JSONDecoder().decode(PacketOutcome.self, from: Data(json.bytes))
        #expect(decoded == Self.fullest)
        // Codable's own encoding means the same.
        let encoded = try JSONEncoder().encode(Self.fullest)
        #expect(try JSONDecoder().decode(PacketOutcome.self, from: encoded) == Self.fullest)
    }

    @Test("a packet without an entry says so")
    func writesNull() {
        var json = JSONText()
        json.line(PacketOutcome(packet: 0, time: "0.000000000", state: "none", verdict: "dropped"))
        #expect(
            String(decoding: json.bytes, as: UTF8.self)
                == #"{"packet":0,"time":"0.000000000","state":"none","verdict":"dropped","entry":null}"#
                + "\n")
    }

    @Test("the last line holds the table, the counters, the log, version and seed")
    func writesFinal() throws {
        let record = FinalRecord(
            entries: [], counters: CounterChanges(Counters()), count: 0, peak: 3,
            kernelLog: ["[    0.000000] a"], version: "0.1.0", seed: .max)
        var json = JSONText()
        json.line(final: record)
        #expect(
            String(decoding: json.bytes, as: UTF8.self)
                == #"{"final":{"entries":[],"counters":{"found":0,"invalid":0,"insert":0,"insert_failed":0,"drop":0,"early_drop":0,"error":0,"search_restart":0,"clash_resolve":0,"chaintoolong":0,"expect_new":0,"expect_create":0,"expect_delete":0},"count":0,"peak":3,"kernel_log":["[    0.000000] a"],"version":"0.1.0","seed":18446744073709551615}}"#
                + "\n")
        let line = try JSONDecoder().decode(OutcomeLine.self, from: Data(json.bytes))
        #expect(line == .final(record))
    }

    @Test("a table written entry by entry gives the same line")
    func writesFinalInPieces() throws {
        let entry = try #require(Self.fullest.entry)
        var record = FinalRecord(
            entries: [entry, entry], counters: CounterChanges(Counters()), count: 2, peak: 3,
            kernelLog: [], version: "0.1.0", seed: 1)
        var whole = JSONText()
        whole.line(final: record)
        record.entries = []
        var pieces: [UInt8] = []
        var json = JSONText()
        json.line(final: record, table: [entry, entry]) { json in
            pieces += json.bytes
            json.removeWritten()
        }
        #expect(pieces + json.bytes == whole.bytes)
    }

    // MARK: Counters

    @Test("counters: changes alone, count when it moved, the kernel's names beside the tool's")
    func countsChanges() throws {
        var old = Counters()
        var new = Counters()
        #expect(CounterChanges(from: old, to: new, oldCount: 1, newCount: 1) == nil)
        old.invalid = .max
        new.invalid = 1
        new.error = 2
        let changes = CounterChanges(from: old, to: new, oldCount: 5, newCount: 4)
        #expect(changes?["invalid"] == 2)
        #expect(changes?["error"] == 2)
        #expect(changes?["count"] == 4)
        #expect(changes?["found"] == nil)
        let recorded = try JSONDecoder().decode(
            CounterChanges.self, from: Data(#"{"icmp_error":1,"count":2}"#.utf8))
        #expect(recorded["error"] == 1)
    }
}

/// From a node's values to records.
@Suite struct OutcomeRecorderTests {
    static let recorder = OutcomeRecorder(
        interfaceNames: ["lan", "wan"],
        base: TimeBase(tickRate: .reference, epochNanoseconds: 0)
    ) { "rule \($0.rule)" }

    static let entry: Entry = {
        let tuple = Tuple(
            .ipv4, IPProtocol.tcp, source: Address(ipv4: 0x0a00_0002), 40_000,
            destination: Address(ipv4: 0x0a00_0102), 80)
        var entry = Entry(original: tuple, reply: tuple)
        entry.status = [.confirmed, .seenReply]
        entry.remainingTicks = 120 * 250 - 1
        entry.protocolState = 3
        entry.windowScaleOriginal = 7
        entry.flagsReply = 35
        entry.hasAccounting = true
        entry.packetsOriginal = 2
        entry.bytesReply = 80
        entry.identifier = 9
        return entry
    }()

    @Test("an entry: seconds cut, names of its status, TCP part, counters original first")
    func recordsEntries() {
        let record = Self.recorder.record(Self.entry)
        #expect(record.timeout == 119)
        #expect(record.status == ["SEEN_REPLY", "CONFIRMED"])
        #expect(record.tcp?.state == "ESTABLISHED")
        #expect(record.tcp?.originalWindowScale == 7)
        #expect(record.tcp?.replyFlags == 35)
        #expect(record.packets == [2, 0])
        #expect(record.bytes == [0, 80])
        #expect(record.zone == 0)
        #expect(record.id == 9)
        #expect(record.original.proto == nil)
    }

    @Test("events: counters only in DESTROY, whose TCP part is its state alone")
    func recordsEvents() {
        let update = Self.recorder.record(
            ConntrackEvent(.update, Self.entry, hasProtocolPart: true, at: .start))
        #expect(update.type == "UPDATE")
        #expect(update.entry.packets == nil)
        #expect(update.entry.tcp?.originalWindowScale == 7)
        var expired = Self.entry
        expired.remainingTicks = -5
        let destroy = Self.recorder.record(
            ConntrackEvent(.destroy, expired, hasProtocolPart: true, at: .start))
        #expect(destroy.entry.packets == [2, 0])
        #expect(destroy.entry.tcp == TCPRecord(state: "ESTABLISHED"))
        #expect(destroy.entry.timeout == nil)
        let bare = Self.recorder.record(
            ConntrackEvent(.update, Self.entry, hasProtocolPart: false, at: .start))
        #expect(bare.entry.tcp == nil)
    }

    @Test("a drop by a rule names the rule; interfaces have their names")
    func recordsDrops() {
        var delivery = Delivery(
            verdict: .dropped, info: .new, inInterface: InterfaceIndex(1))
        delivery.reason = .rule
        delivery.rule = RuleReference(rule: 4, chain: 0)
        delivery.tuple = Self.entry.original
        let outcome = Self.recorder.outcome(
            packet: 3, at: Instant(nanoseconds: 1_000_000_007), delivery, Journal())
        #expect(outcome.time == "1.000000007")
        #expect(outcome.ingress == "wan")
        #expect(outcome.hook == "rule 4")
        #expect(outcome.reason == "rule")
        #expect(outcome.direction == "original")
        #expect(outcome.tuple?.proto == 6)
        #expect(outcome.tuple?.destinationPort == 80)
        #expect(outcome.out == nil)
        #expect(outcome.entry == nil)
    }

    @Test("what left is shown in hex")
    func recordsOutput() {
        var delivery = Delivery(
            verdict: .forwarded, info: .established, inInterface: InterfaceIndex(0))
        delivery.out = [Transmission(interface: InterfaceIndex(1), bytes: [0x45, 0x00, 0xfe])]
        let outcome = Self.recorder.outcome(packet: 0, at: .start, delivery, Journal())
        #expect(outcome.out == [OutputRecord(interface: "wan", bytes: "4500fe")])
    }

    @Test("ICMP tuples have type, code and id; a protocol without parts has none")
    func recordsTuples() {
        let icmp = Self.recorder.record(
            Tuple(
                .ipv4, IPProtocol.icmp, source: Address(ipv4: 1), 77, destination: Address(ipv4: 2),
                8 << 8 | 3))
        #expect(icmp.type == 8)
        #expect(icmp.code == 3)
        #expect(icmp.id == 77)
        #expect(icmp.sourcePort == nil)
        let other = Self.recorder.record(
            Tuple(.ipv4, 200, source: Address(ipv4: 1), 0, destination: Address(ipv4: 2), 0))
        #expect(other == TupleRecord(source: "0.0.0.1", destination: "0.0.0.2"))
    }
}
