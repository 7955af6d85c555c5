import Conntrack
import Wire

// What an ipvs front end does to a port that is used again, where it is set to (`conn_reuse_mode` 1
// beside connection tracking): the SYN that meets an entry in TIME_WAIT ends the entry and goes no
// further. Its repetition, a second later, may be balanced anew. Translation itself is left to rules.

/// A virtual address and port with such a front end.
struct FrontEnd: Hashable {
    var family: Family
    var address: Address
    var port: UInt16
}

extension TrackedNode {
    /// Whether a front end drops the packet; the entry it met is gone then.
    func dropsReusedPort(_ packet: Packet, at now: UInt64) -> Bool {
        let tuple = packet.tuple
        guard tuple.protocolNumber == IPProtocol.tcp, packet.tcp.flags.contains(.syn),
            !packet.tcp.flags.contains(.ack),
            frontEnds.contains(
                FrontEnd(
                    family: tuple.family, address: tuple.destination,
                    port: tuple.destinationPart))
        else { return false }
        return node.delete(
            tuple, where: { $0.protocolState == TCPState.timeWait.rawValue },
            at: Instant(nanoseconds: now))
    }
}
