/// Reads the figures of an FTP line, from left to right.
struct FTPFigures {
    private let payload: [UInt8]
    var offset: Int

    init(_ payload: [UInt8], from offset: Int) {
        self.payload = payload
        self.offset = offset
    }

    func byte(at offset: Int) -> UInt8? { offset < payload.count ? payload[offset] : nil }

    /// Goes on behind the next `byte`; false where there is none, or nothing behind it.
    mutating func skip(behind byte: UInt8) -> Bool {
        while offset + 1 < payload.count {
            offset += 1
            if payload[offset - 1] == byte { return true }
        }
        return false
    }

    /// Goes on to the next digit; false where there is none.
    mutating func skipToDigit() -> Bool {
        while let byte = byte(at: offset) {
            if byte.isFigure { return true }
            offset += 1
        }
        return false
    }

    /// What may separate the parts of an extended command: a printable character, and no digit.
    func delimiter() -> UInt8? {
        guard let byte = byte(at: offset), byte > 32, byte < 127, !byte.isFigure else { return nil }
        return byte
    }

    /// `count` numbers; the offset comes to stand on what ends them, which must be there: `end`, or
    /// any byte that belongs to no number.
    mutating func numbers(
        _ count: Int, between separator: UInt8, endingWith end: UInt8?
    ) -> [UInt32]? {
        var numbers: [UInt32] = [0]
        while let byte = byte(at: offset) {
            if byte.isFigure {
                let digit = UInt32(byte - UInt8(ascii: "0"))
                numbers[numbers.count - 1] = numbers[numbers.count - 1] &* 10 &+ digit
            } else if byte == separator {
                guard numbers.count < count else { return nil }
                numbers.append(0)
            } else {
                return numbers.count == count && (end == nil || byte == end) ? numbers : nil
            }
            offset += 1
        }
        return nil
    }

    /// The text up to the next `delimiter`, on which the offset comes to stand.
    mutating func text(before delimiter: UInt8) -> String? {
        let start = offset
        while let byte = byte(at: offset) {
            if byte == delimiter {
                return String(decoding: payload[start..<offset], as: UTF8.self)
            }
            // No address is longer.
            guard offset - start < 45 else { return nil }
            offset += 1
        }
        return nil
    }

    /// A port other than 0 and the `delimiter` behind it, which is consumed.
    ///
    /// A number beyond 65535 wraps, as in the kernel.
    mutating func port(before delimiter: UInt8) -> UInt16? {
        var port: UInt16 = 0
        while let byte = byte(at: offset) {
            offset += 1
            if byte == delimiter { return port == 0 ? nil : port }
            guard byte.isFigure else { return nil }
            port = port &* 10 &+ UInt16(byte - UInt8(ascii: "0"))
        }
        return nil
    }
}

extension UInt8 {
    fileprivate var isFigure: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
}
