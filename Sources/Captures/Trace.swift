import Wire

// The captures that ship, made from the project's own packet builder: what arrives at a gateway,
// packet by packet. The same code gives the same bytes, wherever it runs.

/// A capture as it is written down: packets with their times.
public struct Trace: Sendable {
    public var name: String
    /// What it shows, in one sentence.
    public var about: String
    private var packets: [(milliseconds: UInt64, bytes: [UInt8])] = []

    /// 2026-01-01 00:00:00 UTC: the first instant of every capture, in nanoseconds.
    public static let epoch: UInt64 = 1_767_225_600_000_000_000

    init(_ name: String, _ about: String) {
        self.name = name
        self.about = about
    }

    /// Adds a packet that arrives `milliseconds` after the capture's beginning.
    mutating func add(at milliseconds: UInt64, _ bytes: [UInt8]) {
        packets.append((milliseconds, bytes))
    }

    public var packetCount: Int { packets.count }

    /// The capture as a pcap file.
    public var pcap: [UInt8] {
        var writer = CaptureWriter()
        for packet in packets {
            writer.append(
                packet.bytes.span, timestamp: Self.epoch + packet.milliseconds * 1_000_000)
        }
        return writer.take()
    }

    /// All captures, in the order of the documentation.
    public static let all: [Trace] = [
        tcpMasquerade, dnatReverse, ftpNAT, udpStream, asymmetric, tableFull,
    ]
}

/// The hosts around the gateway of the captures: a private network behind one public address.
enum Host {
    static let client = Address(ipv4: 0x0a00_0002)  // 10.0.0.2
    static let insideServer = Address(ipv4: 0x0a00_0050)  // 10.0.0.80
    static let gateway = Address(ipv4: 0xcb00_7101)  // 203.0.113.1
    static let server = Address(ipv4: 0xc633_6407)  // 198.51.100.7
    static let outsideClient = Address(ipv4: 0xc633_6409)  // 198.51.100.9
}

/// One TCP connection seen from the gateway: what the client sends, and what answers it.
///
/// Sequence numbers follow by themselves. Packets of each end carry the addresses they have when
/// they arrive at the gateway, so a translated connection has two pairs.
struct Conversation {
    var client: PacketBuilder
    var server: PacketBuilder
    var clientPorts: (from: UInt16, to: UInt16)
    var serverPorts: (from: UInt16, to: UInt16)
    private var clientNext: UInt32 = 1_000_000
    private var serverNext: UInt32 = 5_000_000
    /// Bytes the gateway has added to the client's stream: the server acknowledges them too.
    var clientGrowth: UInt32 = 0

    /// `forward` is what the client's packets carry, `back` what the server's do.
    init(
        forward: (from: Address, to: Address), ports: (from: UInt16, to: UInt16),
        back: (from: Address, to: Address), backPorts: (from: UInt16, to: UInt16)
    ) {
        client = PacketBuilder(.ipv4, from: forward.from, to: forward.to)
        server = PacketBuilder(.ipv4, from: back.from, to: back.to)
        server.timeToLive = 57
        clientPorts = ports
        serverPorts = backPorts
    }

    /// A segment of the client.
    mutating func fromClient(_ flags: TCPFlags, payload: [UInt8] = []) -> [UInt8] {
        client.identification &+= 1
        let bytes = client.tcp(
            from: clientPorts.from, to: clientPorts.to, flags: flags, sequence: clientNext,
            acknowledgment: flags.contains(.ack) ? serverNext : 0,
            window: flags.contains(.syn) ? 64_240 : 502,
            options: flags.contains(.syn) ? Self.options : [], payload: payload)
        clientNext &+= Self.advance(flags, payload)
        return bytes
    }

    /// A segment of the server.
    mutating func fromServer(_ flags: TCPFlags, payload: [UInt8] = []) -> [UInt8] {
        server.identification &+= 1
        let bytes = server.tcp(
            from: serverPorts.from, to: serverPorts.to, flags: flags, sequence: serverNext,
            acknowledgment: flags.contains(.ack) ? clientNext &+ clientGrowth : 0,
            window: flags.contains(.syn) ? 65_160 : 509,
            options: flags.contains(.syn) ? Self.options : [], payload: payload)
        serverNext &+= Self.advance(flags, payload)
        return bytes
    }

    private static let options: [TCPOption] = [
        .maximumSegmentSize(1460), .sackPermitted, .noOperation, .windowScale(7),
    ]

    /// What a segment takes of the sequence space: its bytes, and one each for SYN and FIN.
    private static func advance(_ flags: TCPFlags, _ payload: [UInt8]) -> UInt32 {
        UInt32(payload.count) + (flags.contains(.syn) ? 1 : 0) + (flags.contains(.fin) ? 1 : 0)
    }
}
