import Wire

// IPv6 in a packet dump: the header, its chain of extension headers, the transport.

extension PacketDump {
    mutating func appendIPv6(_ packet: Span<UInt8>, at start: Int, isQuoted: Bool) {
        guard Self.has(packet, 40, at: start) else {
            text += "TRUNCATED"
            return
        }
        let first = packet.bigEndianUInt32(at: start)
        text += "SRC=\(packet.ipv6Address(at: start + 8).fullText(.ipv6)) "
        text += "DST=\(packet.ipv6Address(at: start + 24).fullText(.ipv6)) "
        text += "LEN=\(Int(packet.bigEndianUInt16(at: start + 4)) + 40) "
        text += "TC=\(first >> 20 & 0xff) HOPLIMIT=\(packet[start + 7]) "
        text += "FLOWLBL=\(first & 0xfffff) "

        var header = ExtensionHeader(kind: packet[start + 6], offset: start + 40)
        while header.isExtension {
            guard let next = appendExtension(packet, header) else { return }
            header = next
        }
        let isComplete = appendIPv6Transport(packet, header, isQuoted: isQuoted)
        if isComplete { appendMark(unlessQuoted: isQuoted) }
    }

    private struct ExtensionHeader {
        var kind: UInt8
        var offset: Int
        /// A fragment header before this one said that the transport header is elsewhere.
        var isLaterFragment = false

        /// 59, "no next header", is told as a protocol.
        var isExtension: Bool {
            switch kind {
            case 0, 43, 44, 60, PacketDump.encapsulatingSecurity, PacketDump.authenticationHeader:
                true
            default: false
            }
        }
    }

    /// Tells one extension header; `nil` where the line ends with it.
    private mutating func appendExtension(
        _ packet: Span<UInt8>, _ header: ExtensionHeader
    ) -> ExtensionHeader? {
        guard Self.has(packet, 2, at: header.offset) else {
            text += "TRUNCATED"
            return nil
        }
        let isTold = details.contains(.ipOptions)
        if isTold { text += "OPT ( " }
        var next = header
        next.kind = packet[header.offset]
        let lengthField = Int(packet[header.offset + 1])
        switch header.kind {
        case 44:
            guard appendFragment(packet, at: header.offset, &next.isLaterFragment) else {
                return nil
            }
            next.offset += 8
        case Self.authenticationHeader:
            if isTold {
                text += "AH "
                guard !header.isLaterFragment else {
                    text += ")"
                    return nil
                }
                guard appendIndex(packet, header.offset, needed: 12, at: 4) else { return nil }
            }
            next.offset += (lengthField + 2) * 4
        case Self.encapsulatingSecurity:
            guard isTold else { return nil }
            text += "ESP "
            if !header.isLaterFragment {
                guard appendIndex(packet, header.offset, needed: 8, at: 0) else { return nil }
            }
            text += ")"
            return nil
        default:
            guard !header.isLaterFragment else {
                if isTold { text += ")" }
                return nil
            }
            next.offset += (lengthField + 1) * 8
        }
        if isTold { text += ") " }
        return next
    }

    /// Returns whether the fragment header was there to be told.
    private mutating func appendFragment(
        _ packet: Span<UInt8>, at offset: Int, _ isLaterFragment: inout Bool
    ) -> Bool {
        text += "FRAG:"
        guard Self.has(packet, 8, at: offset) else {
            text += "TRUNCATED "
            return false
        }
        let field = packet.bigEndianUInt16(at: offset + 2)
        text += "\(field & 0xfff8) "
        if field & 1 != 0 { text += "INCOMPLETE " }
        text += "ID:\(Self.padded(packet.bigEndianUInt32(at: offset + 4), digits: 8)) "
        isLaterFragment = isLaterFragment || field & 0xfff8 != 0
        return true
    }

    /// The security index of an AH or ESP header; a header cut short closes the bracket.
    private mutating func appendIndex(
        _ packet: Span<UInt8>, _ offset: Int, needed: Int, at index: Int
    ) -> Bool {
        guard Self.has(packet, needed, at: offset) else {
            appendIncomplete(packet, at: offset)
            text += ")"
            return false
        }
        text += "SPI=0x\(String(packet.bigEndianUInt32(at: offset + index), radix: 16)) "
        return true
    }

    /// Returns whether the line goes on behind the transport header.
    private mutating func appendIPv6Transport(
        _ packet: Span<UInt8>, _ header: ExtensionHeader, isQuoted: Bool
    ) -> Bool {
        switch header.kind {
        case IPProtocol.tcp:
            return appendTCP(packet, at: header.offset, isLaterFragment: header.isLaterFragment)
        case IPProtocol.udp, IPProtocol.udpLite:
            return appendUDP(
                packet, at: header.offset, isLite: header.kind == IPProtocol.udpLite,
                isLaterFragment: header.isLaterFragment)
        case IPProtocol.icmpv6:
            text += "PROTO=ICMPv6 "
            if header.isLaterFragment { return true }
            return appendICMPv6(packet, at: header.offset, isQuoted: isQuoted)
        default:
            text += "PROTO=\(header.kind) "
            return true
        }
    }
}
