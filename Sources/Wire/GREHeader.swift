/// A GRE header: version 0 (RFC 2784, 2890) or version 1, the PPTP form (RFC 2637).
public struct GREHeader: Sendable, Hashable, BitwiseCopyable {
    public static let minimumByteCount = 4
    /// What a version 1 header must have for its call id to be there.
    public static let callByteCount = 8
    /// The protocol type of version 1.
    public static let pptp: UInt16 = 0x880b

    /// Checksum, routing, key, sequence and the other bits above the version.
    public var flags: UInt16
    public var version: UInt8
    /// An EtherType; 0x880b for PPTP.
    public var protocolType: UInt16
    /// Version 1: bytes of the payload as claimed; 0 in version 0.
    public var payloadByteCount: UInt16
    /// Version 1: the call id; 0 in version 0.
    ///
    /// Tracking ignores the key option of version 0 (spec/protocols.md §8), so it is not read.
    public var callID: UInt16

    public init(version: UInt8, protocolType: UInt16, callID: UInt16 = 0) {
        flags = version == 1 ? 0x2000 : 0
        self.version = version
        self.protocolType = protocolType
        payloadByteCount = 0
        self.callID = callID
    }

    public init(parsing bytes: Span<UInt8>) throws(ParseError) {
        guard bytes.count >= Self.minimumByteCount else {
            throw .truncated(.gre, found: bytes.count, needed: Self.minimumByteCount)
        }
        let word = bytes.bigEndianUInt16(at: 0)
        flags = word & 0xfff8
        version = UInt8(word & 7)
        protocolType = bytes.bigEndianUInt16(at: 2)
        payloadByteCount = 0
        callID = 0
        guard version == 1 else { return }
        guard bytes.count >= Self.callByteCount else {
            throw .truncated(.gre, found: bytes.count, needed: Self.callByteCount)
        }
        payloadByteCount = bytes.bigEndianUInt16(at: 4)
        callID = bytes.bigEndianUInt16(at: 6)
    }

    /// Appends four bytes, or eight in version 1.
    public func append(to bytes: inout [UInt8]) {
        bytes.appendBigEndian(flags & 0xfff8 | UInt16(version & 7))
        bytes.appendBigEndian(protocolType)
        guard version == 1 else { return }
        bytes.appendBigEndian(payloadByteCount)
        bytes.appendBigEndian(callID)
    }
}
