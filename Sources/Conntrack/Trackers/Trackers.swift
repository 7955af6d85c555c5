internal import Wire

/// Which protocol does what: the one place that maps a protocol number to its state machine.
enum Trackers {
    /// Runs the protocol's state machine for a packet of a connection.
    ///
    /// No tracker changes the packet; it is `inout` here and in TCP because a large value handed
    /// over otherwise is copied whole.
    static func update(
        _ state: inout ConnectionState, _ packet: inout Packet, _ direction: Direction, isNew: Bool,
        status: Status, remaining: Int32, settings: borrowing TrackerSettings, at now: Tick
    ) -> TrackerResult {
        switch (packet.tuple.protocolNumber, packet.tuple.family) {
        case (IPProtocol.tcp, _):
            return TCPTracker.update(
                &state.tcp, &packet, direction, isNew: isNew, status: status,
                remaining: remaining, settings: settings)
        case (IPProtocol.udp, _):
            return UDPTracker.update(
                &state, packet, isNew: isNew, status: status, settings: settings, at: now)
        case (IPProtocol.udpLite, _):
            return UDPTracker.updateLite(packet, status: status, settings: settings)
        case (IPProtocol.sctp, _):
            return SCTPTracker.update(
                &state.sctp, packet, direction, isNew: isNew, settings: settings)
        case (IPProtocol.gre, _):
            return GRETracker.update(&state, isNew: isNew, status: status, settings: settings)
        case (IPProtocol.icmp, .ipv4), (IPProtocol.icmpv6, .ipv6):
            return ICMPTracker.update(packet, isNew: isNew, settings: settings)
        default:
            return .refresh(settings.generic)
        }
    }

    /// Whether two packets of one flow may race into the table (spec table.md §11).
    static func allowsClash(_ tuple: Tuple) -> Bool {
        switch (tuple.protocolNumber, tuple.family) {
        case (IPProtocol.tcp, _), (IPProtocol.sctp, _), (IPProtocol.icmp, .ipv4),
            (IPProtocol.icmpv6, .ipv6):
            false
        default: true
        }
    }

    /// Whether an assured connection may go when the table is nearly full (spec gc.md §3).
    static func mayDropAssured(_ protocolNumber: UInt8, _ state: ConnectionState) -> Bool {
        switch protocolNumber {
        case IPProtocol.tcp:
            switch state.tcp.state {
            case .finWait, .closeWait, .lastAck, .timeWait, .close: return true
            default: return false
            }
        case IPProtocol.sctp:
            switch state.sctp.state {
            case .shutdownSent, .shutdownReceived, .shutdownAckSent: return true
            default: return false
            }
        default: return false
        }
    }
}
