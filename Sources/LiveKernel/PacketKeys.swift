internal import Wire

/// What a packet's bytes say about the flows it belongs to.
struct PacketKeys: Sendable {
    /// The packet's own tuple, if its bytes hold one.
    var own: FlowTuple?
    /// The tuple under which the table has the flow it belongs to: its own, or for an ICMP error
    /// the answer to the packet it quotes, for a fragment that of its datagram.
    var lookup: FlowTuple?

    init(_ bytes: [UInt8], _ fragments: inout FragmentMemory) {
        guard let header = NetworkHeader(bytes, at: 0) else { return }
        // What stands behind the packet's end is the link's padding.
        let hasPadding = header.end < bytes.count && header.end >= header.payload
        let packet = hasPadding ? Array(bytes[..<header.end]) : bytes
        guard header.fragment != nil else {
            read(packet, header)
            return
        }
        if !header.isLaterFragment {
            own = FlowTuple(packet, header)
            lookup = own
            // Such a piece is not put together with others; it passes by itself.
            if header.family == .ipv6, !header.hasWholeTransportHeader(packet) { return }
        }
        switch fragments.note(packet, header) {
        case .whole(let datagram):
            guard let header = NetworkHeader(datagram, at: 0) else { return }
            let arrived = own
            read(datagram, header)
            own = arrived
        case .pieces(let first):
            lookup = lookup ?? first
        }
    }

    private mutating func read(_ packet: [UInt8], _ header: NetworkHeader) {
        let tuple = FlowTuple(packet, header)
        own = tuple.flatMap { $0.isICMP && packet.count < header.payload + 8 ? nil : $0 }
        lookup = tuple
        guard FlowTuple.isICMP(header.protocolNumber, header.family),
            let start = Self.quotation(packet, header)
        else { return }
        let quoted = NetworkHeader(packet, at: start, quotedBy: header.family).flatMap {
            $0.isLaterFragment ? nil : FlowTuple(packet, $0)
        }
        lookup = quoted?.inverted
    }

    /// Where the packet an ICMP error quotes begins; `nil` for any other message.
    private static func quotation(_ packet: [UInt8], _ header: NetworkHeader) -> Int? {
        let message = header.payload
        guard message < packet.count else { return nil }
        let type = packet[message]
        switch header.family {
        case .ipv4:
            return [3, 4, 5, 11, 12].contains(type) ? message + 8 : nil
        case .ipv6:
            if type < 128 { return message + 8 }
            // A redirect quotes in an option behind two addresses (protocols.md §6).
            let isQuotingRedirect =
                type == 137 && message + 42 <= packet.count && packet[message + 40] == 4
            return isQuotingRedirect ? message + 48 : nil
        }
    }
}

/// Puts datagrams in pieces together, to know which flow they belong to: only the first piece says
/// so, and what an ICMP error quotes may be spread over several.
///
/// This is for looking up only. Pieces that overlap are not judged; the kernel has done that.
struct FragmentMemory: Sendable {
    enum Outcome {
        /// This piece completes the datagram: its bytes, without fragment fields.
        case whole([UInt8])
        /// More are missing. The tuple in the first piece, if that has come by.
        case pieces(FlowTuple?)
    }

    private struct Key: Hashable, Sendable {
        var source: Address
        var destination: Address
        var protocolNumber: UInt8
        var identification: UInt32
    }

    private struct Datagram: Sendable {
        var tuple: FlowTuple?
        /// Headers of the first piece, as they stand in front of the whole.
        var head: [UInt8] = []
        /// Payloads by offset in bytes.
        var parts: [(offset: Int, bytes: [UInt8])] = []
        var byteCount: Int?
    }

    /// How many datagrams are remembered: more than any trace has on their way at once.
    private static let limit = 256

    private var datagrams: [Key: Datagram] = [:]
    private var order: [Key] = []

    /// Takes one piece.
    mutating func note(_ packet: [UInt8], _ header: NetworkHeader) -> Outcome {
        guard let fragment = header.fragment else { return .pieces(nil) }
        let key = Key(
            source: header.source, destination: header.destination,
            // IPv6 pieces may name different headers as their first.
            protocolNumber: header.family == .ipv4 ? header.protocolNumber : 0,
            identification: fragment.identification)
        if datagrams[key] == nil {
            order.append(key)
            if order.count > Self.limit { datagrams[order.removeFirst()] = nil }
        }
        var datagram = datagrams[key] ?? Datagram()
        let end = max(0, min(packet.count, header.end))
        let start = min(fragment.payload, end)
        if fragment.offset == 0 {
            datagram.tuple = FlowTuple(packet, header)
            datagram.head = header.headOfDatagram(packet)
        }
        datagram.parts.append((fragment.offset, Array(packet[start..<end])))
        if !fragment.hasMore { datagram.byteCount = fragment.offset + end - start }
        guard let whole = Self.joined(datagram) else {
            datagrams[key] = datagram
            return .pieces(datagram.tuple)
        }
        datagrams[key] = nil
        order.removeAll { $0 == key }
        return .whole(whole)
    }

    /// The datagram, if its parts reach from its beginning to its end without a gap.
    private static func joined(_ datagram: Datagram) -> [UInt8]? {
        guard let byteCount = datagram.byteCount, !datagram.head.isEmpty else { return nil }
        var payload: [UInt8] = []
        for part in datagram.parts.sorted(by: { $0.offset < $1.offset }) {
            guard part.offset <= payload.count else { return nil }
            payload += part.bytes.dropFirst(payload.count - part.offset)
        }
        return payload.count >= byteCount ? datagram.head + payload.prefix(byteCount) : nil
    }
}

/// Where things lie in an IP packet; nothing is verified that finding the transport does not need.
struct NetworkHeader {
    var family: Family
    var source: Address
    var destination: Address
    var protocolNumber: UInt8
    /// Offset of the transport header.
    var payload: Int
    /// Offset of the packet's end, as the header claims.
    var end: Int
    /// Its place in its datagram, if the packet is a fragment.
    var fragment: Fragment?

    /// A fragment other than the first: there is no transport header.
    var isLaterFragment: Bool { (fragment?.offset ?? 0) > 0 }

    /// - Parameter outer: For a quoted packet the family of the packet around it: the kernel does
    ///   not look at the version inside.
    init?(_ packet: [UInt8], at start: Int, quotedBy outer: Family? = nil) {
        guard start < packet.count else { return nil }
        let bytes = packet.span
        let version = outer.map { $0 == .ipv4 ? 4 : 6 } ?? packet[start] >> 4
        switch version {
        case 4:
            guard start + 20 <= packet.count else { return nil }
            family = .ipv4
            source = bytes.ipv4Address(at: start + 12)
            destination = bytes.ipv4Address(at: start + 16)
            protocolNumber = packet[start + 9]
            payload = start + Int(packet[start] & 0x0F) * 4
            // A header shorter than the least hides what is behind it.
            guard payload >= start + 20 else { return nil }
            end = start + Int(bytes.bigEndianUInt16(at: start + 2))
            let word = bytes.bigEndianUInt16(at: start + 6)
            if word & 0x3FFF != 0 {
                fragment = Fragment(
                    identification: UInt32(bytes.bigEndianUInt16(at: start + 4)),
                    offset: Int(word & 0x1FFF) * 8, hasMore: word & 0x2000 != 0,
                    header: payload, namedAt: 0, payload: payload)
            }
        case 6:
            guard start + 40 <= packet.count else { return nil }
            family = .ipv6
            source = bytes.ipv6Address(at: start + 8)
            destination = bytes.ipv6Address(at: start + 24)
            protocolNumber = packet[start + 6]
            payload = start + 40
            end = payload + Int(bytes.bigEndianUInt16(at: start + 4))
            guard skipExtensions(packet) else { return nil }
        default:
            return nil
        }
    }

    /// Walks IPv6 extension headers; false where one is cut off.
    private mutating func skipExtensions(_ packet: [UInt8]) -> Bool {
        var namedAt = payload - 34  // The fixed header's own field.
        while [0, 43, 44, 51, 60].contains(protocolNumber) {
            let start = payload
            guard start + 8 <= packet.count else { return false }
            let kind = protocolNumber
            protocolNumber = packet[start]
            let length = Int(packet[start + 1])
            switch kind {
            case 44:
                let word = packet.span.bigEndianUInt16(at: start + 2)
                fragment = Fragment(
                    identification: packet.span.bigEndianUInt32(at: start + 4),
                    offset: Int(word & 0xFFF8), hasMore: word & 1 != 0, header: start,
                    namedAt: namedAt, payload: start + 8)
                payload += 8
                if isLaterFragment { return true }
            case 51: payload += (length + 2) * 4
            default: payload += (length + 1) * 8
            }
            namedAt = start
        }
        return true
    }

    /// Whether the transport header is there to its end, as IPv6 asks of a first fragment.
    func hasWholeTransportHeader(_ packet: [UInt8]) -> Bool {
        let needed =
            switch protocolNumber {
            case IPProtocol.tcp: 20
            case IPProtocol.udp, IPProtocol.icmpv6: 8
            default: 1
            }
        return packet.count >= payload + needed
    }

    /// The headers of the datagram a first fragment begins, without fragment fields.
    func headOfDatagram(_ packet: [UInt8]) -> [UInt8] {
        guard let fragment else { return [] }
        var head = Array(packet[..<min(packet.count, fragment.header)])
        switch family {
        case .ipv4: head.setBigEndian(UInt16(0), at: 6)
        case .ipv6: head[fragment.namedAt] = packet[fragment.header]
        }
        return head
    }
}

/// What a fragment says about its place in its datagram.
struct Fragment {
    var identification: UInt32
    /// Bytes.
    var offset: Int
    var hasMore: Bool
    /// Where the header ends (IPv4), or the fragment header begins (IPv6).
    var header: Int
    /// IPv6: where the number stands that says a fragment header follows.
    var namedAt: Int
    /// Where its part of the datagram begins.
    var payload: Int
}
