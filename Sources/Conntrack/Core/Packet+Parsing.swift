public import Wire

/// Where the parts of a packet's bytes lie, for whoever rewrites them.
///
/// Offsets count from the start of the network header; 0 stands for "not there".
public struct PacketLayout: Sendable, Hashable, BitwiseCopyable {
    public var transportOffset = 0
    /// The network header an ICMP error quotes, and the transport header behind it.
    public var quotedOffset = 0
    public var quotedTransportOffset = 0
    public var isFragment = false

    public init() {}
}

extension Packet {
    /// Reads a network-layer packet as IP input leaves it: a whole IPv4 or IPv6 packet, possibly a
    /// fragment, possibly with link padding behind it.
    ///
    /// A network header that IP input refuses throws. Anything wrong further in is noted in
    /// `health`: whether it matters is for the trackers to say. Transport checksums are summed only
    /// with `verifiesChecksum`, those of ICMP errors always; the packet counts as good otherwise.
    public init(
        parsing bytes: Span<UInt8>, verifiesChecksum: Bool, layout: inout PacketLayout
    ) throws(ParseError) {
        guard bytes.count > 0 else { throw .truncated(.ipv4, found: 0, needed: 20) }
        layout = PacketLayout()
        if bytes[0] >> 4 == 6 {
            try self.init(ipv6: bytes, verifiesChecksum, &layout)
        } else {
            try self.init(ipv4: bytes, IPv4Header(parsing: bytes), verifiesChecksum, &layout)
        }
    }

    /// Reads what can be read of an IPv4 packet that IP input refuses: enough to look it up.
    init?(refused bytes: Span<UInt8>) {
        guard var header = try? IPv4Header(quoted: bytes),
            header.headerByteCount >= IPv4Header.minimumByteCount,
            header.headerByteCount <= bytes.count
        else { return nil }
        header.totalByteCount = bytes.count
        var layout = PacketLayout()
        self.init(ipv4: bytes, header, false, &layout)
    }

    private init(
        ipv4 bytes: Span<UInt8>, _ header: IPv4Header, _ verifiesChecksum: Bool,
        _ layout: inout PacketLayout
    ) {
        let total = header.totalByteCount
        layout.transportOffset = header.headerByteCount
        layout.isFragment = header.isFragment
        self.init(
            tuple: Tuple(
                .ipv4, header.protocolNumber, source: header.source, 0,
                destination: header.destination, 0),
            networkByteCount: UInt32(total),
            transportByteCount: UInt32(total - header.headerByteCount))
        timeToLive = header.timeToLive
        typeOfService = header.typeOfService
        if header.dontFragment { health.insert(.dontFragment) }
        if header.headerByteCount > IPv4Header.minimumByteCount {
            health.insert(.options)
            let options = bytes.extracting(IPv4Header.minimumByteCount..<header.headerByteCount)
            if !IPv4Options.areAcceptable(options) { health.insert(.refusedOptions) }
        }
        if header.fragmentOffset != 0 {
            health.formUnion([.laterFragment, .noTuple])
            readForRules(bytes.extracting(header.headerByteCount..<total))
            return
        }
        if header.moreFragments { health.insert(.firstFragment) }
        readTransport(bytes.extracting(0..<total), verifiesChecksum, &layout)
    }

    private init(
        ipv6 bytes: Span<UInt8>, _ verifiesChecksum: Bool, _ layout: inout PacketLayout
    ) throws(ParseError) {
        let header = try IPv6Header(parsing: bytes)
        let total = header.totalByteCount(present: bytes.count)
        let packet = bytes.extracting(0..<total)
        let chain = IPv6Chain(walking: packet)
        layout.transportOffset = chain.transportOffset
        layout.isFragment = chain.fragment != nil
        self.init(
            tuple: Tuple(
                .ipv6, chain.protocolNumber, source: header.source, 0,
                destination: header.destination, 0),
            networkByteCount: UInt32(total),
            transportByteCount: UInt32(max(0, total - chain.transportOffset)))
        timeToLive = header.hopLimit
        typeOfService = header.trafficClass
        if chain.isUnskippable {
            health.insert(.noTuple)
            if chain.isCut { health.insert(.noTransport) }
            return
        }
        if let fragment = chain.fragment {
            if fragment.offset != 0 {
                health.formUnion([.laterFragment, .noTuple])
                readLaterFragment(packet, chain)
                return
            }
            if fragment.moreFragments { health.insert(.firstFragment) }
        }
        readTransport(packet, verifiesChecksum, &layout)
    }

    // MARK: Transport

    private mutating func readTransport(
        _ packet: Span<UInt8>, _ verifiesChecksum: Bool, _ layout: inout PacketLayout
    ) {
        let segment = packet.extracting(layout.transportOffset..<packet.count)
        guard let parts = Self.parts(tuple.protocolNumber, tuple.family, segment) else {
            health.insert(.noTuple)
            readForRules(segment)
            return
        }
        tuple.sourcePart = parts.source
        tuple.destinationPart = parts.destination
        // A first fragment holds only the beginning of what its checksum covers.
        let verifies = verifiesChecksum && !health.contains(.firstFragment)
        let isError =
            tuple.hasIdentifier && !health.contains(.firstFragment)
            && (ICMPTracker.isError(tuple.icmpType, tuple.family) || ICMPTracker.isRedirect(tuple))
        switch (tuple.protocolNumber, tuple.family) {
        case (IPProtocol.tcp, _): readTCP(segment, verifies)
        case (IPProtocol.udp, _): readUDP(segment, verifies)
        case (IPProtocol.udpLite, _): readUDPLite(segment, verifies)
        case (IPProtocol.sctp, _): readSCTP(segment, verifies)
        case (IPProtocol.gre, _): lengthField = Self.greVersion(segment)
        // NAT sums the message of an ICMP error itself, whatever the setting: spec nat.md §7.
        case (IPProtocol.icmp, .ipv4):
            if verifies || isError, Checksum.of(segment) != 0 { health.insert(.badChecksum) }
            readQuotation(packet, &layout)
        case (IPProtocol.icmpv6, .ipv6):
            if verifies || isError, !sumIsGood(segment) { health.insert(.badChecksum) }
            readRedirect(segment)
            readQuotation(packet, &layout)
        default: break
        }
    }

    /// A tuple's two protocol parts, or `nil` when there are too few bytes: spec table.md §2.1.
    private static func parts(
        _ protocolNumber: UInt8, _ family: Family, _ segment: Span<UInt8>
    ) -> (source: UInt16, destination: UInt16)? {
        switch (protocolNumber, family) {
        case (IPProtocol.tcp, _), (IPProtocol.udp, _), (IPProtocol.udpLite, _),
            (IPProtocol.sctp, _):
            guard segment.count >= 4 else { return nil }
            return (segment.bigEndianUInt16(at: 0), segment.bigEndianUInt16(at: 2))
        case (IPProtocol.icmp, .ipv4), (IPProtocol.icmpv6, .ipv6):
            guard segment.count >= 8 else { return nil }
            return (segment.bigEndianUInt16(at: 4), segment.bigEndianUInt16(at: 0))
        case (IPProtocol.gre, _):
            // Only the PPTP form has a key; the key option of version 0 is ignored.
            guard segment.count >= GREHeader.callByteCount,
                let header = try? GREHeader(parsing: segment), header.version == 1
            else { return (0, 0) }
            return header.protocolType == GREHeader.pptp ? (0, header.callID) : nil
        default:
            return (0, 0)
        }
    }

    /// The version field of a GRE header; 0 where it is cut off.
    private static func greVersion(_ segment: Span<UInt8>) -> UInt16 {
        segment.count >= 2 ? UInt16(segment[1] & 7) : 0
    }

    private func sumIsGood(_ segment: Span<UInt8>) -> Bool {
        Checksum.transport(
            segment, tuple.family, source: tuple.source, destination: tuple.destination,
            protocolNumber: tuple.protocolNumber) == 0
    }

    private mutating func readTCP(_ segment: Span<UInt8>, _ verifies: Bool) {
        guard let header = try? TCPHeader(parsing: segment) else { return readForRules(segment) }
        tcp.sequence = header.sequence
        tcp.acknowledgment = header.acknowledgment
        tcp.sackEdge = header.acknowledgment
        tcp.window = header.window
        tcp.flags = header.flags
        tcp.headerByteCount = UInt8(header.headerByteCount)
        let range = header.optionRange(in: segment.count)
        if !range.isEmpty {
            let options = TCPOptions(
                scanning: segment.extracting(range), acknowledgment: header.acknowledgment)
            tcp.sackEdge = options.sackEdge
            tcp.options.insert(.present)
            if options.permitsSACK { tcp.options.insert(.sackPermitted) }
            if let scale = options.windowScale {
                tcp.options.insert(.windowScale)
                tcp.windowScale = scale
            }
        }
        if verifies, !sumIsGood(segment) { health.insert(.badChecksum) }
    }

    private mutating func readUDP(_ segment: Span<UInt8>, _ verifies: Bool) {
        guard let header = try? UDPHeader(parsing: segment) else { return }
        lengthField = header.lengthField
        if header.checksum == 0 {
            health.insert(.zeroChecksum)
        } else if verifies, !sumIsGood(segment) {
            health.insert(.badChecksum)
        }
    }

    /// The checksum covers what the coverage field says.
    ///
    /// Two peculiarities of the kernel: its pseudo header carries the number of UDP (spec
    /// protocols.md §4), and in IPv4 only the low eight bits of the length (observed on 6.18:
    /// docs/deviations.md).
    private mutating func readUDPLite(_ segment: Span<UInt8>, _ verifies: Bool) {
        guard let header = try? UDPHeader(parsing: segment) else { return }
        lengthField = header.lengthField
        if header.checksum == 0 { health.insert(.zeroChecksum) }
        let coverage = Int(header.lengthField)
        guard verifies, coverage <= segment.count else { return }
        let covered = coverage == 0 ? segment.count : coverage
        let sum = Checksum.transport(
            segment.extracting(0..<covered), tuple.family, source: tuple.source,
            destination: tuple.destination, protocolNumber: IPProtocol.udp,
            byteCount: tuple.family == .ipv4 ? segment.count & 0xff : segment.count)
        if sum != 0 { health.insert(.badChecksum) }
    }

    // MARK: ICMP errors

    private mutating func readRedirect(_ segment: Span<UInt8>) {
        guard tuple.icmpType == 137, segment.count >= 40 else { return }
        let isLinkLocal = tuple.source.high >> 54 == 0xfe80 >> 6
        if timeToLive == 255, isLinkLocal { health.insert(.trustedRedirect) }
        guard segment.count >= 42, segment[41] != 0 else {
            health.insert(.redirectWithoutOptions)
            return
        }
        if segment[40] == 4 { health.insert(.redirectQuotes) }
    }

    private mutating func readQuotation(_ packet: Span<UInt8>, _ layout: inout PacketLayout) {
        guard ICMPTracker.isError(tuple.icmpType, tuple.family) || isQuotingRedirect else {
            return
        }
        let start = layout.transportOffset + (isQuotingRedirect ? 48 : 8)
        guard start < packet.count else { return }
        let inner = packet.extracting(start..<packet.count)
        let network: Tuple
        let transportOffset: Int
        switch tuple.family {
        case .ipv4:
            guard let header = try? IPv4Header(quoted: inner), header.fragmentOffset == 0,
                header.headerByteCount >= IPv4Header.minimumByteCount
            else { return }
            transportOffset = header.headerByteCount
            network = Tuple(
                .ipv4, header.protocolNumber, source: header.source, 0,
                destination: header.destination, 0)
        case .ipv6:
            guard let header = try? IPv6Header(quoted: inner) else { return }
            let chain = IPv6Chain(walking: inner)
            guard !chain.isUnskippable, chain.fragment.map({ $0.offset == 0 }) ?? true else {
                return
            }
            transportOffset = chain.transportOffset
            network = Tuple(
                .ipv6, chain.protocolNumber, source: header.source, 0,
                destination: header.destination, 0)
        }
        guard transportOffset <= inner.count else { return }
        let segment = inner.extracting(transportOffset..<inner.count)
        quoted = network
        guard let parts = Self.parts(network.protocolNumber, network.family, segment) else {
            guard network.hasIdentifier, segment.count >= 6 else { return }
            quoted.sourcePart = segment.bigEndianUInt16(at: 4)
            quoted.destinationPart = segment.bigEndianUInt16(at: 0)
            health.insert(.quotesIdentifier)
            return
        }
        quoted.sourcePart = parts.source
        quoted.destinationPart = parts.destination
        quotedByteCount = UInt16(clamping: segment.count)
        if network.protocolNumber == IPProtocol.gre { lengthField = Self.greVersion(segment) }
        health.insert(.quotesTuple)
        layout.quotedOffset = start
        layout.quotedTransportOffset = start + transportOffset
    }

    private var isQuotingRedirect: Bool {
        tuple.family == .ipv6 && tuple.icmpType == 137 && health.contains(.redirectQuotes)
    }
}
