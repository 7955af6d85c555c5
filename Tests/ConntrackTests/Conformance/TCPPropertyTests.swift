import Testing
import Wire

@testable import Conntrack

/// What holds for every TCP conversation, over many random ones.
///
/// Each packet is also held to the rules of `Exchange.checkEntry`: ASSURED and SEEN_REPLY are never
/// cleared, a packet that was not counted never extends a timeout, and an INVALID packet changes
/// nothing but the `invalid` counter (the exceptions of spec tcp.md §6.2 and §6.7 apart).
@Suite("TCP properties")
struct TCPPropertyTests {
    static let seeds = UInt64(0)..<150

    @Test("any conversation keeps the rules of every packet", arguments: seeds)
    func rules(seed: UInt64) {
        var talk = RandomTalk(seed: seed)
        var x = talk.begin()
        for _ in 0..<60 { talk.sendOne(through: &x) }
        let listed = x.node.list(at: x.now).count
        x.expect("entries listed, against the count,", listed, Int(x.node.count))
    }

    @Test("a closed connection stays closed, except by SYN", arguments: seeds)
    func closedStaysClosed(seed: UInt64) {
        var talk = RandomTalk(seed: seed)
        var x = talk.begin()
        x.shakeHands(.full(7), .full(7))
        x.o(.rst, "CLOSE/10 A")
        for _ in 0..<40 {
            talk.sendOne(through: &x, with: talk.drawFlags { !$0.contains(.syn) })
            // Its 10 s may be over; what follows is another connection.
            if x.events.contains(where: { $0.kind == .destroy }) { break }
            guard x.tcp.state != .none else { break }
            x.expect("state", x.tcp.state, .close)
        }
    }

    @Test("a message is sent for exactly the changes of state", arguments: seeds)
    func events(seed: UInt64) {
        var talk = RandomTalk(seed: seed)
        var x = talk.begin()
        for _ in 0..<60 { talk.sendOne(through: &x) }
        var states: [Tuple: UInt8] = [:]
        for event in x.events {
            let was = states[event.entry.original]
            switch event.kind {
            case .new:
                x.expect("state before NEW", was, nil)
                states[event.entry.original] = event.entry.protocolState
            case .update:
                x.expect("there was a NEW", was != nil, true)
                x.expect(
                    "protocol part", event.hasProtocolPart, was != event.entry.protocolState)
                states[event.entry.original] = event.entry.protocolState
            case .destroy:
                x.expect("there was a NEW", was != nil, true)
                states[event.entry.original] = nil
            }
        }
        for entry in x.node.list(at: x.now) {
            x.expect("listed state", states[entry.original], entry.protocolState)
        }
    }

    @Test("the same seed gives the same conversation", arguments: UInt64(0)..<20)
    func repeats(seed: UInt64) {
        var texts: [[String]] = []
        for _ in 0..<2 {
            var talk = RandomTalk(seed: seed)
            var x = talk.begin()
            for _ in 0..<60 { talk.sendOne(through: &x) }
            texts.append(x.conversation)
        }
        #expect(texts.first == texts.last, "seed \(seed)")
    }
}

/// Draws segments that are wrong often, but near enough to matter.
struct RandomTalk {
    private let seed: UInt64
    private var dice: Dice

    init(seed: UInt64) {
        self.seed = seed
        dice = Dice(seed: seed)
    }

    mutating func begin() -> Exchange {
        var x = Exchange([
            "nf_conntrack_tcp_loose": flip(), "nf_conntrack_tcp_be_liberal": oneIn(6),
            "nf_conntrack_tcp_ignore_invalid_rst": oneIn(4),
        ])
        x.note("seed \(seed)")
        return x
    }

    private mutating func flip() -> Int { Int(dice.below(2)) }
    private mutating func oneIn(_ whole: UInt32) -> Int { dice.chance(of: 1, in: whole) ? 1 : 0 }

    private mutating func pick<Value>(_ values: [Value]) -> Value {
        values[Int(dice.below(UInt32(values.count)))]
    }

    mutating func drawFlags(where isWanted: (TCPFlags) -> Bool = { _ in true }) -> TCPFlags {
        let common: [TCPFlags] = [
            .syn, .syn, .synAck, .synAck, .ack, .ack, .ack, .ack, .pshAck, .pshAck, .finAck,
            .finAck, .rst, .rstAck, [.fin], [.syn, .fin], [],
        ]
        while true {
            let flags = pick(common)
            if isWanted(flags) { return flags }
        }
    }

    /// Sends one segment of either host, after a while.
    mutating func sendOne(through x: inout Exchange, with chosen: TCPFlags? = nil) {
        let flags = chosen ?? drawFlags()
        let host: Host = dice.chance(of: 1, in: 2) ? .o : .r
        let me = host == .o ? x.tcp.original : x.tcp.reply
        let peer = host == .o ? x.tcp.reply : x.tcp.original
        // Mostly short; now and then long enough for something to expire.
        let pause = pick([0, 0, 0, 0, 0.1, 0.5, 2, 12, 70, 130])
        if pause > 0 { x.wait(seconds: pause) }
        let isOpening = me.maxWindow == 0
        let sequence = near(isOpening ? x.next[host, default: 0] : me.end, me.maxEnd)
        let acknowledgment = near(peer.end, me.maxAcknowledgment)
        let window = pick([0, 1, 500, 1000, 29_200, 65_535]) as UInt16
        let length = pick([0, 0, 1, 100, 1400])
        var options = SegmentOptions.none
        if flags.contains(.syn) {
            options = pick([.none, .full(7), .full(14), .scale(2), .sackPermitted])
        } else if dice.chance(of: 1, in: 8) {
            let right = near(peer.end, peer.maxEnd)
            options = .sack((right &- 100, right))
        }
        x.segment(
            host, flags, seq: sequence, ack: acknowledgment, win: window,
            length: flags.contains(.rst) ? 0 : length, with: options)
    }

    /// A number that mostly fits, often barely, sometimes not at all.
    private mutating func near(_ first: UInt32, _ second: UInt32) -> UInt32 {
        switch dice.below(16) {
        case 0..<9: first
        case 9: first &+ 1
        case 10: first &- 1
        case 11: second
        case 12: second &+ dice.below(3) &- 1
        case 13: first &+ dice.below(70_000)
        case 14: first &- dice.below(70_000)
        default: UInt32(truncatingIfNeeded: dice.next())
        }
    }
}
