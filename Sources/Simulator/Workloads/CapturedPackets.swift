import Conntrack
import Foundation
import Wire

/// The packets of a capture as values.
enum CapturedPackets {
    /// Bytes of a capture that may be read into memory.
    static let byteLimit = 1 << 30

    /// Reads a pcap or pcapng file.
    ///
    /// Frames without an IP packet and packets nothing can be read from are passed over.
    static func read(_ path: String) throws(WorldError) -> [RawPlan.CapturedPacket] {
        let bytes: [UInt8]
        do {
            let data = try Data(contentsOf: URL(filePath: path))
            guard data.count <= byteLimit else {
                throw WorldError(
                    description: "\(path): found \(data.count) bytes, expected at most "
                        + "\(byteLimit)")
            }
            bytes = [UInt8](data)
        } catch let error as WorldError {
            throw error
        } catch {
            throw WorldError(description: "\(path): found no readable capture (\(error))")
        }
        do {
            return try packets(in: bytes)
        } catch {
            throw WorldError(description: "\(path): \(error)")
        }
    }

    private static func packets(
        in bytes: [UInt8]
    ) throws(CaptureError) -> [RawPlan.CapturedPacket] {
        var reader = try CaptureReader(ByteArraySource(bytes))
        var packets: [RawPlan.CapturedPacket] = []
        var first: UInt64?
        while let record = try reader.next() {
            switch record.content {
            case .ipv4, .ipv6: break
            case .other, .malformed: continue
            }
            var layout = PacketLayout()
            let span = reader.buffer.span.extracting(record.range)
            guard
                let packet = try? Packet(
                    parsing: span, verifiesChecksum: false, layout: &layout)
            else { continue }
            let start = first ?? record.timestamp
            first = start
            packets.append(
                RawPlan.CapturedPacket(
                    time: record.timestamp - min(record.timestamp, start), packet: packet))
        }
        return packets
    }
}
