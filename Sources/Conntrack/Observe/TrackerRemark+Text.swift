import Wire

// The words of `nf_conntrack_log_invalid`: spec protocols.md §11, and the recordings of a live 6.18
// kernel for the numbers.

extension TrackerRemark {
    /// `nf_ct_proto_6: invalid new`: the line's beginning, up to the packet dump.
    public var line: String {
        if let helper = text.helper {
            return "nf_ct_\(helper.name): dropping packet: \(text.words)"
        }
        return "nf_ct_proto_\(protocolNumber): \(text.words)"
    }

    /// The whole line as it stands in the kernel log, `dump` being what `PacketDump` made.
    public func logLine(dump: String) -> String {
        line + text.ending + " " + dump
    }
}

extension TrackerRemark.Text {
    /// The kernel's words, without the protocol in front and the packet behind.
    public var words: String {
        switch self {
        case .shortPacket: "short packet"
        case .truncatedPacket: "truncated packet"
        case .truncatedMalformedPacket: "truncated/malformed packet"
        case .badChecksum: "bad checksum"
        case .badICMPChecksum: "bad hw icmp checksum"
        case .badICMPv6Checksum: "ICMPv6 checksum failed"
        case .invalidICMPType: "invalid icmp type"
        case .outerDestination(let found, let expected, let family):
            "outer daddr \(found.fullText(family)) != inner \(expected.fullText(family))"
        case .redirectTooShort: "short redirect"
        case .redirectSource: "invalid saddr or hoplimit for redirect"
        case .redirectWithoutOptions: "redirect without options"
        case .coverage: "invalid checksum coverage"
        case .checksumMissing: "checksum missing"
        case .helperLineCut(_, let word): "partial matching of `\(word.text)'"
        case .helperCannotExpect: "cannot add expectation"
        case .helperNoPort: "all ports in use"
        case .sctpShortPacket, .sctpBadCRC, .sctpChunks, .sctpInvalidState,
            .sctpVerificationTag:
            sctpWords
        default: tcpWords
        }
    }

    /// The helper that says it, which is no tracker.
    var helper: HelperKind? {
        switch self {
        case .helperLineCut(let helper, _), .helperCannotExpect(let helper),
            .helperNoPort(let helper):
            helper
        default: nil
        }
    }

    /// What some texts about SCTP end with besides words.
    fileprivate var ending: String {
        switch self {
        case .sctpShortPacket, .sctpBadCRC: " "
        case .sctpChunks: "\n"
        default: ""
        }
    }

    private var sctpWords: String {
        switch self {
        case .sctpShortPacket: "nf_ct_sctp: short packet"
        case .sctpBadCRC: "nf_ct_sctp: bad CRC"
        case .sctpChunks(let defect):
            // The kernel prints the length field as it lies in memory, lowest byte last.
            "do_basic_checks failed. chunk num \(defect.number), type \(defect.type),"
                + " len \(defect.lengthField.byteSwapped) flag \(defect.standsAlone ? 1 : 0)"
        case .sctpInvalidState(let old, let direction, let type):
            "Invalid, old_state \(old), dir \(direction.rawValue), type \(type)"
        case .sctpVerificationTag(let found, let expected, let direction):
            // So are the tags.
            "verification tag check failed \(String(found.byteSwapped, radix: 16))"
                + " vs \(String(expected.byteSwapped, radix: 16)) for dir \(direction.rawValue)"
        default: ""
        }
    }

    private var tcpWords: String {
        switch self {
        case .tcpFlags: "invalid tcp flag combination"
        case .tcpInvalidNew: "invalid new"
        case .tcpInvalidState(let index, let direction, let state):
            Self.packet(index, direction, "invalid", state)
        case .tcpIgnored(let index, let direction, let state):
            Self.packet(index, direction, "ignored", state)
        case .tcpInvalidRST: "invalid rst"
        case .tcpChallengeAck: "challenge-ack ignored"
        case .tcpInvalidSYN: "invalid syn"
        case .sequenceOverUpper(let bound):
            "SEQ is over upper bound \(bound) (over the window of the receiver)"
        case .sequenceUnderLower(let bound):
            "SEQ is under lower bound \(bound) (already ACKed data retransmitted)"
        case .acknowledgmentOverUpper(let bound):
            "ACK is over upper bound \(bound) (ACKed data not seen yet)"
        case .acknowledgmentUnderLower(let bound):
            "ignored ACK under lower bound \(bound) (possible overly delayed)"
        case .sequenceOvershoot(let byteCount): "\(byteCount) bytes more than expected"
        case .tcpTimeoutLowered(let index, let direction, let lastIndex, let ticks):
            "packet (index \(index), dir \(direction.rawValue)) response for index \(lastIndex)"
                + " lower timeout to \(ticks)"
        default: ""
        }
    }

    private static func packet(
        _ index: UInt8, _ direction: Direction, _ fate: String, _ state: UInt8
    ) -> String {
        "packet (index \(index)) in dir \(direction.rawValue) \(fate),"
            + " state \(StateName.tcp(state))"
    }
}
