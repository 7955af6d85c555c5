public import Wire

/// A remark of a protocol tracker about a packet it refused or let pass unverified: the line that
/// `nf_conntrack_log_invalid` puts into the kernel log, without the packet dump behind it.
public struct TrackerRemark: Sendable, Hashable, BitwiseCopyable {
    public enum Text: Sendable, Hashable, BitwiseCopyable {
        case shortPacket
        case truncatedPacket
        case truncatedMalformedPacket
        case badChecksum
        case badICMPChecksum
        case badICMPv6Checksum
        case invalidICMPType
        case outerDestination(found: Address, expected: Address, Family)
        case redirectTooShort
        case redirectSource
        case redirectWithoutOptions
        case coverage
        case checksumMissing
        case tcpFlags
        case tcpInvalidNew
        case tcpInvalidState(index: UInt8, Direction, state: UInt8)
        case tcpIgnored(index: UInt8, Direction, state: UInt8)
        case tcpInvalidRST
        case tcpChallengeAck
        case tcpInvalidSYN
        case sequenceOverUpper(UInt32)
        case sequenceUnderLower(UInt32)
        case acknowledgmentOverUpper(UInt32)
        case acknowledgmentUnderLower(UInt32)
        /// A segment at most one window beyond the upper edge, let through: its overshoot.
        case sequenceOvershoot(UInt32)
        /// Stray FIN or RST from both ends: the connection has only `ticks` left.
        case tcpTimeoutLowered(
            index: UInt8, Direction, lastIndex: UInt8, ticks: UInt32)
        case sctpShortPacket
        case sctpBadCRC
        case sctpChunks(SCTPDefect)
        case sctpInvalidState(old: UInt8, Direction, type: UInt8)
        case sctpVerificationTag(found: UInt32, expected: UInt32, Direction)
        /// A helper's line that does not end where it should, or says what it cannot say.
        case helperLineCut(HelperKind, FTPWord)
        case helperCannotExpect(HelperKind)
        case helperNoPort(HelperKind)
    }

    public var protocolNumber: UInt8
    public var text: Text

    public init(_ protocolNumber: UInt8, _ text: Text) {
        self.protocolNumber = protocolNumber
        self.text = text
    }
}
