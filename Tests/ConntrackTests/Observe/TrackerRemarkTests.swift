import Conntrack
import Testing
import Wire

/// The kernel's words about packets it refused.
@Suite struct TrackerRemarkTests {
    private static let defect = SCTPDefect(
        number: 1, type: 0, lengthField: 4, standsAlone: true)

    static let rows: [(TrackerRemark, String)] = [
        (TrackerRemark(6, .tcpInvalidNew), "nf_ct_proto_6: invalid new"),
        (TrackerRemark(6, .tcpInvalidRST), "nf_ct_proto_6: invalid rst"),
        (TrackerRemark(6, .tcpChallengeAck), "nf_ct_proto_6: challenge-ack ignored"),
        (
            TrackerRemark(6, .tcpInvalidState(index: 1, .reply, state: 1)),
            "nf_ct_proto_6: packet (index 1) in dir 1 invalid, state SYN_SENT"
        ),
        (
            TrackerRemark(6, .tcpIgnored(index: 0, .original, state: 3)),
            "nf_ct_proto_6: packet (index 0) in dir 0 ignored, state ESTABLISHED"
        ),
        (
            TrackerRemark(6, .sequenceOverUpper(844_334_541)),
            "nf_ct_proto_6: SEQ is over upper bound 844334541 (over the window of the receiver)"
        ),
        (
            TrackerRemark(6, .sequenceUnderLower(3)),
            "nf_ct_proto_6: SEQ is under lower bound 3 (already ACKed data retransmitted)"
        ),
        (
            TrackerRemark(6, .acknowledgmentOverUpper(102)),
            "nf_ct_proto_6: ACK is over upper bound 102 (ACKed data not seen yet)"
        ),
        (
            TrackerRemark(6, .acknowledgmentUnderLower(5)),
            "nf_ct_proto_6: ignored ACK under lower bound 5 (possible overly delayed)"
        ),
        (
            TrackerRemark(6, .sequenceOvershoot(1461)),
            "nf_ct_proto_6: 1461 bytes more than expected"
        ),
        (
            TrackerRemark(6, .tcpTimeoutLowered(index: 4, .reply, lastIndex: 4, ticks: 75000)),
            "nf_ct_proto_6: packet (index 4, dir 1) response for index 4 lower timeout to 75000"
        ),
        (TrackerRemark(1, .badICMPChecksum), "nf_ct_proto_1: bad hw icmp checksum"),
        (TrackerRemark(132, .sctpShortPacket), "nf_ct_proto_132: nf_ct_sctp: short packet"),
        (TrackerRemark(132, .sctpBadCRC), "nf_ct_proto_132: nf_ct_sctp: bad CRC"),
        (
            TrackerRemark(132, .sctpInvalidState(old: 8, .reply, type: 1)),
            "nf_ct_proto_132: Invalid, old_state 8, dir 1, type 1"
        ),
        (
            TrackerRemark(
                132, .sctpVerificationTag(found: 0x333, expected: 0x222, .original)),
            "nf_ct_proto_132: verification tag check failed 33030000 vs 22020000 for dir 0"
        ),
        (
            TrackerRemark(132, .sctpChunks(defect)),
            "nf_ct_proto_132: do_basic_checks failed. chunk num 1, type 0, len 1024 flag 1"
        ),
        (TrackerRemark(58, .redirectTooShort), "nf_ct_proto_58: short redirect"),
        (TrackerRemark(58, .redirectWithoutOptions), "nf_ct_proto_58: redirect without options"),
        (
            TrackerRemark(
                1,
                .outerDestination(
                    found: Address(ipv4: 0x0a00_0009), expected: Address(ipv4: 0x0a00_0002), .ipv4)),
            "nf_ct_proto_1: outer daddr 10.0.0.9 != inner 10.0.0.2"
        ),
        (
            TrackerRemark(
                58,
                .outerDestination(
                    found: Address(high: 0xfd00 << 48, low: 9),
                    expected: Address(high: 0xfd00 << 48, low: 2), .ipv6)),
            "nf_ct_proto_58: outer daddr fd00:0000:0000:0000:0000:0000:0000:0009 != inner fd00:0000:0000:0000:0000:0000:0000:0002"
        ),
    ]

    @Test("each remark reads as the kernel's log does", arguments: rows)
    func reads(_ remark: TrackerRemark, _ line: String) {
        #expect(remark.line == line)
    }

    @Test("what stands between the words and the packet, as observed on 6.18")
    func ends() {
        let rows: [(TrackerRemark.Text, String)] = [
            (.sctpBadCRC, "nf_ct_proto_132: nf_ct_sctp: bad CRC  IN="),
            (.sctpShortPacket, "nf_ct_proto_132: nf_ct_sctp: short packet  IN="),
            (
                .sctpChunks(Self.defect),
                "nf_ct_proto_132: do_basic_checks failed. chunk num 1, type 0, len 1024 flag 1\n IN="
            ),
            (
                .sctpInvalidState(old: 8, .reply, type: 1),
                "nf_ct_proto_132: Invalid, old_state 8, dir 1, type 1 IN="
            ),
        ]
        for (text, line) in rows {
            #expect(TrackerRemark(132, text).logLine(dump: "IN=") == line)
        }
    }

    @Test("the samples of a live kernel begin with these words")
    func matchesSamples() {
        let lines = Fixture.lines("samples/dmesg_log_invalid.txt")
        let unsampled: [TrackerRemark.Text] = [
            .sctpShortPacket, .sctpInvalidState(old: 8, .reply, type: 1),
        ]
        for (remark, _) in Self.rows
        where ![6, 1].contains(remark.protocolNumber) && !unsampled.contains(remark.text) {
            let line = remark.logLine(dump: "IN=").prefix { $0 != "\n" }
            #expect(lines.contains { $0.contains("] " + line) }, "\(line)")
        }
    }
}
