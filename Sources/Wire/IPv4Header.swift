/// The fixed part of an IPv4 header (RFC 791).
///
/// Options are the bytes between `minimumByteCount` and `headerByteCount`; whoever holds the
/// packet reads them there.
public struct IPv4Header: Sendable, Hashable, BitwiseCopyable {
    public static let minimumByteCount = 20

    /// Bytes of the header with its options: 20...60, a multiple of 4.
    public var headerByteCount: Int
    /// Bytes of the packet as the header claims, header included.
    public var totalByteCount: Int
    /// The whole TOS byte (DSCP and ECN).
    public var typeOfService: UInt8
    public var identification: UInt16
    /// The highest of the three flag bits, which has no meaning; kept so that emitting is exact.
    public var reservedFlag: Bool
    public var dontFragment: Bool
    public var moreFragments: Bool
    /// Bytes before this fragment in its datagram: 0...65528, a multiple of 8.
    public var fragmentOffset: Int
    public var timeToLive: UInt8
    public var protocolNumber: UInt8
    /// The checksum field as on the wire.
    public var checksum: UInt16
    public var source: Address
    public var destination: Address

    /// A header of 20 bytes for a packet without payload, to be filled in by the caller.
    public init(source: Address, destination: Address, protocolNumber: UInt8) {
        headerByteCount = Self.minimumByteCount
        totalByteCount = Self.minimumByteCount
        typeOfService = 0
        identification = 0
        reservedFlag = false
        dontFragment = false
        moreFragments = false
        fragmentOffset = 0
        timeToLive = 64
        self.protocolNumber = protocolNumber
        checksum = 0
        self.source = source
        self.destination = destination
    }

    /// Whether the packet is part of a larger datagram.
    @inlinable public var isFragment: Bool { moreFragments || fragmentOffset != 0 }

    /// Reads the header of a packet that arrived, with the checks IP input makes before any hook
    /// sees the packet: version 4, a header of at least five words that is all there, a correct
    /// header checksum, and a total length between the header's length and the bytes present.
    ///
    /// Bytes beyond `totalByteCount` are link padding; the caller trims them.
    public init(parsing bytes: Span<UInt8>) throws(ParseError) {
        guard bytes.count >= Self.minimumByteCount else {
            throw .truncated(.ipv4, found: bytes.count, needed: Self.minimumByteCount)
        }
        self.init(fixedPartOf: bytes)
        guard bytes[0] >> 4 == 4 else {
            throw .badField(.ipv4, .version, found: Int(bytes[0] >> 4))
        }
        guard headerByteCount >= Self.minimumByteCount else {
            throw .badField(.ipv4, .headerLength, found: headerByteCount)
        }
        guard bytes.count >= headerByteCount else {
            throw .truncated(.ipv4, found: bytes.count, needed: headerByteCount)
        }
        guard Checksum.of(bytes.extracting(0..<headerByteCount)) == 0 else {
            throw .badField(.ipv4, .checksum, found: Int(checksum))
        }
        guard totalByteCount >= headerByteCount, totalByteCount <= bytes.count else {
            throw .badField(.ipv4, .totalLength, found: totalByteCount)
        }
    }

    /// Reads the header of a packet quoted in an ICMP error: its 20 fixed bytes have to be there.
    ///
    /// No field is judged, because what a quotation leaves out says nothing about the packet;
    /// `headerByteCount` may be less than 20.
    public init(quoted bytes: Span<UInt8>) throws(ParseError) {
        guard bytes.count >= Self.minimumByteCount else {
            throw .truncated(.ipv4, found: bytes.count, needed: Self.minimumByteCount)
        }
        self.init(fixedPartOf: bytes)
    }

    /// The caller has checked that 20 bytes are present.
    private init(fixedPartOf packet: Span<UInt8>) {
        let bytes = packet.extracting(0..<Self.minimumByteCount)  // Bounds are checked here, once.
        headerByteCount = Int(bytes[0] & 0x0f) * 4
        typeOfService = bytes[1]
        totalByteCount = Int(bytes.bigEndianUInt16(at: 2))
        identification = bytes.bigEndianUInt16(at: 4)
        let fragmentWord = bytes.bigEndianUInt16(at: 6)
        reservedFlag = fragmentWord & 0x8000 != 0
        dontFragment = fragmentWord & 0x4000 != 0
        moreFragments = fragmentWord & 0x2000 != 0
        fragmentOffset = Int(fragmentWord & 0x1fff) * 8
        timeToLive = bytes[8]
        protocolNumber = bytes[9]
        checksum = bytes.bigEndianUInt16(at: 10)
        source = bytes.ipv4Address(at: 12)
        destination = bytes.ipv4Address(at: 16)
    }

    /// The 16 bits that hold the flags and the offset in units of eight bytes.
    public var fragmentWord: UInt16 {
        (reservedFlag ? 0x8000 : 0) | (dontFragment ? 0x4000 : 0) | (moreFragments ? 0x2000 : 0)
            | UInt16(truncatingIfNeeded: fragmentOffset / 8) & 0x1fff
    }

    /// Appends the header as it stands, with `options` after the fixed part.
    ///
    /// Every field is written as given, the checksum too: `setChecksum(in:at:)` fills in the right
    /// one. Lengths beyond their field are cut to its width.
    public func append(to bytes: inout [UInt8], options: [UInt8] = []) {
        bytes.append(0x40 | UInt8(truncatingIfNeeded: headerByteCount / 4) & 0x0f)
        bytes.append(typeOfService)
        bytes.appendBigEndian(UInt16(truncatingIfNeeded: totalByteCount))
        bytes.appendBigEndian(identification)
        bytes.appendBigEndian(fragmentWord)
        bytes.append(timeToLive)
        bytes.append(protocolNumber)
        bytes.appendBigEndian(checksum)
        bytes.appendBigEndian(source.ipv4)
        bytes.appendBigEndian(destination.ipv4)
        bytes.append(contentsOf: options)
    }

    /// Computes and stores the checksum of the header that starts at `offset` in `bytes`.
    public static func setChecksum(in bytes: inout [UInt8], at offset: Int = 0) {
        bytes.setBigEndian(UInt16(0), at: offset + 10)
        let end = min(bytes.count, offset + Int(bytes[offset] & 0x0f) * 4)
        let sum = Checksum.of(bytes.span.extracting(offset..<max(offset, end)))
        bytes.setBigEndian(sum, at: offset + 10)
    }
}
