/// A UDP header (RFC 768), and the UDP-Lite header (RFC 3828), which has the coverage where UDP
/// has the length.
public struct UDPHeader: Sendable, Hashable, BitwiseCopyable {
    public static let byteCount = 8

    public var sourcePort: UInt16
    public var destinationPort: UInt16
    /// UDP: bytes of the datagram as claimed; UDP-Lite: bytes the checksum covers, 0 for all.
    ///
    /// Neither is judged here (spec/protocols.md §3, §4).
    public var lengthField: UInt16
    /// 0 means "not computed" in UDP.
    public var checksum: UInt16

    public init(sourcePort: UInt16, destinationPort: UInt16, lengthField: UInt16) {
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.lengthField = lengthField
        checksum = 0
    }

    public init(parsing bytes: Span<UInt8>) throws(ParseError) {
        guard bytes.count >= Self.byteCount else {
            throw .truncated(.udp, found: bytes.count, needed: Self.byteCount)
        }
        sourcePort = bytes.bigEndianUInt16(at: 0)
        destinationPort = bytes.bigEndianUInt16(at: 2)
        lengthField = bytes.bigEndianUInt16(at: 4)
        checksum = bytes.bigEndianUInt16(at: 6)
    }

    public func append(to bytes: inout [UInt8]) {
        bytes.appendBigEndian(sourcePort)
        bytes.appendBigEndian(destinationPort)
        bytes.appendBigEndian(lengthField)
        bytes.appendBigEndian(checksum)
    }
}
