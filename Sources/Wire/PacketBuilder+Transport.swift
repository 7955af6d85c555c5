extension PacketBuilder {
    /// A TCP segment; `options` are filled up with end-of-list to whole words.
    public func tcp(
        from sourcePort: UInt16, to destinationPort: UInt16, flags: TCPFlags,
        sequence: UInt32 = 0, acknowledgment: UInt32 = 0, window: UInt16 = 65535,
        urgentPointer: UInt16 = 0, options: [TCPOption] = [], payload: [UInt8] = []
    ) -> [UInt8] {
        let optionBytes = TCPOption.bytes(of: options)
        var header = TCPHeader(
            sourcePort: sourcePort, destinationPort: destinationPort, flags: flags)
        header.sequence = sequence
        header.acknowledgment = acknowledgment
        header.window = window
        header.urgentPointer = urgentPointer
        header.headerByteCount =
            overrides.transportHeaderByteCount ?? TCPHeader.minimumByteCount + optionBytes.count

        var segment: [UInt8] = []
        header.append(to: &segment, options: optionBytes)
        segment += payload
        let checksum = transportChecksum(of: segment, as: IPProtocol.tcp)
        segment.setBigEndian(overrides.transportChecksum ?? checksum, at: 16)
        return packet(carrying: segment, as: IPProtocol.tcp)
    }

    /// A UDP datagram.
    public func udp(
        from sourcePort: UInt16, to destinationPort: UInt16, payload: [UInt8] = []
    ) -> [UInt8] {
        let length = UInt16(truncatingIfNeeded: UDPHeader.byteCount + payload.count)
        var segment = portSegment(sourcePort, destinationPort, lengthField: length, payload)
        let checksum = transportChecksum(of: segment, as: IPProtocol.udp)
        segment.setBigEndian(
            overrides.transportChecksum ?? (checksum == 0 ? 0xffff : checksum), at: 6)
        return packet(carrying: segment, as: IPProtocol.udp)
    }

    /// A UDP-Lite datagram whose checksum covers `coverage` bytes, 0 for all.
    public func udpLite(
        from sourcePort: UInt16, to destinationPort: UInt16, coverage: UInt16 = 0,
        payload: [UInt8] = []
    ) -> [UInt8] {
        var segment = portSegment(sourcePort, destinationPort, lengthField: coverage, payload)
        let covered = coverage == 0 ? segment.count : Int(coverage)
        let checksum = transportChecksum(of: segment, as: IPProtocol.udpLite, covering: covered)
        segment.setBigEndian(
            overrides.transportChecksum ?? (checksum == 0 ? 0xffff : checksum), at: 6)
        return packet(carrying: segment, as: IPProtocol.udpLite)
    }

    private func portSegment(
        _ sourcePort: UInt16, _ destinationPort: UInt16, lengthField: UInt16, _ payload: [UInt8]
    ) -> [UInt8] {
        let header = UDPHeader(
            sourcePort: sourcePort, destinationPort: destinationPort,
            lengthField: overrides.transportLengthField ?? lengthField)
        var segment: [UInt8] = []
        header.append(to: &segment)
        return segment + payload
    }

    /// An ICMP message, or an ICMPv6 message in an IPv6 packet.
    public func icmp(
        type: UInt8, code: UInt8 = 0, identifier: UInt16 = 0, sequence: UInt16 = 0,
        payload: [UInt8] = []
    ) -> [UInt8] {
        var segment: [UInt8] = []
        ICMPHeader(type: type, code: code, identifier: identifier, sequence: sequence)
            .append(to: &segment)
        segment += payload
        let number = family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6
        let checksum =
            family == .ipv4
            ? Checksum.of(segment.span) : transportChecksum(of: segment, as: number)
        segment.setBigEndian(overrides.transportChecksum ?? checksum, at: 2)
        return packet(carrying: segment, as: number)
    }

    /// An ICMP error about `packet`, of which the first `byteCount` bytes are quoted.
    public func icmpError(
        type: UInt8, code: UInt8 = 0, mtu: UInt16 = 0, about packet: [UInt8],
        quoting byteCount: Int = 548
    ) -> [UInt8] {
        icmp(type: type, code: code, sequence: mtu, payload: Array(packet.prefix(byteCount)))
    }

    /// One chunk of an SCTP packet to compose.
    public struct SCTPChunkContent: Sendable, Hashable {
        public var type: UInt8
        public var flags: UInt8
        public var value: [UInt8]
        /// Written in place of the right length.
        public var lengthField: UInt16?

        public init(
            type: UInt8, flags: UInt8 = 0, value: [UInt8] = [], lengthField: UInt16? = nil
        ) {
            self.type = type
            self.flags = flags
            self.value = value
            self.lengthField = lengthField
        }
    }

    /// An SCTP packet; every chunk is filled up with zeros to whole words.
    public func sctp(
        from sourcePort: UInt16, to destinationPort: UInt16, tag: UInt32,
        chunks: [SCTPChunkContent]
    ) -> [UInt8] {
        var segment: [UInt8] = []
        SCTPHeader(
            sourcePort: sourcePort, destinationPort: destinationPort, verificationTag: tag
        ).append(to: &segment)
        for chunk in chunks {
            let byteCount = SCTPChunk.headerByteCount + chunk.value.count
            segment.append(chunk.type)
            segment.append(chunk.flags)
            segment.appendBigEndian(chunk.lengthField ?? UInt16(truncatingIfNeeded: byteCount))
            segment += chunk.value
            segment += [UInt8](repeating: 0, count: (4 - byteCount % 4) % 4)
        }
        segment.setBigEndian(overrides.crc ?? CRC32C.fieldValue(of: segment.span), at: 8)
        return packet(carrying: segment, as: IPProtocol.sctp)
    }

    /// A GRE packet; in version 1 the payload length is filled in.
    public func gre(_ header: GREHeader, payload: [UInt8] = []) -> [UInt8] {
        var header = header
        header.payloadByteCount = UInt16(truncatingIfNeeded: payload.count)
        var segment: [UInt8] = []
        header.append(to: &segment)
        return packet(carrying: segment + payload, as: IPProtocol.gre)
    }
}
