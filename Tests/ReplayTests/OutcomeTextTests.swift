import Testing

@testable import Report

/// The line a person reads about a packet.
@Suite struct OutcomeTextTests {
    let text = OutcomeText(isColoured: false, interfaceNames: ["lan", "wan"])

    static func outcome(_ state: String, _ verdict: String) -> PacketOutcome {
        var outcome = PacketOutcome(
            packet: 12, time: "1.234567891", state: state, verdict: verdict)
        outcome.ingress = "lan"
        outcome.tuple = tuple("10.0.0.2", 40_001, "198.51.100.7", 80)
        return outcome
    }

    static func tuple(
        _ source: String, _ sourcePort: Int, _ destination: String, _ destinationPort: Int
    ) -> TupleRecord {
        var tuple = TupleRecord(source: source, destination: destination)
        tuple.proto = 6
        tuple.sourcePort = sourcePort
        tuple.destinationPort = destinationPort
        return tuple
    }

    @Test("a packet that opens a connection through masquerade")
    func tellsTranslation() {
        var outcome = Self.outcome("new", "forwarded")
        outcome.direction = "original"
        outcome.out = [OutputRecord(interface: "wan", bytes: "")]
        var entry = EntryRecord(
            proto: 6, original: Self.tuple("10.0.0.2", 40_001, "198.51.100.7", 80),
            reply: Self.tuple("198.51.100.7", 80, "203.0.113.1", 40_001), status: ["CONFIRMED"])
        entry.timeout = 120
        entry.tcp = TCPRecord(state: "SYN_SENT")
        outcome.entry = entry
        outcome.events = [EventRecord(type: "NEW", entry: entry)]
        #expect(
            text.line(outcome)
                == "    12      1.234567  lan > wan  tcp 10.0.0.2:40001 > 198.51.100.7:80  new  forwarded  as 203.0.113.1:40001 > 198.51.100.7:80  [SYN_SENT 120 s]  NEW"
        )
    }

    @Test("an association shows its state")
    func tellsAssociations() {
        var outcome = Self.outcome("established", "forwarded")
        outcome.tuple?.proto = 132
        var entry = EntryRecord(
            proto: 132, original: Self.tuple("10.0.0.2", 40_001, "198.51.100.7", 80),
            reply: Self.tuple("198.51.100.7", 80, "10.0.0.2", 40_001), status: ["ASSURED"])
        entry.timeout = 210
        entry.sctp = SCTPRecord(state: "ESTABLISHED")
        outcome.entry = entry
        #expect(text.line(outcome).hasSuffix("established  forwarded  [ESTABLISHED 210 s assured]"))
    }

    @Test("a packet a rule dropped")
    func tellsDrops() {
        var outcome = Self.outcome("invalid", "dropped")
        outcome.reason = "rule"
        outcome.hook = "forward: ip flt f line 3"
        outcome.invalidReasons = ["nf_ct_proto_6: invalid new"]
        #expect(
            text.line(outcome)
                == "    12      1.234567  lan        tcp 10.0.0.2:40001 > 198.51.100.7:80  invalid  dropped  (rule at forward: ip flt f line 3)  \"nf_ct_proto_6: invalid new\""
        )
    }

    @Test("an answer that is not translated says nothing of translation; IPv6 has brackets")
    func tellsPlainPackets() {
        var outcome = Self.outcome("established", "forwarded")
        var tuple = TupleRecord(source: "fd00::2", destination: "fd01::2")
        tuple.proto = 17
        tuple.sourcePort = 1000
        tuple.destinationPort = 53
        outcome.tuple = tuple
        outcome.direction = "reply"
        outcome.out = [OutputRecord(interface: "wan", bytes: "")]
        var original = TupleRecord(source: "fd01::2", destination: "fd00::2")
        original.sourcePort = 53
        original.destinationPort = 1000
        outcome.entry = EntryRecord(
            proto: 17, original: original, reply: tuple, status: ["SEEN_REPLY", "ASSURED"])
        #expect(
            text.line(outcome).hasSuffix(
                "udp [fd00::2]:1000 > [fd01::2]:53  established  forwarded  [assured]"))
    }

    @Test(
        "an ICMP question has its identifier, an error has none",
        arguments: [
            (8, "icmp 10.0.0.2 > 10.0.1.2 type 8 code 0 id 77"),
            (3, "icmp 10.0.0.2 > 10.0.1.2 type 3 code 0"),
        ])
    func tellsICMP(_ type: Int, _ words: String) {
        var tuple = TupleRecord(source: "10.0.0.2", destination: "10.0.1.2")
        tuple.type = type
        tuple.code = 0
        tuple.id = 77
        #expect(OutcomeText.text(tuple, 1) == words)
    }

    @Test("a packet that could not be read has no tuple")
    func tellsUnreadable() {
        let outcome = PacketOutcome(
            packet: 0, time: "0.000000000", state: "none", verdict: "dropped")
        #expect(text.line(outcome) == "     0      0.000000  -          no tuple  none  dropped")
    }

    @Test("what the collector did is told in a few words")
    func tellsInterludes() {
        let entry = EntryRecord(
            proto: 17, original: Self.tuple("10.0.0.2", 1, "10.0.0.3", 2),
            reply: Self.tuple("10.0.0.3", 2, "10.0.0.2", 1), status: [])
        let interlude = Interlude(
            events: Array(repeating: EventRecord(type: "DESTROY", entry: entry), count: 6),
            counters: nil)
        let line = text.line(before: 4, interlude)
        #expect(line?.hasPrefix("        before 4:  DESTROY  udp 10.0.0.2:1 > 10.0.0.3:2") == true)
        #expect(line?.hasSuffix("  and 2 more") == true)
        #expect(text.line(before: 4, Interlude(events: nil, counters: nil)) == nil)
    }

    @Test(
        "each state has its tone",
        arguments: [
            ("new", OutcomeText.Tone.fresh), ("established", .good), ("related", .related),
            ("invalid", .warning), ("untracked", .faint), ("none", .faint),
        ])
    func tones(_ state: String, _ tone: OutcomeText.Tone) {
        #expect(OutcomeText.Tone(state: state) == tone)
    }
}
