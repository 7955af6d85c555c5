internal import Wire

// Packets from parts, right in every field unless a fault is asked for.

/// One end of a flow.
struct Endpoint: Hashable, Sendable {
    var family: Family
    var address: Address
    /// The port, or the identifier of an ICMP query.
    var port: UInt16

    init(_ text: String, _ port: UInt16) {
        // The texts are this room's own constants; one that could not be read would show as 0.
        let (family, address) = Address.parse(text) ?? (.ipv4, .zero)
        self.family = family
        self.address = address
        self.port = port
    }

    func with(port: UInt16) -> Endpoint {
        var copy = self
        copy.port = port
        return copy
    }
}

/// The parts of an IP header a trace plays with.
struct NetworkPart: Sendable {
    var timeToLive: UInt8 = 64
    var identification: UInt16 = 0
    var dontFragment = false
    var typeOfService: UInt8 = 0
    /// IPv4: option bytes, a multiple of four.
    var options: [UInt8] = []
    /// IPv6: put a destination-options header before the transport.
    var hasExtension = false
}

enum PacketMaker {
    /// A whole IP packet around `payload`.
    static func packet(
        from source: Endpoint, to destination: Endpoint, _ protocolNumber: UInt8,
        _ payload: [UInt8], _ part: NetworkPart = NetworkPart()
    ) -> [UInt8] {
        var builder = PacketBuilder(
            source.family, from: source.address, to: destination.address)
        builder.timeToLive = part.timeToLive
        builder.identification = part.identification
        builder.dontFragment = part.dontFragment
        builder.typeOfService = part.typeOfService
        builder.options = part.options
        if part.hasExtension { builder.extensions = [.destinationOptions([])] }
        return builder.packet(carrying: payload, as: protocolNumber)
    }

    /// Sets the checksum at `offset` of a transport segment.
    static func setChecksum(
        in segment: inout [UInt8], at offset: Int, from source: Endpoint, to destination: Endpoint,
        _ protocolNumber: UInt8, byteCount: Int? = nil
    ) {
        guard offset + 2 <= segment.count else { return }
        segment.setBigEndian(UInt16(0), at: offset)
        let sum = Checksum.transport(
            segment.span, source.family, source: source.address,
            destination: destination.address, protocolNumber: protocolNumber,
            byteCount: byteCount)
        let isDatagram = protocolNumber == IPProtocol.udp || protocolNumber == IPProtocol.udpLite
        segment.setBigEndian(isDatagram && sum == 0 ? UInt16(0xFFFF) : sum, at: offset)
    }

    static func tcp(
        from source: Endpoint, to destination: Endpoint, _ header: TCPHeader, options: [UInt8],
        payload: [UInt8]
    ) -> [UInt8] {
        var header = header
        header.sourcePort = source.port
        header.destinationPort = destination.port
        var segment: [UInt8] = []
        header.headerByteCount = TCPHeader.minimumByteCount + options.count
        header.append(to: &segment, options: options)
        segment += payload
        setChecksum(in: &segment, at: 16, from: source, to: destination, IPProtocol.tcp)
        return segment
    }

    static func udp(
        from source: Endpoint, to destination: Endpoint, payload: [UInt8]
    ) -> [UInt8] {
        let header = UDPHeader(
            sourcePort: source.port, destinationPort: destination.port,
            lengthField: UInt16(truncatingIfNeeded: 8 + payload.count))
        var datagram: [UInt8] = []
        header.append(to: &datagram)
        datagram += payload
        setChecksum(in: &datagram, at: 6, from: source, to: destination, IPProtocol.udp)
        return datagram
    }

    /// An ICMP or ICMPv6 message; `rest` is what follows the checksum.
    static func icmp(
        from source: Endpoint, to destination: Endpoint, type: UInt8, code: UInt8, rest: [UInt8]
    ) -> [UInt8] {
        var message = [type, code, 0, 0] + rest
        switch source.family {
        case .ipv4: message.setBigEndian(Checksum.of(message.span), at: 2)
        case .ipv6:
            setChecksum(in: &message, at: 2, from: source, to: destination, IPProtocol.icmpv6)
        }
        return message
    }
}

extension UInt16 {
    /// Most significant byte first.
    var bytes: [UInt8] { [UInt8(self >> 8), UInt8(truncatingIfNeeded: self)] }
}

extension UInt32 {
    /// Most significant byte first.
    var bytes: [UInt8] {
        UInt16(truncatingIfNeeded: self >> 16).bytes + UInt16(truncatingIfNeeded: self).bytes
    }
}
