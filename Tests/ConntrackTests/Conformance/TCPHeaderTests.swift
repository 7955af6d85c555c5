import Testing
import Wire

@testable import Conntrack

/// Which headers are looked at, and as what: spec tcp.md §3.
@Suite("TCP headers")
struct TCPHeaderTests {
    /// The sets that are valid once PSH, ECE and CWR are left out of account.
    private static let valid: Set<TCPFlags> = [
        .syn, [.syn, .urg], .synAck, .rst, .rstAck, .finAck, [.fin, .ack, .urg], .ack,
        [.ack, .urg],
    ]

    static let combinations: [TCPFlags] = (UInt8(0)..<64).map(TCPFlags.init(rawValue:))
        .filter { !$0.contains(.psh) }

    @Test(
        "tcp.md case 10: of the 32 combinations of FIN SYN RST ACK URG nine are valid",
        arguments: combinations)
    func flags(flags: TCPFlags) {
        var x = Exchange.established()
        let isValid = Self.valid.contains(flags)
        // SYN+ACK from the originator is valid, but nothing the table admits here.
        let isAdmitted = isValid && flags != .synAck
        x.o(flags, seq: 1001, ack: 5001, isAdmitted ? "ESTABLISHED" : "INVALID count 2,1")
        if !isValid { x.expectRemark("invalid tcp flag combination") }
    }

    @Test("tcp.md case 10b: SYN+ECE+CWR and SYN+PSH are SYNs")
    func decoratedSYN() {
        for flags: TCPFlags in [[.syn, .ece, .cwr], [.syn, .psh]] {
            var x = Exchange()
            x.o(flags, "NEW SYN_SENT/120 U")
        }
    }

    @Test("tcp.md case 11: a wrong checksum is INVALID, unless nobody verifies")
    func checksum() {
        var wrong = PacketBuilder.Overrides()
        wrong.transportChecksum = 0x1234
        var x = Exchange()
        x.segment(.o, .syn, "INVALID gone invalid+1", overrides: wrong)
        x.expectRemark("bad checksum")
        x.sysctl("nf_conntrack_checksum", 0)
        x.segment(.o, .syn, "NEW SYN_SENT/120 U", overrides: wrong)
    }

    @Test("tcp.md §2: a malformed segment leaves an existing entry alone")
    func malformedLeavesEntry() {
        var wrong = PacketBuilder.Overrides()
        wrong.transportChecksum = 0x1234
        var x = Exchange.established()
        x.segment(.o, .rst, "INVALID ESTABLISHED/432000 A count 2,1", overrides: wrong)
        x.expectEvents([
            "NEW{SYN_SENT}", "UPDATE{SYN_RECV, SEEN_REPLY}", "UPDATE{ESTABLISHED, ASSURED}",
        ])
    }

    @Test("tcp.md case 12: data offset 4", arguments: [0, 1, 2, 3, 4])
    func shortOffset(words: Int) {
        var wrong = PacketBuilder.Overrides()
        wrong.transportHeaderByteCount = words * 4
        var x = Exchange()
        x.segment(.o, .syn, "INVALID gone invalid+1", overrides: wrong)
        x.expectRemark("truncated packet")
    }

    @Test("tcp.md case 12: data offset beyond the packet", arguments: 6...15)
    func longOffset(words: Int) {
        var wrong = PacketBuilder.Overrides()
        wrong.transportHeaderByteCount = words * 4
        var x = Exchange()
        x.segment(.o, .syn, "INVALID gone invalid+1", overrides: wrong)
        x.expectRemark("truncated packet")
    }

    @Test("tcp.md §3: fewer than 20 bytes of header are INVALID", arguments: 0..<20)
    func truncated(byteCount: Int) {
        var x = Exchange()
        let bytes = x.builder(from: .o).packet(
            carrying: Array([0x03, 0xe8, 0x00, 0x50] + [UInt8](repeating: 0, count: 16))
                .prefix(byteCount).map { $0 },
            as: IPProtocol.tcp)
        x.send(bytes, from: .o, called: "\(byteCount) bytes of TCP", "INVALID gone invalid+1")
        x.expectTable([])
    }
}
