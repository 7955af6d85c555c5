internal import Wire

// What a rule reads of a packet and of its connection, as numbers in host order.

extension Packet {
    /// The field's value, or `nil` where the packet has no such thing: then the rule breaks.
    @inline(__always)
    func value(of field: Field) -> Address? {
        guard hasTransport(for: field) else { return nil }
        return switch field {
        case .inInterface: Address(inInterface.raw)
        case .outInterface: Address(outInterface.raw)
        case .family: Address(tuple.family.rawValue)
        case .etherType: Address(tuple.family == .ipv4 ? 0x0800 : 0x86DD as UInt16)
        case .transportProtocol:
            health.contains(.noTransport) ? nil : Address(tuple.protocolNumber)
        case .packetMark: Address(mark)
        case .length: Address(networkByteCount)
        case .source: tuple.source
        case .destination: tuple.destination
        case .timeToLive: Address(timeToLive)
        case .dscp: Address(typeOfService >> 2)
        case .sourcePort: Address(tuple.sourcePart)
        case .destinationPort: Address(tuple.destinationPart)
        case .tcpFlags: Address(tcp.flags.rawValue)
        case .icmpType: Address(tuple.icmpType)
        case .icmpCode: Address(tuple.icmpCode)
        case .state: Address(stateBit)
        case .direction: info.direction.map { Address($0.rawValue) }
        default: nil
        }
    }

    /// Whether the transport header is there as far as the field lies in it.
    ///
    /// Nothing is asked about fragments, nor whether the tracker can read the header: what rules
    /// find there is in the tuple's parts all the same (Packet+RuleFields). `th` reads the
    /// bytes of any protocol in the kernel; the model knows ports only of protocols that have
    /// them, and breaks the rule for others.
    private func hasTransport(for field: Field) -> Bool {
        guard transportByteCount >= field.transportByteCount else { return false }
        guard field == .sourcePort || field == .destinationPort else { return true }
        return switch tuple.protocolNumber {
        case IPProtocol.tcp, IPProtocol.udp, IPProtocol.udpLite, IPProtocol.sctp, 33: true
        default: false
        }
    }

    /// The bit nft's `ct state` has for the packet (spec policy.md §4).
    ///
    /// A packet the tracker has not seen is invalid to it, unless a template is attached: then it
    /// is new (observed on 6.18).
    var stateBit: UInt8 {
        switch info {
        case .invalid: 1
        case .none: template.isAttached ? 8 : 1
        case .established, .establishedReply: 2
        case .related, .relatedReply: 4
        case .new: 8
        case .untracked: 64
        }
    }
}

extension Entry {
    /// The field's value, or `nil` where the connection has no such thing: an IPv6 address of an
    /// IPv4 flow.
    ///
    /// - Parameters:
    ///   - effects: What was set since the copy was taken.
    ///   - tickRate: What `ct expiration` converts with.
    func value(
        of field: Field, _ effects: borrowing RuleEffects, _ tickRate: TickRate
    ) -> Address? {
        let isIPv4 = original.family == .ipv4
        switch field {
        case .status: return Address(status.rawValue)
        case .connectionMark: return Address(effects.connectionMark ?? mark)
        case .expiration:
            // Observed: before its first packet is through, a connection has no lifetime yet.
            guard status.contains(.confirmed) else { return .zero }
            let ticks = UInt64(max(0, remainingTicks))
            return Address(ticks * 1000 / UInt64(tickRate.hertz))
        case .zone: return Address(max(zoneOriginal, zoneReply))
        case .zoneOriginal: return Address(zoneOriginal)
        case .zoneReply: return Address(zoneReply)
        case .labels:
            var labels = labels
            labels.formUnion(effects.labels)
            return labels.bits
        // Observed on 6.18: it is the master's helper that is read.
        case .helper: return masterHelper.map { Address($0.rawValue) }
        case .packets: return Address(packetsOriginal &+ packetsReply)
        case .packetsOriginal: return Address(packetsOriginal)
        case .packetsReply: return Address(packetsReply)
        case .bytes: return Address(bytesOriginal &+ bytesReply)
        case .bytesOriginal: return Address(bytesOriginal)
        case .bytesReply: return Address(bytesReply)
        case .originalSource4: return isIPv4 ? original.source : nil
        case .originalDestination4: return isIPv4 ? original.destination : nil
        case .replySource4: return isIPv4 ? reply.source : nil
        case .replyDestination4: return isIPv4 ? reply.destination : nil
        case .originalSource6: return isIPv4 ? nil : original.source
        case .originalDestination6: return isIPv4 ? nil : original.destination
        case .replySource6: return isIPv4 ? nil : reply.source
        case .replyDestination6: return isIPv4 ? nil : reply.destination
        case .originalSourcePart: return Address(original.sourcePart)
        case .originalDestinationPart: return Address(original.destinationPart)
        case .replySourcePart: return Address(reply.sourcePart)
        case .replyDestinationPart: return Address(reply.destinationPart)
        default: return nil
        }
    }
}

extension Address {
    /// A number as rules handle it: in the low 64 bits.
    init(_ number: some FixedWidthInteger & UnsignedInteger) {
        self.init(high: 0, low: UInt64(number))
    }
}
