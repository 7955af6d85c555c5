internal import Wire

// The path for packets that come as bytes: parsed, put together where they are fragments, taken
// through the hooks, written back, cut to the egress interface's MTU.

extension Node {
    /// Takes one network-layer packet through the node.
    ///
    /// `interface` is where it came in; `nil` leaves that to its source address. A packet whose
    /// network header IP input refuses is dropped as `malformed`; nothing else in it can fail.
    public mutating func receive(
        _ bytes: Span<UInt8>, on interface: InterfaceIndex?, at now: Instant
    ) -> Delivery {
        var layout = PacketLayout()
        guard
            var packet = try? Packet(
                parsing: bytes, verifiesChecksum: settings.verifiesChecksums, layout: &layout)
        else {
            var refused = Delivery(
                verdict: .dropped, info: .none, inInterface: interface ?? InterfaceIndex(0))
            refused.reason = .malformed
            refused.entry = Packet(refused: bytes).flatMap { entry(of: $0, at: moment(now)) }
            return refused
        }
        packet.inInterface =
            interface ?? routing.ingress(of: packet.tuple.source, packet.tuple.family)
        let arrived = packet
        let end = receive(&packet, at: now)
        var delivery = report(end, arrived, packet, at: moment(now))
        if end.verdict == .forwarded {
            var output = [UInt8](copying: bytes.extracting(0..<Int(arrived.networkByteCount)))
            PacketRewriter.apply(from: arrived, to: packet, layout, bytes: &output)
            delivery.out = [Transmission(interface: packet.outInterface, bytes: output)]
        }
        return delivery
    }

    /// What is told about a packet: how it ended, and what a lookup of it finds now.
    private func report(
        _ end: PathEnd, _ arrived: Packet, _ packet: Packet, at now: Moment
    ) -> Delivery {
        var delivery = Delivery(
            verdict: end.verdict, info: packet.info, inInterface: arrived.inInterface)
        delivery.reason = end.reason
        delivery.rule = end.rule
        if !arrived.health.contains(.noTuple) { delivery.tuple = arrived.tuple }
        delivery.entry = entry(of: arrived, at: now)
        return delivery
    }

    /// The connection of a packet that has gone, or of the packet it quotes. Evicts nothing.
    private func entry(of arrived: Packet, at now: Moment) -> Entry? {
        var key = arrived.tuple
        if arrived.health.contains(.quotesTuple) {
            guard let inverted = arrived.quoted.inverted else { return nil }
            key = inverted
        } else if arrived.health.contains(.noTuple) {
            return nil
        }
        return table.peek(key, .none, namespace, at: now).map { table.entry($0.slot, at: now) }
    }
}

extension [UInt8] {
    fileprivate init(copying bytes: Span<UInt8>) {
        self.init()
        reserveCapacity(bytes.count)
        for index in bytes.indices { append(bytes[index]) }
    }
}
