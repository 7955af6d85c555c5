internal import Wire

// Network address translation: spec nat.md. A mapping is a changed reply tuple plus status bits;
// what a packet must look like follows from the two tuples. NAT asks the table whether a tuple is
// taken, and changes nothing else there than the reply tuple of a connection not yet confirmed.

enum NAT {
    static let anyNAT: Status = [.sourceNAT, .destinationNAT]
    static let bothDone: Status = [.sourceNATDone, .destinationNATDone]

    /// Which end a nat hook decides and translates.
    static func kind(at hook: Hook) -> NATKind? {
        switch hook {
        case .prerouting, .output: .destination
        case .postrouting, .input: .source
        case .forward: nil
        }
    }

    static func doneBit(_ kind: NATKind) -> Status {
        kind == .source ? .sourceNATDone : .destinationNATDone
    }

    static func changeBit(_ kind: NATKind) -> Status {
        kind == .source ? .sourceNAT : .destinationNAT
    }

    /// Decides one end of a connection's mapping for good.
    ///
    /// Kernel: `nf_nat_setup_info()`; spec nat.md §2. A search that finds nothing is no failure
    /// here: the tuple is taken all the same and the connection fails at confirmation.
    ///
    /// Returns whether the mapping is known to be taken already.
    @discardableResult
    static func setUp(
        _ slot: Slot, _ range: NATRange, _ kind: NATKind,
        in table: inout ConnectionTable, at now: Moment
    ) -> Bool {
        // A confirmed connection stays as it is for life.
        guard !table.records[slot].status.contains(.confirmed) else { return false }
        guard let current = table.tuple(of: slot, .reply).inverted else { return false }
        let (chosen, isTaken) = TupleSearch.uniqueTuple(
            current, range, kind, slot, in: &table, at: now)
        if chosen != current, let reply = chosen.inverted {
            table.setReply(reply, of: slot)
            if kind == .source { table.recentSource = (chosen.family, chosen.source) }
            table.records[slot].status.insert(changeBit(kind))
        }
        if kind == .source { table.enterBySource(slot) }
        table.records[slot].status.insert(doneBit(kind))
        return isTaken
    }

    /// Does for a connection no rule asks to map what `setUp` does with its `nullRange`, where the
    /// head of one chain shows that nobody has the tuple of its answers.
    ///
    /// Returns false where a search is needed.
    static func keep(
        _ slot: Slot, _ kind: NATKind, in table: inout ConnectionTable, at now: Moment
    ) -> Bool {
        let hash = table.records[slot].hashReply
        guard hash != 0, !table.records[slot].status.contains(.confirmed),
            table.findsNone(hash, at: now)
        else { return false }
        if kind == .source { table.enterBySource(slot) }
        table.records[slot].status.insert(doneBit(kind))
        return true
    }

    /// The mapping of a connection no rule asks to map: its present address, any free port.
    static func nullRange(_ reply: Tuple, _ kind: NATKind) -> NATRange {
        NATRange(to: kind == .source ? reply.destination : reply.source)
    }

    /// Gives a packet the addresses its connection's mapping asks for at this hook.
    ///
    /// Returns false if the packet must be dropped.
    ///
    /// Kernel: `nf_nat_packet()`; spec nat.md §1.
    ///
    /// `target`: what the other side knows the packet as.
    static func translate(_ packet: inout Packet, _ kind: NATKind, into target: Tuple) -> Bool {
        guard isWritable(packet.tuple, packet.transportByteCount, packet.lengthField, kind) else {
            return false
        }
        switch kind {
        case .source:
            packet.tuple.source = target.source
            packet.tuple.sourcePart = target.sourcePart
        case .destination:
            packet.tuple.destination = target.destination
            if packet.tuple.hasIdentifier {
                packet.tuple.sourcePart = target.sourcePart
            } else {
                packet.tuple.destinationPart = target.destinationPart
            }
        }
        return true
    }

    /// Whether the transport header of `tuple`, one of the packet's two, can be written to.
    ///
    /// Observed on 6.18: it wants the first eight bytes even where it changes nothing in them, as
    /// in GRE, and where a destination changes it must know GRE's version.
    @inline(__always)
    private static func isWritable(
        _ tuple: Tuple, _ byteCount: UInt32, _ lengthField: UInt16, _ kind: NATKind
    ) -> Bool {
        guard tuple.protocolNumber != IPProtocol.gre else {
            return byteCount >= 8 && (kind == .source || lengthField <= 1)
        }
        return byteCount >= 8 || !(tuple.hasPorts || tuple.hasIdentifier)
    }

    /// Whether a packet of this direction changes at a hook of this kind.
    @inline(__always)
    static func wantsTranslation(
        _ status: Status, _ direction: Direction, _ kind: NATKind
    ) -> Bool { status.contains(wantedBit(direction, kind)) }

    /// The bit that makes a packet of this direction change at a hook of this kind.
    private static func wantedBit(_ direction: Direction, _ kind: NATKind) -> Status {
        let bit = changeBit(kind)
        guard direction == .reply else { return bit }
        return bit == .sourceNAT ? .destinationNAT : .sourceNAT
    }

    /// Translates an ICMP error of a mapped connection, the packet it quotes included.
    ///
    /// Returns false if the error must be dropped.
    ///
    /// Kernel: `nf_nat_icmp_reply_translation()`; spec nat.md §7.
    static func translateError(
        _ packet: inout Packet, _ direction: Direction, _ kind: NATKind,
        in table: borrowing ConnectionTable
    ) -> Bool {
        let status = table.records[packet.connection].status
        if packet.health.contains(.badChecksum) { return false }
        if ICMPTracker.isRedirect(packet.tuple) {
            guard status.isSuperset(of: bothDone), status.isDisjoint(with: anyNAT) else {
                return false
            }
        }
        guard status.contains(wantedBit(direction, kind)) else { return true }
        guard let target = table.tuple(of: packet.connection, direction.opposite).inverted
        else { return true }
        // Inside, everything runs the other way: what is a destination outside is a source there.
        let inner: NATKind = kind == .source ? .destination : .source
        let quotedByteCount = UInt32(packet.quotedByteCount)
        guard isWritable(packet.quoted, quotedByteCount, packet.lengthField, inner) else {
            return false
        }
        switch kind {
        case .source:
            packet.tuple.source = target.source
            packet.quoted.destination = target.source
            if packet.quoted.hasIdentifier {
                packet.quoted.sourcePart = target.sourcePart
            } else {
                packet.quoted.destinationPart = target.sourcePart
            }
        case .destination:
            packet.tuple.destination = target.destination
            packet.quoted.source = target.destination
            packet.quoted.sourcePart =
                packet.quoted.hasIdentifier ? target.sourcePart : target.destinationPart
        }
        return true
    }
}

extension Tuple {
    /// Whether the protocol has one identifier for both ends instead of two ports.
    @inline(__always)
    var hasIdentifier: Bool {
        (protocolNumber == IPProtocol.icmp && family == .ipv4)
            || (protocolNumber == IPProtocol.icmpv6 && family == .ipv6)
    }

    /// Whether the protocol has ports that a mapping may change.
    var hasPorts: Bool {
        switch protocolNumber {
        case IPProtocol.tcp, IPProtocol.udp, IPProtocol.udpLite, IPProtocol.sctp: true
        default: false
        }
    }
}
