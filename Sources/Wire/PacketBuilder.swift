// Composes whole packets, byte for byte, for tests and for the captures that ship. Lengths and
// checksums come out right; `Overrides` makes any of them wrong on purpose. Cold code: it allocates
// freely.

/// The network layer of packets to compose; the transport methods then make the bytes.
///
///     var lan = PacketBuilder(.ipv4, from: client, to: server)
///     lan.timeToLive = 63
///     let syn = lan.tcp(from: 40_000, to: 80, flags: .syn, options: [.maximumSegmentSize(1460)])
public struct PacketBuilder: Sendable {
    public var family: Family
    public var source: Address
    public var destination: Address
    /// TTL, or the hop limit.
    public var timeToLive: UInt8 = 64
    /// TOS, or the traffic class.
    public var typeOfService: UInt8 = 0
    /// IPv4 only.
    public var identification: UInt16 = 0
    /// IPv4 only.
    public var dontFragment = false
    /// IPv6 only; twenty bits.
    public var flowLabel: UInt32 = 0
    /// IPv4 only: at most 40 option bytes, filled up with zeros to whole words.
    public var options: [UInt8] = []
    /// IPv6 only: the headers between the fixed one and the transport, in order.
    public var extensions: [IPv6ExtensionHeader] = []
    /// What is to be wrong.
    public var overrides = Overrides()

    /// Values written in place of the right ones.
    public struct Overrides: Sendable, Hashable {
        public var version: UInt8?
        /// IPv4: IHL in bytes.
        public var headerByteCount: Int?
        /// IPv4: the total length; IPv6: the payload length.
        public var lengthField: Int?
        public var headerChecksum: UInt16?
        public var protocolNumber: UInt8?
        public var transportChecksum: UInt16?
        /// UDP: the length; UDP-Lite: the coverage.
        public var transportLengthField: UInt16?
        /// TCP: the data offset in bytes.
        public var transportHeaderByteCount: Int?
        /// The protocol number in the pseudo header of the transport checksum.
        public var pseudoHeaderProtocolNumber: UInt8?
        /// SCTP: the CRC32c as `SCTPHeader.checksum` has it.
        public var crc: UInt32?

        public init() {}
    }

    public init(_ family: Family, from source: Address, to destination: Address) {
        self.family = family
        self.source = source
        self.destination = destination
    }

    /// The same with source and destination exchanged: what the answer travels in.
    public var reversed: PacketBuilder {
        var other = self
        swap(&other.source, &other.destination)
        return other
    }

    /// A packet that carries `payload` as protocol `number`; `payload` is taken as it is.
    public func packet(carrying payload: [UInt8], as number: UInt8) -> [UInt8] {
        switch family {
        case .ipv4: ipv4Packet(carrying: payload, as: number)
        case .ipv6: ipv6Packet(carrying: payload, as: number)
        }
    }

    private func ipv4Packet(carrying payload: [UInt8], as number: UInt8) -> [UInt8] {
        let padding = (4 - options.count % 4) % 4
        let options = options + [UInt8](repeating: 0, count: padding)
        precondition(options.count <= 40, "IPv4 options take at most 40 bytes")
        var header = IPv4Header(
            source: source, destination: destination,
            protocolNumber: overrides.protocolNumber ?? number)
        let realByteCount = IPv4Header.minimumByteCount + options.count
        header.headerByteCount = overrides.headerByteCount ?? realByteCount
        header.totalByteCount = overrides.lengthField ?? realByteCount + payload.count
        header.typeOfService = typeOfService
        header.identification = identification
        header.dontFragment = dontFragment
        header.timeToLive = timeToLive

        var bytes: [UInt8] = []
        bytes.reserveCapacity(realByteCount + payload.count)
        header.append(to: &bytes, options: options)
        if let version = overrides.version { bytes[0] = version << 4 | bytes[0] & 0x0f }
        if let checksum = overrides.headerChecksum {
            bytes.setBigEndian(checksum, at: 10)
        } else {
            IPv4Header.setChecksum(in: &bytes)
        }
        return bytes + payload
    }

    private func ipv6Packet(carrying payload: [UInt8], as number: UInt8) -> [UInt8] {
        var next = overrides.protocolNumber ?? number
        var tail = payload
        for header in extensions.reversed() {
            tail = header.bytes(before: next) + tail
            next = header.number
        }
        var header = IPv6Header(source: source, destination: destination, nextHeader: next)
        header.trafficClass = typeOfService
        header.flowLabel = flowLabel
        header.payloadByteCount = overrides.lengthField ?? tail.count
        header.hopLimit = timeToLive

        var bytes: [UInt8] = []
        bytes.reserveCapacity(IPv6Header.byteCount + tail.count)
        header.append(to: &bytes)
        if let version = overrides.version { bytes[0] = version << 4 | bytes[0] & 0x0f }
        return bytes + tail
    }

    /// The checksum of `segment`, whose checksum field holds zero, with this packet's pseudo header.
    func transportChecksum(of segment: [UInt8], as number: UInt8, covering: Int? = nil) -> UInt16 {
        Checksum.transport(
            segment.span.extracting(0..<min(segment.count, covering ?? segment.count)), family,
            source: source, destination: destination,
            protocolNumber: overrides.pseudoHeaderProtocolNumber ?? number,
            byteCount: segment.count)
    }
}
