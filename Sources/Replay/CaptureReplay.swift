import Conntrack
public import Wire

// From a capture's records to a node's packets: what is passed over, what is filled up, and which
// interface a packet came in on.

/// What was unusual about a capture, counted.
public struct CaptureNotes: Sendable, Hashable {
    /// Frames without an IP packet: ARP, another protocol, a cut link header.
    public internal(set) var framesWithoutIP = 0
    /// Packets of which the capture keeps only the beginning.
    public internal(set) var cutPackets = 0

    public init() {}
}

extension Replayer {
    /// Takes every packet of a capture, up to the frame numbered `limit`.
    ///
    /// A packet's number is that of its frame, from 0, so that numbers agree with other tools;
    /// frames without an IP packet are passed over and counted. A packet the capture cut short is
    /// filled up with zeros to its length on the wire.
    ///
    /// - Throws: what is wrong with the capture, after everything before it was taken.
    public mutating func replay(
        _ reader: inout CaptureReader, limit: Int? = nil, _ notes: inout CaptureNotes,
        _ sink: inout some ReplaySink
    ) throws(CaptureError) {
        var number = 0
        var filled: [UInt8] = []
        var latest: (name: String, interface: InterfaceIndex?)?
        while !sink.isClosed, number < limit ?? .max, let record = try reader.next() {
            defer { number += 1 }
            switch record.content {
            case .ipv4, .ipv6: break
            case .other, .malformed:
                notes.framesWithoutIP += 1
                continue
            }
            var interface: InterfaceIndex?
            if let name = reader.interfaces[record.interface].name {
                if latest?.name != name { latest = (name, self.interface(named: name)) }
                interface = latest?.interface
            }
            if record.isCut {
                notes.cutPackets += 1
                fill(&filled, from: reader, record)
                take(
                    filled.span, number: number, timestamp: record.timestamp, on: interface,
                    &sink)
            } else {
                take(
                    reader.buffer.span.extracting(record.range), number: number,
                    timestamp: record.timestamp, on: interface, &sink)
            }
        }
    }

    /// Copies a cut packet and puts zeros where the capture has nothing.
    private func fill(
        _ packet: inout [UInt8], from reader: borrowing CaptureReader, _ record: CaptureRecord
    ) {
        packet.removeAll(keepingCapacity: true)
        packet.append(contentsOf: reader.buffer[record.range])
        let missing = record.originalByteCount - record.capturedByteCount
        // The header of an IP packet claims no more than this, and what a record claims may be
        // anything.
        let room = max(0, Self.longestPacket - packet.count)
        packet.append(contentsOf: repeatElement(0, count: min(missing, room)))
    }

    /// Bytes of the longest IP packet: an IPv6 header and the largest payload length.
    private static var longestPacket: Int { 40 + 65_535 }
}

extension CaptureNotes {
    /// What a person should be told about the capture and its clock, a sentence each.
    public func sentences(_ clock: ReplayClock) -> [String] {
        var sentences: [String] = []
        if framesWithoutIP > 0 {
            sentences.append(
                "passed over \(Self.counted(framesWithoutIP, "frame")) without an IP packet")
        }
        if cutPackets > 0 {
            sentences.append(
                "filled up \(Self.counted(cutPackets, "packet")) the capture had cut with zeros; "
                    + "checksums are wrong then, unless the node sets nf_conntrack_checksum: 0")
        }
        if clock.backwardCount > 0 {
            sentences.append(
                "took \(Self.counted(clock.backwardCount, "packet")) stamped earlier than one "
                    + "before as arriving at once; the clock never goes back")
        }
        if clock.shortenedCount > 0 {
            let days = ReplayClock.longestGap.nanoseconds / 86_400_000_000_000
            sentences.append(
                "counted \(Self.counted(clock.shortenedCount, "longer gap")) as \(days) days")
        }
        return sentences
    }

    private static func counted(_ count: Int, _ noun: String) -> String {
        "\(count) \(noun)\(count == 1 ? "" : "s")"
    }
}
