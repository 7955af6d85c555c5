// The Internet checksum (RFC 1071): a one's complement sum of 16-bit words, and its complement in
// the header. `Checksum` is the sum on its way; `ChecksumChange` (Checksum+Change.swift) carries a
// checksum over to changed fields without summing the packet again.

/// A one's complement sum that bytes, words and pseudo headers are added to.
///
/// Whatever is added counts as starting at an even offset, so only the last piece may be odd.
public struct Checksum: Sendable, BitwiseCopyable {
    /// Sum of words as a little-endian machine reads them: the sum is the same with the bytes of
    /// each word swapped, in the sum too, and eight bytes are then one load.
    @usableFromInline var sum: UInt64 = 0

    @inlinable
    public init() {}

    /// Adds all of `bytes`, an odd last byte as if a zero followed.
    public mutating func add(_ bytes: Span<UInt8>) {
        // Four bytes a term in 64-bit sums: no carry to look after in anything that fits memory.
        // Each block is cut out first, so that its bounds are checked once and not per byte.
        var low: UInt64 = 0
        var high: UInt64 = 0
        var index = 0
        while bytes.count - index >= 32 {
            let block = bytes.extracting(index..<index + 32)
            low &+= block.littleEndianUInt32(at: 0) &+ block.littleEndianUInt32(at: 4)
            high &+= block.littleEndianUInt32(at: 8) &+ block.littleEndianUInt32(at: 12)
            low &+= block.littleEndianUInt32(at: 16) &+ block.littleEndianUInt32(at: 20)
            high &+= block.littleEndianUInt32(at: 24) &+ block.littleEndianUInt32(at: 28)
            index += 32
        }
        while bytes.count - index >= 4 {
            low &+= bytes.extracting(index..<index + 4).littleEndianUInt32(at: 0)
            index += 4
        }
        var shift: UInt64 = 0
        while index < bytes.count {
            low &+= UInt64(bytes[index]) << shift
            shift += 8
            index += 1
        }
        add(sum: low &+ high)
    }

    /// Adds a 16-bit word in host order.
    @inlinable
    public mutating func add(_ word: UInt16) {
        add(sum: UInt64(word.byteSwapped))
    }

    /// Adds a 32-bit word in host order.
    @inlinable
    public mutating func add(_ word: UInt32) {
        add(sum: UInt64(word.byteSwapped))
    }

    /// Adds an address.
    @inlinable
    public mutating func add(_ address: Address, _ family: Family) {
        let words = address.words
        add(words.3)
        if family == .ipv6 {
            add(words.0)
            add(words.1)
            add(words.2)
        }
    }

    /// Adds the pseudo header of a transport protocol (RFC 9293 §3.1, RFC 8200 §8.1).
    ///
    /// `byteCount` is the length the pseudo header names, in bytes.
    @inlinable
    public mutating func addPseudoHeader(
        _ family: Family, source: Address, destination: Address, protocolNumber: UInt8,
        byteCount: Int
    ) {
        add(source, family)
        add(destination, family)
        add(UInt32(truncatingIfNeeded: byteCount))
        add(UInt16(protocolNumber))
    }

    @inlinable
    mutating func add(sum other: UInt64) {
        let (total, overflow) = sum.addingReportingOverflow(other)
        sum = overflow ? total &+ 1 : total
    }

    /// The sum folded to 16 bits, in host order.
    ///
    /// 0xffff means "adds up" when the checksum field was among what was added.
    @inlinable public var folded: UInt16 {
        var value = (sum & 0xffff_ffff) &+ (sum >> 32)
        value = (value & 0xffff) &+ (value >> 16)
        value = (value & 0xffff) &+ (value >> 16)
        value = (value & 0xffff) &+ (value >> 16)
        return UInt16(truncatingIfNeeded: value).byteSwapped
    }

    /// What belongs into the checksum field: the complement of the sum, in host order.
    @inlinable public var field: UInt16 { ~folded }

    /// What belongs into a UDP checksum field, where zero means "none": a computed 0 is sent as
    /// its other form, 0xffff.
    @inlinable public var udpField: UInt16 { field == 0 ? 0xffff : field }
}

extension Checksum {
    /// The checksum of `bytes`; 0 when they include a correct checksum field.
    public static func of(_ bytes: Span<UInt8>) -> UInt16 {
        var sum = Checksum()
        sum.add(bytes)
        return sum.field
    }

    /// The checksum of a transport segment with its pseudo header; 0 when `bytes` include a correct
    /// checksum field.
    ///
    /// `byteCount` is the length named in the pseudo header where it differs from the bytes summed
    /// (UDP-Lite with partial coverage).
    public static func transport(
        _ bytes: Span<UInt8>, _ family: Family, source: Address, destination: Address,
        protocolNumber: UInt8, byteCount: Int? = nil
    ) -> UInt16 {
        var sum = Checksum()
        sum.addPseudoHeader(
            family, source: source, destination: destination, protocolNumber: protocolNumber,
            byteCount: byteCount ?? bytes.count)
        sum.add(bytes)
        return sum.field
    }
}

extension Span<UInt8> {
    /// Four bytes in little-endian order, widened for summing.
    @inlinable @inline(__always)
    func littleEndianUInt32(at offset: Int) -> UInt64 {
        UInt64(self[offset]) | UInt64(self[offset &+ 1]) << 8 | UInt64(self[offset &+ 2]) << 16
            | UInt64(self[offset &+ 3]) << 24
    }
}
