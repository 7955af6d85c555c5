// Addresses as people and the kernel's tools write them: dotted decimal, RFC 5952, and the form
// with all 39 characters that /proc prints.

// MARK: Writing

extension Address {
    /// The address as `inet_ntop` prints it: `10.0.0.1`, `fd00::1`, `::ffff:10.0.0.1`.
    public func text(_ family: Family) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(family == .ipv4 ? 15 : 45)
        appendText(family, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The address as /proc prints it: IPv6 with every digit, in 39 characters.
    public func fullText(_ family: Family) -> String {
        guard family == .ipv6 else { return text(family) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(39)
        for (index, group) in groups.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ":")) }
            for shift in stride(from: 12, through: 0, by: -4) {
                bytes.append(Self.hexDigit(group >> UInt16(shift)))
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends what `text` returns, as ASCII.
    public func appendText(_ family: Family, to bytes: inout [UInt8]) {
        switch family {
        case .ipv4: Self.appendDotted(ipv4, to: &bytes)
        case .ipv6: appendCompressed(to: &bytes)
        }
    }

    /// The eight 16-bit groups of an IPv6 address, first group first.
    private var groups: [UInt16] {
        (0..<8).map { index in
            UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - index % 4 * 16))
        }
    }

    private func appendCompressed(to bytes: inout [UInt8]) {
        let groups = groups
        let zeros = Self.longestZeroRun(in: groups)
        // IPv4-compatible (::1.2.3.4) and IPv4-mapped (::ffff:1.2.3.4) addresses end dotted.
        let isDotted =
            zeros.lowerBound == 0
            && (zeros.count == 6 || zeros.count == 5 && groups[5] == 0xffff)
        var index = 0
        while index < (isDotted ? 6 : 8) {
            if index == zeros.lowerBound, !zeros.isEmpty {
                bytes.append(UInt8(ascii: ":"))
                index = zeros.upperBound
                if index == 8 { bytes.append(UInt8(ascii: ":")) }
                continue
            }
            if index > 0 { bytes.append(UInt8(ascii: ":")) }
            Self.appendHex(groups[index], to: &bytes)
            index += 1
        }
        guard isDotted else { return }
        bytes.append(UInt8(ascii: ":"))
        Self.appendDotted(UInt32(truncatingIfNeeded: low), to: &bytes)
    }

    /// The first longest run of at least two zero groups; empty when there is none.
    private static func longestZeroRun(in groups: [UInt16]) -> Range<Int> {
        var best = 0..<0
        var start: Int?
        for index in 0...groups.count {
            if index < groups.count, groups[index] == 0 {
                start = start ?? index
                continue
            }
            if let begin = start, index - begin >= 2, index - begin > best.count {
                best = begin..<index
            }
            start = nil
        }
        return best
    }

    private static func appendDotted(_ value: UInt32, to bytes: inout [UInt8]) {
        for shift in stride(from: 24, through: 0, by: -8) {
            let octet = UInt8(truncatingIfNeeded: value >> UInt32(shift))
            if octet >= 100 { bytes.append(UInt8(ascii: "0") + octet / 100) }
            if octet >= 10 { bytes.append(UInt8(ascii: "0") + octet / 10 % 10) }
            bytes.append(UInt8(ascii: "0") + octet % 10)
            if shift > 0 { bytes.append(UInt8(ascii: ".")) }
        }
    }

    private static func appendHex(_ group: UInt16, to bytes: inout [UInt8]) {
        var hasStarted = false
        for shift in stride(from: 12, through: 0, by: -4) {
            let digit = group >> UInt16(shift) & 0xf
            hasStarted = hasStarted || digit != 0 || shift == 0
            if hasStarted { bytes.append(hexDigit(digit)) }
        }
    }

    private static func hexDigit(_ value: UInt16) -> UInt8 {
        let digit = UInt8(value & 0xf)
        return digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
}

// MARK: Reading

extension Address {
    /// Reads an IPv4 or IPv6 address with the rules of `inet_pton`.
    ///
    /// Four decimal octets without leading zeros, or eight groups of hexadecimal digits with at
    /// most one `::` and possibly a dotted end. No zone, port, brackets or blanks.
    public static func parse(_ text: some StringProtocol) -> (Family, Address)? {
        // The longest form is 45 characters; a longer text is not copied to find that out.
        guard text.utf8.count <= 45 else { return nil }
        let bytes = Array(text.utf8)
        if bytes.contains(UInt8(ascii: ":")) {
            return parseIPv6(bytes[...]).map { (.ipv6, $0) }
        }
        return parseDotted(bytes[...]).map { (.ipv4, Address(ipv4: $0)) }
    }

    /// Reads a prefix such as `10.0.0.0/16` or `fd00::/64`.
    ///
    /// The length in bits has to fit the family. Bits beyond the prefix stay as written.
    public static func parsePrefix(_ text: some StringProtocol) -> (Family, Address, Int)? {
        guard let slash = text.lastIndex(of: "/"),
            let (family, address) = parse(text[..<slash])
        else { return nil }
        let digits = text[text.index(after: slash)...].utf8
        guard let length = decimal(digits, maximum: family.addressBits) else { return nil }
        return (family, address, length)
    }

    /// A number of plain digits without a leading zero, 0...`maximum`.
    private static func decimal(_ digits: some Collection<UInt8>, maximum: Int) -> Int? {
        guard let first = digits.first, digits.count <= 3 else { return nil }
        guard first != UInt8(ascii: "0") || digits.count == 1 else { return nil }
        var value = 0
        for digit in digits {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return value <= maximum ? value : nil
    }

    private static func parseDotted(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard let octet = decimal(part, maximum: 255) else { return nil }
            value = value << 8 | UInt32(octet)
        }
        return value
    }

    private static func parseIPv6(_ bytes: ArraySlice<UInt8>) -> Address? {
        var head: [UInt16] = []
        var tail: [UInt16]?  // The groups after `::`, once it was met.
        var rest = bytes
        if rest.starts(with: [UInt8(ascii: ":"), UInt8(ascii: ":")]) {
            tail = []
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: ":")) ?? rest.endIndex
            let word = rest[rest.startIndex..<end]
            let isLast = end == rest.endIndex
            guard let found = groups(of: word, mayBeDotted: isLast) else { return nil }
            if tail == nil { head += found } else { tail?.append(contentsOf: found) }
            guard head.count + (tail?.count ?? 0) <= 8 else { return nil }
            if isLast { break }
            rest = rest[(end + 1)...]
            if rest.first == UInt8(ascii: ":") {
                guard tail == nil else { return nil }
                tail = []
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil  // A single colon at the end.
            }
        }
        let missing = 8 - head.count - (tail?.count ?? 0)
        // `::` stands for at least one group; without it all eight have to be written.
        guard tail == nil ? missing == 0 : missing >= 1 else { return nil }
        let all = head + Array(repeating: 0, count: missing) + (tail ?? [])
        return Address(high: joined(all[0..<4]), low: joined(all[4..<8]))
    }

    /// One hexadecimal group, or the two groups of a dotted end.
    private static func groups(of word: ArraySlice<UInt8>, mayBeDotted: Bool) -> [UInt16]? {
        if mayBeDotted, word.contains(UInt8(ascii: ".")) {
            return parseDotted(word).map {
                [UInt16(truncatingIfNeeded: $0 >> 16), UInt16(truncatingIfNeeded: $0)]
            }
        }
        guard !word.isEmpty, word.count <= 4 else { return nil }
        var value: UInt16 = 0
        for character in word {
            guard let digit = hexValue(character) else { return nil }
            value = value << 4 | digit
        }
        return [value]
    }

    private static func hexValue(_ character: UInt8) -> UInt16? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(character - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(character - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(character - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    private static func joined(_ groups: ArraySlice<UInt16>) -> UInt64 {
        groups.reduce(0) { $0 << 16 | UInt64($1) }
    }
}
