/// The hop-by-hop options of an arriving packet, as IPv6 input judges them (RFC 8200 §4.2, 4.3).
///
/// A packet whose options are not in order is dropped before any hook sees it. Observed on 6.18:
/// at most eight options besides padding; runs of padding of at most seven bytes, all zero; the
/// router alert two bytes long; of unknown options only those whose two highest bits are zero may
/// be skipped. Jumbo payloads, CALIPSO and IOAM need what the node does not have.
public enum IPv6HopByHop {
    /// Options besides padding that a header may carry (`max_hbh_opts_number`).
    public static let maximumOptionCount = 8
    /// Bytes of padding in one run.
    public static let maximumPaddingByteCount = 7

    /// Checks the header that `payload`, the bytes after the fixed header, starts with.
    public static func check(_ payload: Span<UInt8>) throws(ParseError) {
        guard payload.count >= 8 else {
            throw .truncated(.ipv6, found: payload.count, needed: 8)
        }
        let byteCount = (Int(payload[1]) + 1) * 8
        guard byteCount <= payload.count else {
            throw .truncated(.ipv6, found: payload.count, needed: byteCount)
        }
        try check(options: payload.extracting(2..<byteCount))
    }

    private static func check(options: Span<UInt8>) throws(ParseError) {
        var optionCount = 0
        var paddingByteCount = 0
        var index = 0
        while index < options.count {
            let type = options[index]
            let byteCount = try byteCount(ofOptionAt: index, in: options)
            if type <= 1 {
                paddingByteCount += byteCount
                let isClean = type == 0 || isZero(options, index + 2..<index + byteCount)
                guard paddingByteCount <= maximumPaddingByteCount, isClean else {
                    throw .badField(.ipv6, .hopByHopOption, found: Int(type))
                }
            } else {
                paddingByteCount = 0
                optionCount += 1
                guard optionCount <= maximumOptionCount, isAcceptable(type, byteCount) else {
                    throw .badField(.ipv6, .hopByHopOption, found: Int(type))
                }
            }
            index += byteCount
        }
    }

    /// Bytes of the option at `index`, type and length included: one for Pad1.
    private static func byteCount(
        ofOptionAt index: Int, in options: Span<UInt8>
    ) throws(ParseError) -> Int {
        guard options[index] != 0 else { return 1 }
        guard index + 1 < options.count else {
            throw .badField(.ipv6, .hopByHopOption, found: Int(options[index]))
        }
        let byteCount = Int(options[index + 1]) + 2
        guard index + byteCount <= options.count else {
            throw .badField(.ipv6, .hopByHopOption, found: Int(options[index]))
        }
        return byteCount
    }

    private static func isAcceptable(_ type: UInt8, _ byteCount: Int) -> Bool {
        switch type {
        case 0x05: byteCount == 4  // Router alert.
        case 0x07, 0x31: false  // CALIPSO, IOAM.
        default: type & 0xc0 == 0
        }
    }

    private static func isZero(_ options: Span<UInt8>, _ range: Range<Int>) -> Bool {
        for index in range where options[index] != 0 { return false }
        return true
    }
}
