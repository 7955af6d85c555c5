import Wire

// Transport headers of a packet dump. IPv4 and IPv6 tell TCP and UDP alike; each has its ICMP.

extension PacketDump {
    /// Returns whether the line goes on: a header cut short ends it.
    mutating func appendTCP(
        _ packet: Span<UInt8>, at offset: Int, isLaterFragment: Bool
    ) -> Bool {
        text += "PROTO=TCP "
        if isLaterFragment { return true }
        guard Self.has(packet, 20, at: offset) else {
            appendIncomplete(packet, at: offset)
            return false
        }
        text += "SPT=\(packet.bigEndianUInt16(at: offset)) "
        text += "DPT=\(packet.bigEndianUInt16(at: offset + 2)) "
        if details.contains(.tcpSequence) {
            text += "SEQ=\(packet.bigEndianUInt32(at: offset + 4)) "
            text += "ACK=\(packet.bigEndianUInt32(at: offset + 8)) "
        }
        let claim = packet[offset + 12]
        text += "WINDOW=\(packet.bigEndianUInt16(at: offset + 14)) "
        // The three reserved bits, at the place they have in the upper half of the flag word.
        text += "RES=0x\(Self.padded((claim & 0x0e) << 2, digits: 2)) "
        if claim & 0x01 != 0 { text += "AE " }
        let flags = TCPFlags(rawValue: packet[offset + 13])
        for (flag, name) in Self.flagNames where flags.contains(flag) { text += name }
        text += "URGP=\(packet.bigEndianUInt16(at: offset + 18)) "

        let headerByteCount = Int(claim >> 4) * 4
        guard details.contains(.tcpOptions), headerByteCount > 20 else { return true }
        guard Self.has(packet, headerByteCount, at: offset) else {
            text += "OPT (TRUNCATED)"
            return false
        }
        text += "OPT ("
        appendHex(packet, (offset + 20)..<(offset + headerByteCount))
        text += ") "
        return true
    }

    private static let flagNames: [(TCPFlags, String)] = [
        (.cwr, "CWR "), (.ece, "ECE "), (.urg, "URG "), (.ack, "ACK "), (.psh, "PSH "),
        (.rst, "RST "), (.syn, "SYN "), (.fin, "FIN "),
    ]

    /// Returns whether the line goes on: a header cut short ends it.
    mutating func appendUDP(
        _ packet: Span<UInt8>, at offset: Int, isLite: Bool, isLaterFragment: Bool
    ) -> Bool {
        text += isLite ? "PROTO=UDPLITE " : "PROTO=UDP "
        if isLaterFragment { return true }
        guard Self.has(packet, 8, at: offset) else {
            appendIncomplete(packet, at: offset)
            return false
        }
        text += "SPT=\(packet.bigEndianUInt16(at: offset)) "
        text += "DPT=\(packet.bigEndianUInt16(at: offset + 2)) "
        text += "LEN=\(packet.bigEndianUInt16(at: offset + 4)) "
        return true
    }

    /// The ICMP header and, for an error, the packet it quotes.
    ///
    /// It never ends the line.
    mutating func appendICMP(_ packet: Span<UInt8>, at offset: Int, isQuoted: Bool) {
        guard Self.has(packet, 8, at: offset) else {
            appendIncomplete(packet, at: offset)
            return
        }
        let type = packet[offset]
        let code = packet[offset + 1]
        text += "TYPE=\(type) CODE=\(code) "
        guard Self.has(packet, Self.neededByteCount(icmpType: type), at: offset) else {
            appendIncomplete(packet, at: offset)
            return
        }
        switch type {
        case 0, 8: appendEcho(packet, at: offset)
        case 12: text += "PARAMETER=\(packet[offset + 4]) "
        case 3, 4, 5, 11:
            if type == 5 {
                text += "GATEWAY=\(packet.ipv4Address(at: offset + 4).text(.ipv4)) "
            }
            if !isQuoted {
                text += "["
                appendIPv4(packet, at: offset + 8, isQuoted: true)
                text += "] "
            }
            if type == 3, code == 4 {
                text += "MTU=\(packet.bigEndianUInt16(at: offset + 6)) "
            }
        default: break
        }
    }

    /// Bytes an ICMP message of this type has at least, to be told beyond type and code.
    private static func neededByteCount(icmpType: UInt8) -> Int {
        switch icmpType {
        case 3, 4, 5, 11, 12: 28
        case 13, 14: 20
        case 17, 18: 12
        default: 8
        }
    }

    /// Identifier and sequence number, at the same place in both families.
    private mutating func appendEcho(_ packet: Span<UInt8>, at offset: Int) {
        text += "ID=\(packet.bigEndianUInt16(at: offset + 4)) "
        text += "SEQ=\(packet.bigEndianUInt16(at: offset + 6)) "
    }

    /// Returns whether the line goes on: a header cut short ends it.
    mutating func appendICMPv6(_ packet: Span<UInt8>, at offset: Int, isQuoted: Bool) -> Bool {
        guard Self.has(packet, 8, at: offset) else {
            appendIncomplete(packet, at: offset)
            return false
        }
        let type = packet[offset]
        text += "TYPE=\(type) CODE=\(packet[offset + 1]) "
        switch type {
        case 128, 129: appendEcho(packet, at: offset)
        case 1...4:
            let word = packet.bigEndianUInt32(at: offset + 4)
            if type == 4 { text += "POINTER=\(Self.padded(word, digits: 8)) " }
            if !isQuoted {
                text += "["
                appendIPv6(packet, at: offset + 8, isQuoted: true)
                text += "] "
            }
            if type == 2 { text += "MTU=\(word) " }
        default: break
        }
        return true
    }
}
