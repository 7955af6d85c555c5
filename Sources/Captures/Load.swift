import Wire

/// A capture of any length for measuring: answered UDP exchanges and short TCP connections.
///
/// Packets are written as they are made, so that the length costs no memory.
public struct LoadTrace: Sendable {
    public let packetCount: Int

    public init(packetCount: Int) { self.packetCount = packetCount }

    /// Writes the capture in pieces of about a megabyte.
    public func write<Failure: Error>(
        to sink: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        var writer = CaptureWriter()
        var written = 0
        var flow: UInt32 = 0
        while written < packetCount {
            for packet in Self.packets(ofFlow: flow) where written < packetCount {
                // 100 000 packets a second.
                writer.append(packet.span, timestamp: Trace.epoch + UInt64(written) * 10_000)
                written += 1
            }
            flow += 1
            if writer.byteCount > 1 << 20 { try writer.flush(to: sink) }
        }
        try writer.flush(to: sink)
    }

    /// Every eighth flow is a TCP life, the others a question and its answer.
    private static func packets(ofFlow flow: UInt32) -> [[UInt8]] {
        let source = Address(ipv4: 0x0a00_0000 | (flow / 40_000 % 250 + 2))
        let port = UInt16(10_000 + flow % 40_000)
        guard flow % 8 == 0 else {
            let client = PacketBuilder(.ipv4, from: source, to: Host.server)
            return [
                client.udp(from: port, to: 53, payload: DNS.query),
                client.reversed.udp(from: 53, to: port, payload: DNS.answer),
            ]
        }
        var tcp = Conversation(
            forward: (source, Host.server), ports: (port, 80),
            back: (Host.server, source), backPorts: (80, port))
        return [
            tcp.fromClient(.syn), tcp.fromServer([.syn, .ack]), tcp.fromClient(.ack),
            tcp.fromClient([.psh, .ack], payload: [UInt8](repeating: 0x41, count: 200)),
            tcp.fromServer([.psh, .ack], payload: [UInt8](repeating: 0x42, count: 1200)),
            tcp.fromClient([.fin, .ack]), tcp.fromServer([.fin, .ack]),
        ]
    }
}
