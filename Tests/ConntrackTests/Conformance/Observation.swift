import Wire

@testable import Conntrack

/// What became of one packet, in the specification's notation.
///
/// `ESTABLISHED-reply SYN_RECV/60 flags 03,23 scales 7,5 count 1,1 counted`: class; state and
/// remaining seconds, then `U` (unreplied), `A` (assured) or nothing (replied, not assured); the
/// side flags in hex; the scales (SCTP: `tags 0,22b`, those expected, in hex); the packet counters; whether this packet was counted or
/// `ignored`. Protocols without states show the seconds alone; `gone` is no entry.
///
/// A counted packet sets the timeout, so its seconds are exact; others are rounded up.
struct Observation: CustomStringConvertible {
    enum Effect: String {
        case counted, ignored
    }

    var kind = ""
    var state = "gone"
    var flags: String?
    var scales: String?
    var tags: String?
    var packets: String?
    var effect: Effect?
    /// `invalid+1`, `error+1`, `drop+1`.
    var refusal: String?
    /// `dropped:ttl`; `nil` when the packet went on.
    var drop: String?

    init() {}

    /// `before`: the packet's entry as it was before the packet, if it still exists.
    init(_ delivery: Delivery, before: Entry?, _ change: Counters, clock: TickRate) {
        kind = Self.name(of: delivery.info)
        if delivery.verdict == .dropped {
            drop = "dropped:\(delivery.reason?.rawValue ?? "?")"
        }
        for (name, value) in change.named
        where value != 0 && (name == "invalid" || name == "error" || name == "drop") {
            refusal = "\(name)+\(value)"
        }
        guard let entry = delivery.entry else { return }
        let packetsBefore = before.map { $0.packetsOriginal + $0.packetsReply } ?? 0
        let isCounted = entry.packetsOriginal + entry.packetsReply != packetsBefore
        effect = isCounted ? .counted : .ignored
        describe(entry, isExact: isCounted, clock)
    }

    init(listed entry: Entry, clock: TickRate) {
        describe(entry, isExact: false, clock)
    }

    private mutating func describe(_ entry: Entry, isExact: Bool, _ clock: TickRate) {
        let hertz = Int(clock.hertz)
        let ticks = Int(entry.remainingTicks)
        var seconds = String((ticks + hertz - 1) / hertz)
        if isExact, ticks % hertz != 0 { seconds = "\(ticks)ticks" }
        if entry.protocolNumber == IPProtocol.tcp {
            state = (TCPState(rawValue: entry.protocolState)?.name ?? "?") + "/" + seconds
            flags = Self.hex(entry.flagsOriginal) + "," + Self.hex(entry.flagsReply)
            scales = "\(entry.windowScaleOriginal),\(entry.windowScaleReply)"
        } else if entry.protocolNumber == IPProtocol.sctp {
            state = StateName.sctp(entry.protocolState) + "/" + seconds
            tags = String(entry.tagOriginal, radix: 16) + "," + String(entry.tagReply, radix: 16)
        } else {
            state = seconds
        }
        if entry.status.contains(.assured) {
            state += " A"
        } else if !entry.status.contains(.seenReply) {
            state += " U"
        }
        packets = "\(entry.packetsOriginal),\(entry.packetsReply)"
    }

    static func name(of info: ConntrackInfo) -> String {
        switch info {
        case .new: "NEW"
        case .established: "ESTABLISHED"
        case .establishedReply: "ESTABLISHED-reply"
        case .related: "RELATED"
        case .relatedReply: "RELATED-reply"
        case .invalid: "INVALID"
        case .untracked: "UNTRACKED"
        case .none: "NONE"
        }
    }

    private static func hex(_ value: UInt8) -> String {
        let digits = String(value, radix: 16)
        return digits.count < 2 ? "0" + digits : digits
    }

    var description: String {
        var words = [kind, state]
        if let flags { words.append("flags \(flags)") }
        if let scales { words.append("scales \(scales)") }
        if let tags { words.append("tags \(tags)") }
        if let packets { words.append("count \(packets)") }
        if let effect { words.append(effect.rawValue) }
        if let refusal { words.append(refusal) }
        if let drop { words.append(drop) }
        return words.filter { !$0.isEmpty }.joined(separator: " ")
    }

    /// Where this differs from what was expected; `nil` where it does not.
    func problem(with expected: Expected?) -> String? {
        guard let expected else {
            return drop.map { "found \($0), expected the packet to go on" }
        }
        var found: [String] = []
        if let wanted = expected.kind, wanted != kind { found.append(kind) }
        if let wanted = expected.state, wanted != state { found.append(state) }
        if let wanted = expected.flags, wanted != flags { found.append("flags \(flags ?? "")") }
        if let wanted = expected.scales, wanted != scales {
            found.append("scales \(scales ?? "")")
        }
        if let wanted = expected.tags, wanted != tags { found.append("tags \(tags ?? "")") }
        if let wanted = expected.packets, wanted != packets {
            found.append("count \(packets ?? "")")
        }
        if let wanted = expected.effect, wanted != effect {
            found.append(effect?.rawValue ?? "no entry")
        }
        if let wanted = expected.refusal, wanted != refusal { found.append(refusal ?? "no count") }
        if expected.drop != drop { found.append(drop ?? "not dropped") }
        guard !found.isEmpty else { return nil }
        return "found \(found.joined(separator: ", ")), expected \(expected.text)"
    }
}

extension Counters {
    /// How far each counter has moved since an earlier reading.
    func change(since earlier: Counters) -> Counters {
        var change = self
        change.found &-= earlier.found
        change.invalid &-= earlier.invalid
        change.insert &-= earlier.insert
        change.insertFailed &-= earlier.insertFailed
        change.drop &-= earlier.drop
        change.earlyDrop &-= earlier.earlyDrop
        change.error &-= earlier.error
        change.searchRestart &-= earlier.searchRestart
        change.clashResolve &-= earlier.clashResolve
        change.chainTooLong &-= earlier.chainTooLong
        change.expectNew &-= earlier.expectNew
        change.expectCreate &-= earlier.expectCreate
        change.expectDelete &-= earlier.expectDelete
        return change
    }
}
