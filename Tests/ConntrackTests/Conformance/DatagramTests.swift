import Testing
import Wire

@testable import Conntrack

/// UDP, UDP-Lite, and protocols without a tracker: spec protocols.md §2, §3, §4, §9, §10.
///
/// Times are those of the cases: seconds since the first packet.
@Suite("Datagrams")
struct DatagramTests {
    private static func exchange() -> Exchange {
        var x = Exchange()
        x.step = .milliseconds(0)
        x.rPort = 53
        return x
    }

    @Test("protocols.md case 1: a UDP flow becomes a stream after 2 s")
    func stream() {
        var x = Self.exchange()
        x.udp(.o, "NEW 30 U counted")
        x.wait(seconds: 0.1)
        x.udp(.r, "ESTABLISHED-reply 30 counted")
        x.wait(seconds: 0.1)
        x.udp(.o, "ESTABLISHED 30 counted")
        x.wait(seconds: 2)
        x.udp(.o, "ESTABLISHED 120 A counted")
        x.udp(.r, "ESTABLISHED-reply 120 A counted")
    }

    @Test("protocols.md case 1: in either direction")
    func streamByReply() {
        var x = Self.exchange()
        x.udp(.o, "NEW 30 U")
        x.udp(.r, "ESTABLISHED-reply 30")
        x.wait(seconds: 2.2)
        x.udp(.r, "ESTABLISHED-reply 120 A")
    }

    @Test("protocols.md §3: strictly later than 2 s: one tick decides")
    func streamBound() {
        for (wait, expected): (Double, Expected) in [(2.0, "30"), (2.004, "120 A")] {
            var x = Self.exchange()
            x.udp(.o, "NEW 30 U")
            x.udp(.r, "ESTABLISHED-reply 30")
            x.wait(seconds: wait)
            x.udp(.o, expected)
        }
    }

    @Test("protocols.md case 2: a first reply after 2 s is not enough; the packet after it is")
    func lateReply() {
        var x = Self.exchange()
        x.udp(.o, "NEW 30 U")
        x.wait(seconds: 2.3)
        x.udp(.r, "ESTABLISHED-reply 30")
        x.wait(seconds: 0.1)
        x.udp(.o, "ESTABLISHED 120 A")
    }

    @Test("protocols.md case 3: one-way traffic stays NEW and unreplied")
    func oneWay() {
        var x = Self.exchange()
        x.udp(.o, "NEW 30 U")
        x.wait(seconds: 2.3)
        x.udp(.o, "NEW 30 U counted")
    }

    @Test("protocols.md §3: the settings of UDP")
    func settings() {
        var x = Exchange(["nf_conntrack_udp_timeout": 7, "nf_conntrack_udp_timeout_stream": 50])
        x.udp(.o, "NEW 7 U")
        x.udp(.r, "ESTABLISHED-reply 7")
        x.wait(seconds: 2.1)
        x.udp(.o, "ESTABLISHED 50 A")
    }

    @Test(
        "protocols.md case 4: a length field beyond the packet, or below 8", arguments: [200, 7, 0])
    func wrongLength(length: UInt16) {
        var wrong = PacketBuilder.Overrides()
        wrong.transportLengthField = length
        var x = Self.exchange()
        x.udp(.o, "INVALID gone invalid+1", overrides: wrong)
        x.expectRemark("truncated/malformed packet")
    }

    @Test("protocols.md case 5: fewer than 8 bytes of UDP", arguments: 0..<8)
    func short(byteCount: Int) {
        var x = Self.exchange()
        let bytes = Array([0x03, 0xe8, 0x00, 0x35, 0, 9, 0, 0].prefix(byteCount)) as [UInt8]
        x.ip(.o, IPProtocol.udp, bytes, "INVALID gone invalid+1")
        // Without two ports there is no tuple, and nothing is said.
        x.expectRemark(byteCount < 4 ? nil : "short packet")
        x.expectTable([])
    }

    @Test("protocols.md case 6: a wrong checksum is INVALID, none at all is fine")
    func checksum() {
        var wrong = PacketBuilder.Overrides()
        wrong.transportChecksum = 0x1234
        var none = PacketBuilder.Overrides()
        none.transportChecksum = 0
        var x = Self.exchange()
        x.udp(.o, "INVALID gone invalid+1", overrides: wrong)
        x.expectRemark("bad checksum")
        x.udp(.o, "NEW 30 U", overrides: none)
        x.sysctl("nf_conntrack_checksum", 0)
        x.udp(.r, "ESTABLISHED-reply 30", overrides: wrong)
    }

    @Test("protocols.md case 7: the length field may be smaller than the packet")
    func trailingBytes() {
        var overrides = PacketBuilder.Overrides()
        overrides.transportLengthField = 8
        overrides.transportChecksum = 0
        var x = Self.exchange()
        x.udp(.o, length: 3, "NEW 30 U", overrides: overrides)
    }

    @Test("protocols.md case 15: other protocols: 600 s, never assured")
    func generic() {
        var x = Self.exchange()
        x.ip(.o, 200, [1, 2, 3], "NEW 600 U counted")
        x.wait(seconds: 5)
        x.ip(.r, 200, [], "ESTABLISHED-reply 600 counted")
        x.wait(seconds: 5)
        x.ip(.o, 200, [1], "ESTABLISHED 600 counted")
        x.ip(.r, 200, [1], "ESTABLISHED-reply 600 counted")
        x.expectTable(["600"])
        x.ip(.o, 201, [1], "NEW 600 U")
    }

    @Test(
        "protocols.md §9: ESP, AH and DCCP have no tracker",
        arguments: [UInt8(50), 51, 33, 200, 255])
    func untrackedProtocols(number: UInt8) {
        var x = Self.exchange()
        x.ip(.o, number, [0, 1, 2, 3, 4, 5, 6, 7], "NEW 600 U")
        x.ip(.o, number, [8, 9, 2, 3, 4, 5, 6, 7], "NEW 600 U count 2,0")
        x.expectTable(["600 U"])
    }

    // MARK: UDP-Lite

    private static func lite(
        _ x: borrowing Exchange, from host: Host, coverage: UInt16 = 8, pseudoHeader: UInt8 = 17,
        checksum: UInt16? = nil
    ) -> [UInt8] {
        var builder = x.builder(from: host)
        builder.overrides.pseudoHeaderProtocolNumber = pseudoHeader
        builder.overrides.transportChecksum = checksum
        return builder.udpLite(
            from: host == .o ? 5 : 6, to: host == .o ? 6 : 5, coverage: coverage, payload: [1, 2])
    }

    @Test("protocols.md case 18: UDP-Lite is verified with UDP's number in the pseudo header")
    func litePseudoHeader() {
        var x = Self.exchange()
        x.send(
            Self.lite(x, from: .o, pseudoHeader: 136), from: .o, called: "UDP-Lite, 136",
            "INVALID gone invalid+1")
        x.expectRemark("bad checksum")
        x.send(Self.lite(x, from: .o), from: .o, called: "UDP-Lite, 17", "NEW 30 U")
    }

    @Test("protocols.md §4: UDP-Lite is a stream from the packet after the first reply")
    func liteStream() {
        var x = Self.exchange()
        x.send(Self.lite(x, from: .o), from: .o, called: "UDP-Lite", "NEW 30 U")
        x.send(Self.lite(x, from: .r), from: .r, called: "UDP-Lite", "ESTABLISHED-reply 30")
        x.send(Self.lite(x, from: .o), from: .o, called: "UDP-Lite", "ESTABLISHED 120 A")
    }

    @Test("protocols.md §4: coverage and checksum of UDP-Lite")
    func liteValidity() {
        let cases: [(coverage: UInt16, checksum: UInt16?, remark: String?)] = [
            (0, nil, nil), (8, nil, nil), (10, nil, nil),
            (7, 1, "invalid checksum coverage"), (11, 1, "invalid checksum coverage"),
            (8, 0, "checksum missing"), (8, 1, "bad checksum"),
        ]
        for (coverage, checksum, remark) in cases {
            var x = Self.exchange()
            let bytes = Self.lite(x, from: .o, coverage: coverage, checksum: checksum)
            x.send(
                bytes, from: .o, called: "UDP-Lite, coverage \(coverage)",
                remark == nil ? "NEW 30 U" : "INVALID gone invalid+1")
            x.expectRemark(remark)
        }
    }

    // MARK: GRE

    @Test("protocols.md case 14: GRE version 0 is one connection, version 1 one a call direction")
    func gre() {
        var x = Self.exchange()
        func packet(_ host: Host, _ header: GREHeader) -> [UInt8] {
            x.builder(from: host).gre(header, payload: [1, 2, 3, 4])
        }
        let plain = GREHeader(version: 0, protocolType: 0x0800)
        let toR = packet(.o, plain)
        let toO = packet(.r, plain)
        let call = packet(.o, GREHeader(version: 1, protocolType: GREHeader.pptp, callID: 0x1234))
        let back = packet(.r, GREHeader(version: 1, protocolType: GREHeader.pptp, callID: 0x5678))
        let wrong = packet(.o, GREHeader(version: 1, protocolType: 0x0800, callID: 0x1234))
        x.send(toR, from: .o, called: "GRE", "NEW 30 U")
        x.send(toO, from: .r, called: "GRE", "ESTABLISHED-reply 30")
        x.send(toR, from: .o, called: "GRE", "ESTABLISHED 180 A")
        x.send(call, from: .o, called: "GRE call 0x1234", "NEW 30 U")
        x.send(back, from: .r, called: "GRE call 0x5678", "NEW 30 U")
        x.expect("entries", x.node.count, 3)
        x.send(wrong, from: .o, called: "GRE version 1, wrong protocol", "INVALID gone invalid+1")
    }

    // MARK: SCTP

    /// Sends an SCTP packet of one chunk.
    private static func sctp(
        _ x: inout Exchange, _ host: Host, _ type: UInt8, tag: UInt32, initiateTag: UInt32? = nil,
        _ expected: Expected, at location: SourceLocation = #_sourceLocation
    ) {
        var value: [UInt8] = []
        if let initiateTag {
            for shift in [24, 16, 8, 0] {
                value.append(UInt8(truncatingIfNeeded: initiateTag >> UInt32(shift)))
            }
            value += [0, 0, 0xff, 0xff, 0, 1, 0, 1, 0, 0, 0, 1]
        }
        let bytes = x.builder(from: host).sctp(
            from: host == .o ? 10 : 20, to: host == .o ? 20 : 10, tag: tag,
            chunks: [.init(type: type, value: value)])
        x.send(bytes, from: host, called: "SCTP chunk \(type) tag \(tag)", expected, at: location)
    }

    /// INIT with tag 0x111, INIT ACK with tag 0x222, COOKIE ECHO, COOKIE ACK.
    private static func associate(_ x: inout Exchange) {
        sctp(&x, .o, 1, tag: 0, initiateTag: 0x111, "NEW CLOSED/10 U")
        sctp(&x, .r, 2, tag: 0x111, initiateTag: 0x222, "ESTABLISHED-reply COOKIE_WAIT/3")
        sctp(&x, .o, 10, tag: 0x222, "ESTABLISHED COOKIE_ECHOED/3")
        sctp(&x, .r, 11, tag: 0x111, "ESTABLISHED-reply ESTABLISHED/210 A")
    }

    @Test("protocols.md case 16: SCTP set-up and shutdown")
    func association() {
        var x = Self.exchange()
        Self.associate(&x)
        Self.sctp(&x, .o, 7, tag: 0x222, "ESTABLISHED SHUTDOWN_SENT/3 A")
        Self.sctp(&x, .r, 8, tag: 0x111, "ESTABLISHED-reply SHUTDOWN_ACK_SENT/3 A")
        Self.sctp(&x, .o, 14, tag: 0x222, "ESTABLISHED CLOSED/10 A")
    }

    @Test("protocols.md case 17: a wrong SCTP verification tag")
    func verificationTag() {
        var x = Self.exchange()
        Self.associate(&x)
        Self.sctp(&x, .o, 0, tag: 0x333, "INVALID ESTABLISHED/210 A")
        x.expectRemark("verification tag check failed 33030000 vs 22020000 for dir 0")
    }

    // MARK: Untracked

    @Test("protocols.md case 20: notrack leaves no entry and moves no counter")
    func notrack() {
        var x = Exchange(
            rules: """
                table ip t {
                    chain raw {
                        type filter hook prerouting priority raw
                        udp dport 53 notrack
                    }
                    chain pass {
                        type filter hook forward priority 0
                        ct state new accept
                    }
                }

                """)
        x.rPort = 53
        x.udp(.o, "UNTRACKED gone")
        x.expect("counters", x.counterChange, Counters())
        x.expectTable([])
        x.rPort = 54
        x.udp(.o, "NEW 30 U")
    }
}
