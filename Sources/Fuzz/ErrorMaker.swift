internal import Wire

/// ICMP and ICMPv6: queries, answers, and errors about the flows of a trace.
enum ErrorMaker {
    /// A query or an answer between the ends of `path`.
    static func query(_ path: FlowPath, _ dice: inout FuzzDice) -> TCPFlow.Segment {
        var fromClient = dice.oneIn(2)
        var type: UInt8
        switch path.family {
        case .ipv4:
            let asking = dice.pick([8, 8, 8, 13, 15, 17] as [UInt8])
            type = fromClient ? asking : asking == 8 ? 0 : asking + 1
            if dice.oneIn(10) { type = UInt8(dice.below(24)) }
        case .ipv6:
            let asking: UInt8 = dice.oneIn(5) ? 139 : 128
            type = fromClient ? asking : asking + 1
            if dice.oneIn(10) {
                type = dice.pick([130, 131, 132, 133, 134, 135, 136, 143, 151, 152, 200, 100, 137])
            }
        }
        if dice.oneIn(10) { fromClient.toggle() }
        let (source, destination) = path.ends(fromClient: fromClient)
        let identifier = (fromClient ? source : destination).port
        let code: UInt8 = dice.oneIn(16) ? 1 : 0
        let sequence = UInt16(dice.below(10))
        var message = PacketMaker.icmp(
            from: source, to: destination, type: type, code: code,
            rest: identifier.bytes + sequence.bytes
                + [UInt8](repeating: 0, count: dice.pick([0, 8, 56, 600])))
        if dice.oneIn(24) { message = Array(message.prefix(dice.below(9))) }
        return TCPFlow.Segment(fromClient: fromClient, bytes: message)
    }

    /// An error about a packet of the flow `path`.
    ///
    /// `quotedTransport` is the transport part of the packet it complains about, as it was sent.
    ///
    /// - Returns: The error's ends as it arrives, and the message.
    static func error(
        about path: FlowPath, _ protocolNumber: UInt8, _ quotedTransport: [UInt8],
        fromClient: Bool, router: Endpoint, _ dice: inout FuzzDice
    ) -> (source: Endpoint, destination: Endpoint, bytes: [UInt8]) {
        // What the far side has seen of the packet, and hence quotes.
        let seen = path.endsBeyond(fromClient: fromClient)
        var transport = quotedTransport
        if transport.count >= 4, protocolNumber != IPProtocol.icmp,
            protocolNumber != IPProtocol.icmpv6, protocolNumber != IPProtocol.gre
        {
            let ports = seen.source.port.bytes + seen.destination.port.bytes
            transport.replaceSubrange(0..<4, with: ports)
        }
        var part = NetworkPart()
        if dice.oneIn(12), path.family == .ipv4 { part.options = [1, 1, 1, 0] }
        var quoted = PacketMaker.packet(
            from: seen.source, to: seen.destination, protocolNumber, transport, part)
        let headerByteCount = path.family == .ipv4 ? 20 + part.options.count : 40
        spoil(&quoted, headerByteCount, path.family, &dice)
        let limit = headerByteCount + dice.pick([8, 8, 20, 60, 200, 4, 3, 0])
        quoted = Array(quoted.prefix(limit))

        var destination = seen.source
        if dice.oneIn(10) { destination = path.service }
        let source = dice.oneIn(2) ? router : seen.destination
        let type: UInt8
        switch path.family {
        case .ipv4: type = dice.pick([3, 3, 3, 4, 5, 11, 12])
        case .ipv6:
            // Told "too big" itself, the live machine's own stack would learn a smaller MTU.
            let isOwn = destination.address == Endpoint(NodeMaker.wanAddress6, 0).address
            type = dice.pick(isOwn ? [1, 3, 4, 100] : [1, 2, 3, 4, 100])
        }
        let message = PacketMaker.icmp(
            from: source, to: destination, type: type, code: UInt8(dice.below(5)),
            rest: [0, 0, 5, 0] + quoted)
        return (source, destination, message)
    }

    /// Now and then, something is wrong with the quotation.
    private static func spoil(
        _ quoted: inout [UInt8], _ headerByteCount: Int, _ family: Family, _ dice: inout FuzzDice
    ) {
        switch dice.below(30) {
        case 0 where family == .ipv4: quoted[7] |= 1  // A later fragment.
        case 1 where family == .ipv4: quoted[9] = 1  // An ICMP message instead.
        case 2 where quoted.count > headerByteCount + 1: quoted[headerByteCount + 1] ^= 1
        case 3 where family == .ipv4: quoted[10] ^= 0xFF  // The header's checksum.
        case 4: quoted[0] = 0x55
        default: break
        }
    }
}
