/// The common header of an SCTP packet (RFC 9260 §3.1).
public struct SCTPHeader: Sendable, Hashable, BitwiseCopyable {
    public static let byteCount = 12

    public var sourcePort: UInt16
    public var destinationPort: UInt16
    public var verificationTag: UInt32
    /// CRC32c of the packet, as the four bytes read in network order (`CRC32C.fieldValue`).
    public var checksum: UInt32

    public init(sourcePort: UInt16, destinationPort: UInt16, verificationTag: UInt32) {
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.verificationTag = verificationTag
        checksum = 0
    }

    public init(parsing bytes: Span<UInt8>) throws(ParseError) {
        guard bytes.count >= Self.byteCount else {
            throw .truncated(.sctp, found: bytes.count, needed: Self.byteCount)
        }
        sourcePort = bytes.bigEndianUInt16(at: 0)
        destinationPort = bytes.bigEndianUInt16(at: 2)
        verificationTag = bytes.bigEndianUInt32(at: 4)
        checksum = bytes.bigEndianUInt32(at: 8)
    }

    public func append(to bytes: inout [UInt8]) {
        bytes.appendBigEndian(sourcePort)
        bytes.appendBigEndian(destinationPort)
        bytes.appendBigEndian(verificationTag)
        bytes.appendBigEndian(checksum)
    }
}

/// The header of one chunk of an SCTP packet (RFC 9260 §3.2), and where it is.
///
/// Walking all of them:
///
///     var next: Int? = SCTPHeader.byteCount
///     while let offset = next, let chunk = SCTPChunk(in: packet, at: offset) {
///         …
///         next = chunk.nextOffset
///     }
public struct SCTPChunk: Sendable, Hashable, BitwiseCopyable {
    public static let headerByteCount = 4

    public var type: UInt8
    public var flags: UInt8
    /// Bytes of the chunk as it claims, its header included, padding not.
    public var byteCount: Int
    /// Where the chunk starts, in bytes from the start of the SCTP header.
    public var offset: Int

    /// Reads the chunk header at `offset`; `nil` when no whole chunk header is there.
    public init?(in packet: Span<UInt8>, at offset: Int) {
        guard offset >= 0, offset + Self.headerByteCount <= packet.count else { return nil }
        type = packet[offset]
        flags = packet[offset + 1]
        byteCount = Int(packet.bigEndianUInt16(at: offset + 2))
        self.offset = offset
    }

    /// Where the next chunk starts: this one's length, rounded up to four, further on.
    ///
    /// `nil` after a chunk of length zero, which would be its own successor.
    public var nextOffset: Int? {
        byteCount == 0 ? nil : offset + (byteCount + 3) / 4 * 4
    }
}
