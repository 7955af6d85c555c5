/// The first eight bytes of an ICMP (RFC 792) or ICMPv6 (RFC 4443) message.
///
/// What the last four mean depends on the type: identifier and sequence in queries, unused or an
/// MTU in errors.
public struct ICMPHeader: Sendable, Hashable, BitwiseCopyable {
    public static let byteCount = 8

    public var type: UInt8
    public var code: UInt8
    public var checksum: UInt16
    /// Bytes 4 and 5.
    public var identifier: UInt16
    /// Bytes 6 and 7.
    public var sequence: UInt16

    public init(type: UInt8, code: UInt8, identifier: UInt16 = 0, sequence: UInt16 = 0) {
        self.type = type
        self.code = code
        checksum = 0
        self.identifier = identifier
        self.sequence = sequence
    }

    public init(parsing bytes: Span<UInt8>) throws(ParseError) {
        guard bytes.count >= Self.byteCount else {
            throw .truncated(.icmp, found: bytes.count, needed: Self.byteCount)
        }
        type = bytes[0]
        code = bytes[1]
        checksum = bytes.bigEndianUInt16(at: 2)
        identifier = bytes.bigEndianUInt16(at: 4)
        sequence = bytes.bigEndianUInt16(at: 6)
    }

    public func append(to bytes: inout [UInt8]) {
        bytes.append(type)
        bytes.append(code)
        bytes.appendBigEndian(checksum)
        bytes.appendBigEndian(identifier)
        bytes.appendBigEndian(sequence)
    }
}
