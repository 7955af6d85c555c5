internal import Wire

// FTP's control connection as a helper reads it: RFC 959, RFC 2428, spec protocols.md §13, and
// where that is brief, what was observed on 6.18. A line is looked at only where the helper knows
// that one begins, and only at the beginning of a segment.

/// The words an announcement begins with.
public enum FTPWord: UInt8, Sendable, Hashable, BitwiseCopyable {
    case port, extendedPort, passive, extendedPassive

    var text: String {
        switch self {
        case .port: "PORT"
        case .extendedPort: "EPRT"
        case .passive: "227 "
        case .extendedPassive: "229 "
        }
    }
}

/// What a segment of the control connection announces.
struct FTPAnnouncement: Hashable {
    var word: FTPWord
    /// `nil` for a `229`, which means the server's own.
    var address: Address?
    var family: Family
    var port: UInt16
    /// Where the figures stand in the payload.
    var place: Range<Int>
}

/// What a helper finds in a segment.
enum FTPReading: Hashable {
    case nothing
    /// A command that does not end here, or that nothing can be made of: the helper cannot follow,
    /// and drops the packet.
    case unreadable(FTPWord)
    case announcement(FTPAnnouncement)
}

enum FTP {
    /// How long a data connection is waited for.
    static let timeoutSeconds: UInt32 = 300
    /// Data connections a control connection may wait for at the same time.
    static let expectationLimit = 1

    /// Reads the beginning of a segment's payload.
    static func read(
        _ payload: [UInt8], _ direction: Direction, _ family: Family
    ) -> FTPReading {
        let words: [FTPWord] =
            direction == .original ? [.port, .extendedPort] : [.passive, .extendedPassive]
        for word in words {
            switch match(payload, word) {
            case .no: continue
            case .beginning: return .unreadable(word)
            case .whole:
                let found = announcement(payload, word, family)
                return found.map(FTPReading.announcement) ?? .unreadable(word)
            }
        }
        return .nothing
    }

    private static let wordByteCount = 4

    private enum Match {
        case no
        /// All there is could be the word, and nothing stands behind it.
        case beginning
        case whole
    }

    private static func match(_ payload: [UInt8], _ word: FTPWord) -> Match {
        for (byte, letter) in zip(payload, word.text.utf8) where byte.uppercased != letter {
            return .no
        }
        return payload.count > wordByteCount ? .whole : .beginning
    }

    /// The figures behind a command's word; `nil` where nothing can be made of them.
    private static func announcement(
        _ payload: [UInt8], _ word: FTPWord, _ family: Family
    ) -> FTPAnnouncement? {
        var reader = FTPFigures(payload, from: wordByteCount)
        switch word {
        case .port:
            guard reader.skip(behind: UInt8(ascii: " ")) else { return nil }
            return numbers(&reader, word, endingWith: UInt8(ascii: "\r"))
        case .passive:
            // Servers differ in what they write around the numbers.
            guard reader.skipToDigit() else { return nil }
            return numbers(&reader, word, endingWith: nil)
        case .extendedPort:
            guard reader.skip(behind: UInt8(ascii: " ")) else { return nil }
            return extendedPort(&reader, family)
        case .extendedPassive:
            guard reader.skip(behind: UInt8(ascii: "(")) else { return nil }
            return extendedPassive(&reader, family)
        }
    }

    /// `a,b,c,d,p,q`.
    ///
    /// Numbers beyond a byte run into each other, as in the kernel.
    private static func numbers(
        _ reader: inout FTPFigures, _ word: FTPWord, endingWith end: UInt8?
    ) -> FTPAnnouncement? {
        let start = reader.offset
        guard let found = reader.numbers(6, between: UInt8(ascii: ","), endingWith: end) else {
            return nil
        }
        let port = found[4] << 8 | found[5]
        return FTPAnnouncement(
            word: word, address: Address(ipv4: address(found)), family: .ipv4,
            port: UInt16(truncatingIfNeeded: port), place: start..<reader.offset)
    }

    private static func address(_ numbers: [UInt32]) -> UInt32 {
        numbers[0] << 24 | numbers[1] << 16 | numbers[2] << 8 | numbers[3]
    }

    /// `|1|10.0.0.2|5001|`, `|2|fd00::2|5001|`, with any delimiter that is no digit.
    private static func extendedPort(
        _ reader: inout FTPFigures, _ family: Family
    ) -> FTPAnnouncement? {
        let start = reader.offset
        let wanted = family == .ipv4 ? UInt8(ascii: "1") : UInt8(ascii: "2")
        guard let delimiter = reader.delimiter(),
            reader.byte(at: start + 1) == wanted, reader.byte(at: start + 2) == delimiter
        else { return nil }
        reader.offset = start + 3
        let found: Address
        switch family {
        case .ipv4:
            let numbers = reader.numbers(4, between: UInt8(ascii: "."), endingWith: delimiter)
            guard let numbers else { return nil }
            found = Address(ipv4: address(numbers))
        case .ipv6:
            guard let text = reader.text(before: delimiter),
                let (kind, address) = Address.parse(text), kind == .ipv6
            else { return nil }
            found = address
        }
        reader.offset += 1
        guard let port = reader.port(before: delimiter) else { return nil }
        return FTPAnnouncement(
            word: .extendedPort, address: found, family: family, port: port,
            place: start..<reader.offset)
    }

    /// `|||5001|`.
    private static func extendedPassive(
        _ reader: inout FTPFigures, _ family: Family
    ) -> FTPAnnouncement? {
        let start = reader.offset
        guard let delimiter = reader.delimiter(),
            reader.byte(at: start + 1) == delimiter, reader.byte(at: start + 2) == delimiter
        else { return nil }
        reader.offset = start + 3
        guard let port = reader.port(before: delimiter) else { return nil }
        return FTPAnnouncement(
            word: .extendedPassive, address: nil, family: family, port: port,
            place: start..<reader.offset)
    }

    // MARK: Writing

    /// The figures of an announcement, for another address and port.
    ///
    /// The delimiter is always `|`, and an IPv6 address is written in full.
    static func text(
        _ announcement: FTPAnnouncement, _ address: Address, port: UInt16, _ family: Family
    ) -> String {
        switch announcement.word {
        case .port, .passive:
            let dotted = address.text(.ipv4).split(separator: ".").joined(separator: ",")
            return "\(dotted),\(port >> 8),\(port & 0xff)"
        case .extendedPort:
            let text = family == .ipv4 ? address.text(.ipv4) : address.fullText(.ipv6)
            return "|\(family == .ipv4 ? 1 : 2)|\(text)|\(port)|"
        case .extendedPassive: return "|||\(port)|"
        }
    }
}

extension UInt8 {
    fileprivate var uppercased: UInt8 {
        self >= UInt8(ascii: "a") && self <= UInt8(ascii: "z") ? self - 32 : self
    }
}

/// The sequence numbers at which lines are known to begin, two in each direction.
struct FTPLines: BitwiseCopyable {
    private var first: UInt32 = 0
    private var second: UInt32 = 0
    private var count: UInt8 = 0

    /// Whether a line begins at this sequence number.
    func begins(at sequence: UInt32) -> Bool {
        (count > 0 && first == sequence) || (count > 1 && second == sequence)
    }

    /// Notes the sequence number behind a line feed.
    ///
    /// Of two that are known the older gives way, unless it is the newer after all.
    mutating func note(_ sequence: UInt32) {
        guard !begins(at: sequence) else { return }
        switch count {
        case 0:
            first = sequence
            count = 1
        case 1:
            second = sequence
            count = 2
        default:
            if first.precedes(second) {
                if first.precedes(sequence) { first = sequence }
            } else if second.precedes(sequence) {
                second = sequence
            }
        }
    }
}
