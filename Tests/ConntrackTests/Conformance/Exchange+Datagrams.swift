import Testing
import Wire

@testable import Conntrack

// UDP, ICMP and whatever else has no handshake.
extension Exchange {
    /// Sends a UDP datagram between the hosts' ports.
    @discardableResult
    mutating func udp(
        _ host: Host, length: Int = 1, _ expected: Expected? = nil,
        overrides: PacketBuilder.Overrides = .init(),
        at location: SourceLocation = #_sourceLocation
    ) -> Observation {
        var text = "UDP length \(length)"
        if overrides != PacketBuilder.Overrides() { text += ", made wrong" }
        return send(
            datagram(from: host, length: length, overrides: overrides), from: host, called: text,
            expected, at: location)
    }

    /// The datagram `udp` sends.
    func datagram(
        from host: Host, length: Int = 1, overrides: PacketBuilder.Overrides = .init()
    ) -> [UInt8] {
        var builder = builder(from: host)
        builder.overrides = overrides
        return builder.udp(
            from: host == .o ? oPort : rPort, to: host == .o ? rPort : oPort,
            payload: [UInt8](repeating: 0x61, count: length))
    }

    /// Sends an ICMP message, or an ICMPv6 one.
    @discardableResult
    mutating func icmp(
        _ host: Host, type: UInt8, code: UInt8 = 0, id: UInt16 = 77, _ expected: Expected? = nil,
        overrides: PacketBuilder.Overrides = .init(),
        at location: SourceLocation = #_sourceLocation
    ) -> Observation {
        var builder = builder(from: host)
        builder.overrides = overrides
        return send(
            builder.icmp(type: type, code: code, identifier: id), from: host,
            called: "ICMP type \(type) code \(code) id \(id)", expected, at: location)
    }

    /// Sends an ICMP error about `packet`, of which `byteCount` bytes are quoted.
    ///
    /// It comes from behind `host`'s side, from that host itself unless `source` says otherwise,
    /// and goes to the other host unless `destination` does.
    @discardableResult
    mutating func error(
        _ host: Host, type: UInt8, code: UInt8 = 0, about packet: [UInt8],
        quoting byteCount: Int = 548, from source: Address? = nil, to destination: Address? = nil,
        _ expected: Expected? = nil, at location: SourceLocation = #_sourceLocation
    ) -> Observation {
        var builder = builder(from: host)
        builder.source = source ?? builder.source
        builder.destination = destination ?? builder.destination
        return send(
            builder.icmpError(type: type, code: code, about: packet, quoting: byteCount),
            from: host, called: "ICMP error type \(type) code \(code)", expected, at: location)
    }

    /// Sends bytes as the payload of an IP protocol.
    @discardableResult
    mutating func ip(
        _ host: Host, _ protocolNumber: UInt8, _ payload: [UInt8], _ expected: Expected? = nil,
        at location: SourceLocation = #_sourceLocation
    ) -> Observation {
        send(
            builder(from: host).packet(carrying: payload, as: protocolNumber), from: host,
            called: "protocol \(protocolNumber), \(payload.count) bytes", expected, at: location)
    }

    /// An address beside the hosts: 10.1.0.9 on O's side, 10.2.0.9 on R's.
    func router(beside host: Host) -> Address {
        Address(ipv4: host == .o ? 0x0a01_0009 : 0x0a02_0009)
    }
}
