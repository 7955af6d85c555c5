import Conntrack
import FuzzTools
import Wire

// Any bytes as a life of a table: packets of a few flows, translated and not, several on their way at
// once, time, settings and flushes. After each step the table must be sound, and no lookup may return what has expired.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ base: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = unsafe FuzzInput(base, count)
    var node = FuzzGateway.make(seed: UInt64(input.byte()), max: 12, buckets: 4)
    var now = Instant.start
    var crowd = Crowd()
    while !input.isEmpty {
        let step = input.byte()
        switch step & 0xf {
        case 0: now.nanoseconds += UInt64(input.number16()) * 10_000_000
        case 1: node.advance(to: now)
        case 2:
            let entries = node.list(at: now)
            hold(entries.allSatisfy { $0.remainingTicks > 0 }, "an expired connection was listed")
            hold(entries.count <= Int(node.count), "more connections listed than counted")
        case 3 where step == 0xf3: node.flush(at: now)
        case 4:
            var sysctl = node.configuration.sysctl
            sysctl.max = UInt32(input.byte() & 0x1f)
            sysctl.buckets = UInt32(input.byte() & 0x3f) + 1
            sysctl.udpTimeout = UInt32(input.byte())
            node.apply(sysctl, at: now)
        case 5: crowd.begin(packet(&input, step), &node, at: now)
        case 6, 7: crowd.move(Int(input.byte()), &node, at: now)
        default:
            var packet = packet(&input, step)
            let moment = Moment(now, .reference)
            let isKnown = node.table.peek(packet.tuple, .none, .initial, at: moment) != nil
            let before = node.count
            _ = node.receive(&packet, at: now)
            hold(!isKnown || node.count <= before, "a known flow became another connection")
        }
        FuzzGateway.check(&node, holding: crowd.waiting.map(\.packet), at: now)
    }
    crowd.leave(&node)
    FuzzGateway.check(&node, at: now)
    return 0
}

/// Packets between two steps of their path, as a machine with several CPUs has them.
private struct Crowd {
    var waiting: [(packet: Packet, isAtConfirmation: Bool)] = []

    mutating func begin(_ packet: Packet, _ node: inout Node, at now: Instant) {
        guard waiting.count < 6 else { return }
        var packet = packet
        if node.begin(&packet, at: now) == nil { waiting.append((packet, false)) }
    }

    /// Takes one of them a step further.
    mutating func move(_ choice: Int, _ node: inout Node, at now: Instant) {
        guard !waiting.isEmpty else { return }
        let place = choice % waiting.count
        if waiting[place].isAtConfirmation {
            var packet = waiting.remove(at: place).packet
            _ = node.confirmAndLeave(&packet, at: now)
        } else if node.reachConfirmation(&waiting[place].packet, at: now) != nil {
            waiting.remove(at: place)
        } else {
            waiting[place].isAtConfirmation = true
        }
    }

    mutating func leave(_ node: inout Node) {
        for place in waiting.indices { node.discard(&waiting[place].packet) }
        waiting = []
    }
}

/// A packet of one of a few dozen flows, in either direction.
private func packet(_ input: inout FuzzInput, _ step: UInt8) -> Packet {
    let flow = input.byte()
    let kind = step >> 4
    let number = [IPProtocol.tcp, IPProtocol.udp, IPProtocol.sctp, IPProtocol.gre][Int(kind & 3)]
    var tuple = Tuple(
        .ipv4, number, source: Address(ipv4: 0x0a00_0002 + UInt32(flow & 3)),
        1024 + UInt16(flow >> 2 & 3), destination: Address(ipv4: 0xc633_6401), 53)
    if kind & 4 != 0 {
        tuple.family = .ipv6
        tuple.source = Address(high: 0xfd00 << 48, low: 2 + UInt64(flow & 3))
        tuple.destination = Address(high: 0xfd02 << 48, low: 1)
    }
    if kind & 8 != 0, let reply = tuple.inverted {
        tuple = reply
        // Answers to what was masqueraded.
        if flow & 0x80 != 0, tuple.family == .ipv4 {
            tuple.destination = Address(ipv4: 0xcb00_7101)
        }
    }
    var packet = Packet(tuple: tuple, networkByteCount: 60, transportByteCount: 40)
    packet.lengthField = 40
    packet.tcp.flags = TCPFlags(rawValue: input.byte())
    packet.tcp.sequence = UInt32(input.number16())
    packet.tcp.acknowledgment = UInt32(input.number16())
    packet.tcp.sackEdge = packet.tcp.acknowledgment
    packet.tcp.window = input.number16()
    return packet
}
