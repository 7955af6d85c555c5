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
        else { return refused(bytes, interface, at: moment(now)) }
        packet.inInterface =
            interface ?? routing.ingress(of: packet.tuple.source, packet.tuple.family)
        if layout.isFragment, let station = reassemblyStation(packet.tuple.family) {
            return receive(fragment: packet, bytes, station, at: moment(now))
        }
        if layout.isFragment, packet.tuple.family == .ipv4,
            routing.destination(of: packet.tuple, from: packet.inInterface) == .local
        {
            return receive(localFragment: packet, bytes, at: moment(now))
        }
        let arrived = packet
        keep(bytes, arrived, layout)
        let now = moment(now)
        let end = begin(&packet, at: now) ?? finish(&packet, bytes, arrived, layout, at: now)
        letGo(&packet)
        transit.forget()
        var delivery = report(end, arrived, packet, at: now)
        if end.verdict == .forwarded {
            let output = [UInt8](copying: bytes.extracting(0..<Int(arrived.networkByteCount)))
            depart(
                &delivery, output, from: arrived, to: packet, layout, origin: nil, at: now)
        }
        payload.clear()
        return delivery
    }

    /// The last hook for a packet whose bytes are at hand: a helper reads them there.
    mutating func finish(
        _ packet: inout Packet, _ bytes: Span<UInt8>, _ arrived: Packet, _ layout: PacketLayout,
        at now: Moment
    ) -> PathEnd {
        takePayload(of: packet, bytes, arrived, layout)
        return finish(&packet, at: now)
    }

    /// Lays a packet's payload down for its connection's helper.
    mutating func takePayload(
        of packet: Packet, _ bytes: Span<UInt8>, _ arrived: Packet, _ layout: PacketLayout
    ) {
        guard packet.connection != .none, packet.tuple.protocolNumber == IPProtocol.tcp else {
            return
        }
        let status = table.records[packet.connection].status
        guard !status.isDisjoint(with: [.helper, .sequenceAdjust]) else { return }
        keep(bytes, arrived, layout, isWanted: true)
        payload.take(bytes, packet, layout)
    }

    /// A packet that IP input drops: nothing sees it, but it may still be looked up.
    func refused(
        _ bytes: Span<UInt8>, _ interface: InterfaceIndex?, at now: Moment
    ) -> Delivery {
        let readable = Packet(refused: bytes)
        let ingress =
            interface
            ?? readable.map { routing.ingress(of: $0.tuple.source, $0.tuple.family) }
            ?? InterfaceIndex(0)
        var delivery = Delivery(verdict: .dropped, info: .none, inInterface: ingress)
        delivery.reason = .malformed
        delivery.entry = readable.flatMap { entry(of: $0, .none, at: now) }
        return delivery
    }

    /// A fragment: what stands before reassembly sees it, what stands behind sees the whole.
    private mutating func receive(
        fragment: Packet, _ bytes: Span<UInt8>, _ station: Int, at now: Moment
    ) -> Delivery {
        var packet = fragment
        let steps = plan.range(of: .prerouting, packet.tuple.family)
        keep(bytes, fragment, PacketLayout())
        let datagramTuple = reassembly.tuple(of: fragment, bytes)
        if let end = run(steps.lowerBound..<station, .prerouting, &packet, at: now) {
            letGo(&packet)
            transit.forget()
            return report(end, fragment, packet, at: now)
        }
        switch reassembly.take(bytes, at: now.instant) {
        case .whole(let datagram):
            return receive(whole: datagram, from: fragment, packet, station, at: now)
        case .passedOn:
            return pass(fragment, packet, bytes, station, at: now)
        case .held:
            return wait(fragment, packet, .fragmentPending, datagramTuple, at: now)
        case .dropped(let drop):
            let reason: DropReason = drop == .noMemory ? .fragmentOverflow : .fragmentInvalid
            return wait(fragment, packet, reason, datagramTuple, at: now)
        }
    }

    /// A fragment for this node where nothing tracks: local delivery puts it together, after
    /// PREROUTING and before INPUT.
    private mutating func receive(
        localFragment fragment: Packet, _ bytes: Span<UInt8>, at now: Moment
    ) -> Delivery {
        var packet = fragment
        defer { transit.forget() }
        keep(bytes, fragment, PacketLayout())
        let prerouting = plan.range(of: .prerouting, .ipv4)
        if let end = run(prerouting, .prerouting, &packet, at: now) {
            return report(end, fragment, packet, at: now)
        }
        guard case .whole(let datagram) = reassembly.take(bytes, at: now.instant) else {
            return report(PathEnd(.dropped, .fragmentPending), fragment, packet, at: now)
        }
        var layout = PacketLayout()
        guard
            var whole = try? Packet(
                parsing: datagram.bytes.span, verifiesChecksum: false, layout: &layout)
        else { return report(PathEnd(.dropped, .malformed), fragment, packet, at: now) }
        whole.inInterface = packet.inInterface
        whole.mark = packet.mark
        let arrived = whole
        keep(datagram.bytes.span, arrived, layout)
        let end = route(&whole, at: now) ?? finish(&whole, at: now)
        return report(end, arrived, whole, at: now)
    }

    /// A fragment that nothing behind reassembly sees.
    private func wait(
        _ fragment: Packet, _ packet: Packet, _ reason: DropReason, _ datagramTuple: Tuple?,
        at now: Moment
    ) -> Delivery {
        var delivery = report(PathEnd(.dropped, reason), fragment, packet, at: now)
        delivery.entry = datagramTuple.flatMap { entry(of: $0, .none, at: now) }
        return delivery
    }

    /// A fragment that reassembly makes nothing of goes on as it is.
    private mutating func pass(
        _ fragment: Packet, _ seen: Packet, _ bytes: Span<UInt8>, _ station: Int, at now: Moment
    ) -> Delivery {
        var packet = seen
        let steps = plan.range(of: .prerouting, packet.tuple.family)
        let end =
            run(station + 1..<steps.upperBound, .prerouting, &packet, at: now)
            ?? route(&packet, at: now) ?? finish(&packet, at: now)
        letGo(&packet)
        transit.forget()
        var delivery = report(end, fragment, packet, at: now)
        if end.verdict == .forwarded {
            let output = [UInt8](copying: bytes.extracting(0..<Int(fragment.networkByteCount)))
            depart(
                &delivery, output, from: fragment, to: packet, PacketLayout(), origin: nil,
                at: now)
        }
        return delivery
    }

    /// A datagram whose last missing fragment has come.
    private mutating func receive(
        whole datagram: Reassembled, from fragment: Packet, _ packet: Packet, _ station: Int,
        at now: Moment
    ) -> Delivery {
        let steps = plan.range(of: .prerouting, packet.tuple.family)
        var layout = PacketLayout()
        guard
            var whole = try? Packet(
                parsing: datagram.bytes.span, verifiesChecksum: settings.verifiesChecksums,
                layout: &layout)
        else { return report(PathEnd(.dropped, .malformed), fragment, packet, at: now) }
        whole.inInterface = packet.inInterface
        whole.mark = packet.mark
        whole.info = packet.info
        whole.template = packet.template
        whole.health.insert(.reassembled)
        whole.fragmentByteCount = UInt16(clamping: datagram.origin.largestByteCount)
        let arrived = whole
        keep(datagram.bytes.span, arrived, layout)
        let end =
            run(station + 1..<steps.upperBound, .prerouting, &whole, at: now)
            ?? route(&whole, at: now)
            ?? finish(&whole, datagram.bytes.span, arrived, layout, at: now)
        letGo(&whole)
        transit.forget()
        var delivery = report(end, arrived, whole, at: now)
        if end.verdict == .forwarded {
            depart(
                &delivery, datagram.bytes, from: arrived, to: whole, layout,
                origin: datagram.origin, at: now)
        }
        payload.clear()
        return delivery
    }

    /// Puts the packet's bytes as they leave into `delivery`: rewritten, and in pieces where they
    /// must be.
    ///
    /// A packet that would have to be cut and may not be is dropped here, behind POSTROUTING: its
    /// connection stays confirmed.
    mutating func depart(
        _ delivery: inout Delivery, _ bytes: [UInt8], from arrived: Packet, to packet: Packet,
        _ layout: PacketLayout, origin: FragmentOrigin?, at now: Moment
    ) {
        var output = bytes
        PacketRewriter.apply(from: arrived, to: packet, layout, bytes: &output)
        if payload.hasChanges {
            PayloadRewriter.apply(payload, to: packet, &output)
            delivery.payload = payload.change
        }
        if packet.health.contains(.options) { fillOptions(of: &output, packet, at: now) }
        let mtu = configuration.interfaces[Int(packet.outInterface.raw)].mtu
        if output.count <= mtu, origin == nil {
            delivery.out = [Transmission(interface: packet.outInterface, bytes: output)]
            return
        }
        var origin = origin
        let needed = headerEnd(arrived, packet, layout)
        if let pieces = origin?.pieceEnds, let first = pieces.first, first < needed {
            origin?.pieceEnds = [needed] + pieces.filter { $0 > needed }
        }
        let outcome = Fragmenter.split(
            output.span, packet.tuple.family, mtu: mtu, origin: origin,
            identification: UInt32(truncatingIfNeeded: table.drawNumber()))
        switch outcome {
        case .whole:
            delivery.out = [Transmission(interface: packet.outInterface, bytes: output)]
        case .fragments(let fragments):
            delivery.out = fragments.map {
                Transmission(interface: packet.outInterface, bytes: $0)
            }
        case .tooBig:
            delivery.verdict = .dropped
            delivery.reason = .tooBig
        }
    }

    /// Where the header ends that the path needed in one piece, in bytes from the packet's start.
    ///
    /// Observed on 6.18: a header spread over two fragments is drawn into the first on the way, and
    /// the packet then leaves in other pieces than it came in. That is a TCP header, an SCTP header
    /// that was verified or translated, and in an ICMP error whatever translation has written into.
    private func headerEnd(_ arrived: Packet, _ packet: Packet, _ layout: PacketLayout) -> Int {
        func end(
            _ protocolNumber: UInt8, at offset: Int, _ present: Int, least: Int, isTouched: Bool
        ) -> Int {
            switch protocolNumber {
            case IPProtocol.tcp where present >= 20: offset + 20
            case IPProtocol.sctp where present >= 12 && isTouched: offset + 12
            default: offset + least
            }
        }
        // The nat stations have every such error's quoted network header in one piece.
        if packet.info.state == .related, packet.tuple.hasIdentifier,
            ruleset.needsNAT(packet.tuple.family)
        {
            let quotedHeader = packet.tuple.family == .ipv4 ? 20 : 40
            guard arrived.quoted != packet.quoted else {
                return layout.transportOffset + 8 + quotedHeader
            }
            return end(
                packet.quoted.protocolNumber, at: layout.quotedTransportOffset,
                Int(packet.quotedByteCount), least: 8, isTouched: true)
        }
        return end(
            packet.tuple.protocolNumber, at: layout.transportOffset,
            Int(packet.transportByteCount), least: 0,
            isTouched: arrived.tuple != packet.tuple
                || (settings.verifiesChecksums && packet.info != .untracked))
    }

    private func fillOptions(of packet: inout [UInt8], _ sent: Packet, at now: Moment) {
        let egress = primaryAddress(of: sent.outInterface, .ipv4) ?? .zero
        IPv4Options.forward(&packet, from: egress, millisecondsOfDay: millisecondsOfDay(now))
    }

    /// What an IPv4 timestamp option takes down.
    func millisecondsOfDay(_ now: Moment) -> UInt32 {
        let time = configuration.epochNanoseconds &+ now.instant.nanoseconds
        return UInt32(time / 1_000_000 % 86_400_000)
    }

    /// What is told about a packet: how it ended, and what a lookup of it finds now.
    func report(
        _ end: PathEnd, _ arrived: Packet, _ packet: Packet, at now: Moment
    ) -> Delivery {
        var delivery = Delivery(
            verdict: end.verdict, info: packet.info, inInterface: arrived.inInterface)
        delivery.reason = end.reason
        delivery.rule = end.rule
        if end.reason == .rejected {
            delivery.answers = answers.filter { $0.end.verdict == .forwarded }.map {
                Transmission(interface: $0.packet.outInterface, bytes: $0.bytes)
            }
        }
        if !arrived.health.contains(.noTuple) { delivery.tuple = arrived.tuple }
        delivery.entry = entry(of: arrived, packet.template.zones, at: now)
        return delivery
    }

    /// The connection of a packet that has gone, or of the packet it quotes.
    ///
    /// Evicts nothing.
    private func entry(of arrived: Packet, _ zones: ZonePair, at now: Moment) -> Entry? {
        if !arrived.health.isDisjoint(with: [.quotesTuple, .quotesIdentifier]) {
            return arrived.quoted.inverted.flatMap { entry(of: $0, zones, at: now) }
        }
        // An ICMP header cut short behind its id is no tuple for the tracker, but still names a flow.
        let isNamed =
            !arrived.health.contains(.noTuple)
            || (arrived.tuple.hasIdentifier && arrived.transportByteCount >= 6
                && !arrived.health.contains(.laterFragment))
        return isNamed ? entry(of: arrived.tuple, zones, at: now) : nil
    }

    /// As a lookup would: in the original direction's zone, then in the reply's.
    private func entry(of tuple: Tuple, _ zones: ZonePair, at now: Moment) -> Entry? {
        table.peek(tuple, zones, namespace, at: now).map { table.entry($0.slot, at: now) }
    }
}
