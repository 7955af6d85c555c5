import Testing
import Wire

@testable import Conntrack

// What rules see of a packet's connection, in nftables' words: spec policy.md §3.1, §4, §12 case 8.
// The iptables forms (`--ctstate` and its kin) come with the scenarios.

struct PolicyMatchTests {
    /// A gateway that counts, at each hook, what `ct state` and `ct status` say of a packet.
    ///
    /// Every rule is one counter; `names` says which, in the order of the text.
    private func counting(_ hook: String, _ extra: String = "") throws -> NATBench {
        let rules = Self.names.map { "\($0) counter" }.joined(separator: "\n")
        return try NATBench(Chain.filter(hook, 50, rules) + extra)
    }

    private static let names = [
        "ct state new", "ct state established", "ct state related", "ct state invalid",
        "ct state untracked", "ct status snat", "ct status dnat",
    ]

    /// Which of the rules match a packet.
    private func matches(_ bench: NATBench, _ packet: [UInt8]) -> String {
        let before = bench.ruleCounters
        bench.pass(packet)
        return zip(Self.names, zip(before, bench.ruleCounters)).filter { $1.0 != $1.1 }
            .map { $0.0.split(separator: " ").last.map(String.init) ?? "" }
            .joined(separator: ",")
    }

    static let syn = Make.tcp("10.1.0.2:1000 > 10.2.0.2:80")

    @Test("policy.md case 8: SYN {NEW}, SYN-ACK {ESTABLISHED}, bad flags {INVALID}")
    func seesTheClass() throws {
        let bench = try counting("forward")
        #expect(matches(bench, Self.syn) == "new")
        #expect(matches(bench, Self.syn) == "new")
        let answer = Make.tcp("10.2.0.2:80 > 10.1.0.2:1000", [.syn, .ack], ack: 1)
        #expect(matches(bench, answer) == "established")
        #expect(matches(bench, Self.syn) == "established")
        #expect(matches(bench, Make.tcp("10.1.0.2:1001 > 10.2.0.2:80", [])) == "invalid")
    }

    @Test("policy.md case 8b: notracked {UNTRACKED}")
    func seesUntracked() throws {
        let bench = try counting(
            "forward", Chain.filter("prerouting", -300, "tcp dport 80 notrack"))
        #expect(matches(bench, Self.syn) == "untracked")
    }

    @Test("policy.md case 8c: SNAT: the first packet {NEW} in FORWARD, the second {NEW,SNAT}")
    func seesSNATLate() throws {
        let bench = try counting("forward", NATSourceTests.toTen)
        #expect(matches(bench, Self.syn) == "new")
        #expect(matches(bench, Self.syn) == "new,snat")
        let answer = Make.tcp("10.2.0.2:80 > 10.2.0.10:1000", [.syn, .ack], ack: 1)
        #expect(matches(bench, answer) == "established,snat")
    }

    @Test("policy.md case 8d: DNAT: the first packet {NEW,DNAT}, from PREROUTING -100 on")
    func seesDNATAtOnce() throws {
        let dnat = Chain.prerouting("ip daddr 10.1.0.50 tcp dport 80 dnat to 10.2.0.2")
        let virtual = Make.tcp("10.1.0.2:1000 > 10.1.0.50:80")
        #expect(matches(try counting("forward", dnat), virtual) == "new,dnat")
        let around = try NATBench(
            Chain.filter("prerouting", -101, "ct status dnat counter")
                + Chain.filter("prerouting", -99, "ct status dnat counter") + dnat)
        around.pass(virtual)
        #expect(around.ruleCounters == [0, 1])
    }

    @Test("policy.md case 8e: an ICMP error about a SNATed flow {RELATED,SNAT}")
    func seesRelated() throws {
        let bench = try counting("forward", NATSourceTests.toTen)
        let sent = bench.pass(Self.syn)
        let error = Make.error("10.2.0.9 > 10.2.0.10", about: sent.bytes[0])
        #expect(matches(bench, error) == "related,snat")
    }

    @Test("policy.md §4: a packet has exactly one of the five states")
    func hasOneState() throws {
        let bench = try counting(
            "forward", Chain.filter("prerouting", -300, "udp dport 99 notrack"))
        let sent = bench.pass(Make.udp("10.1.0.2:7 > 10.2.0.2:53"))
        let packets = [
            Make.udp("10.1.0.2:7 > 10.2.0.2:53"), Make.udp("10.2.0.2:53 > 10.1.0.2:7"),
            Make.udp("10.1.0.2:7 > 10.2.0.2:99"), Self.syn,
            Make.tcp("10.1.0.2:1 > 10.2.0.2:2", [.syn, .ack]),
            Make.error("10.2.0.9 > 10.1.0.2", about: sent.bytes[0]),
            Make.error("10.2.0.9 > 10.1.0.2", about: Self.syn),
            Make.generic("10.1.0.2 > 10.2.0.2", 200), Make.echo("10.1.0.2 > 10.2.0.2", id: 1),
        ]
        for packet in packets {
            let states = matches(bench, packet).split(separator: ",")
            #expect(states.count == 1, "\(PacketText.of(packet)): \(states)")
        }
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let rule: String
        /// Matches of an INVALID packet, a first SYN, its SYN-ACK, and an untracked datagram.
        let matches: [Int]

        init(_ rule: String, _ matches: Int...) {
            self.rule = rule
            self.matches = matches
        }

        var testDescription: String { rule }
    }

    /// Without an entry a rule that reads one breaks, also a negated one.
    ///
    /// The second column of the corresponding iptables behaviour (M1) belongs to the scenarios.
    @Test(
        "policy.md §4: what matches without an entry, and in which direction",
        arguments: [
            Row("ct state invalid", 1, 0, 0, 0),
            Row("ct state != { new, established }", 1, 0, 0, 1),
            Row("ct state { invalid, untracked }", 1, 0, 0, 1),
            Row("ct state new,established", 0, 1, 1, 0),
            Row("ct state & (new | invalid) != 0", 1, 1, 0, 0),
            Row("ct direction original", 0, 1, 0, 0),
            Row("ct direction reply", 0, 0, 1, 0),
            Row("ct direction != reply", 0, 1, 0, 0),
            Row("ct status confirmed", 0, 0, 1, 0),
            Row("ct status seen-reply", 0, 0, 1, 0),
            Row("ct status assured", 0, 0, 0, 0),
            Row("ct status ! snat", 0, 1, 1, 0),
            Row("ct mark 0", 0, 1, 1, 0),
            Row("ct mark != 7", 0, 1, 1, 0),
            Row("ct original ip saddr 10.1.0.2", 0, 1, 1, 0),
            Row("ct reply ip saddr 10.2.0.2", 0, 1, 1, 0),
            Row("meta l4proto tcp ct original proto-dst 80", 0, 1, 1, 0),
            Row("meta l4proto tcp ct original proto-dst != 80", 0, 0, 0, 0),
            // Observed on 6.18.44: before confirmation there is no lifetime yet.
            Row("ct expiration 60s-120s", 0, 0, 1, 0),
            Row("ct expiration 0s", 0, 1, 0, 0),
        ])
    func matchesWithoutEntry(_ row: Row) throws {
        let bench = try NATBench(
            Chain.filter("forward", 0, "\(row.rule) counter")
                + Chain.filter("prerouting", -300, "udp dport 99 notrack")
                + Chain.filter("input", 0, "ct state new"))
        let packets = [
            Make.tcp("10.1.0.2:1 > 10.2.0.2:2", [.syn, .ack]), Self.syn,
            Make.tcp("10.2.0.2:80 > 10.1.0.2:1000", [.syn, .ack], ack: 1),
            Make.udp("10.1.0.2:7 > 10.2.0.2:99"),
        ]
        var seen = 0
        let found = packets.map { packet in
            bench.pass(packet)
            defer { seen = bench.ruleCounters[0] }
            return bench.ruleCounters[0] - seen
        }
        #expect(found == row.matches)
    }

    @Test("policy.md §9.8: FORWARD sees the translated destination and the original source")
    func seesBothEnds() throws {
        let bench = try NATBench(
            Chain.filter(
                "forward", 0,
                """
                ip saddr 10.1.0.2 ip daddr 10.2.0.2 tcp dport 8080 counter
                meta l4proto tcp ct original ip daddr 10.1.0.50 ct original proto-dst 80 counter
                """)
                + Chain.prerouting("ip daddr 10.1.0.50 tcp dport 80 dnat to 10.2.0.2:8080")
                + Chain.postrouting("oifname \"srv\" masquerade"))
        let sent = bench.pass(Make.tcp("10.1.0.2:1000 > 10.1.0.50:80"))
        #expect(sent.out == "10.2.0.1:1000 > 10.2.0.2:8080")
        #expect(bench.ruleCounters == [1, 1])
    }

    @Test("policy.md §3, M3: an ICMP error about nothing known: counted as error, not as invalid")
    func countsErrors() throws {
        let bench = try NATBench(PolicyHookTests.stateful)
        let (sent, counters) = bench.counting {
            bench.pass(Make.error("10.2.0.9 > 10.1.0.2", about: Self.syn))
        }
        #expect(sent.state == "invalid" && sent.verdict == .forwarded)
        #expect(counters == ["error": 1])
    }

    // MARK: Statistics (§8)

    @Test("policy.md case 12: statistics of refused and of ordinary packets")
    func countsPackets() throws {
        let bench = try NATBench(PolicyHookTests.stateful)
        let flow = "10.1.0.2:1000 > 10.2.0.2:80"
        #expect(bench.counters { bench.pass(Make.tcp(flow, [])) } == ["invalid": 1])
        let bad = Make.tcp(flow) { $0.overrides.transportChecksum = 0x1234 }
        #expect(bench.counters { bench.pass(bad) } == ["invalid": 1])
        #expect(bench.counters { bench.pass(Make.tcp(flow)) }.isEmpty)
        let answer = Make.tcp("10.2.0.2:80 > 10.1.0.2:1000", [.syn, .ack], ack: 1)
        #expect(bench.counters { bench.pass(answer) }.isEmpty)
        // Ignored in its state: not counted either.
        #expect(bench.counters { bench.pass(Make.tcp(flow, .syn, sequence: 99)) }.isEmpty)
        let stray = Make.error("10.2.0.9 > 10.1.0.2", about: Make.udp("10.1.0.2:5 > 10.2.0.2:5"))
        #expect(bench.counters { bench.pass(stray) } == ["error": 1])
    }
}
