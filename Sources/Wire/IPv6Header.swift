/// The fixed IPv6 header (RFC 8200); what follows it is walked by `IPv6Chain`.
public struct IPv6Header: Sendable, Hashable, BitwiseCopyable {
    public static let byteCount = 40

    public var trafficClass: UInt8
    /// Twenty bits.
    public var flowLabel: UInt32
    /// Bytes after this header, as it claims.
    public var payloadByteCount: Int
    /// The protocol number of what follows the fixed header.
    public var nextHeader: UInt8
    public var hopLimit: UInt8
    public var source: Address
    public var destination: Address

    /// A header for a packet without payload, to be filled in by the caller.
    public init(source: Address, destination: Address, nextHeader: UInt8) {
        trafficClass = 0
        flowLabel = 0
        payloadByteCount = 0
        self.nextHeader = nextHeader
        hopLimit = 64
        self.source = source
        self.destination = destination
    }

    /// Bytes of the packet as the header claims, header included.
    ///
    /// A payload length of zero before a hop-by-hop header is no claim (RFC 2675): then the packet
    /// is what is `present`, which the kernel does not ask a jumbo option for.
    @inlinable
    public func totalByteCount(present: Int) -> Int {
        if payloadByteCount == 0, nextHeader == IPv6Extension.hopByHop { return present }
        return Self.byteCount + payloadByteCount
    }

    /// Reads the header of a packet that arrived, with the checks IPv6 input makes before any hook
    /// sees the packet.
    ///
    /// Version 6, 40 bytes, a payload that is all there, no multicast source, no loopback address,
    /// no destination of interface-local or reserved scope, and hop-by-hop options that do not ask
    /// for the packet to be dropped (`IPv6HopByHop`). All observed on 6.18.
    ///
    /// Bytes beyond `totalByteCount(present:)` are link padding; the caller trims them.
    public init(parsing bytes: Span<UInt8>) throws(ParseError) {
        try self.init(quoted: bytes)
        guard bytes[0] >> 4 == 6 else {
            throw .badField(.ipv6, .version, found: Int(bytes[0] >> 4))
        }
        let total = totalByteCount(present: bytes.count)
        guard total <= bytes.count else {
            throw .badField(.ipv6, .payloadLength, found: payloadByteCount)
        }
        let loopback = Address(high: 0, low: 1)
        guard source.high >> 56 != 0xff, source != loopback else {
            throw .badField(.ipv6, .source, found: Int(source.high >> 48))
        }
        let isNarrowMulticast = destination.high >> 56 == 0xff && destination.high >> 48 & 0xf < 2
        guard !isNarrowMulticast, destination != loopback else {
            throw .badField(.ipv6, .destination, found: Int(destination.high >> 48))
        }
        if nextHeader == IPv6Extension.hopByHop {
            try IPv6HopByHop.check(bytes.extracting(Self.byteCount..<total))
        }
    }

    /// Reads the header of a packet quoted in an ICMPv6 error: only its 40 bytes have to be there.
    public init(quoted packet: Span<UInt8>) throws(ParseError) {
        guard packet.count >= Self.byteCount else {
            throw .truncated(.ipv6, found: packet.count, needed: Self.byteCount)
        }
        let bytes = packet.extracting(0..<Self.byteCount)  // Bounds are checked here, once.
        let first = bytes.bigEndianUInt32(at: 0)
        trafficClass = UInt8(truncatingIfNeeded: first >> 20)
        flowLabel = first & 0xf_ffff
        payloadByteCount = Int(bytes.bigEndianUInt16(at: 4))
        nextHeader = bytes[6]
        hopLimit = bytes[7]
        source = bytes.ipv6Address(at: 8)
        destination = bytes.ipv6Address(at: 24)
    }

    /// Appends the header as it stands.
    ///
    /// Values beyond their field are cut to its width.
    public func append(to bytes: inout [UInt8]) {
        bytes.appendBigEndian(0x6000_0000 | UInt32(trafficClass) << 20 | flowLabel & 0xf_ffff)
        bytes.appendBigEndian(UInt16(truncatingIfNeeded: payloadByteCount))
        bytes.append(nextHeader)
        bytes.append(hopLimit)
        bytes.append(source, .ipv6)
        bytes.append(destination, .ipv6)
    }
}
