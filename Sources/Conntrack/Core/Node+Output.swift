internal import Wire

// The path of a packet the node itself sends: OUTPUT, POSTROUTING, and for one of its own addresses
// back in through PREROUTING and INPUT. Spec policy.md §1, nat.md §2.
//
// The node has no sockets: what it sends is what the caller hands over, and what `reject` rules
// answer (Node+Answers). Nothing here picks a source address, cuts a datagram before OUTPUT, or
// routes a second time because a rule of a `route` chain changed the mark.

extension Node {
    /// Takes a packet of the node's own through the whole path.
    ///
    /// It ends as `.forwarded` where it leaves by an interface, and as `.local` where it comes back
    /// over loopback: its connection stays attached then, so that it is tracked and counted once.
    /// What the path changes, it changes in `packet`.
    public mutating func send(_ packet: inout Packet, at now: Instant) -> PathEnd {
        let now = moment(now)
        let end = output(&packet, at: now) ?? leave(&packet, at: now)
        letGo(&packet)
        return end
    }

    /// Takes one network-layer packet of the node's own through the path, as `receive` does with
    /// one that arrives.
    ///
    /// Checksums are not verified.
    ///
    /// A fragment is refused as malformed: the kernel cuts what it sends behind POSTROUTING.
    public mutating func send(_ bytes: Span<UInt8>, at now: Instant) -> Delivery {
        var layout = PacketLayout()
        guard
            var packet = try? Packet(parsing: bytes, verifiesChecksum: false, layout: &layout),
            !layout.isFragment
        else { return refused(bytes, InterfaceIndex.none, at: moment(now)) }
        packet.inInterface = .none
        let made = packet
        keep(bytes, made, layout)
        let now = moment(now)
        var end = output(&packet, at: now)
        if end == nil {
            takePayload(of: packet, bytes, made, layout)
            end = leave(&packet, at: now)
        }
        letGo(&packet)
        transit.forget()
        defer { payload.clear() }
        return report(sent: end ?? PathEnd(.local), made, packet, bytes, layout, at: now)
    }

    private mutating func report(
        sent end: PathEnd, _ made: Packet, _ packet: Packet, _ bytes: Span<UInt8>,
        _ layout: PacketLayout, at now: Moment
    ) -> Delivery {
        var delivery = report(end, made, packet, at: now)
        if end.verdict == .forwarded {
            let output = [UInt8](copying: bytes.extracting(0..<Int(made.networkByteCount)))
            depart(
                &delivery, output, from: made, to: packet, layout, origin: nil, at: now)
        }
        return delivery
    }

    /// OUTPUT.
    ///
    /// Its rules see the egress interface of the first routing decision; where the destination
    /// changes there, another follows behind the hook (observed on 6.18).
    mutating func output(_ packet: inout Packet, at now: Moment) -> PathEnd? {
        packet.health.insert(.local)
        packet.inInterface = .none
        guard routeOut(&packet) else { return PathEnd(.dropped, .noRoute) }
        let destination = packet.tuple.destination
        let stations = plan.range(of: .output, packet.tuple.family)
        if let end = run(stations, .output, &packet, at: now) { return end }
        guard packet.tuple.destination != destination else { return nil }
        return routeOut(&packet) ? nil : PathEnd(.dropped, .noRoute)
    }

    /// POSTROUTING, and over loopback in again.
    mutating func leave(_ packet: inout Packet, at now: Moment) -> PathEnd {
        let family = packet.tuple.family
        let postrouting = plan.range(of: .postrouting, family)
        if let end = run(postrouting, .postrouting, &packet, at: now) { return end }
        guard routing.isOwn(packet.tuple.destination, family) else { return PathEnd(.forwarded) }
        packet.inInterface = packet.outInterface
        packet.outInterface = .none
        // What has no connection by now comes in like any other packet.
        if packet.connection == .none, packet.info != .untracked {
            packet.info = .none
            packet.template = PacketTemplate()
        }
        let prerouting = plan.range(of: .prerouting, family)
        return run(prerouting, .prerouting, &packet, at: now) ?? finish(&packet, at: now)
    }

    /// Sets the interface the packet leaves by: loopback's for the node's own addresses.
    private func routeOut(_ packet: inout Packet) -> Bool {
        guard let interface = routing.egress(to: packet.tuple.destination, packet.tuple.family)
        else { return false }
        packet.outInterface = interface
        return true
    }
}
