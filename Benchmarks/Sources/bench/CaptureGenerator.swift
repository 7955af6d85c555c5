import Glibc
import Wire

/// Writes a capture of `packetCount` packets: 20 000 clients that open, use and close TCP
/// connections and ask UDP questions, small packets, a microsecond apart.
enum CaptureGenerator {
    static func write(to path: String, packetCount: Int) -> Bool {
        guard let file = fopen(path, "wb") else { return false }
        defer { fclose(file) }
        var writer = CaptureWriter()
        var time: UInt64 = 1_700_000_000_000_000_000
        var written = 0
        var flow: UInt32 = 0
        while written < packetCount {
            for packet in conversation(flow) where written < packetCount {
                time += 1000
                writer.append(packet.span, timestamp: time)
                written += 1
            }
            flow += 1
            if writer.byteCount > 1 << 20 { guard drain(&writer, file) else { return false } }
        }
        return drain(&writer, file)
    }

    private static func drain(_ writer: inout CaptureWriter, _ file: UnsafeMutablePointer<FILE>)
        -> Bool
    {
        let bytes = writer.take()
        return fwrite(bytes, 1, bytes.count, file) == bytes.count
    }

    /// Every third conversation is a question and its answer, the others are short connections.
    private static func conversation(_ flow: UInt32) -> [[UInt8]] {
        let client = Address(ipv4: 0x0a01_0000 + flow % 20_000)
        let server = Address(ipv4: 0xc633_6400 | flow % 200 + 2)
        let port = UInt16(truncatingIfNeeded: 1024 + flow / 20_000 % 60_000)
        let out = PacketBuilder(.ipv4, from: client, to: server)
        let back = PacketBuilder(.ipv4, from: server, to: client)
        if flow % 3 == 0 {
            return [
                out.udp(from: port, to: 53, payload: [UInt8](repeating: 1, count: 30)),
                back.udp(from: 53, to: port, payload: [UInt8](repeating: 2, count: 90)),
            ]
        }
        func segment(
            _ builder: PacketBuilder, _ flags: TCPFlags, _ sequence: UInt32, _ ack: UInt32,
            _ payload: Int = 0
        ) -> [UInt8] {
            let isOut = builder.source == client
            return builder.tcp(
                from: isOut ? port : 443, to: isOut ? 443 : port, flags: flags,
                sequence: sequence, acknowledgment: ack, window: 64240,
                payload: [UInt8](repeating: 3, count: payload))
        }
        return [
            segment(out, .syn, 1000, 0), segment(back, [.syn, .ack], 5000, 1001),
            segment(out, .ack, 1001, 5001), segment(out, [.psh, .ack], 1001, 5001, 80),
            segment(back, [.psh, .ack], 5001, 1081, 400), segment(out, .ack, 1081, 5401),
            segment(out, [.fin, .ack], 1081, 5401), segment(back, [.fin, .ack], 5401, 1082),
            segment(out, .ack, 1082, 5402),
        ]
    }
}
