public import Conntrack
internal import Wire

// `conntrack -L` and /proc/net/nf_conntrack, read back: spec formats.md §1 and §2.

/// A saved connection table.
public struct SavedTable: Sendable, Hashable {
    /// A connection as it was listed.
    public struct Line: Sendable, Hashable {
        /// Everything but its remaining life, which ticks of its node count.
        public var entry: Entry
        public var seconds: UInt32
        /// A helper read its payload.
        public var hasHelper: Bool
    }

    /// Wrong lines said at most: a file that is no table says so in few.
    private static let findingLimit = 10

    /// The file, for messages.
    public var file: String
    /// In the file's order.
    public var lines: [Line] = []

    /// Reads every line that is an entry; empty lines, comments and the tool's closing line are
    /// passed over.
    ///
    /// - Parameter findings: Takes the lines that are no entries, the first ten of them.
    init(_ text: String, file: String, findings: inout [Finding]) {
        self.file = file
        var wrong = 0
        let all = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (number, line) in all.enumerated() {
            let words = line.split { $0 == " " || $0 == "\t" || $0 == "\r" }
            guard !words.isEmpty, words[0] != "conntrack", words[0].first != "#" else { continue }
            if let line = Self.line(words) {
                lines.append(line)
                continue
            }
            wrong += 1
            guard wrong <= Self.findingLimit else { continue }
            findings.append(
                Finding(
                    file: file, line: number + 1, column: 1, found: "'\(line.prefix(60))'",
                    expected: "a line of conntrack -L or /proc/net/nf_conntrack"))
        }
    }

    private static func line(_ words: [Substring]) -> Line? {
        var words = words[...]
        var family: Family?
        if words.first == "ipv4" || words.first == "ipv6" {
            family = words.first == "ipv4" ? .ipv4 : .ipv6
            words = words.dropFirst(2)
        }
        guard words.count > 4 else { return nil }
        words = words.dropFirst()  // The protocol's name; its number says the same.
        guard let protocolNumber = words.popFirst().flatMap({ UInt8($0) }) else { return nil }
        var seconds: UInt32 = 0
        if let number = words.first.flatMap({ UInt32($0) }) {
            seconds = number
            words = words.dropFirst()
        }
        var state: UInt8 = 0
        if let word = words.first, !word.contains("="), !word.hasPrefix("[") {
            guard let known = self.state(String(word), protocolNumber) else { return nil }
            state = known
            words = words.dropFirst()
        }
        var tuples: [Side] = []
        var status: Status = [.confirmed, .seenReply]
        var mark: UInt32 = 0
        var zones = ZonePair.none
        var hasHelper = false
        for word in words {
            switch word {
            case "[UNREPLIED]": status.remove(.seenReply)
            case "[ASSURED]": status.insert(.assured)
            case "[OFFLOAD]", "[HW_OFFLOAD]": break
            default:
                let parts = word.split(separator: "=", maxSplits: 1)
                guard parts.count == 2 else { continue }
                if parts[0] == "src" { tuples.append(Side()) }
                switch parts[0] {
                case "mark": mark = UInt32(parts[1]) ?? 0
                case "helper": hasHelper = true
                case "zone", "zone-orig", "zone-reply":
                    guard let zone = UInt16(parts[1]) else { return nil }
                    if parts[0] != "zone-reply" { zones.original = zone }
                    if parts[0] != "zone-orig" { zones.reply = zone }
                default: break
                }
                guard !tuples.isEmpty else { continue }
                guard tuples[tuples.count - 1].take(String(parts[0]), String(parts[1])) else {
                    return nil
                }
            }
        }
        guard tuples.count == 2, let original = tuples[0].tuple(family, protocolNumber),
            let reply = tuples[1].tuple(family, protocolNumber)
        else { return nil }
        var entry = Entry(original: original, reply: reply)
        entry.status = status
        let hasPorts = protocolNumber == IPProtocol.tcp || protocolNumber == IPProtocol.udp
        if reply.destination != original.source
            || (hasPorts && reply.destinationPart != original.sourcePart)
        {
            entry.status.insert(.sourceNAT)
        }
        if reply.source != original.destination { entry.status.insert(.destinationNAT) }
        entry.protocolState = state
        entry.mark = mark
        entry.zoneOriginal = zones.original
        entry.zoneReply = zones.reply
        return Line(entry: entry, seconds: seconds, hasHelper: hasHelper)
    }

    private static func state(_ word: String, _ protocolNumber: UInt8) -> UInt8? {
        let name = protocolNumber == IPProtocol.sctp ? StateName.sctp : StateName.tcp
        return (UInt8(0)..<10).first { name($0) == word }
    }

    /// One direction of a line.
    private struct Side {
        var source: Address?
        var destination: Address?
        var family: Family?
        var sourcePart: UInt16 = 0
        var destinationPart: UInt16 = 0
        var type: UInt16 = 0
        var code: UInt16 = 0
        var identifier: UInt16?

        /// Takes one `key=value`; false where the value is none.
        mutating func take(_ key: String, _ value: String) -> Bool {
            switch key {
            case "src", "dst":
                guard let (family, read) = Address.parse(value) else { return false }
                self.family = family
                if key == "src" { source = read } else { destination = read }
            case "sport", "srckey": return set(\.sourcePart, value)
            case "dport", "dstkey": return set(\.destinationPart, value)
            case "type": return set(\.type, value)
            case "code": return set(\.code, value)
            case "id":
                guard let number = UInt16(value) else { return true }
                identifier = number
            default: break
            }
            return true
        }

        private mutating func set(
            _ path: WritableKeyPath<Side, UInt16>, _ value: String
        ) -> Bool {
            guard let number = UInt16(value) ?? UInt16(hexadecimal: value) else { return false }
            self[keyPath: path] = number
            return true
        }

        func tuple(_ known: Family?, _ protocolNumber: UInt8) -> Tuple? {
            guard let source, let destination, let family = known ?? family else { return nil }
            let isMessage =
                protocolNumber == IPProtocol.icmp || protocolNumber == IPProtocol.icmpv6
            return Tuple(
                family, protocolNumber, source: source,
                isMessage ? identifier ?? 0 : sourcePart, destination: destination,
                isMessage ? type << 8 | code : destinationPart)
        }
    }
}

extension UInt16 {
    /// `0x1f`, as GRE keys are printed.
    fileprivate init?(hexadecimal text: String) {
        guard text.hasPrefix("0x") else { return nil }
        self.init(text.dropFirst(2), radix: 16)
    }
}
