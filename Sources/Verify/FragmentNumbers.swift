internal import Report

/// The identification of IPv6 fragments.
///
/// Whoever divides a packet draws it at random, and the kernel divides again what it had put
/// together; what must hold is that pieces of one packet have the same one.
enum FragmentNumbers {
    /// The packets with their identifications replaced by marks (no hex digits) in order of
    /// appearance.
    static func renumbered(_ output: [OutputRecord]) -> [OutputRecord] {
        var marks: [[UInt8]: UInt8] = [:]
        return output.map { record in
            var digits = Array(record.bytes.utf8)
            guard let place = place(in: digits) else { return record }
            let number = Array(digits[place..<place + 8])
            let mark = marks[number] ?? UInt8(ascii: "g") &+ UInt8(truncatingIfNeeded: marks.count)
            marks[number] = mark
            digits.replaceSubrange(place..<place + 8, with: repeatElement(mark, count: 8))
            return OutputRecord(
                interface: record.interface, bytes: String(decoding: digits, as: UTF8.self))
        }
    }

    /// Where the eight digits of the identification begin; `nil` if this is no IPv6 fragment.
    private static func place(in digits: [UInt8]) -> Int? {
        guard digits.first == UInt8(ascii: "6") else { return nil }
        var next = byte(in: digits, at: 6)
        var offset = 40
        while let kind = next {
            switch kind {
            case 44: return (offset + 8) * 2 <= digits.count ? (offset + 4) * 2 : nil
            case 0, 43, 60:
                guard let length = byte(in: digits, at: offset + 1) else { return nil }
                next = byte(in: digits, at: offset)
                offset += (Int(length) + 1) * 8
            default: return nil
            }
        }
        return nil
    }

    private static func byte(in digits: [UInt8], at offset: Int) -> UInt8? {
        guard offset * 2 + 2 <= digits.count else { return nil }
        let pair = digits[offset * 2..<offset * 2 + 2]
        return UInt8(String(decoding: pair, as: UTF8.self), radix: 16)
    }
}
