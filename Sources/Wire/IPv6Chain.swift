// The extension headers between the fixed IPv6 header and the transport header.

/// Protocol numbers of IPv6 extension headers (IANA).
public enum IPv6Extension {
    public static let hopByHop: UInt8 = 0
    public static let routing: UInt8 = 43
    public static let fragment: UInt8 = 44
    public static let authentication: UInt8 = 51
    public static let noNextHeader: UInt8 = 59
    public static let destinationOptions: UInt8 = 60
}

/// An IPv6 fragment header (RFC 8200 §4.5) and where it was found.
public struct IPv6FragmentHeader: Sendable, Hashable, BitwiseCopyable {
    public static let byteCount = 8

    /// The protocol number of what follows in the datagram's first fragment.
    public var nextHeader: UInt8
    /// Bytes before this fragment in the fragmentable part: 0...65528, a multiple of 8.
    public var offset: Int
    public var moreFragments: Bool
    public var identification: UInt32
    /// Where the fragment header starts, in bytes from the start of the packet.
    public var position: Int
    /// Where the byte is that names it: the next-header field of what precedes it.
    public var namedAt: Int

    public init(nextHeader: UInt8, offset: Int, moreFragments: Bool, identification: UInt32) {
        self.nextHeader = nextHeader
        self.offset = offset
        self.moreFragments = moreFragments
        self.identification = identification
        position = IPv6Header.byteCount
        namedAt = 6
    }

    /// Whether the "fragment" is a whole datagram: offset 0 and nothing more (RFC 6946).
    @inlinable public var isAtomic: Bool { offset == 0 && !moreFragments }

    /// Reads the eight bytes at `position`.
    public init(parsing packet: Span<UInt8>, at position: Int, namedAt: Int) throws(ParseError) {
        guard position + Self.byteCount <= packet.count else {
            throw .truncated(
                .ipv6, found: max(0, packet.count - position), needed: Self.byteCount)
        }
        let word = packet.bigEndianUInt16(at: position + 2)
        nextHeader = packet[position]
        offset = Int(word & 0xfff8)
        moreFragments = word & 1 != 0
        identification = packet.bigEndianUInt32(at: position + 4)
        self.position = position
        self.namedAt = namedAt
    }

    /// Appends the eight bytes; `position` and `namedAt` are not part of them.
    public func append(to bytes: inout [UInt8]) {
        bytes.append(nextHeader)
        bytes.append(0)
        bytes.appendBigEndian(
            UInt16(truncatingIfNeeded: offset) & 0xfff8 | (moreFragments ? 1 : 0))
        bytes.appendBigEndian(identification)
    }
}

/// Where the transport header of an IPv6 packet is, and what it is.
///
/// Hop-by-hop, routing, destination options, fragment and authentication headers are skipped. The
/// walk ends at the first other number, at a fragment header with an offset (what follows is the
/// middle of something), at "no next header", and where the bytes end. As in the kernel, the first
/// two bytes of a header are enough to skip it (four of a fragment header): it may claim more than
/// is there, and what follows is then empty. Observed on 6.18.
public struct IPv6Chain: Sendable, Hashable, BitwiseCopyable {
    /// The number of the first header that is not skipped.
    public var protocolNumber: UInt8
    /// Where that header starts, in bytes from the start of the packet; never beyond its end.
    public var transportOffset: Int
    /// The first fragment header on the way, if there is one.
    public var fragment: IPv6FragmentHeader?
    /// No transport header can be found: "no next header", or a chain cut off in the middle.
    public var isUnskippable: Bool

    /// Walks the chain of `packet`, which starts with its fixed header and is cut to its length.
    ///
    /// A quoted packet may be cut short; its chain is then unskippable.
    public init(walking packet: Span<UInt8>) {
        transportOffset = min(IPv6Header.byteCount, packet.count)
        fragment = nil
        guard packet.count >= IPv6Header.byteCount else {
            protocolNumber = IPv6Extension.noNextHeader
            isUnskippable = true
            return
        }
        var namedAt = 6
        protocolNumber = packet[namedAt]
        isUnskippable = false
        // Every turn moves on by at least eight bytes, so the packet's length bounds the loop.
        while Self.isSkipped(protocolNumber) {
            let isFragment = protocolNumber == IPv6Extension.fragment
            guard transportOffset + (isFragment ? 4 : 2) <= packet.count else {
                isUnskippable = true
                return
            }
            let byteCount = Self.byteCount(
                of: protocolNumber, lengthField: packet[transportOffset + 1])
            var isMiddle = false
            if isFragment {
                isMiddle = packet.bigEndianUInt16(at: transportOffset + 2) & 0xfff8 != 0
                let header = try? IPv6FragmentHeader(
                    parsing: packet, at: transportOffset, namedAt: namedAt)
                fragment = fragment ?? header
            }
            namedAt = transportOffset
            protocolNumber = packet[transportOffset]
            transportOffset = min(transportOffset + byteCount, packet.count)
            if isMiddle { return }
        }
        isUnskippable = protocolNumber == IPv6Extension.noNextHeader
    }

    /// Whether the walk goes over a header of this number.
    public static func isSkipped(_ number: UInt8) -> Bool {
        switch number {
        case IPv6Extension.hopByHop, IPv6Extension.routing, IPv6Extension.destinationOptions,
            IPv6Extension.authentication, IPv6Extension.fragment:
            true
        default: false
        }
    }

    /// Bytes of an extension header whose length field is `lengthField`.
    static func byteCount(of number: UInt8, lengthField: UInt8) -> Int {
        switch number {
        case IPv6Extension.fragment: IPv6FragmentHeader.byteCount
        case IPv6Extension.authentication: (Int(lengthField) + 2) * 4
        default: (Int(lengthField) + 1) * 8
        }
    }
}
