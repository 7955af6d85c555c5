import Conntrack
import Wire

/// The packets of flow number `flow`: addresses and ports follow from the number alone.
enum Flows {
    static func tuple(_ flow: UInt32, _ protocolNumber: UInt8) -> Tuple {
        Tuple(
            .ipv4, protocolNumber, source: Address(ipv4: 0x0a01_0000 + (flow >> 14)),
            UInt16(truncatingIfNeeded: 1024 + (flow & 0x3fff)),
            destination: Address(ipv4: 0xc633_6400 | ((flow >> 3) & 0xff)), 443)
    }

    static func datagram(_ flow: UInt32, reply: Bool = false) -> Packet {
        var tuple = tuple(flow, IPProtocol.udp)
        if reply, let inverted = tuple.inverted { tuple = inverted }
        var packet = Packet(tuple: tuple, networkByteCount: 60, transportByteCount: 40)
        packet.lengthField = 40
        return packet
    }

    /// The first segment of a TCP connection of either family.
    static func opening(_ flow: UInt32, _ family: Family) -> Packet {
        var packet = life(flow, 0)
        guard family == .ipv6 else { return packet }
        packet.tuple.family = .ipv6
        packet.tuple.source.high = 0xfd00 << 48
        packet.tuple.destination.high = 0xfd01 << 48
        return packet
    }

    static func segment(
        _ flow: UInt32, reply: Bool, _ flags: TCPFlags, sequence: UInt32, ack: UInt32,
        payload: UInt32 = 0
    ) -> Packet {
        var tuple = tuple(flow, IPProtocol.tcp)
        if reply, let inverted = tuple.inverted { tuple = inverted }
        var packet = Packet(
            tuple: tuple, networkByteCount: 40 + payload, transportByteCount: 20 + payload)
        packet.tcp.flags = flags
        packet.tcp.sequence = sequence
        packet.tcp.acknowledgment = ack
        packet.tcp.sackEdge = ack
        packet.tcp.window = 65535
        return packet
    }

    /// A whole life in six packets: handshake, request, and both FINs.
    static func life(_ flow: UInt32, _ step: Int) -> Packet {
        switch step {
        case 0: segment(flow, reply: false, .syn, sequence: 1000, ack: 0)
        case 1: segment(flow, reply: true, [.syn, .ack], sequence: 5000, ack: 1001)
        case 2: segment(flow, reply: false, .ack, sequence: 1001, ack: 5001)
        case 3:
            segment(flow, reply: false, [.fin, .ack], sequence: 1001, ack: 5001)
        case 4:
            segment(flow, reply: true, [.fin, .ack], sequence: 5001, ack: 1002)
        default: segment(flow, reply: false, .ack, sequence: 1002, ack: 5002)
        }
    }
}

/// A cheap sequence of numbers that visits all of `0..<count` in a scattered order.
struct Scatter {
    private var state: UInt32 = 12345
    private let mask: UInt32

    /// `count` is a power of two.
    init(count: UInt32) { mask = count - 1 }

    mutating func next() -> UInt32 {
        state = state &* 1_664_525 &+ 1_013_904_223
        return (state >> 7) & mask
    }
}
