internal import Wire

// A TCP connection as a trace plays it: mostly by the book, so that it gets somewhere, and at any
// step something else. Each side carries a rough idea of what a tracker knows about it, to aim at
// the edges of the window (spec tcp.md §6.4); it need not be right, only close.

/// What is known about one side of a connection.
struct TCPSide: Sendable {
    var next: UInt32 = 0
    /// One past the highest sequence number sent: `td_end`.
    var end: UInt32 = 0
    /// The right edge the other side has granted: `td_maxend`.
    var granted: UInt32 = 0
    /// The largest window advertised, scaled: `td_maxwin`.
    var window: UInt32 = 0
    /// The highest acknowledgment sent: `td_maxack`.
    var acknowledged: UInt32 = 0
    var scale: UInt8 = 0
    var hasFinished = false
}

struct TCPFlow: Sendable {
    let path: FlowPath
    /// How often a step is not by the book: once in so many.
    let tameness: Int
    /// 0 client, 1 server.
    private var sides = [TCPSide(), TCPSide()]
    private var phase = Phase.idle
    private var usesScale = false
    private var usesSACK = false
    /// The segments sent last, to be sent again.
    private var sent: [[UInt8]] = []

    private enum Phase: Sendable {
        case idle, opening, answered, open, closing, closed
    }

    init(_ path: FlowPath, tameness: Int) {
        self.path = path
        self.tameness = tameness
    }

    /// One segment, and who sends it.
    struct Segment: Sendable {
        var fromClient: Bool
        var bytes: [UInt8]
    }

    mutating func step(_ dice: inout FuzzDice) -> Segment {
        if dice.oneIn(tameness) { return stray(&dice) }
        switch phase {
        case .idle: return open(&dice)
        case .opening: return answer(&dice)
        case .answered: return complete(&dice)
        case .open: return transfer(&dice)
        case .closing: return close(&dice)
        case .closed: return afterwards(&dice)
        }
    }

    // MARK: By the book

    private mutating func open(_ dice: inout FuzzDice) -> Segment {
        usesScale = dice.oneIn(2)
        usesSACK = dice.oneIn(2)
        let old = sides[0].end
        // Near the wrap often; and for a reused port ahead of or behind the old connection.
        let start: UInt32 = dice.pick(weighted: [
            (4, dice.uint32()), (2, 0xFFFF_FF00 &+ UInt32(dice.below(0x200))),
            (2, old &+ UInt32(dice.below(100_000))), (1, old &- UInt32(dice.below(100_000))),
            (1, 0),
        ])
        sides = [TCPSide(), TCPSide()]
        sides[0].next = start
        phase = .opening
        return segment(0, [.syn], window(&dice), opening(0, &dice), [], &dice)
    }

    private mutating func answer(_ dice: inout FuzzDice) -> Segment {
        if dice.oneIn(12) {  // Simultaneous open.
            sides[1].next = dice.uint32()
            return segment(1, [.syn], window(&dice), opening(1, &dice), [], &dice)
        }
        sides[1].next = dice.oneIn(3) ? 0xFFFF_FFF0 : dice.uint32()
        phase = .answered
        return segment(1, [.syn, .ack], window(&dice), opening(1, &dice), [], &dice)
    }

    private mutating func complete(_ dice: inout FuzzDice) -> Segment {
        phase = .open
        return segment(0, [.ack], window(&dice), [], [], &dice)
    }

    private mutating func transfer(_ dice: inout FuzzDice) -> Segment {
        let side = dice.below(2)
        if dice.oneIn(10) { phase = .closing }
        let payload = [UInt8](repeating: 0, count: dice.pick([0, 0, 1, 5, 100, 536, 1000]))
        let flags: TCPFlags = dice.oneIn(3) ? [.ack, .psh] : [.ack]
        let options = dice.oneIn(8) ? sack(about: 1 - side, &dice) : stamps(&dice)
        return segment(side, flags, window(&dice), options, payload, &dice)
    }

    private mutating func close(_ dice: inout FuzzDice) -> Segment {
        let side = dice.below(2)
        if dice.oneIn(6) {
            phase = .closed
            return reset(side, &dice)
        }
        if !sides[side].hasFinished {
            sides[side].hasFinished = true
            return segment(side, [.fin, .ack], window(&dice), stamps(&dice), [], &dice)
        }
        if sides[1 - side].hasFinished { phase = .closed }
        return segment(side, [.ack], window(&dice), [], [], &dice)
    }

    private mutating func afterwards(_ dice: inout FuzzDice) -> Segment {
        if dice.oneIn(2) { return open(&dice) }
        return segment(dice.below(2), [.ack], window(&dice), [], [], &dice)
    }

    // MARK: Not by the book

    private mutating func stray(_ dice: inout FuzzDice) -> Segment {
        let side = dice.below(2)
        switch dice.below(10) {
        case 0...2:
            return aimed(side, flags(&dice), &dice)
        case 3, 4:
            return reset(side, &dice)
        case 5:
            return again(&dice) ?? aimed(side, [.ack], &dice)
        case 6:  // A SYN where none belongs, or the other side's.
            let old = sides[side].next
            sides[side].next = dice.oneIn(2) ? dice.uint32() : old &+ 5000
            let result = segment(
                side, dice.oneIn(3) ? [.syn, .ack] : [.syn], window(&dice), opening(side, &dice),
                [], &dice)
            if dice.oneIn(2) { sides[side].next = old }
            return result
        case 7:  // Mid-stream, as after a restart of the tracker.
            phase = .open
            return aimed(side, [.ack], &dice)
        case 8:  // A probe of a closed window.
            let old = sides[side].next
            sides[side].next = old &- 1
            let result = segment(side, [.ack], window(&dice), [], [], &dice)
            sides[side].next = old
            return result
        default:
            phase = dice.pick([.idle, .opening, .open, .closing, .closed])
            return aimed(side, [.ack, .psh], &dice)
        }
    }

    /// A segment whose numbers stand at an edge.
    private mutating func aimed(
        _ side: Int, _ flags: TCPFlags, _ dice: inout FuzzDice
    ) -> Segment {
        let me = sides[side]
        let peer = sides[1 - side]
        let payload = dice.pick([0, 0, 0, 1, 2, 100])
        let near = UInt32(truncatingIfNeeded: dice.within(-2...2))
        let sequence = dice.pick([
            me.next, me.granted, me.granted &+ peer.window, me.end &- peer.window,
            me.end &- peer.window &- UInt32(payload), me.end, peer.acknowledged,
            peer.acknowledged, 0, dice.uint32(),
        ])
        let reach = max(66_000, me.window)
        let acknowledgment = dice.pick([
            peer.end, peer.end, peer.next, peer.end &- reach, me.acknowledged, 0, dice.uint32(),
        ])
        var header = TCPHeader(sourcePort: 0, destinationPort: 0, flags: flags)
        header.sequence = sequence &+ near
        header.acknowledgment = acknowledgment &+ UInt32(truncatingIfNeeded: dice.within(-2...2))
        header.window = window(&dice)
        header.urgentPointer = flags.contains(.urg) ? 1 : 0
        let isOdd = dice.oneIn(4)
        let options =
            isOdd ? oddOptions(&dice) : dice.oneIn(6) ? sack(about: 1 - side, &dice) : []
        return emit(side, header, options, [UInt8](repeating: 0, count: payload))
    }

    /// A RST of one kind or another (spec tcp.md §5.5).
    private mutating func reset(_ side: Int, _ dice: inout FuzzDice) -> Segment {
        let me = sides[side]
        let peer = sides[1 - side]
        var header = TCPHeader(
            sourcePort: 0, destinationPort: 0, flags: dice.oneIn(2) ? [.rst] : [.rst, .ack])
        header.sequence = dice.pick([
            peer.acknowledged, peer.acknowledged &+ 1, peer.acknowledged &- 1, me.next, me.end,
            0, me.granted, me.granted &+ 1, me.granted &+ peer.window, dice.uint32(),
        ])
        header.acknowledgment = dice.pick([peer.next, peer.end, 0, me.acknowledged, dice.uint32()])
        header.window = dice.oneIn(2) ? 0 : window(&dice)
        return emit(side, header, [], [])
    }

    /// A segment of before, byte for byte.
    private func again(_ dice: inout FuzzDice) -> Segment? {
        guard !sent.isEmpty else { return nil }
        // The last one most often: retransmissions are counted.
        let index = dice.oneIn(2) ? sent.count - 1 : dice.below(sent.count)
        return Segment(fromClient: sent[index][0] == 0, bytes: Array(sent[index].dropFirst()))
    }

    // MARK: Parts

    private func flags(_ dice: inout FuzzDice) -> TCPFlags {
        if dice.oneIn(4) { return TCPFlags(rawValue: UInt8(dice.below(256))) }
        return dice.pick([
            [.ack], [.ack], [.ack, .psh], [.fin, .ack], [.fin, .ack, .psh], [.syn], [.syn, .ack],
            [.rst], [.rst, .ack], [.fin], [.syn, .fin], [.syn, .rst], [.ack, .urg], [.syn, .urg],
            [], [.syn, .ece, .cwr],
        ])
    }

    private func window(_ dice: inout FuzzDice) -> UInt16 {
        dice.pick([0, 1, 2, 100, 512, 1000, 8192, 29_200, 65_535, dice.uint16()])
    }

    /// Options of a SYN.
    private mutating func opening(_ side: Int, _ dice: inout FuzzDice) -> [UInt8] {
        if dice.oneIn(10) { return oddOptions(&dice) }
        var options: [UInt8] = dice.oneIn(3) ? [] : [2, 4, 5, 180]
        if usesSACK, !dice.oneIn(6) { options += [4, 2, 1, 1] }
        if usesScale, !dice.oneIn(6) {
            let scale = UInt8(dice.pick([0, 1, 2, 7, 8, 14, 15, 255]))
            sides[side].scale = min(14, scale)
            options += [1, 3, 3, scale]
        }
        if dice.oneIn(3) { options += stamp(&dice) }
        return options
    }

    private func stamps(_ dice: inout FuzzDice) -> [UInt8] { dice.oneIn(3) ? stamp(&dice) : [] }

    private func stamp(_ dice: inout FuzzDice) -> [UInt8] {
        [1, 1, 8, 10] + dice.uint32().bytes + dice.uint32().bytes
    }

    /// Selective acknowledgments of what the other side may have sent.
    private func sack(about other: Int, _ dice: inout FuzzDice) -> [UInt8] {
        let count = dice.within(1...3)
        var options: [UInt8] = [1, 1, 5, UInt8(2 + 8 * count)]
        for _ in 0..<count {
            let left = sides[other].end &- UInt32(dice.below(2000))
            let right = dice.pick([
                sides[other].end, sides[other].end &+ 1, left &+ UInt32(dice.below(3000)),
            ])
            options += left.bytes + right.bytes
        }
        if dice.oneIn(8) { options[3] = UInt8(dice.below(40)) }
        return options
    }

    /// Options that stop short, repeat, or run past the header.
    private func oddOptions(_ dice: inout FuzzDice) -> [UInt8] {
        dice.pick([
            [0, 0, 0, 0], [1, 1, 1, 1], [3, 0, 4, 2], [3, 1, 1, 0], [4, 3, 0, 0],
            [3, 3, 5, 4, 2, 3, 3, 9], [2, 40, 5, 180], [5, 2, 0, 0], [5, 10, 0, 1], [8, 10, 0, 0],
            [4, 2, 4, 2], [3, 4, 7, 7], [1, 3, 3, 9, 0, 3, 3, 2], [254, 4, 1, 1],
        ])
    }

    // MARK: Sending

    /// A segment with the numbers that are due.
    private mutating func segment(
        _ side: Int, _ flags: TCPFlags, _ window: UInt16, _ options: [UInt8], _ payload: [UInt8],
        _ dice: inout FuzzDice
    ) -> Segment {
        var header = TCPHeader(sourcePort: 0, destinationPort: 0, flags: flags)
        header.sequence = sides[side].next
        header.acknowledgment = flags.contains(.ack) ? sides[1 - side].next : 0
        header.window = window
        let length =
            UInt32(payload.count) + (flags.contains(.syn) ? 1 : 0) + (flags.contains(.fin) ? 1 : 0)
        sides[side].next &+= length
        return emit(side, header, options, payload)
    }

    /// Puts the bytes together, and takes note of what a tracker may learn from them.
    private mutating func emit(
        _ side: Int, _ header: TCPHeader, _ options: [UInt8], _ payload: [UInt8]
    ) -> Segment {
        let fromClient = side == 0
        let (source, destination) = path.ends(fromClient: fromClient)
        // Options fill whole words; a header cannot claim more than ten of them.
        let padding = [UInt8](repeating: 0, count: (4 - options.count % 4) % 4)
        let bytes = PacketMaker.tcp(
            from: source, to: destination, header, options: Array((options + padding).prefix(40)),
            payload: payload)
        note(side, header, UInt32(payload.count))
        sent.append([fromClient ? 0 : 1] + bytes)
        if sent.count > 8 { sent.removeFirst() }
        return Segment(fromClient: fromClient, bytes: bytes)
    }

    private mutating func note(_ side: Int, _ header: TCPHeader, _ payload: UInt32) {
        let isOpening = header.flags.contains(.syn)
        let end =
            header.sequence &+ payload &+ (isOpening ? 1 : 0)
            &+ (header.flags.contains(.fin) ? 1 : 0)
        let window = UInt32(header.window) << UInt32(isOpening ? 0 : sides[side].scale)
        if isOpening || Self.isAfter(end, sides[side].end) { sides[side].end = end }
        sides[side].window = max(isOpening ? 1 : sides[side].window, window)
        guard header.flags.contains(.ack) else { return }
        sides[side].acknowledged = header.acknowledgment
        let edge = header.acknowledgment &+ window
        let other = 1 - side
        if isOpening || Self.isAfter(edge, sides[other].granted) { sides[other].granted = edge }
    }

    private static func isAfter(_ left: UInt32, _ right: UInt32) -> Bool {
        Int32(bitPattern: left &- right) > 0
    }
}
