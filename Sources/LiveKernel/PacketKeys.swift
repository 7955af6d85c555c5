internal import Wire

/// What a packet's bytes say about the flows it belongs to.
struct PacketKeys: Sendable {
    /// The packet's own tuple, if its bytes hold one.
    var own: FlowTuple?
    /// The tuple under which the table has the flow it belongs to: its own, or for an ICMP error
    /// the answer to the packet it quotes, for a fragment that of its datagram.
    var lookup: FlowTuple?

    init(_ packet: [UInt8], _ fragments: inout FragmentMemory) {
        guard let header = NetworkHeader(packet, at: 0) else { return }
        if header.isLaterFragment {
            lookup = fragments.tuple(of: header)
            return
        }
        own = FlowTuple(packet, header)
        lookup = own
        if header.fragment != nil { fragments.note(own, of: header) }
        guard FlowTuple.isICMP(header.protocolNumber, header.family) else { return }
        guard let quotation = Self.quotation(packet, header) else { return }
        let quoted = NetworkHeader(packet, at: quotation).flatMap {
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

/// Remembers which flow a datagram in pieces belongs to: only its first piece says so.
struct FragmentMemory: Sendable {
    private struct Key: Hashable {
        var source: Address
        var destination: Address
        var protocolNumber: UInt8
        var identification: UInt32
    }

    /// How many datagrams are remembered: more than any trace has on their way at once.
    private static let limit = 256

    private var tuples: [Key: FlowTuple] = [:]
    private var order: [Key] = []

    /// Notes the tuple the first fragment holds.
    mutating func note(_ tuple: FlowTuple?, of header: NetworkHeader) {
        guard let key = Self.key(header), let tuple else { return }
        if tuples.updateValue(tuple, forKey: key) == nil { order.append(key) }
        if order.count > Self.limit { tuples[order.removeFirst()] = nil }
    }

    /// The tuple of the datagram a fragment belongs to, if its first piece has come by.
    func tuple(of header: NetworkHeader) -> FlowTuple? {
        Self.key(header).flatMap { tuples[$0] }
    }

    private static func key(_ header: NetworkHeader) -> Key? {
        header.fragment.map {
            Key(
                source: header.source, destination: header.destination,
                protocolNumber: header.protocolNumber, identification: $0.identification)
        }
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
    /// The datagram's number and the offset in it, if the packet is a fragment.
    var fragment: (identification: UInt32, offset: UInt16)?

    /// A fragment other than the first: there is no transport header.
    var isLaterFragment: Bool { fragment.map { $0.offset > 0 } ?? false }

    init?(_ packet: [UInt8], at start: Int) {
        guard start < packet.count else { return nil }
        let bytes = packet.span
        switch packet[start] >> 4 {
        case 4:
            guard start + 20 <= packet.count else { return nil }
            family = .ipv4
            source = bytes.ipv4Address(at: start + 12)
            destination = bytes.ipv4Address(at: start + 16)
            protocolNumber = packet[start + 9]
            payload = start + Int(packet[start] & 0x0F) * 4
            let word = bytes.bigEndianUInt16(at: start + 6)
            if word & 0x3FFF != 0 {
                fragment = (UInt32(bytes.bigEndianUInt16(at: start + 4)), word & 0x1FFF)
            }
        case 6:
            guard start + 40 <= packet.count else { return nil }
            family = .ipv6
            source = bytes.ipv6Address(at: start + 8)
            destination = bytes.ipv6Address(at: start + 24)
            protocolNumber = packet[start + 6]
            payload = start + 40
            guard skipExtensions(packet) else { return nil }
        default:
            return nil
        }
    }

    /// Walks IPv6 extension headers; false where one is cut off.
    private mutating func skipExtensions(_ packet: [UInt8]) -> Bool {
        while [0, 43, 44, 51, 60].contains(protocolNumber) {
            guard payload + 8 <= packet.count else { return false }
            let kind = protocolNumber
            protocolNumber = packet[payload]
            let length = Int(packet[payload + 1])
            switch kind {
            case 44:
                fragment = (
                    packet.span.bigEndianUInt32(at: payload + 4),
                    packet.span.bigEndianUInt16(at: payload + 2) >> 3
                )
                payload += 8
                if isLaterFragment { return true }
            case 51: payload += (length + 2) * 4
            default: payload += (length + 1) * 8
            }
        }
        return true
    }
}
