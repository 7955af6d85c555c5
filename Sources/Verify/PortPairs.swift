internal import Report
internal import Wire

/// Ports (and ICMP ids) that address translation chose at random, once in each arm.
///
/// The first time an entry shows two different ones, they become a pair, provided each lies where
/// a choice may fall. From then on the pair has to hold, in entries and in bytes.
struct PortPairs: Sendable {
    /// Reply tuples of translated entries in the expected arm, and what they are in the other.
    private var found: [Key: Key] = [:]
    private var expected: [Key: Key] = [:]
    /// Pairs whose entries ended with the packet at hand.
    private var ended: [(Key, Key)] = []
    /// Ranges the rules name.
    private let ranges: [ClosedRange<Int>]
    /// Whether this packet made a new pair.
    private(set) var hasJustPaired = false

    private struct Key: Hashable, Sendable {
        var proto: Int
        var tuple: TupleRecord
    }

    init(ruleset: String) { ranges = Self.ranges(in: ruleset) }

    /// Whether two entries with the same original tuple and different reply tuples are the same
    /// but for a chosen port.
    mutating func accept(_ left: EntryRecord, _ right: EntryRecord) -> Bool {
        let one = Key(proto: left.proto, tuple: left.reply)
        let other = Key(proto: right.proto, tuple: right.reply)
        if let known = found[one] { return known == other }
        guard expected[other] == nil, isChoice(left, right) else { return false }
        found[one] = other
        expected[other] = one
        hasJustPaired = true
        return true
    }

    /// A packet's comparison begins.
    mutating func begin() {
        hasJustPaired = false
        for (one, other) in ended where found[one] == other { found[one] = nil }
        ended.removeAll(keepingCapacity: true)
    }

    /// An entry has ended.
    ///
    /// Its ports are free for another pair at once, but the packet that ended it still carries
    /// them.
    mutating func end(_ left: EntryRecord, _ right: EntryRecord) {
        let one = Key(proto: left.proto, tuple: left.reply)
        let other = Key(proto: right.proto, tuple: right.reply)
        guard found[one] == other else { return }
        expected[other] = nil
        ended.append((one, other))
    }

    // MARK: Choices

    /// Whether the reply tuples differ in one port only, and both ports may have been chosen.
    private func isChoice(_ left: EntryRecord, _ right: EntryRecord) -> Bool {
        var copy = right.reply
        var choices: [(Int, Int, Int?)] = []
        let (one, other) = (left.reply, right.reply)
        if one.destinationPort != other.destinationPort, let a = one.destinationPort,
            let b = other.destinationPort
        {
            choices.append((a, b, left.original.sourcePort))
            copy.destinationPort = a
        }
        if one.sourcePort != other.sourcePort, let a = one.sourcePort, let b = other.sourcePort {
            choices.append((a, b, left.original.destinationPort))
            copy.sourcePort = a
        }
        if one.id != other.id, let a = one.id, let b = other.id {
            choices.append((a, b, nil))
            copy.id = a
        }
        guard copy == one, choices.count == 1, let (a, b, original) = choices.first else {
            return false
        }
        return mayChoose(a, b, instead: original)
    }

    /// Whether one rule could have chosen either (spec nat.md §3: ports stay in their class).
    private func mayChoose(_ a: Int, _ b: Int, instead original: Int?) -> Bool {
        if ranges.contains(where: { $0.contains(a) && $0.contains(b) }) { return true }
        guard let original else { return true }  // ICMP ids have one class.
        let range = original < 512 ? 1...511 : original < 1024 ? 600...1023 : 1024...65535
        return range.contains(a) && range.contains(b)
    }

    /// Port ranges a ruleset names: `:1024-2048`.
    private static func ranges(in ruleset: String) -> [ClosedRange<Int>] {
        ruleset.split(whereSeparator: { " \t\n;".contains($0) }).compactMap { word in
            guard let colon = word.lastIndex(of: ":") else { return nil }
            let ends = word[word.index(after: colon)...].split(separator: "-").map { Int($0) }
            guard ends.count == 2, let low = ends[0], let high = ends[1], low <= high else {
                return nil
            }
            return low...high
        }
    }

    // MARK: Bytes

    /// Whether two outputs are the same but for the ports of one pair, with checksums to match.
    ///
    /// A right checksum keeps the one's complement sum of the packet; so does one that is wrong by
    /// the same amount in both. Hence: words differ only where the pair's ports or a checksum may
    /// stand, and the sums are equal: over all pieces, since a checksum may be in another one than
    /// the port.
    func areEquivalent(_ left: [OutputRecord], _ right: [OutputRecord]) -> Bool {
        if left == right { return true }
        guard !found.isEmpty, left.map(\.interface) == right.map(\.interface),
            left.map(\.bytes.utf8.count) == right.map(\.bytes.utf8.count)
        else { return false }
        var one = left.flatMap { Self.words($0.bytes) }
        var other = right.flatMap { Self.words($0.bytes) }
        if left.count == 1, Self.takeOutCRC(of: &one, byteCount: left[0].bytes.utf8.count / 2),
            Self.takeOutCRC(of: &other, byteCount: right[0].bytes.utf8.count / 2)
        {
            return one.indices.allSatisfy {
                one[$0] == other[$0] || isPair(Int(one[$0]), Int(other[$0]))
            }
        }
        let differing = one.indices.filter { one[$0] != other[$0] }
        if differing.isEmpty { return true }
        let ports = differing.filter { isPair(Int(one[$0]), Int(other[$0])) }
        // Beside the port up to three checksums: the transport's, for an error the quoted packet's
        // and the message's own.
        guard !ports.isEmpty, differing.count - ports.count <= 3 else { return false }
        if differing.count == ports.count {
            // No checksum has followed: right only for UDP without one, whose field stands three
            // words behind the source port.
            return ports.allSatisfy { Self.isZero(one, $0 + 3) || Self.isZero(one, $0 + 2) }
        }
        return Self.sum(one) == Self.sum(other)
    }

    private static func isZero(_ words: [UInt16], _ index: Int) -> Bool {
        index < words.count && words[index] == 0
    }

    private func isPair(_ a: Int, _ b: Int) -> Bool {
        found.contains { left, right in
            (left.tuple.destinationPort == a && right.tuple.destinationPort == b)
                || (left.tuple.sourcePort == a && right.tuple.sourcePort == b)
                || (left.tuple.id == a && right.tuple.id == b)
        }
    }

    private static func words(_ hex: String) -> [UInt16] {
        let digits = Array(hex.utf8)
        return stride(from: 0, to: digits.count, by: 4).map { start in
            var word: UInt16 = 0
            for index in start..<start + 4 {
                word = word << 4 | (index < digits.count ? digit(digits[index]) : 0)
            }
            return word
        }
    }

    /// Marks that are no digits count as something, equal for equal marks.
    private static func digit(_ byte: UInt8) -> UInt16 {
        UInt16(byte <= UInt8(ascii: "9") ? byte - UInt8(ascii: "0") : (byte | 0x20) &- 87)
    }

    /// The one's complement sum, with 0 and 0xffff the same.
    private static func sum(_ words: [UInt16]) -> Int {
        words.reduce(0) { $0 + Int($1) } % 0xFFFF
    }
}
