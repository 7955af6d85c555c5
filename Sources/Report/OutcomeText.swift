import Conntrack
import Rainbow

// The readable side of the contract: one line a packet, made from the same record as the JSON, so
// that both always say the same.
//
//     0  0.000000 lan > wan    tcp 10.0.0.2:40001 > 198.51.100.7:80  new  forwarded  as 203.0.113.1:40001 > 198.51.100.7:80  [SYN_SENT 120 s]  NEW

/// Writes packets as lines for people.
public struct OutcomeText: Sendable {
    /// Whether words carry colour codes.
    public var isColoured: Bool
    /// Columns the longest interface name of the node needs.
    let interfaceColumns: Int

    public init(isColoured: Bool, interfaceNames: [String]) {
        self.isColoured = isColoured
        interfaceColumns = max(interfaceNames.map(\.count).max() ?? 0, 1)
    }

    /// A packet's line, without its line feed.
    public func line(_ outcome: PacketOutcome) -> String {
        var words = [
            Self.padded("\(outcome.packet)", toRight: 6),
            Self.padded(Self.microseconds(outcome.time), toRight: 12),
            way(outcome),
            outcome.tuple.map { Self.text($0, outcome.tuple?.proto ?? 0) } ?? "no tuple",
            coloured(outcome.state, Tone(state: outcome.state)),
            coloured(outcome.verdict, outcome.verdict == "dropped" ? .alarm : .plain),
        ]
        if let reason = outcome.reason {
            let place = outcome.hook.map { " at \($0)" } ?? ""
            words.append(coloured("(\(reason)\(place))", .alarm))
        }
        if let translation = Self.translation(outcome) { words.append("as \(translation)") }
        for answer in outcome.answers ?? [] {
            words.append("answered by \(answer.interface): \(AnswerText.words(answer.bytes))")
        }
        if let payload = outcome.payload {
            words.append("saying \"\(payload.after)\" for \"\(payload.before)\"")
        }
        if let entry = outcome.entry { words.append(Self.text(entry)) }
        for event in outcome.events ?? [] { words.append(coloured(event.type, .event)) }
        for reason in outcome.invalidReasons ?? [] {
            words.append(coloured("\"\(reason)\"", .warning))
        }
        if let evicted = outcome.evicted { words.append("evicted \(evicted)") }
        return words.joined(separator: "  ")
    }

    /// The way of an explained packet, step by step, and what was counted; empty for others.
    public func story(_ outcome: PacketOutcome) -> [String] {
        guard var lines = outcome.story else { return [] }
        let counted = (outcome.counters?.changes ?? []).map { change in
            change.name == "count"
                ? "entries now \(change.value)" : "\(change.name) +\(change.value)"
        }
        lines.append("  counted: \(counted.isEmpty ? "nothing" : counted.joined(separator: ", "))")
        lines.append("")
        return lines
    }

    /// The line about what happened before a packet, or `nil` where nothing did.
    public func line(before packet: Int, _ interlude: Interlude) -> String? {
        guard let events = interlude.events, !events.isEmpty else { return nil }
        var words = [Self.padded("", toRight: 6), "before \(packet):"]
        for event in events.prefix(Self.shownEvents) {
            words.append(coloured(event.type, .event))
            words.append(Self.text(event.entry.original, event.entry.proto))
        }
        if events.count > Self.shownEvents {
            words.append("and \(events.count - Self.shownEvents) more")
        }
        return words.joined(separator: "  ")
    }

    private static let shownEvents = 4

    // MARK: Parts

    /// `lan > wan`, padded to a column.
    private func way(_ outcome: PacketOutcome) -> String {
        let columns = interfaceColumns
        let ingress = outcome.ingress ?? "-"
        guard let egress = outcome.out?.first?.interface else {
            return Self.padded(ingress, columns * 2 + 3)
        }
        return Self.padded(ingress, columns) + " > " + Self.padded(egress, columns)
    }

    /// The tuple the packet left with, where translation changed it.
    static func translation(_ outcome: PacketOutcome) -> String? {
        guard let entry = outcome.entry, let direction = outcome.direction, outcome.out != nil,
            let tuple = outcome.tuple, tuple.proto == entry.proto
        else { return nil }
        let mapped = direction == "original" ? entry.reply : entry.original
        let left = TupleRecord.answer(to: mapped)
        guard
            left.source != tuple.source || left.destination != tuple.destination
                || left.sourcePort != tuple.sourcePort
                || left.destinationPort != tuple.destinationPort
        else { return nil }
        return text(left, 0)
    }

    /// `[ESTABLISHED 431999 s]`.
    private static func text(_ entry: EntryRecord) -> String {
        var words: [String] = []
        if let state = entry.tcp?.state ?? entry.sctp?.state { words.append(state) }
        if let timeout = entry.timeout { words.append("\(timeout) s") }
        if entry.status.contains("ASSURED") { words.append("assured") }
        return "[" + words.joined(separator: " ") + "]"
    }

    /// `tcp 10.0.0.2:40001 > 198.51.100.7:80`; without the protocol where `proto` is 0.
    static func text(_ tuple: TupleRecord, _ proto: Int) -> String {
        let ends = [(tuple.source, tuple.sourcePort), (tuple.destination, tuple.destinationPort)]
            .map { address, port in
                guard let port else { return address }
                return address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
            }
        var text = proto == 0 ? "" : protocolName(proto) + " "
        text += "\(ends[0]) > \(ends[1])"
        if let type = tuple.type { text += " type \(type) code \(tuple.code ?? 0)" }
        // Errors have no identifier, though their tuple has a place for one.
        if let id = tuple.id, hasIdentifier(tuple.type ?? 0) { text += " id \(id)" }
        if let key = tuple.destinationKey { text += " key 0x\(String(key, radix: 16))" }
        return text
    }

    /// Whether messages of an ICMP or ICMPv6 type carry an identifier: questions and answers do.
    private static func hasIdentifier(_ type: Int) -> Bool {
        switch type {
        case 0, 8, 13...18, 128, 129, 139, 140: true
        default: false
        }
    }

    private static func protocolName(_ proto: Int) -> String {
        let name = ProtocolName.inTool(UInt8(clamping: proto))
        return name == "unknown" ? "proto \(proto)" : name
    }

    /// `time` cut to microseconds.
    private static func microseconds(_ time: String) -> String {
        guard let point = time.firstIndex(of: ".") else { return time }
        return String(time.prefix(upTo: point) + time[point...].prefix(7))
    }

    private static func padded(_ text: String, _ columns: Int) -> String {
        text + String(repeating: " ", count: max(0, columns - text.count))
    }

    private static func padded(_ text: String, toRight columns: Int) -> String {
        String(repeating: " ", count: max(0, columns - text.count)) + text
    }

    // MARK: Colour

    /// What a word is, not which colour it has.
    enum Tone: Hashable {
        case plain, fresh, good, related, warning, alarm, faint, event

        init(state: String) {
            switch state {
            case "new": self = .fresh
            case "established": self = .good
            case "related": self = .related
            case "invalid": self = .warning
            default: self = .faint
            }
        }
    }

    private func coloured(_ text: String, _ tone: Tone) -> String {
        guard isColoured else { return text }
        switch tone {
        case .plain: return text
        case .fresh: return text.cyan
        case .good: return text.green
        case .related: return text.yellow
        case .warning: return text.lightRed
        case .alarm: return text.red.bold
        case .faint: return text.dim
        case .event: return text.magenta
        }
    }
}

extension TupleRecord {
    /// The tuple whose answer `tuple` is: ends swapped.
    ///
    /// Only its addresses and ports are meant to be read; an ICMP type is left as it is.
    static func answer(to tuple: TupleRecord) -> TupleRecord {
        var answer = tuple
        answer.source = tuple.destination
        answer.destination = tuple.source
        answer.sourcePort = tuple.destinationPort
        answer.destinationPort = tuple.sourcePort
        answer.type = nil
        answer.code = nil
        return answer
    }
}
