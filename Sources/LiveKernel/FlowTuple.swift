internal import Report
internal import Wire

// What ctnetlink is asked about a packet, read from the packet's bytes. This is a second, small
// reader beside the model's on purpose: the two arms share the byte accessors and nothing else.

/// A flow's key in one direction, as ctnetlink names it (spec table.md §1, protocols.md §3-9).
struct FlowTuple: Hashable, Sendable {
    var family: Family
    var source: Address
    var destination: Address
    var protocolNumber: UInt8
    /// Source port, ICMP id, GRE key; 0 where the protocol has none.
    var first: UInt16 = 0
    /// Destination port, GRE key, ICMP type and code.
    var second: UInt16 = 0

    var isICMP: Bool { Self.isICMP(protocolNumber, family) }

    static func isICMP(_ protocolNumber: UInt8, _ family: Family) -> Bool {
        protocolNumber == (family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6)
    }

    static func hasPorts(_ protocolNumber: UInt8) -> Bool {
        switch protocolNumber {
        case IPProtocol.tcp, IPProtocol.udp, IPProtocol.udpLite, IPProtocol.sctp: true
        default: false
        }
    }

    /// The tuple of an answer; `nil` for an ICMP message that has none.
    var inverted: FlowTuple? {
        var answer = self
        swap(&answer.source, &answer.destination)
        guard isICMP else {
            swap(&answer.first, &answer.second)
            return answer
        }
        let pairs: [(UInt16, UInt16)] =
            family == .ipv4 ? [(8, 0), (13, 14), (15, 16), (17, 18)] : [(128, 129), (139, 140)]
        let type = second >> 8
        guard let pair = pairs.first(where: { $0.0 == type || $0.1 == type }) else { return nil }
        answer.second = (pair.0 == type ? pair.1 : pair.0) << 8 | second & 0xFF
        return answer
    }

    /// As the output contract writes it; the protocol's number is left to the caller.
    var record: TupleRecord {
        var record = TupleRecord(src: source.text(family), dst: destination.text(family))
        if isICMP {
            record.type = Int(second >> 8)
            record.code = Int(second & 0xFF)
            record.id = Int(first)
        } else if protocolNumber == IPProtocol.gre {
            record.srckey = Int(first)
            record.dstkey = Int(second)
        } else if Self.hasPorts(protocolNumber) {
            record.sport = Int(first)
            record.dport = Int(second)
        }
        return record
    }
}

/// What a packet's bytes say about the flows it belongs to.
struct PacketKeys: Sendable {
    /// The packet's own tuple.
    var own: FlowTuple?
    /// The tuple under which the table has the flow it belongs to: its own, or for an ICMP error
    /// the answer to the packet it quotes.
    var lookup: FlowTuple?

    init(_ packet: [UInt8]) {
        guard let header = NetworkHeader(packet, at: 0) else { return }
        guard !header.isLaterFragment else { return }
        own = FlowTuple(packet, header)
        lookup = own
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

/// Where things lie in an IP packet; nothing is verified that finding the transport does not need.
struct NetworkHeader {
    var family: Family
    var source: Address
    var destination: Address
    var protocolNumber: UInt8
    /// Offset of the transport header.
    var payload: Int
    /// A fragment other than the first: there is no transport header.
    var isLaterFragment: Bool

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
            isLaterFragment = bytes.bigEndianUInt16(at: start + 6) & 0x1FFF != 0
        case 6:
            guard start + 40 <= packet.count else { return nil }
            family = .ipv6
            source = bytes.ipv6Address(at: start + 8)
            destination = bytes.ipv6Address(at: start + 24)
            protocolNumber = packet[start + 6]
            payload = start + 40
            isLaterFragment = false
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
                isLaterFragment = packet.span.bigEndianUInt16(at: payload + 2) & 0xFFF8 != 0
                payload += 8
                if isLaterFragment { return true }
            case 51: payload += (length + 2) * 4
            default: payload += (length + 1) * 8
            }
        }
        return true
    }
}

extension FlowTuple {
    /// Reads the tuple of the packet `header` belongs to; `nil` without enough transport bytes.
    init?(_ packet: [UInt8], _ header: NetworkHeader) {
        self.init(
            family: header.family, source: header.source, destination: header.destination,
            protocolNumber: header.protocolNumber)
        let start = header.payload
        let bytes = packet.span
        if isICMP {
            guard start + 8 <= packet.count else { return nil }
            first = bytes.bigEndianUInt16(at: start + 4)
            second = bytes.bigEndianUInt16(at: start)
        } else if protocolNumber == IPProtocol.gre {
            // Version 1 carries a call id; version 0's keys are not read.
            guard start + 4 <= packet.count else { return nil }
            guard packet[start + 1] & 7 == 1 else { return }
            guard start + 8 <= packet.count else { return nil }
            second = bytes.bigEndianUInt16(at: start + 6)
        } else if Self.hasPorts(protocolNumber) {
            guard start + 4 <= packet.count else { return nil }
            first = bytes.bigEndianUInt16(at: start)
            second = bytes.bigEndianUInt16(at: start + 2)
        }
    }

    /// The source address of a packet, whatever else is wrong with it.
    static func source(of packet: [UInt8]) -> (Family, Address)? {
        switch packet.first.map({ $0 >> 4 }) {
        case 4 where packet.count >= 20: (.ipv4, packet.span.ipv4Address(at: 12))
        case 6 where packet.count >= 40: (.ipv6, packet.span.ipv6Address(at: 8))
        default: nil
        }
    }
}
