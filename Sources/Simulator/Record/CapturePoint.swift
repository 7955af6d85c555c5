import Conntrack
import Wire

// What tcpdump would see at an interface of a machine, or all that a machine receives. A packet
// becomes bytes only here, and its payload is zeros.

/// A place where packets are written down.
struct CapturePoint {
    var station: Int
    /// The interface watched, in both directions; `nil`: what comes in by any of them.
    var interface: UInt8?
    var writer: CaptureWriter
    /// Unix nanoseconds of the run's beginning.
    var epoch: UInt64
    /// Where full buffers go.
    var sink: ([UInt8]) -> Void
}

extension Simulation {
    /// Writes a packet down where somebody watches this interface, or all of the machine's.
    mutating func tell(
        _ packet: Packet, capturedAt station: Int, _ interface: UInt8, isIncoming: Bool
    ) {
        for index in captures.indices
        where captures[index].station == station
            && captures[index].interface.map({ $0 == interface }) ?? isIncoming
        {
            let bytes = PacketBytes.of(packet, identification: UInt16(truncatingIfNeeded: hops))
            captures[index].writer.append(
                bytes.span, on: captures[index].interface == nil ? Int(interface) : 0,
                timestamp: captures[index].epoch &+ now)
            guard captures[index].writer.byteCount > 1 << 20 else { continue }
            flushCapture(index)
        }
    }

    mutating func flushCapture(_ index: Int) {
        captures[index].sink(captures[index].writer.take())
    }
}

/// Packets as bytes.
enum PacketBytes {
    /// The packet as it would be on the wire, with zeros for its payload.
    static func of(_ packet: Packet, identification: UInt16) -> [UInt8] {
        var builder = PacketBuilder(
            packet.tuple.family, from: packet.tuple.source, to: packet.tuple.destination)
        builder.timeToLive = packet.timeToLive
        builder.typeOfService = packet.typeOfService
        builder.identification = identification
        builder.dontFragment = packet.health.contains(.dontFragment)
        let tuple = packet.tuple
        switch tuple.protocolNumber {
        case IPProtocol.tcp:
            let header = Int(packet.tcp.headerByteCount)
            let payload = max(0, Int(packet.transportByteCount) - header)
            return builder.tcp(
                from: tuple.sourcePart, to: tuple.destinationPart, flags: packet.tcp.flags,
                sequence: packet.tcp.sequence,
                acknowledgment: packet.tcp.flags.contains(.ack) ? packet.tcp.acknowledgment : 0,
                window: packet.tcp.window, options: options(packet.tcp),
                payload: [UInt8](repeating: 0, count: payload))
        case IPProtocol.udp:
            let payload = max(0, Int(packet.transportByteCount) - 8)
            return builder.udp(
                from: tuple.sourcePart, to: tuple.destinationPart,
                payload: [UInt8](repeating: 0, count: payload))
        case IPProtocol.icmp, IPProtocol.icmpv6:
            return message(packet, builder)
        default:
            return builder.packet(
                carrying: [UInt8](repeating: 0, count: Int(packet.transportByteCount)),
                as: tuple.protocolNumber)
        }
    }

    /// Options that fill the header as the packet says: of a SYN, of a segment with timestamps.
    private static func options(_ segment: TCPSegment) -> [TCPOption] {
        let space = Int(segment.headerByteCount) - 20
        guard space > 0 else { return [] }
        guard segment.flags.contains(.syn) else {
            return space >= 12
                ? [.noOperation, .noOperation, .timestamps(value: 1, echo: 1)] : []
        }
        var options: [TCPOption] = [.maximumSegmentSize(1460)]
        guard space >= 20 else { return options }
        if segment.options.contains(.sackPermitted) { options.append(.sackPermitted) }
        options.append(.timestamps(value: 1, echo: 0))
        if segment.options.contains(.windowScale) {
            options += [.noOperation, .windowScale(segment.windowScale)]
        }
        return options
    }

    /// An ICMP error with what it quotes, or an echo.
    private static func message(_ packet: Packet, _ builder: PacketBuilder) -> [UInt8] {
        let tuple = packet.tuple
        let isError = packet.health.contains(.quotesTuple)
        guard isError else {
            return builder.icmp(
                type: tuple.icmpType, code: tuple.icmpCode, identifier: tuple.sourcePart,
                payload: [UInt8](
                    repeating: 0, count: max(0, Int(packet.transportByteCount) - 8)))
        }
        let header = tuple.family == .ipv4 ? 20 : 40
        var quoted = Packet(
            tuple: packet.quoted,
            networkByteCount: UInt32(packet.quotedByteCount) + UInt32(header),
            transportByteCount: UInt32(packet.quotedByteCount))
        if packet.quoted.protocolNumber == IPProtocol.tcp { quoted.tcp.flags = .syn }
        let inner = of(quoted, identification: 0)
        return builder.icmpError(
            type: tuple.icmpType, code: tuple.icmpCode, about: inner,
            quoting: Int(packet.quotedByteCount) + header)
    }
}
