import Report
import Testing
import Verify
import Wire

@Suite struct ComparisonTests {
    /// A packet of a translated flow, as one arm tells it.
    private static func outcome(port: Int = 40_000, bytes: String = "4500aaaa") -> PacketOutcome {
        var outcome = PacketOutcome(
            packet: 0, time: "0.000000000", state: "new", verdict: "forwarded")
        outcome.direction = "original"
        outcome.ingress = "lan"
        outcome.out = [OutputRecord(interface: "wan", bytes: bytes)]
        outcome.entry = entry(port: port)
        outcome.events = [EventRecord(type: "NEW", entry: entry(port: port))]
        outcome.counters = CounterChanges([CounterChanges.Change(name: "count", value: 1)])
        return outcome
    }

    private static func entry(port: Int = 40_000) -> EntryRecord {
        var original = TupleRecord(source: "10.0.0.2", destination: "198.51.100.7")
        original.sourcePort = 40_000
        original.destinationPort = 80
        var reply = TupleRecord(source: "198.51.100.7", destination: "203.0.113.1")
        reply.sourcePort = 80
        reply.destinationPort = port
        var entry = EntryRecord(
            proto: 6, original: original, reply: reply, status: ["CONFIRMED", "SRC_NAT"])
        entry.timeout = 120
        entry.tcp = TCPRecord(state: "SYN_SENT")
        return entry
    }

    /// What one arm says differently, and the kind of difference it is.
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let kind: Difference.Kind
        let change: @Sendable (inout PacketOutcome) -> Void

        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row(name: "another verdict", kind: .verdict) { $0.verdict = "dropped" },
        Row(name: "another state", kind: .state) { $0.state = "established" },
        Row(name: "another direction", kind: .direction) { $0.direction = "reply" },
        Row(name: "another interface", kind: .interface) { $0.ingress = "wan" },
        Row(name: "a remark more", kind: .remarks) { $0.invalidReasons = ["bad"] },
        Row(name: "one byte", kind: .output) { $0.out?[0].bytes = "4500aaab" },
        Row(name: "another way out", kind: .output) { $0.out?[0].interface = "lan" },
        Row(name: "no output", kind: .output) { $0.out = nil },
        Row(name: "no entry", kind: .entry) { $0.entry = nil },
        Row(name: "another address", kind: .entryTuples) {
            $0.entry?.reply.destination = "203.0.113.2"
        },
        Row(name: "another status", kind: .entryStatus) { $0.entry?.status = ["CONFIRMED"] },
        Row(name: "two seconds", kind: .entryTimeout) { $0.entry?.timeout = 118 },
        Row(name: "no timeout", kind: .entryTimeout) { $0.entry?.timeout = nil },
        Row(name: "another TCP state", kind: .entryProtocol) { $0.entry?.tcp?.state = "CLOSE" },
        Row(name: "other TCP flags", kind: .entryProtocol) { $0.entry?.tcp?.replyFlags = 1 },
        Row(name: "a mark", kind: .entryRest) { $0.entry?.mark = 7 },
        Row(name: "accounting", kind: .entryRest) { $0.entry?.packets = [1, 0] },
        Row(name: "no event", kind: .events) { $0.events = nil },
        Row(name: "another event", kind: .events) { $0.events?[0].type = "UPDATE" },
        Row(name: "an event's state", kind: .entryProtocol) {
            $0.events?[0].entry.tcp?.state = "CLOSE"
        },
        Row(name: "a counter", kind: .counters) {
            $0.counters?.changes.append(CounterChanges.Change(name: "invalid", value: 1))
        },
        Row(name: "another count", kind: .count) { $0.counters?.changes[0].value = 2 },
    ]

    @Test("two equal accounts do not differ")
    func acceptsEqual() {
        var comparison = Comparison(ruleset: "")
        #expect(
            comparison.differences(expected: Self.outcome(), found: Self.outcome()).isEmpty)
    }

    @Test("each difference is seen and called by its kind", arguments: rows)
    func findsDifferences(_ row: Row) {
        var changed = Self.outcome()
        row.change(&changed)
        var comparison = Comparison(ruleset: "")
        let there = comparison.differences(expected: Self.outcome(), found: changed)
        #expect(there.map(\.kind) == [row.kind])
        var other = Comparison(ruleset: "")
        let back = other.differences(expected: changed, found: Self.outcome())
        #expect(back.map(\.kind) == [row.kind])
    }

    @Test("a second more or less, zero marks, other ids and the recorder's names are no difference")
    func acceptsWhatDoesNotCount() {
        var other = Self.outcome()
        other.entry?.timeout = 119
        other.entry?.mark = 0
        other.entry?.zone = 0
        other.entry?.id = 4711
        other.counters?.changes.append(CounterChanges.Change(name: "icmp_error", value: 1))
        var one = Self.outcome()
        one.counters?.changes.append(CounterChanges.Change(name: "error", value: 1))
        var comparison = Comparison(ruleset: "")
        #expect(comparison.differences(expected: one, found: other).isEmpty)
    }

    @Test(
        "notrack can go unseen on the live kernel, and only there",
        arguments: ["dropped", "local"])
    func acceptsUnseenNotrack(verdict: String) {
        let seen = PacketOutcome(packet: 0, time: "", state: "none", verdict: verdict)
        let told = PacketOutcome(packet: 0, time: "", state: "untracked", verdict: verdict)
        var comparison = Comparison(ruleset: "")
        #expect(comparison.differences(expected: seen, found: told).isEmpty)
        #expect(comparison.differences(expected: told, found: seen).map(\.kind) == [.state])
    }

    @Test("the entry of a packet the tracker never saw is not compared")
    func leavesOutUnseenEntries() {
        var seen = PacketOutcome(packet: 0, time: "", state: "none", verdict: "dropped")
        seen.entry = Self.entry()
        let told = PacketOutcome(packet: 0, time: "", state: "none", verdict: "dropped")
        var comparison = Comparison(ruleset: "")
        #expect(comparison.differences(expected: seen, found: told).isEmpty)
    }

    // MARK: Chance

    /// The same packet with two source ports and checksums to match: 40 000 + 0x1000 keeps the sum.
    private static let translated = (one: "4500" + "9c40" + "1000", other: "4500" + "ac40" + "0000")

    @Test("a port chosen at random in each arm is a pair from then on")
    func pairsPorts() {
        var comparison = Comparison(ruleset: "")
        let one = Self.outcome(port: 0x9C40, bytes: Self.translated.one)
        let other = Self.outcome(port: 0xAC40, bytes: Self.translated.other)
        #expect(comparison.differences(expected: one, found: other).isEmpty)
        #expect(comparison.differences(expected: one, found: other).isEmpty)
        let third = Self.outcome(port: 0xBC40, bytes: Self.translated.other)
        let kinds = comparison.differences(expected: one, found: third).map(\.kind)
        #expect(kinds.contains(.entryTuples))
    }

    @Test(
        "a port outside its class or range is a difference",
        arguments: [
            ("", 40_000, 1023, false), ("", 40_000, 1024, true), ("", 40_000, 65_535, true),
            ("snat to 203.0.113.1:200-300", 250, 300, true),
            ("snat to 203.0.113.1:200-300", 250, 301, false),
        ])
    func holdsRanges(_ ruleset: String, _ one: Int, _ other: Int, _ isFine: Bool) {
        var comparison = Comparison(ruleset: ruleset)
        var left = Self.outcome(port: one)
        var right = Self.outcome(port: other)
        left.out = nil
        right.out = nil
        let differences = comparison.differences(expected: left, found: right)
        #expect(differences.isEmpty == isFine)
    }

    /// An SCTP packet with two source ports, each with the CRC that goes with it.
    private static func association(port: UInt16, changing byte: Int? = nil) -> PacketOutcome {
        let builder = PacketBuilder(
            .ipv4, from: Address(ipv4: 0xcb00_7101), to: Address(ipv4: 0xc633_6407))
        var bytes = builder.sctp(
            from: port, to: 80, tag: 7, chunks: [.init(type: 3, value: [1, 2, 3])])
        if let byte { bytes[byte] ^= 1 }
        return outcome(port: Int(port), bytes: OutcomeRecorder.hex(bytes))
    }

    @Test("two SCTP packets with paired ports agree if both CRCs are right and the rest is equal")
    func pairsAssociations() {
        var comparison = Comparison(ruleset: "")
        let one = Self.association(port: 40_001)
        #expect(
            comparison.differences(expected: one, found: Self.association(port: 50_002)).isEmpty)
        // The CRC, the tag, the chunk.
        for byte in [30, 27, 36] {
            let other = Self.association(port: 50_002, changing: byte)
            #expect(
                comparison.differences(expected: one, found: other).map(\.kind) == [.output],
                "byte \(byte)")
        }
    }

    @Test("a packet with a paired port and a wrong checksum is a difference")
    func holdsChecksums() {
        var comparison = Comparison(ruleset: "")
        let one = Self.outcome(port: 0x9C40, bytes: Self.translated.one)
        let other = Self.outcome(port: 0xAC40, bytes: "4500" + "ac40" + "0001")
        #expect(comparison.differences(expected: one, found: other).map(\.kind) == [.output])
    }

    @Test("fragments of one IPv6 packet may have any number, but one")
    func renumbersFragments() {
        let head = "60000000001c2cff" + String(repeating: "00", count: 32) + "11000001"
        let pieces = { (one: String, other: String) in
            [one, other].map { OutputRecord(interface: "wan", bytes: head + $0 + "00350035") }
        }
        var one = Self.outcome()
        var other = Self.outcome()
        one.out = pieces("11111111", "11111111")
        other.out = pieces("22222222", "22222222")
        var comparison = Comparison(ruleset: "")
        #expect(comparison.differences(expected: one, found: other).isEmpty)
        other.out = pieces("22222222", "33333333")
        #expect(comparison.differences(expected: one, found: other).map(\.kind) == [.output])
    }

    @Test("an expired entry may go earlier in one arm, and the numbers still have to fit")
    func squaresExpiry() {
        var gone = Self.entry()
        gone.timeout = nil
        gone.tcp = TCPRecord(state: "SYN_SENT")
        let end = EventRecord(type: "DESTROY", entry: gone)
        var comparison = Comparison(ruleset: "")
        #expect(
            comparison.differences(expected: Self.outcome(), found: Self.outcome()).isEmpty)

        var swept = PacketOutcome(packet: 1, time: "", state: "none", verdict: "dropped")
        swept.before = Interlude(
            events: [end],
            counters: CounterChanges([CounterChanges.Change(name: "count", value: 0)]))
        let quiet = PacketOutcome(packet: 1, time: "", state: "none", verdict: "dropped")
        #expect(comparison.differences(expected: swept, found: quiet).isEmpty)

        // Later the other arm meets it as well.
        var met = PacketOutcome(packet: 2, time: "", state: "none", verdict: "dropped")
        met.events = [end]
        met.counters = CounterChanges([CounterChanges.Change(name: "count", value: 0)])
        #expect(comparison.differences(expected: quiet, found: met).isEmpty)

        // Once more would be one too many.
        #expect(comparison.differences(expected: quiet, found: met).map(\.kind) == [.count])
    }

    // MARK: The end

    @Test("tables are compared whatever their order")
    func comparesTables() {
        var second = Self.entry(port: 50_000)
        second.original.sourcePort = 41_000
        let table = [Self.entry(), second]
        var comparison = Comparison(ruleset: "")
        #expect(
            comparison.differences(expectedTable: table, foundTable: table.reversed()).isEmpty)
        let short = comparison.differences(expectedTable: table, foundTable: [second])
        #expect(short.map(\.kind) == [.table])
        let long = comparison.differences(expectedTable: [second], foundTable: table)
        #expect(long.map(\.kind) == [.table])
        // The live table is listed later: what was about to end may be gone there, and only there.
        var ending = Self.entry()
        ending.timeout = 0
        #expect(
            comparison.differences(expectedTable: [second], foundTable: [second, ending]).isEmpty)
        let lost = comparison.differences(expectedTable: [second, ending], foundTable: [second])
        #expect(lost.map(\.kind) == [.table])
    }

    @Test("how many taken ports were tried is compared unless the port was drawn")
    func forgivesTries() {
        let tried = CounterChanges([CounterChanges.Change(name: "found", value: 3)])
        for (port, isForgiven) in [(40_001, true), (40_000, false)] {
            var comparison = Comparison(ruleset: "type nat")
            var live = Self.outcome(port: port)
            var model = live
            live.counters?.changes += tried.changes
            model.counters?.changes.append(CounterChanges.Change(name: "found", value: 1))
            let kinds = comparison.differences(expected: live, found: model).map(\.kind)
            #expect(kinds == (isForgiven ? [] : [.counters]))
        }
    }

    @Test("a connection lost before it was confirmed does not tell which port it drew")
    func forgivesLostTries() {
        for ruleset in ["type nat", "type filter"] {
            var comparison = Comparison(ruleset: ruleset)
            var live = Self.outcome()
            live.verdict = "dropped"
            live.out = nil
            live.entry = nil
            live.events = nil
            live.counters = nil
            var model = live
            model.counters = CounterChanges([CounterChanges.Change(name: "found", value: 1)])
            let kinds = comparison.differences(expected: live, found: model).map(\.kind)
            #expect(kinds == (ruleset == "type nat" ? [] : [.counters]))
        }
    }
}
