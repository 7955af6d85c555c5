internal import Wire

/// Addresses as people write them.
enum AddressText {
    /// The longest spelling: an IPv6 address that ends in a dotted quad.
    static let maximumByteCount = 45

    /// Four decimal numbers of at most three digits, 0 to 255, with dots between them.
    static func ipv4(_ text: ArraySlice<UInt8>) -> Address? {
        var value: UInt32 = 0
        var part: UInt32 = 0
        var digits = 0
        var dots = 0
        for byte in text {
            if byte == UInt8(ascii: ".") {
                guard digits > 0, dots < 3 else { return nil }
                value = value << 8 | part
                part = 0
                digits = 0
                dots += 1
                continue
            }
            guard byte.isDigit, digits < 3 else { return nil }
            part = part * 10 + UInt32(byte - UInt8(ascii: "0"))
            digits += 1
            guard part <= 255 else { return nil }
        }
        guard dots == 3, digits > 0 else { return nil }
        return Address(ipv4: value << 8 | part)
    }

    /// RFC 4291 section 2.2: eight groups, `::` once for a run of zero groups, and a dotted quad
    /// in place of the last two.
    static func ipv6(_ text: ArraySlice<UInt8>) -> Address? {
        let colon = UInt8(ascii: ":")
        var groups: [UInt16] = []
        var gap: Int? = nil
        var index = text.startIndex
        if text.starts(with: [colon, colon]) {
            gap = 0
            index += 2
        }
        while index < text.endIndex {
            let end = text[index...].firstIndex(of: colon) ?? text.endIndex
            let part = text[index..<end]
            if part.contains(UInt8(ascii: ".")) {
                guard end == text.endIndex, groups.count <= 6, let quad = ipv4(part) else {
                    return nil
                }
                groups.append(UInt16(truncatingIfNeeded: quad.ipv4 >> 16))
                groups.append(UInt16(truncatingIfNeeded: quad.ipv4))
                index = end
                break
            }
            guard (1...4).contains(part.count), groups.count < 8 else { return nil }
            var group: UInt16 = 0
            for byte in part {
                guard let digit = byte.hexValue else { return nil }
                group = group << 4 | UInt16(digit)
            }
            groups.append(group)
            index = end
            guard index < text.endIndex else { break }
            index += 1
            if index == text.endIndex { return nil }  // A single colon at the end.
            if text[index] == colon {
                guard gap == nil else { return nil }
                gap = groups.count
                index += 1
            }
        }
        if let gap {
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        let high = groups[0..<4].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        let low = groups[4..<8].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        return Address(high: high, low: low)
    }
}
