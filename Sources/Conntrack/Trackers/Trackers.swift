internal import Wire

/// Which protocol does what: the one place that maps a protocol number to its state machine.
enum Trackers {
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
        guard protocolNumber == IPProtocol.tcp else { return false }
        switch state.tcp.state {
        case .finWait, .closeWait, .lastAck, .timeWait, .close: return true
        default: return false
        }
    }
}
