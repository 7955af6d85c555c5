import Conntrack
import Foundation
import Wire

/// A connection read back from a line some tool printed.
///
/// The values are the line's; printing them again has to give the line's bytes.
struct ListedEntry {
    var entry: Entry
    var now = Instant.start
    var epochNanoseconds: UInt64 = 0
    var eventKind: EventKind?
    var hasProtocolPart = true
    var options: ListingOptions = []

    var base: TimeBase { TimeBase(tickRate: .reference, epochNanoseconds: epochNanoseconds) }
    var listing: Listing { Listing(base, options: options) }

    /// Reads a line of `conntrack -L`, `-E` or /proc/net/nf_conntrack.
    init(_ line: String) {
        var isExtended = false
        var at: UInt64?
        let halves = line.split(separator: "]\t").map(String.init)
        if halves.count == 2 {
            let parts = halves[0].dropFirst().split(separator: ".")
            at = (UInt64(parts[0]) ?? 0) * 1_000_000_000 + (UInt64(parts[1]) ?? 0) * 1000
        }
        var words = halves[halves.count - 1].split(separator: " ").map(String.init)
        if let first = words.first, first.hasPrefix("[") {
            eventKind = ["[NEW]": .new, "[UPDATE]": .update, "[DESTROY]": .destroy][first]
            words.removeFirst()
        }
        if words[0] == "ipv4" || words[0] == "ipv6" {
            isExtended = true
            words.removeFirst(2)
        }
        let number = UInt8(words[1]) ?? 0
        words.removeFirst(2)

        let isICMP = number == IPProtocol.icmp || number == IPProtocol.icmpv6
        var hasIdentifier = [false, false]
        var tuples: [Tuple] = []
        var counters: [(UInt64, UInt64)] = []
        var entry = Entry(original: .none, reply: .none)
        entry.status = .seenReply
        hasProtocolPart = false
        if let seconds = words.first.flatMap({ Int32($0) }) {
            entry.remainingTicks = seconds * 250
            words.removeFirst()
        }
        while let word = words.first {
            words.removeFirst()
            let pair = word.split(separator: "=", maxSplits: 1).map(String.init)
            let value = pair.count == 2 ? pair[1] : ""
            let part = UInt16(value) ?? 0
            switch pair[0] {
            case "src":
                let (family, address) = Address.parse(value) ?? (.ipv4, .zero)
                tuples.append(
                    Tuple(family, number, source: address, 0, destination: .zero, 0))
            case "dst":
                tuples[tuples.count - 1].destination = Address.parse(value)?.1 ?? .zero
            case "sport": tuples[tuples.count - 1].sourcePart = part
            case "dport": tuples[tuples.count - 1].destinationPart = part
            case "type": tuples[tuples.count - 1].destinationPart |= part << 8
            case "code": tuples[tuples.count - 1].destinationPart |= part
            case "id" where isICMP && !hasIdentifier[tuples.count - 1]:
                hasIdentifier[tuples.count - 1] = true
                tuples[tuples.count - 1].sourcePart = part
            case "id":
                entry.identifier = UInt32(value) ?? 0
                options.insert(.id)
            case "srckey": tuples[tuples.count - 1].sourcePart = Self.key(value)
            case "dstkey": tuples[tuples.count - 1].destinationPart = Self.key(value)
            case "packets": counters.append((UInt64(value) ?? 0, 0))
            case "bytes": counters[counters.count - 1].1 = UInt64(value) ?? 0
            case "[UNREPLIED]": entry.status.remove(.seenReply)
            case "[ASSURED]": entry.status.insert(.assured)
            case "mark": entry.mark = UInt32(value) ?? 0
            case "zone":
                entry.zoneOriginal = part
                entry.zoneReply = part
            case "zone-orig": entry.zoneOriginal = part
            case "zone-reply": entry.zoneReply = part
            case "delta-time":
                entry.hasTimestamp = true
                now = Instant.start + .seconds(Int64(value) ?? 0)
                entry.stop = now
            case "[start":
                let date = ([value] + words.prefix(4)).joined(separator: " ")
                words.removeFirst(4)
                epochNanoseconds = Self.unixNanoseconds(date)
                options.insert(.kernelTimestamp)
            case "use", "timeout", "stream_timeout", "helper", "portid", "progname",
                "[USERSPACE]":
                break
            default: Self.setState(word, number, &entry, &hasProtocolPart)
            }
        }
        entry.original = tuples[0]
        entry.reply = tuples[1]
        if counters.count == 2 {
            entry.hasAccounting = true
            (entry.packetsOriginal, entry.bytesOriginal) = counters[0]
            (entry.packetsReply, entry.bytesReply) = counters[1]
        }
        if isExtended { options.insert(.extended) }
        if let at {
            now = Instant(nanoseconds: at)
            options.insert(.timestamp)
        }
        self.entry = entry
    }

    private static func key(_ hex: String) -> UInt16 { UInt16(hex.dropFirst(2), radix: 16) ?? 0 }

    private static func setState(
        _ word: String, _ number: UInt8, _ entry: inout Entry, _ hasPart: inout Bool
    ) {
        let name = number == IPProtocol.sctp ? StateName.sctp : StateName.tcp
        guard let state = (UInt8(0)...9).first(where: { name($0) == word }) else { return }
        entry.protocolState = state
        hasPart = true
    }

    private static func unixNanoseconds(_ date: String) -> UInt64 {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(secondsFromGMT: 0)
        format.dateFormat = "EEE MMM d HH:mm:ss yyyy"
        let text = date.replacingOccurrences(of: "]", with: "")
        return UInt64(format.date(from: text)?.timeIntervalSince1970 ?? 0) * 1_000_000_000
    }

    /// What our writer makes of it.
    var eventLine: String {
        let event = ConntrackEvent(
            eventKind ?? .new, entry, hasProtocolPart: hasProtocolPart, at: now)
        return listing.eventLine(event)
    }
}
