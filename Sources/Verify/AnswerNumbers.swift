internal import Report

/// What the machine draws or hashes with a secret for an ICMP answer of its own: the identification
/// of an IPv4 packet, the flow label of an IPv6 one.
enum AnswerNumbers {
    /// The packets without them, and without the header checksum that the one is in.
    ///
    /// Where that checksum is wrong it stays, and shows.
    static func without(_ answers: [OutputRecord]) -> [OutputRecord] {
        answers.map { record in
            guard let digits = masked(Array(record.bytes.utf8)) else { return record }
            return OutputRecord(
                interface: record.interface, bytes: String(decoding: digits, as: UTF8.self))
        }
    }

    private static func masked(_ digits: [UInt8]) -> [UInt8]? {
        guard digits.count >= 80 else { return nil }
        var digits = digits
        switch digits[0] {
        case UInt8(ascii: "4"):
            guard addsUp(digits), digits[18..<20] == [UInt8(ascii: "0"), UInt8(ascii: "1")] else {
                return nil
            }
            replace(8..<12, in: &digits)
            replace(20..<24, in: &digits)
        case UInt8(ascii: "6"):
            guard digits[12..<14] == [UInt8(ascii: "3"), UInt8(ascii: "a")] else { return nil }
            replace(3..<8, in: &digits)
        default: return nil
        }
        return digits
    }

    private static func replace(_ place: Range<Int>, in digits: inout [UInt8]) {
        for index in place { digits[index] = UInt8(ascii: "0") }
    }

    /// Whether the checksum of an IPv4 header is right.
    private static func addsUp(_ digits: [UInt8]) -> Bool {
        func word(_ index: Int) -> Int? {
            let text = String(decoding: digits[index * 4..<index * 4 + 4], as: UTF8.self)
            return Int(text, radix: 16)
        }
        guard let first = word(0) else { return false }
        let count = (first >> 8 & 15) * 2
        guard count * 4 <= digits.count else { return false }
        let words = (0..<count).compactMap(word)
        return words.count == count && words.reduce(0, +) % 0xffff == 0
    }
}
