internal import Wire

// A packet that a `reject` rule refuses, and whether its sender hears of it. Who is left without an
// answer, and why, was observed on 6.18 with packets of every kind at every hook.

/// A packet at the hook where a rule refuses it.
struct RefusedPacket {
    var packet: Packet
    var hook: Hook
    /// Its bytes as they are here; empty where it has none, as that of a simulated host.
    var bytes: [UInt8]
    /// Where among them the transport header begins.
    var transportOffset: Int
    /// Whether routing has filled in IPv4 options: the kernel leaves the header checksum as it was.
    var hasStaleHeader = false
    /// Whether the tracker has found the checksum right.
    var isVerified: Bool

    init(_ packet: Packet, at hook: Hook, _ bytes: [UInt8], isVerified: Bool) {
        self.packet = packet
        self.hook = hook
        self.bytes = bytes
        self.isVerified = isVerified
        switch bytes.first.map({ $0 >> 4 }) {
        case 4?: transportOffset = min(bytes.count, Int(bytes[0] & 15) * 4)
        case 6?: transportOffset = IPv6Chain(walking: bytes.span).transportOffset
        default: transportOffset = 0
        }
    }

    private var tuple: Tuple { packet.tuple }

    /// Takes the checksum out of an IPv4 reset of the machine's own, of which only the pseudo
    /// header is summed up while it is on its way through the hooks.
    mutating func forgetChecksum() {
        guard tuple.family == .ipv4, tuple.protocolNumber == IPProtocol.tcp,
            bytes.count >= transportOffset + TCPHeader.minimumByteCount
        else { return }
        var sum = Checksum()
        sum.addPseudoHeader(
            .ipv4, source: tuple.source, destination: tuple.destination,
            protocolNumber: IPProtocol.tcp, byteCount: bytes.count - transportOffset)
        bytes.setBigEndian(sum.folded, at: transportOffset + 16)
    }

    /// The TCP header a reset answers; `nil` where none does.
    ///
    /// Nobody answers a reset, a header cut short, or a wrong checksum.
    var resettable: TCPSegment? {
        guard tuple.protocolNumber == IPProtocol.tcp, !packet.health.contains(.laterFragment) else {
            return nil
        }
        guard !bytes.isEmpty else { return packet.tcp.flags.contains(.rst) ? nil : packet.tcp }
        let segment = bytes.span.extracting(transportOffset..<bytes.count)
        guard let header = try? TCPHeader(parsing: segment), !header.flags.contains(.rst),
            packet.health.contains(.local) || (addsUp && !hasStaleHeader)
        else { return nil }
        var read = TCPSegment()
        read.sequence = header.sequence
        read.acknowledgment = header.acknowledgment
        // As claimed, be it too small or too large.
        read.headerByteCount = UInt8(header.headerByteCount)
        read.flags = header.flags
        return read
    }

    /// Whether an ICMP error may be about the packet.
    ///
    /// None is about another error, an ICMP message of unknown type, a later fragment, or a packet
    /// whose checksum is wrong. IPv6 asks for a transport header that can be found, and a payload.
    var isReportable: Bool {
        guard packet.health.isDisjoint(with: [.laterFragment, .noTransport]) else { return false }
        if tuple.hasIdentifier {
            guard packet.transportByteCount > 0, isQuery else { return false }
        }
        if tuple.family == .ipv6 {
            guard packet.transportByteCount > 0, tuple.protocolNumber != IPv6Extension.noNextHeader
            else { return false }
        }
        guard !bytes.isEmpty, !isVerified, !packet.health.contains(.local), isSummed else {
            return true
        }
        return !hasStaleHeader && addsUp
    }

    private var isQuery: Bool {
        guard tuple.family == .ipv4 else { return tuple.icmpType >= 128 }
        return [0, 8].contains(tuple.icmpType) || (13...18).contains(tuple.icmpType)
    }

    /// Whether the kernel looks at the checksum: for most protocols it takes one for granted.
    private var isSummed: Bool {
        switch tuple.protocolNumber {
        case IPProtocol.udpLite, IPProtocol.sctp, IPProtocol.gre, 50, 51: return false
        case IPProtocol.udp where bytes.count >= transportOffset + UDPHeader.byteCount:
            return bytes.span.bigEndianUInt16(at: transportOffset + 6) != 0
        default: return true
        }
    }

    /// Whether everything behind the network header adds up as a checksum must.
    ///
    /// IPv6 counts a pseudo header for all protocols. IPv4 does for TCP and UDP, and the network
    /// header for others, so that nothing but zeros is right too.
    private var addsUp: Bool {
        let segment = bytes.span.extracting(transportOffset..<bytes.count)
        let hasPseudoHeader =
            tuple.family == .ipv6
            || [IPProtocol.tcp, IPProtocol.udp].contains(tuple.protocolNumber)
        guard hasPseudoHeader else { return [0, UInt16.max].contains(Checksum.of(segment)) }
        return Checksum.transport(
            segment, tuple.family, source: tuple.source, destination: tuple.destination,
            protocolNumber: tuple.protocolNumber) == 0
    }
}

extension Packet {
    /// Whether the tracker, if it verifies checksums, has summed the packet up and found it right.
    ///
    /// A packet it has left INVALID may be one: the checksum comes before flags, states and windows,
    /// and behind lengths that do not fit.
    var hasPassedSummation: Bool {
        let isFollowed = [IPProtocol.tcp, IPProtocol.udp].contains(tuple.protocolNumber)
        guard isFollowed || tuple.hasIdentifier else { return false }
        guard connection == .none else { return true }
        guard info == .invalid, health.isDisjoint(with: [.badChecksum, .laterFragment]) else {
            return false
        }
        switch tuple.protocolNumber {
        case IPProtocol.tcp:
            return tcp.headerByteCount >= 20 && UInt32(tcp.headerByteCount) <= transportByteCount
        case IPProtocol.udp: return lengthField >= 8 && UInt32(lengthField) <= transportByteCount
        default: return transportByteCount >= 8
        }
    }
}

/// The packets that answer, as they are made.
///
/// Everything in them was observed on 6.18.
enum AnswerMaker {
    /// A reset, as a closed port would send it: without data, TOS, or options.
    static func reset(_ segment: TCPSegment, for refused: RefusedPacket) -> Packet? {
        guard let tuple = refused.packet.tuple.inverted else { return nil }
        var packet = Packet(
            tuple: tuple, networkByteCount: headerByteCount(tuple.family) + 20,
            transportByteCount: 20)
        if segment.flags.contains(.ack) {
            packet.tcp.flags = .rst
            packet.tcp.sequence = segment.acknowledgment
        } else {
            packet.tcp.flags = [.rst, .ack]
            packet.tcp.acknowledgment =
                segment.sequence &+ (segment.flags.contains(.syn) ? 1 : 0)
                &+ (segment.flags.contains(.fin) ? 1 : 0)
                &+ refused.packet.transportByteCount &- UInt32(segment.headerByteCount)
            packet.tcp.sackEdge = packet.tcp.acknowledgment
        }
        if tuple.family == .ipv4 { packet.health = .dontFragment }
        return packet
    }

    /// The bytes of a reset.
    static func bytes(of reset: Packet) -> [UInt8] {
        let segment = reset.tcp
        var header = TCPHeader(
            sourcePort: reset.tuple.sourcePart, destinationPort: reset.tuple.destinationPart,
            flags: segment.flags)
        header.sequence = segment.sequence
        header.acknowledgment = segment.acknowledgment
        var bytes: [UInt8] = []
        header.append(to: &bytes)
        let sum = Checksum.transport(
            bytes.span, reset.tuple.family, source: reset.tuple.source,
            destination: reset.tuple.destination, protocolNumber: IPProtocol.tcp)
        bytes.setBigEndian(sum, at: 16)
        var builder = PacketBuilder(
            reset.tuple.family, from: reset.tuple.source, to: reset.tuple.destination)
        builder.dontFragment = true
        return builder.packet(carrying: bytes, as: IPProtocol.tcp)
    }

    /// An ICMP "destination unreachable" from `source`, about the packet as it is now.
    ///
    /// - Parameter limit: Bytes the whole answer may have.
    static func unreachable(
        _ code: UInt8, for refused: RefusedPacket, from source: Address, limit: UInt32,
        options: [UInt8]
    ) -> Packet {
        let about = refused.packet
        let isIPv4 = about.tuple.family == .ipv4
        let header = headerByteCount(about.tuple.family) + UInt32(options.count)
        let quoted = min(about.networkByteCount, limit - header - 8)
        var packet = Packet(
            tuple: Tuple(
                about.tuple.family, isIPv4 ? IPProtocol.icmp : IPProtocol.icmpv6, source: source, 0,
                destination: about.tuple.source, (isIPv4 ? 3 : 1) << 8 | UInt16(code)),
            networkByteCount: header + 8 + quoted, transportByteCount: 8 + quoted)
        // Precedence "internetwork control"; the rest is the packet's own. IPv6 has nothing of it.
        if isIPv4 { packet.typeOfService = 0xc0 | about.typeOfService & 0x1e }
        packet.health = .quotesTuple
        packet.quoted = about.tuple
        let network = about.networkByteCount - min(about.networkByteCount, about.transportByteCount)
        packet.quotedByteCount = UInt16(clamping: quoted - min(quoted, network))
        return packet
    }

    /// The bytes of an ICMP answer.
    ///
    /// - Parameters:
    ///   - identification: IPv4: of the packet. IPv6: its flow label.
    ///   - options: Of the IPv4 header: what the refused packet's options turn into.
    static func bytes(
        of answer: Packet, quoting quoted: [UInt8], identification: UInt32, options: [UInt8]
    ) -> [UInt8] {
        var message: [UInt8] = [
            UInt8(answer.tuple.icmpType), UInt8(answer.tuple.icmpCode), 0, 0, 0, 0, 0, 0,
        ]
        message += quoted.prefix(Int(answer.transportByteCount) - 8)
        let sum =
            answer.tuple.family == .ipv4
            ? Checksum.of(message.span)
            : Checksum.transport(
                message.span, .ipv6, source: answer.tuple.source,
                destination: answer.tuple.destination, protocolNumber: IPProtocol.icmpv6)
        message.setBigEndian(sum, at: 2)
        var builder = PacketBuilder(
            answer.tuple.family, from: answer.tuple.source, to: answer.tuple.destination)
        builder.typeOfService = answer.typeOfService
        builder.identification = UInt16(truncatingIfNeeded: identification)
        builder.flowLabel = identification & 0xfffff
        builder.options = options
        return builder.packet(carrying: message, as: answer.tuple.protocolNumber)
    }

    private static func headerByteCount(_ family: Family) -> UInt32 { family == .ipv4 ? 20 : 40 }
}
