/// The fixed part of a TCP header (RFC 9293); options are read by `TCPOptions`.
public struct TCPHeader: Sendable, Hashable, BitwiseCopyable {
    public static let minimumByteCount = 20

    public var sourcePort: UInt16
    public var destinationPort: UInt16
    public var sequence: UInt32
    public var acknowledgment: UInt32
    /// The data offset in bytes as claimed: 0...60.
    ///
    /// Less than 20, or more than the bytes present, is for the tracker to judge (spec/tcp.md §3).
    public var headerByteCount: Int
    /// The four bits between data offset and flags.
    public var reservedBits: UInt8
    public var flags: TCPFlags
    /// As on the wire, not scaled.
    public var window: UInt16
    public var checksum: UInt16
    public var urgentPointer: UInt16

    /// A header without options, to be filled in by the caller.
    public init(sourcePort: UInt16, destinationPort: UInt16, flags: TCPFlags) {
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        sequence = 0
        acknowledgment = 0
        headerByteCount = Self.minimumByteCount
        reservedBits = 0
        self.flags = flags
        window = 0
        checksum = 0
        urgentPointer = 0
    }

    /// Reads the 20 fixed bytes; no field is judged.
    public init(parsing segment: Span<UInt8>) throws(ParseError) {
        guard segment.count >= Self.minimumByteCount else {
            throw .truncated(.tcp, found: segment.count, needed: Self.minimumByteCount)
        }
        let bytes = segment.extracting(0..<Self.minimumByteCount)  // Bounds are checked here, once.
        sourcePort = bytes.bigEndianUInt16(at: 0)
        destinationPort = bytes.bigEndianUInt16(at: 2)
        sequence = bytes.bigEndianUInt32(at: 4)
        acknowledgment = bytes.bigEndianUInt32(at: 8)
        headerByteCount = Int(bytes[12] >> 4) * 4
        reservedBits = bytes[12] & 0x0f
        flags = TCPFlags(rawValue: bytes[13])
        window = bytes.bigEndianUInt16(at: 14)
        checksum = bytes.bigEndianUInt16(at: 16)
        urgentPointer = bytes.bigEndianUInt16(at: 18)
    }

    /// Where the option bytes lie in a segment of `byteCount` bytes; empty when there are none, or
    /// when the claimed header does not fit.
    @inlinable
    public func optionRange(in byteCount: Int) -> Range<Int> {
        guard headerByteCount > Self.minimumByteCount, headerByteCount <= byteCount else {
            return Self.minimumByteCount..<Self.minimumByteCount
        }
        return Self.minimumByteCount..<headerByteCount
    }

    /// Appends the fixed part as it stands, with `options` after it.
    public func append(to bytes: inout [UInt8], options: [UInt8] = []) {
        bytes.appendBigEndian(sourcePort)
        bytes.appendBigEndian(destinationPort)
        bytes.appendBigEndian(sequence)
        bytes.appendBigEndian(acknowledgment)
        bytes.append(
            UInt8(truncatingIfNeeded: headerByteCount / 4) << 4 | reservedBits & 0x0f)
        bytes.append(flags.rawValue)
        bytes.appendBigEndian(window)
        bytes.appendBigEndian(checksum)
        bytes.appendBigEndian(urgentPointer)
        bytes.append(contentsOf: options)
    }
}
