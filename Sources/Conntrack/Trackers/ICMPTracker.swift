internal import Wire

/// ICMP and ICMPv6: what is checked before a lookup, what may open a connection, and which messages
/// are errors about other packets.
///
/// Spec protocols.md §5 and §6.
enum ICMPTracker {
    /// What the check before the lookup found.
    enum Check: BitwiseCopyable {
        /// An ordinary message: goes the normal way.
        case message
        /// An error about another packet, whose tuple is in `Packet.quoted` if it could be read.
        case error
        /// Neighbour discovery and its like: left alone.
        case untracked
        case invalid(TrackerRemark.Text?)
    }

    static func check(_ packet: Packet, verifiesChecksum: Bool) -> Check {
        packet.tuple.family == .ipv4
            ? checkIPv4(packet, verifiesChecksum) : checkIPv6(packet, verifiesChecksum)
    }

    private static func checkIPv4(_ packet: Packet, _ verifiesChecksum: Bool) -> Check {
        if packet.transportByteCount < 8 { return .invalid(.shortPacket) }
        if verifiesChecksum, packet.health.contains(.badChecksum) {
            return .invalid(.badICMPChecksum)
        }
        let type = packet.tuple.icmpType
        if type > 18 { return .invalid(.invalidICMPType) }
        return isError(type, .ipv4) ? .error : .message
    }

    private static func checkIPv6(_ packet: Packet, _ verifiesChecksum: Bool) -> Check {
        if packet.transportByteCount < 8 { return .invalid(.shortPacket) }
        if verifiesChecksum, packet.health.contains(.badChecksum) {
            return .invalid(.badICMPv6Checksum)
        }
        switch packet.tuple.icmpType {
        case 130...136, 143, 151, 152: return .untracked
        case 137: return checkRedirect(packet)
        case let type: return isError(type, .ipv6) ? .error : .message
        }
    }

    private static func checkRedirect(_ packet: Packet) -> Check {
        if packet.transportByteCount < 40 { return .invalid(.redirectTooShort) }
        if packet.tuple.icmpCode != 0 { return .message }
        if !packet.health.contains(.trustedRedirect) { return .invalid(.redirectSource) }
        if packet.health.contains(.redirectWithoutOptions) {
            return .invalid(.redirectWithoutOptions)
        }
        return packet.health.contains(.redirectQuotes) ? .error : .message
    }

    /// Whether a message of this type quotes another packet.
    static func isError(_ type: UInt8, _ family: Family) -> Bool {
        switch family {
        case .ipv4: type == 3 || type == 4 || type == 5 || type == 11 || type == 12
        case .ipv6: type < 128
        }
    }

    /// Whether a message of this type is a redirect.
    static func isRedirect(_ tuple: Tuple) -> Bool {
        tuple.icmpType == (tuple.family == .ipv4 ? 5 : 137)
    }

    /// Follows one query or answer.
    ///
    /// Only queries open a connection.
    ///
    /// Kernel: `nf_conntrack_icmp_packet()`, `nf_conntrack_icmpv6_packet()`.
    static func update(
        _ packet: Packet, isNew: Bool, settings: borrowing TrackerSettings
    ) -> TrackerResult {
        let isIPv4 = packet.tuple.family == .ipv4
        if isNew {
            let type = packet.tuple.icmpType
            let mayOpen =
                isIPv4
                ? type == 8 || type == 13 || type == 15 || type == 17
                : type == 128 || type == 139
            guard mayOpen else { return .invalid(nil) }
        }
        return .refresh(isIPv4 ? settings.icmp : settings.icmpv6)
    }
}
