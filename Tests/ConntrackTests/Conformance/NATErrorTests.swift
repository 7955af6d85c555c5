import Testing
import Wire

@testable import Conntrack

// ICMP errors of mapped connections, the packets they quote, and what INVALID lets through: spec
// nat.md §7, §9.2, §10 cases 14 and 15.

struct NATErrorTests {
    @Test("nat.md case 14: SNAT: the error goes to the client, and so says the quotation")
    func mapsTheDestinationOfAnError() throws {
        let bench = try NATBench(NATSourceTests.toTen)
        let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        // From the server, and from a router on the way: that one stays visible.
        for source in ["10.2.0.2", "10.2.0.9"] {
            let error = bench.pass(Make.error("\(source) > 10.2.0.10", about: sent.bytes[0]))
            #expect(
                error.out == "\(source) > 10.1.0.2 about [10.1.0.2:1000 > 10.2.0.2:53]")
            #expect(error.state == "related-reply")
        }
    }

    @Test(
        "nat.md case 14b: the quoted checksum is right where its field is there",
        arguments: [8, 12, 16, 18, 19, 20, 28])
    func mendsTheQuotedChecksum(_ quotedBytes: Int) throws {
        let bench = try NATBench(NATSourceTests.toTen)
        for make: (String) -> [UInt8] in [
            { Make.udp($0, payload: Array(repeating: 5, count: 20)) },
            { Make.tcp($0, payload: Array(repeating: 5, count: 8)) },
        ] {
            let sent = bench.pass(make("10.1.0.2:4100 > 10.2.0.2:80"))
            let error = bench.pass(
                Make.error(
                    "10.2.0.9 > 10.2.0.10", about: sent.bytes[0], quoting: 20 + quotedBytes))
            #expect(error.out == "10.2.0.9 > 10.1.0.2 about [10.1.0.2:4100 > 10.2.0.2:80]")
            // What the client finds is the beginning of what it sent, but for the TTL and, in TCP,
            // a checksum that was cut off.
            let quoted = Array(error.bytes[0][28...])
            let original = make("10.1.0.2:4100 > 10.2.0.2:80")
            let isWhole = original[9] == IPProtocol.udp || quotedBytes >= 20
            let end = isWhole ? quoted.count : min(quoted.count, 20 + 16)
            #expect(quoted[12..<end] == original[12..<end])
        }
    }

    @Test("nat.md case 14c: DNAT: a router's error comes from the virtual address")
    func hidesTheRouter() throws {
        let bench = try NATBench(
            Chain.prerouting("ip daddr 10.1.0.50 udp dport 53 dnat to 10.2.0.2:5353"))
        let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.1.0.50:53"))
        let error = bench.pass(Make.error("10.2.0.9 > 10.1.0.2", about: sent.bytes[0]))
        #expect(error.out == "10.1.0.50 > 10.1.0.2 about [10.1.0.2:1000 > 10.1.0.50:53]")
        // The other way: the client's error about an answer reaches the backend.
        let answer = bench.pass(Make.udp("10.2.0.2:5353 > 10.1.0.2:1000"))
        let complaint = bench.pass(Make.error("10.1.0.2 > 10.1.0.50", about: answer.bytes[0]))
        #expect(complaint.out == "10.1.0.2 > 10.2.0.2 about [10.2.0.2:5353 > 10.1.0.2:1000]")
        #expect(complaint.state == "related")
    }

    @Test("nat.md case 14d: a redirect is dropped if the entry has any NAT")
    func dropsRedirects() throws {
        let bench = try NATBench(NATSourceTests.toTen)
        let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        let (redirect, counters) = bench.counting {
            bench.pass(
                Make.error("10.2.0.9 > 10.2.0.10", about: sent.bytes[0], type: 5, code: 1))
        }
        #expect(redirect.reason == .natICMP && counters.isEmpty)
        // Without a mapping it passes.
        let plain = try NATBench(Chain.postrouting("ip saddr 10.9.9.9 masquerade"))
        let unmapped = plain.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        let passed = plain.pass(
            Make.error("10.2.0.9 > 10.1.0.2", about: unmapped.bytes[0], type: 5, code: 1))
        #expect(passed.out == "10.2.0.9 > 10.1.0.2 about [10.1.0.2:1000 > 10.2.0.2:53]")
    }

    @Test("nat.md case 14e: a wrong checksum: INVALID and untranslated, or dropped if unchecked")
    func refusesBadChecksums() throws {
        let rules = Chain.prerouting(
            "ip daddr 10.1.0.50 udp dport 53 dnat to 10.2.0.2:5353")
        let bad: (Passage) -> [UInt8] = {
            Make.error("10.2.0.9 > 10.1.0.2", about: $0.bytes[0]) {
                $0.overrides.transportChecksum = 0x1234
            }
        }
        let bench = try NATBench(rules)
        let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.1.0.50:53"))
        let (error, counters) = bench.counting { bench.pass(bad(sent)) }
        #expect(error.state == "invalid" && counters == ["error": 1])
        #expect(error.out == "10.2.0.9 > 10.1.0.2 about [10.1.0.2:1000 > 10.2.0.2:5353]")
        // Observed on 6.18.44 with nf_conntrack_checksum=0: nothing comes out, nothing is counted.
        let careless = try NATBench(rules) { $0.sysctl.checksum = false }
        let again = careless.pass(Make.udp("10.1.0.2:1000 > 10.1.0.50:53"))
        let (dropped, changes) = careless.counting { careless.pass(bad(again)) }
        #expect(dropped.state == "related-reply" && dropped.reason == .natICMP && changes.isEmpty)
    }

    @Test("nat.md case 14f: an error to somebody else than the flow's end is INVALID")
    func refusesStrangers() throws {
        let bench = try NATBench(NATSourceTests.toTen)
        let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        let (error, counters) = bench.counting {
            bench.pass(Make.error("10.2.0.9 > 10.2.0.11", about: sent.bytes[0]))
        }
        #expect(error.state == "invalid" && counters == ["error": 1])
    }

    @Test("nat.md case 14g: errors about a mapped echo")
    func mapsErrorsAboutEchoes() throws {
        let bench = try NATBench(NATSourceTests.toTen)
        bench.pass(Make.echo("10.1.0.2 > 10.2.0.2", id: 77))
        let second = bench.pass(Make.echo("10.1.0.3 > 10.2.0.2", id: 77))
        let error = bench.pass(
            Make.error("10.2.0.9 > 10.2.0.10", about: second.bytes[0], type: 11, code: 0))
        #expect(error.out == "10.2.0.9 > 10.1.0.3 about [10.1.0.3 > 10.2.0.2 id 77]")
    }

    @Test("nat.md §7: a quotation of 4 to 7 bytes is related, but cannot be translated")
    func dropsWhatItCannotTranslate() throws {
        let bench = try NATBench(NATSourceTests.toTen)
        let sent = bench.pass(Make.tcp("10.1.0.2:1000 > 10.2.0.2:80"))
        for quoted in 4..<8 {
            let error = bench.pass(
                Make.error("10.2.0.9 > 10.2.0.10", about: sent.bytes[0], quoting: 20 + quoted))
            #expect(error.state == "related-reply" && error.reason == .natICMP)
        }
    }

    @Test("nat.md §7: an error refreshes nothing, is no reply, and kills nothing")
    func leavesTheEntryAlone() throws {
        let bench = try NATBench(NATSourceTests.toTen)
        let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        bench.wait(10)
        let error = bench.pass(Make.error("10.2.0.2 > 10.2.0.10", about: sent.bytes[0]))
        #expect(error.entry?.remainingTicks == 5000)
        #expect(error.entry?.status.contains(.seenReply) == false)
    }

    @Test("IPv6 through the live kernel, byte for byte")
    func translatesIPv6() throws {
        let bench = try NATBench(
            Chain.prerouting(
                """
                ip6 daddr fd01::50 tcp dport 80 dnat to [fd02::2]:8080
                ip6 daddr fd01::50 udp dport 53 dnat to [fd02::2]:5353
                """, "ip6")
                + Chain.postrouting("oifname \"srv\" ip6 daddr != fd02::2 snat to fd02::10", "ip6")
        ) {
            $0.interfaces[0].addresses += NATBench.prefixes("fd01::50/64")
            $0.interfaces[1].addresses += NATBench.prefixes("fd02::10/64")
        }
        #expect(RecordedTranslation.ipv6.count == 20)
        for packet in RecordedTranslation.ipv6 {
            let sent = bench.pass(packet.bytes, on: packet.interface)
            #expect(sent.bytes.first ?? [] == packet.out, "\(packet.name)")
        }
    }

    // MARK: What INVALID lets through

    @Test("nat.md case 15: INVALID packets leave untranslated: the backend's address")
    func leaksTheBackend() throws {
        let bench = try NATBench(
            Chain.prerouting("ip daddr 10.1.0.50 tcp dport 80 dnat to 10.2.0.2:8080"))
        Handshake(client: "10.1.0.2:1000", asked: "10.1.0.50:80", server: "10.2.0.2:8080")
            .run(bench)
        // Far beyond the window.
        let leak = bench.pass(
            Make.tcp("10.2.0.2:8080 > 10.1.0.2:1000", .ack, sequence: 5_000_000, ack: 1))
        #expect(leak.state == "invalid")
        #expect(leak.out == "10.2.0.2:8080 > 10.1.0.2:1000")
    }

    @Test("nat.md case 15b: INVALID packets leave untranslated: the client's private address")
    func leaksTheClient() throws {
        let bench = try NATBench(NATSourceTests.toTen)
        Handshake(client: "10.1.0.2:1000", asked: "10.2.0.2:80", mapped: "10.2.0.10:1000")
            .run(bench)
        let flow = "10.1.0.2:1000 > 10.2.0.2:80"
        let leak = bench.pass(Make.tcp(flow, .ack, sequence: 5_000_000, ack: 1))
        #expect(leak.state == "invalid" && leak.out == flow)
        // The cures: drop INVALID, or be liberal.
        let strict = try NATBench(
            NATSourceTests.toTen + Chain.filter("forward", 0, "ct state invalid drop"))
        Handshake(client: "10.1.0.2:1000", asked: "10.2.0.2:80", mapped: "10.2.0.10:1000")
            .run(strict)
        let dropped = strict.pass(Make.tcp(flow, .ack, sequence: 5_000_000, ack: 1))
        #expect(dropped.reason == .rule)
        let liberal = try NATBench(NATSourceTests.toTen) { $0.sysctl.tcpBeLiberal = true }
        Handshake(client: "10.1.0.2:1000", asked: "10.2.0.2:80", mapped: "10.2.0.10:1000")
            .run(liberal)
        let passed = liberal.pass(Make.tcp(flow, .ack, sequence: 5_000_000, ack: 1))
        #expect(passed.out == "10.2.0.10:1000 > 10.2.0.2:80")
    }
}

/// A TCP handshake through a gateway: whom the client asks, who answers to whom.
struct Handshake {
    var client: String
    var asked: String
    /// Who really answers, where that is somebody else than the client asked.
    var server: String?
    /// As what the server sees the client, where that is somebody else.
    var mapped: String?

    init(client: String, asked: String, server: String? = nil, mapped: String? = nil) {
        self.client = client
        self.asked = asked
        self.server = server
        self.mapped = mapped
    }

    var forth: String { "\(client) > \(asked)" }
    var back: String { "\(server ?? asked) > \(mapped ?? client)" }

    /// Both sides start at sequence 0.
    func run(_ bench: NATBench, at location: SourceLocation = #_sourceLocation) {
        let states = [
            bench.pass(Make.tcp(forth)).state,
            bench.pass(Make.tcp(back, [.syn, .ack], ack: 1)).state,
            bench.pass(Make.tcp(forth, .ack, sequence: 1, ack: 1)).state,
        ]
        #expect(
            states == ["new", "established-reply", "established"], sourceLocation: location)
    }
}
