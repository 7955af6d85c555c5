import Wire

// The text the kernel puts behind a log prefix: one packet, told in `KEY=value` words. It is what
// `nf_conntrack_log_invalid` and the `log` statement of rules write into the kernel log. Quirks are
// the kernel's: a header that is cut short ends the line at once, without the packet mark.

/// Writes one network-layer packet the way the kernel's syslog backend does.
///
/// There is no link layer in this model, so `MAC=` is empty, as on a tun device. Quoted packets of
/// ICMP errors stand in brackets, one level deep. Bytes that are missing are said, never read.
///
/// Observed on Linux 6.18; spec protocols.md §11. Tests hold it against lines of a live kernel.
public struct PacketDump {
    /// What is told beyond the common fields; names as after `log flags` in a ruleset.
    public struct Details: OptionSet, Sendable, Hashable {
        public let rawValue: UInt8

        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// `tcp sequence`.
        public static let tcpSequence = Details(rawValue: 1)
        /// `tcp options`.
        public static let tcpOptions = Details(rawValue: 2)
        /// `ip options`: IPv4 options, IPv6 extension headers.
        public static let ipOptions = Details(rawValue: 4)
        /// `all`, which is also what the lines about invalid packets tell.
        public static let all: Details = [.tcpSequence, .tcpOptions, .ipOptions]
    }

    let details: Details
    let mark: UInt32
    var text: String

    /// The dump of `packet`, from `IN=` on, with the kernel's own trailing space.
    ///
    /// `input` and `output` are interface names, empty where the hook has none. What is neither
    /// IPv4 nor IPv6 is dumped as its interfaces alone.
    public static func text(
        of packet: Span<UInt8>, from input: String, to output: String, mark: UInt32 = 0,
        details: Details
    ) -> String {
        var dump = PacketDump(details: details, mark: mark, text: "IN=\(input) OUT=\(output) ")
        if !input.isEmpty { dump.text += "MAC= " }
        guard !packet.isEmpty else { return dump.text }
        let byteCount = min(packet.count, claimedByteCount(packet))
        let whole = packet.extracting(0..<byteCount)
        switch packet[0] >> 4 {
        case 4: dump.appendIPv4(whole, at: 0, isQuoted: false)
        case 6: dump.appendIPv6(whole, at: 0, isQuoted: false)
        default: break
        }
        return dump.text
    }

    /// Bytes the packet's own header claims: what follows them was padding, and is gone by then.
    private static func claimedByteCount(_ packet: Span<UInt8>) -> Int {
        switch packet[0] >> 4 {
        case 4 where packet.count >= 20: max(20, Int(packet.bigEndianUInt16(at: 2)))
        case 6 where packet.count >= 40: Int(packet.bigEndianUInt16(at: 4)) + 40
        default: packet.count
        }
    }

    /// Ends a line that was told to its end.
    mutating func appendMark(unlessQuoted isQuoted: Bool) {
        if !isQuoted, mark != 0 { text += "MARK=0x\(String(mark, radix: 16)) " }
    }

    /// `INCOMPLETE [n bytes]`: what is left from `offset` on.
    ///
    /// The kernel's number knows no negative values.
    mutating func appendIncomplete(_ packet: Span<UInt8>, at offset: Int) {
        text += "INCOMPLETE [\(UInt32(truncatingIfNeeded: packet.count - offset)) bytes] "
    }

    /// The bytes `range` as upper-case hex digits.
    mutating func appendHex(_ packet: Span<UInt8>, _ range: Range<Int>) {
        for index in range { text += Self.padded(packet[index], digits: 2, uppercase: true) }
    }

    /// `value` in hex with leading zeros.
    static func padded(
        _ value: some BinaryInteger, digits: Int, uppercase: Bool = false
    ) -> String {
        let hex = String(value, radix: 16, uppercase: uppercase)
        return String(repeating: "0", count: max(0, digits - hex.count)) + hex
    }

    static func has(_ packet: Span<UInt8>, _ byteCount: Int, at offset: Int) -> Bool {
        offset >= 0 && packet.count - offset >= byteCount
    }
}

// MARK: - IPv4

extension PacketDump {
    mutating func appendIPv4(_ packet: Span<UInt8>, at start: Int, isQuoted: Bool) {
        guard Self.has(packet, 20, at: start) else {
            text += "TRUNCATED"
            return
        }
        let fragment = packet.bigEndianUInt16(at: start + 6)
        let service = packet[start + 1]
        text += "SRC=\(packet.ipv4Address(at: start + 12).text(.ipv4)) "
        text += "DST=\(packet.ipv4Address(at: start + 16).text(.ipv4)) "
        text += "LEN=\(packet.bigEndianUInt16(at: start + 2)) "
        text += "TOS=0x\(Self.padded(service & 0x1e, digits: 2, uppercase: true)) "
        text += "PREC=0x\(Self.padded(service & 0xe0, digits: 2, uppercase: true)) "
        text += "TTL=\(packet[start + 8]) ID=\(packet.bigEndianUInt16(at: start + 4)) "
        if fragment & 0x8000 != 0 { text += "CE " }
        if fragment & 0x4000 != 0 { text += "DF " }
        if fragment & 0x2000 != 0 { text += "MF " }
        if fragment & 0x1fff != 0 { text += "FRAG:\(fragment & 0x1fff) " }

        let transport = start + Int(packet[start] & 0xf) * 4
        if details.contains(.ipOptions), transport > start + 20 {
            guard packet.count >= transport else {
                text += "TRUNCATED"
                return
            }
            text += "OPT ("
            appendHex(packet, (start + 20)..<transport)
            text += ") "
        }
        let isComplete = appendIPv4Transport(
            packet, at: transport, protocolNumber: packet[start + 9],
            isLaterFragment: fragment & 0x1fff != 0, isQuoted: isQuoted)
        if isComplete { appendMark(unlessQuoted: isQuoted) }
    }

    /// Returns whether the line goes on behind the transport header.
    private mutating func appendIPv4Transport(
        _ packet: Span<UInt8>, at offset: Int, protocolNumber: UInt8, isLaterFragment: Bool,
        isQuoted: Bool
    ) -> Bool {
        switch protocolNumber {
        case IPProtocol.tcp:
            return appendTCP(packet, at: offset, isLaterFragment: isLaterFragment)
        case IPProtocol.udp, IPProtocol.udpLite:
            return appendUDP(
                packet, at: offset, isLite: protocolNumber == IPProtocol.udpLite,
                isLaterFragment: isLaterFragment)
        case IPProtocol.icmp:
            text += "PROTO=ICMP "
            if !isLaterFragment { appendICMP(packet, at: offset, isQuoted: isQuoted) }
        case Self.encapsulatingSecurity:
            text += "PROTO=ESP "
            guard !isLaterFragment else { break }
            appendSecurityIndex(packet, at: offset, header: 8, index: 0)
        case Self.authenticationHeader where !isLaterFragment:
            text += "PROTO=AH "
            appendSecurityIndex(packet, at: offset, header: 12, index: 4)
        case Self.authenticationHeader: break
        default: text += "PROTO=\(protocolNumber) "
        }
        return true
    }

    static let encapsulatingSecurity: UInt8 = 50
    static let authenticationHeader: UInt8 = 51

    private mutating func appendSecurityIndex(
        _ packet: Span<UInt8>, at offset: Int, header: Int, index: Int
    ) {
        guard Self.has(packet, header, at: offset) else {
            appendIncomplete(packet, at: offset)
            return
        }
        text += "SPI=0x\(String(packet.bigEndianUInt32(at: offset + index), radix: 16)) "
    }
}
