internal import Wire

extension PortPairs {
    /// Clears the CRC of a whole SCTP packet, if it is right.
    ///
    /// Returns whether it was.
    ///
    /// Unlike the checksums of others it keeps no sum: packets with different ports can only be
    /// compared without it.
    static func takeOutCRC(of words: inout [UInt16], byteCount: Int) -> Bool {
        guard let start = transport(in: words) else { return false }
        let crc = start + 4
        guard crc + 1 < words.count else { return false }
        var bytes: [UInt8] = []
        for word in words[start...] { bytes.appendBigEndian(word) }
        bytes.removeLast(max(0, words.count * 2 - byteCount))
        guard bytes.count >= SCTPHeader.byteCount else { return false }
        let right = CRC32C.fieldValue(of: bytes.span)
        guard right == UInt32(words[crc]) << 16 | UInt32(words[crc + 1]) else { return false }
        words[crc] = 0
        words[crc + 1] = 0
        return true
    }

    /// The word an unfragmented packet's SCTP header starts at; `nil` where it has none.
    private static func transport(in words: [UInt16]) -> Int? {
        guard words.count >= 20 || (words.count >= 10 && words[0] >> 12 == 4) else { return nil }
        switch words[0] >> 12 {
        case 4:
            // Neither an offset nor more fragments.
            guard words[3] & 0x3fff == 0, UInt8(words[4] & 0xff) == IPProtocol.sctp else {
                return nil
            }
            let start = Int(words[0] >> 8 & 0xf) * 2
            return start <= words.count ? start : nil
        case 6: return UInt8(words[3] >> 8) == IPProtocol.sctp ? 20 : nil
        default: return nil
        }
    }
}
