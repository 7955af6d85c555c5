/// CRC32c (Castagnoli), the checksum of SCTP (RFC 9260 appendix A).
public enum CRC32C {
    /// `tables[k][b]`: what byte `b` contributes when `k` more bytes follow it in a group of four.
    private static let tables: [[UInt32]] = {
        var first = [UInt32](repeating: 0, count: 256)
        for byte in 0..<256 {
            var value = UInt32(byte)
            for _ in 0..<8 {
                value = value & 1 == 1 ? value >> 1 ^ 0x82f6_3b78 : value >> 1
            }
            first[byte] = value
        }
        var tables = [first]
        for _ in 1..<4 {
            let previous = tables[tables.count - 1]
            tables.append(previous.map { $0 >> 8 ^ first[Int($0 & 0xff)] })
        }
        return tables
    }()

    /// The running remainder before any byte.
    private static let start = UInt32.max

    /// The CRC of `bytes`.
    public static func of(_ bytes: Span<UInt8>) -> UInt32 {
        ~extended(start, over: bytes)
    }

    /// The value for the checksum field of an SCTP packet, as `SCTPHeader.checksum` holds it.
    ///
    /// It is the CRC of the packet with that field taken as zero. It goes to the wire lowest byte
    /// first, so that read in network order its bytes are swapped.
    ///
    /// `packet` starts with the common header and has at least its twelve bytes.
    public static func fieldValue(of packet: Span<UInt8>) -> UInt32 {
        let zeros: [UInt8] = [0, 0, 0, 0]
        var remainder = extended(start, over: packet.extracting(0..<8))
        remainder = extended(remainder, over: zeros.span)
        remainder = extended(
            remainder, over: packet.extracting(SCTPHeader.byteCount..<packet.count))
        return (~remainder).byteSwapped
    }

    private static func extended(_ remainder: UInt32, over bytes: Span<UInt8>) -> UInt32 {
        let (t0, t1, t2, t3) = (tables[0], tables[1], tables[2], tables[3])
        var value = remainder
        var index = 0
        while index &+ 3 < bytes.count {
            value ^= UInt32(truncatingIfNeeded: bytes.littleEndianUInt32(at: index))
            value =
                t3[Int(value & 0xff)] ^ t2[Int(value >> 8 & 0xff)] ^ t1[Int(value >> 16 & 0xff)]
                ^ t0[Int(value >> 24)]
            index &+= 4
        }
        while index < bytes.count {
            value = value >> 8 ^ t0[Int((value ^ UInt32(bytes[index])) & 0xff)]
            index &+= 1
        }
        return value
    }
}
