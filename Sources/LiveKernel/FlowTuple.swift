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
        var record = TupleRecord(
            source: source.text(family), destination: destination.text(family))
        if isICMP {
            record.type = Int(second >> 8)
            record.code = Int(second & 0xFF)
            record.id = Int(first)
        } else if protocolNumber == IPProtocol.gre {
            record.sourceKey = Int(first)
            record.destinationKey = Int(second)
        } else if Self.hasPorts(protocolNumber) {
            record.sourcePort = Int(first)
            record.destinationPort = Int(second)
        }
        return record
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
            // Two bytes less than a header hold all of it; whether that is a packet the tracker
            // takes is not asked here.
            guard start + 6 <= packet.count else { return nil }
            first = bytes.bigEndianUInt16(at: start + 4)
            second = bytes.bigEndianUInt16(at: start)
        } else if protocolNumber == IPProtocol.gre {
            // Only version 1 with all of its header has keys, and then only PPTP is a tuple.
            let isCall = start + 8 <= packet.count && packet[start + 1] & 7 == 1
            guard isCall else { return }
            guard bytes.bigEndianUInt16(at: start + 2) == 0x880B else { return nil }
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
