internal import Wire

// An SCTP association as a trace plays it: set up, used and taken down mostly by the book, with the
// tags each side asked for, and at any step something else: chunks out of turn, wrong tags, the
// T bit, bundles, lengths that lie.

/// What the ends of an association have told each other.
struct SCTPFlow: Sendable {
    let path: FlowPath
    /// How often a step is not by the book: once in so many.
    let tameness: Int
    /// The tags the packets of each side carry; 0 client, 1 server.
    private var tags: [UInt32] = [0, 0]
    private var phase = Phase.idle
    /// Whose packet the book asks for next, where it matters.
    private var turn = 0

    private enum Phase: Int, CaseIterable, Sendable {
        case idle, opened, answered, echoed, open, closing, closingAcknowledged, closed
    }

    /// Chunk types (RFC 9260 §3.2).
    private enum Chunk {
        static let data: UInt8 = 0
        static let initiation: UInt8 = 1
        static let initiationAck: UInt8 = 2
        static let sack: UInt8 = 3
        static let heartbeat: UInt8 = 4
        static let heartbeatAck: UInt8 = 5
        static let abort: UInt8 = 6
        static let shutdown: UInt8 = 7
        static let shutdownAck: UInt8 = 8
        static let error: UInt8 = 9
        static let cookieEcho: UInt8 = 10
        static let cookieAck: UInt8 = 11
        static let shutdownComplete: UInt8 = 14
    }

    init(_ path: FlowPath, tameness: Int) {
        self.path = path
        self.tameness = tameness
    }

    mutating func step(_ dice: inout FuzzDice) -> TCPFlow.Segment {
        if dice.oneIn(tameness) { return stray(&dice) }
        switch phase {
        case .idle, .closed: return open(&dice)
        case .opened:
            phase = .answered
            turn = 0
            tags[0] = tag(&dice)
            return packet(1, tags[1], [greeting(Chunk.initiationAck, tags[0], &dice)], &dice)
        case .answered:
            phase = .echoed
            return packet(0, tags[0], [chunk(Chunk.cookieEcho, 8, &dice)], &dice)
        case .echoed:
            phase = .open
            return packet(1, tags[1], [chunk(Chunk.cookieAck, 0, &dice)], &dice)
        case .open: return transfer(&dice)
        case .closing:
            phase = .closingAcknowledged
            return packet(
                1 - turn, tags[1 - turn], [chunk(Chunk.shutdownAck, 0, &dice)], &dice)
        case .closingAcknowledged:
            phase = .closed
            return packet(
                turn, tags[turn], [chunk(Chunk.shutdownComplete, 0, &dice)], &dice)
        }
    }

    private mutating func open(_ dice: inout FuzzDice) -> TCPFlow.Segment {
        phase = .opened
        tags = [0, tag(&dice)]
        return packet(0, 0, [greeting(Chunk.initiation, tags[1], &dice)], &dice)
    }

    private mutating func transfer(_ dice: inout FuzzDice) -> TCPFlow.Segment {
        let side = dice.below(2)
        if dice.oneIn(8) {
            phase = .closing
            turn = side
            return packet(side, tags[side], [chunk(Chunk.shutdown, 4, &dice)], &dice)
        }
        let type = dice.pick(weighted: [
            (4, Chunk.data), (3, Chunk.sack), (2, Chunk.heartbeat), (2, Chunk.heartbeatAck),
            (1, Chunk.error),
        ])
        var chunks = [chunk(type, dice.pick([0, 4, 12, 100]), &dice)]
        if dice.oneIn(3) { chunks.append(chunk(Chunk.data, 13, &dice)) }
        return packet(side, tags[side], chunks, &dice)
    }

    // MARK: Not by the book

    private mutating func stray(_ dice: inout FuzzDice) -> TCPFlow.Segment {
        let side = dice.below(2)
        let types: [UInt8] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 64, 128, 255]
        switch dice.below(8) {
        case 0:  // The association starts over, or seems to have got further than it has.
            phase = dice.pick(Phase.allCases)
            return phase == .open ? transfer(&dice) : open(&dice)
        case 1:
            return packet(side, dice.uint32(), [chunk(dice.pick(types), 4, &dice)], &dice)
        case 2:  // An end that has forgotten the tag reflects the other side's: the T bit.
            let type = dice.oneIn(2) ? Chunk.abort : Chunk.shutdownComplete
            let flags = UInt8(dice.below(2))
            let tag = dice.pick([tags[side], tags[1 - side], 0])
            return packet(side, tag, [[type, flags, 0, 4]], &dice)
        case 3:
            let tag = dice.oneIn(2) ? 0 : tags[side]
            return packet(side, tag, [greeting(Chunk.initiation, dice.uint32(), &dice)], &dice)
        case 4:  // Bundles nobody makes.
            let chunks = (0..<dice.within(2...4)).map { _ in
                chunk(dice.pick(types), dice.pick([0, 3, 4, 16]), &dice)
            }
            return packet(side, tags[side], chunks, &dice)
        case 5:  // Lengths that lie.
            var odd = chunk(dice.pick(types), 8, &dice)
            odd.setBigEndian(UInt16(dice.pick([0, 1, 3, 4, 11, 13, 200])), at: 2)
            return packet(side, tags[side], [odd, chunk(Chunk.data, 4, &dice)], &dice)
        case 6:
            return packet(side, dice.oneIn(2) ? 0 : tags[side], [], &dice)
        default:
            return packet(
                side, dice.pick([tags[0], tags[1], 0]), [chunk(dice.pick(types), 4, &dice)],
                &dice)
        }
    }

    // MARK: Parts

    private func tag(_ dice: inout FuzzDice) -> UInt32 { dice.oneIn(30) ? 0 : dice.uint32() }

    /// An INIT or INIT ACK: `tag` is what its sender wants to be called by.
    private func greeting(_ type: UInt8, _ tag: UInt32, _ dice: inout FuzzDice) -> [UInt8] {
        let rest: [UInt8] = [0, 0, 0xFF, 0xFF, 0, 1, 0, 1, 0, 0, 0, 1]
        let value = tag.bytes + (dice.oneIn(16) ? Array(rest.prefix(dice.below(12))) : rest)
        return [type, 0] + UInt16(4 + value.count).bytes + value
    }

    private func chunk(_ type: UInt8, _ byteCount: Int, _ dice: inout FuzzDice) -> [UInt8] {
        [type, dice.oneIn(8) ? dice.pick([1, 2, 3, 255]) : 0] + UInt16(4 + byteCount).bytes
            + [UInt8](repeating: 0, count: byteCount)
    }

    private func packet(
        _ side: Int, _ tag: UInt32, _ chunks: [[UInt8]], _ dice: inout FuzzDice
    ) -> TCPFlow.Segment {
        let (source, destination) = path.ends(fromClient: side == 0)
        var bytes: [UInt8] = []
        SCTPHeader(
            sourcePort: source.port, destinationPort: destination.port, verificationTag: tag
        ).append(to: &bytes)
        for chunk in chunks {
            bytes += chunk
            bytes += [UInt8](repeating: 0, count: (4 - chunk.count % 4) % 4)
        }
        let sum = CRC32C.fieldValue(of: bytes.span)
        bytes.setBigEndian(dice.oneIn(30) ? sum ^ 1 : sum, at: 8)
        if dice.oneIn(40) { bytes = Array(bytes.prefix(dice.below(bytes.count))) }
        return TCPFlow.Segment(fromClient: side == 0, bytes: bytes)
    }
}
