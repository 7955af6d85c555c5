import Testing
import Wire

@testable import Conntrack

/// Translated SCTP: spec nat.md §5, and what was observed on 6.18 of its CRC.
///
/// The bench checks the CRC of everything that leaves it.
struct NATSCTPTests {
    private static func wrong(_ builder: inout PacketBuilder) {
        builder.overrides.crc = 0x0102_0304
    }

    @Test("nat.md §5: addresses and ports change, and the CRC with them")
    func translates() throws {
        let bench = try NATBench(
            NATSourceTests.toTen + Chain.prerouting("sctp dport 99 dnat to 10.2.0.2:20"))
        let sent = bench.pass(
            Make.sctp("10.1.0.2:1000 > 10.1.0.50:99", tag: 0, [.initiation(0xa)]))
        #expect(sent.out == "10.2.0.10:1000 > 10.2.0.2:20")
        let answer = bench.pass(
            Make.sctp("10.2.0.2:20 > 10.2.0.10:1000", tag: 0xa, [.initiationAck(0xb)]))
        #expect(answer.out == "10.1.0.50:99 > 10.1.0.2:1000")
        #expect(answer.state == "established-reply")
        #expect(PacketCheck.defect(in: answer.bytes[0], isQuoted: false) == nil)
    }

    @Test("nat.md §5: over IPv6")
    func translatesIPv6() throws {
        let bench = try NATBench(
            "table ip6 n { chain c { type nat hook postrouting priority srcnat;"
                + " oifname \"srv\" masquerade; } }")
        let sent = bench.pass(
            Make.sctp("[fd01::2]:1000 > [fd02::2]:20", tag: 0, [.initiation(0xa)]))
        #expect(sent.out == "[fd02::1]:1000 > [fd02::2]:20")
    }

    @Test("observed: a wrong CRC that nobody verified leaves right from a mapped flow")
    func mends() throws {
        let bench = try NATBench(NATSourceTests.toTen) { $0.sysctl.checksum = false }
        let sent = bench.pass(
            Make.sctp("10.1.0.2:1000 > 10.2.0.2:20", tag: 0, [.initiation(0xa)], Self.wrong))
        #expect(sent.out == "10.2.0.10:1000 > 10.2.0.2:20")
        #expect(PacketCheck.defect(in: sent.bytes[0], isQuoted: false) == nil)
        let answer = bench.pass(
            Make.sctp("10.2.0.2:20 > 10.2.0.10:1000", tag: 0xa, [.initiationAck(1)], Self.wrong))
        #expect(answer.out == "10.2.0.2:20 > 10.1.0.2:1000")
        #expect(PacketCheck.defect(in: answer.bytes[0], isQuoted: false) == nil)
    }

    @Test("observed: a wrong CRC stays wrong without a mapping, and in an INVALID packet")
    func leavesAlone() throws {
        let packet = Make.sctp(
            "10.1.0.2:1000 > 10.2.0.2:20", tag: 0, [.initiation(0xa)], Self.wrong)
        for verifies in [true, false] {
            let rules =
                verifies ? NATSourceTests.toTen : Chain.postrouting("udp dport 1 masquerade")
            let bench = try NATBench(rules) { $0.sysctl.checksum = verifies }
            let sent = bench.pass(packet)
            #expect(sent.state == (verifies ? "invalid" : "new"))
            #expect(sent.out == "10.1.0.2:1000 > 10.2.0.2:20")
            #expect(Array(sent.bytes[0].dropFirst(20)) == Array(packet.dropFirst(20)))
        }
    }

    @Test(
        "observed: a quoted packet gets the CRC of what is quoted of it, where its field is there",
        arguments: [8, 10, 11, 12, 13, 16, 20, 24])
    func mendsTheQuotedCRC(_ quotedBytes: Int) throws {
        let bench = try NATBench(NATSourceTests.toTen)
        let sent = bench.pass(
            Make.sctp("10.1.0.2:4100 > 10.2.0.2:80", tag: 5, [.heartbeat, .heartbeat]))
        let error = bench.pass(
            Make.error("10.2.0.9 > 10.2.0.10", about: sent.bytes[0], quoting: 20 + quotedBytes))
        #expect(error.out == "10.2.0.9 > 10.1.0.2 about [10.1.0.2:4100 > 10.2.0.2:80]")
        var quoted = Array(error.bytes[0][48...])
        #expect(quoted.count == quotedBytes)
        guard quotedBytes >= 12 else {
            #expect(quoted[8...] == sent.bytes[0][28..<(20 + quotedBytes)])
            return
        }
        let field = Array(quoted[8..<12])
        quoted.replaceSubrange(8..<12, with: [0, 0, 0, 0])
        #expect(field == PacketCheck.crc(quoted))
    }
}
