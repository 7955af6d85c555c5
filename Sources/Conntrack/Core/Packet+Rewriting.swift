internal import Wire

// Carries what the path changed in a `Packet` over to its bytes: addresses, ports, ICMP id, TTL,
// and the packet an ICMP error quotes. Checksums are updated incrementally, so that a packet that
// came with a wrong one leaves with an equally wrong one, as from the kernel; the CRC of SCTP
// cannot be, and leaves right.

enum PacketRewriter {
    /// Writes the difference between a packet as it came and as it is now into its bytes.
    static func apply(
        from before: Packet, to after: Packet, _ layout: PacketLayout, bytes: inout [UInt8]
    ) {
        rewriteNetwork(before.tuple, after.tuple, at: 0, &bytes)
        setTimeToLive(before.timeToLive, after.timeToLive, after.tuple.family, &bytes)
        if before.health.contains(.laterFragment) { return }
        rewriteTransport(
            before.tuple, after.tuple, at: layout.transportOffset, &bytes)
        if before.tcp.sequence != after.tcp.sequence
            || before.tcp.acknowledgment != after.tcp.acknowledgment
        {
            rewriteNumbers(before.tcp, after.tcp, at: layout.transportOffset, &bytes)
        }
        if layout.quotedOffset != 0, before.quoted != after.quoted {
            rewriteQuotation(before, after, layout, &bytes)
        }
    }

    private static func rewriteNetwork(
        _ before: Tuple, _ after: Tuple, at start: Int, _ bytes: inout [UInt8]
    ) {
        guard before.source != after.source || before.destination != after.destination else {
            return
        }
        switch after.family {
        case .ipv4:
            var change = ChecksumChange()
            change.replace(before.source, with: after.source, .ipv4)
            change.replace(before.destination, with: after.destination, .ipv4)
            bytes.setAddress(after.source, .ipv4, at: start + 12)
            bytes.setAddress(after.destination, .ipv4, at: start + 16)
            bytes.update(checksumAt: start + 10, change)
        case .ipv6:
            bytes.setAddress(after.source, .ipv6, at: start + 8)
            bytes.setAddress(after.destination, .ipv6, at: start + 24)
        }
    }

    private static func setTimeToLive(
        _ before: UInt8, _ after: UInt8, _ family: Family, _ bytes: inout [UInt8]
    ) {
        guard before != after else { return }
        guard family == .ipv4 else {
            bytes[7] = after
            return
        }
        var change = ChecksumChange()
        let protocolNumber = UInt16(bytes[9])
        change.replace(
            UInt16(before) << 8 | protocolNumber, with: UInt16(after) << 8 | protocolNumber)
        bytes[8] = after
        bytes.update(checksumAt: 10, change)
    }

    /// The sequence numbers of a TCP header that helpers have shifted.
    private static func rewriteNumbers(
        _ before: TCPSegment, _ after: TCPSegment, at start: Int, _ bytes: inout [UInt8]
    ) {
        guard start + 20 <= bytes.count else { return }
        var change = ChecksumChange()
        change.replace(before.sequence, with: after.sequence)
        change.replace(before.acknowledgment, with: after.acknowledgment)
        bytes.setBigEndian(after.sequence, at: start + 4)
        bytes.setBigEndian(after.acknowledgment, at: start + 8)
        bytes.update(checksumAt: start + 16, change)
    }

    /// Ports or id, and the transport checksum: also for a quoted packet that was cut short.
    private static func rewriteTransport(
        _ before: Tuple, _ after: Tuple, at start: Int, _ bytes: inout [UInt8]
    ) {
        guard before != after else { return }
        var change = ChecksumChange()
        let coversAddresses = !(after.protocolNumber == IPProtocol.icmp && after.family == .ipv4)
        if coversAddresses {
            change.replace(before.source, with: after.source, after.family)
            change.replace(before.destination, with: after.destination, after.family)
        }
        if after.hasPorts {
            guard start + 4 <= bytes.count else { return }
            change.replace(before.sourcePart, with: after.sourcePart)
            change.replace(before.destinationPart, with: after.destinationPart)
            bytes.setBigEndian(after.sourcePart, at: start)
            bytes.setBigEndian(after.destinationPart, at: start + 2)
        } else if after.hasIdentifier {
            guard start + 8 <= bytes.count else { return }
            // The id of a node information query changes in the tuples only (observed on 6.18).
            if after.family == .ipv4 || (128...129).contains(bytes[start]) {
                change.replace(before.sourcePart, with: after.sourcePart)
                bytes.setBigEndian(after.sourcePart, at: start + 4)
            }
        }
        switch after.protocolNumber {
        case IPProtocol.tcp where start + 20 <= bytes.count:
            bytes.update(checksumAt: start + 16, change)
        case IPProtocol.udp where start + 8 <= bytes.count:
            bytes.update(udpChecksumAt: start + 6, change)
        case IPProtocol.udpLite where start + 8 <= bytes.count:
            let field = bytes.span.bigEndianUInt16(at: start + 6)
            bytes.setBigEndian(change.appliedToUDPLite(field), at: start + 6)
        case IPProtocol.sctp where start + SCTPHeader.byteCount <= bytes.count:
            // Computed anew over what is there: a wrong one is mended, and that of a quoted packet
            // cut short becomes the CRC of the piece (observed on 6.18).
            let crc = CRC32C.fieldValue(of: bytes.span.extracting(start..<bytes.count))
            bytes.setBigEndian(crc, at: start + 8)
        case IPProtocol.icmp where after.hasIdentifier,
            IPProtocol.icmpv6 where after.hasIdentifier:
            guard start + 8 <= bytes.count else { return }
            bytes.update(checksumAt: start + 2, change)
        default: break
        }
    }

    /// The quoted packet inside an ICMP error, and the error's own checksum over the result.
    private static func rewriteQuotation(
        _ before: Packet, _ after: Packet, _ layout: PacketLayout, _ bytes: inout [UInt8]
    ) {
        rewriteNetwork(before.quoted, after.quoted, at: layout.quotedOffset, &bytes)
        rewriteTransport(
            before.quoted, after.quoted, at: layout.quotedTransportOffset, &bytes)
        let start = layout.transportOffset
        let end = Int(after.networkByteCount)
        bytes.setBigEndian(UInt16(0), at: start + 2)
        let sum = icmpChecksum(of: bytes.span.extracting(start..<end), after.tuple)
        bytes.setBigEndian(sum, at: start + 2)
    }

    private static func icmpChecksum(of message: Span<UInt8>, _ tuple: Tuple) -> UInt16 {
        tuple.family == .ipv4
            ? Checksum.of(message)
            : Checksum.transport(
                message, .ipv6, source: tuple.source, destination: tuple.destination,
                protocolNumber: IPProtocol.icmpv6)
    }
}

extension [UInt8] {
    fileprivate mutating func update(checksumAt offset: Int, _ change: ChecksumChange) {
        setBigEndian(change.applied(to: span.bigEndianUInt16(at: offset)), at: offset)
    }

    fileprivate mutating func update(udpChecksumAt offset: Int, _ change: ChecksumChange) {
        setBigEndian(change.appliedToUDP(span.bigEndianUInt16(at: offset)), at: offset)
    }
}
