import Testing
import Wire

@testable import Conntrack

typealias Chunk = PacketBuilder.SCTPChunkContent

extension Chunk {
    static let data = Chunk(type: 0, value: [UInt8](repeating: 0x61, count: 13))
    static let sack = Chunk(type: 3, value: [UInt8](repeating: 0, count: 12))
    static let heartbeat = Chunk(type: 4, value: [1, 2, 3, 4])
    static let heartbeatAck = Chunk(type: 5, value: [1, 2, 3, 4])
    static let abort = Chunk(type: 6)
    /// ABORT with the T flag: the packet carries the tag its receiver's peer chose.
    static let reflectedAbort = Chunk(type: 6, flags: 1)
    static let shutdown = Chunk(type: 7, value: [0, 0, 0, 1])
    static let shutdownAck = Chunk(type: 8)
    static let error = Chunk(type: 9)
    static let cookieEcho = Chunk(type: 10, value: [9, 9, 9, 9])
    static let cookieAck = Chunk(type: 11)
    static let shutdownComplete = Chunk(type: 14)
    static let reflectedShutdownComplete = Chunk(type: 14, flags: 1)

    static func initiation(_ tag: UInt32) -> Chunk { Chunk(type: 1, value: initiationBody(tag)) }

    static func initiationAck(_ tag: UInt32) -> Chunk { Chunk(type: 2, value: initiationBody(tag)) }

    private static func initiationBody(_ tag: UInt32) -> [UInt8] {
        var body: [UInt8] = []
        body.appendBigEndian(tag)
        body += [0, 0, 0x05, 0xdc, 0, 1, 0, 1, 0, 0, 0, 1]
        return body
    }
}

// SCTP: the tag of every packet is said, the CRC is right unless a test wants it wrong.
extension Exchange {
    @discardableResult
    mutating func sctp(
        _ host: Host, tag: UInt32, _ chunks: [Chunk], _ expected: Expected? = nil,
        overrides: PacketBuilder.Overrides = .init(),
        at location: SourceLocation = #_sourceLocation
    ) -> Observation {
        let types = chunks.map { $0.flags == 0 ? "\($0.type)" : "\($0.type)/\($0.flags)" }
        return send(
            sctpPacket(from: host, tag: tag, chunks, overrides: overrides), from: host,
            called: "SCTP tag \(String(tag, radix: 16)) chunks \(types.joined(separator: " "))",
            expected, at: location)
    }

    @discardableResult
    mutating func sctp(
        _ host: Host, tag: UInt32, _ chunk: Chunk, _ expected: Expected? = nil,
        at location: SourceLocation = #_sourceLocation
    ) -> Observation {
        sctp(host, tag: tag, [chunk], expected, at: location)
    }

    /// The packet `sctp` sends.
    func sctpPacket(
        from host: Host, tag: UInt32, _ chunks: [Chunk],
        overrides: PacketBuilder.Overrides = .init()
    ) -> [UInt8] {
        var builder = builder(from: host)
        builder.overrides = overrides
        return builder.sctp(
            from: host == .o ? oPort : rPort, to: host == .o ? rPort : oPort, tag: tag,
            chunks: chunks)
    }

    /// Brings an association into a state by the shortest way.
    ///
    /// O's packets carry the tag 0xb, R's 0xa, once both are known.
    static func association(
        in state: SCTPState, _ sysctls: KeyValuePairs<String, Int> = [:]
    ) -> Exchange {
        var x = Exchange(sysctls)
        switch state {
        case .none: break
        case .heartbeatSent: x.sctp(.o, tag: 0xb, .heartbeat)
        default:
            x.sctp(.o, tag: 0, .initiation(0xa))
            if state == .closed { return x }
            x.sctp(.r, tag: 0xa, .initiationAck(0xb))
            if state == .cookieWait { return x }
            x.sctp(.o, tag: 0xb, .cookieEcho)
            if state == .cookieEchoed { return x }
            x.sctp(.r, tag: 0xa, .cookieAck)
            if state == .established { return x }
            if state == .shutdownReceived {
                x.sctp(.r, tag: 0xa, .shutdown)
                return x
            }
            x.sctp(.o, tag: 0xb, .shutdown)
            if state == .shutdownAckSent { x.sctp(.r, tag: 0xa, .shutdownAck) }
        }
        return x
    }
}
