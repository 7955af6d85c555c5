internal import Wire

// What a node tells the sender of a packet that a `reject` rule refuses: a TCP reset or an ICMP
// "destination unreachable", made here and sent through OUTPUT and POSTROUTING like everything else
// the node sends. Spec policy.md §6, protocols.md §10; the rest was observed on 6.18.
//
// The answer belongs to the refused packet's connection, in the other direction, as RELATED: the
// tracker passes it by, nothing is accounted, a mapping is undone for it, and a connection that is
// new is not confirmed by it. A packet without connection has an answer without one, which the
// tracker then looks at as at any other: in the zone that a rule has set for the refused packet, if
// that did not get as far as the tracker.

/// A packet of the node's own that says to a sender that its packet was refused.
public struct Answer: Sendable {
    /// As it is at the end of its way.
    public var packet: Packet
    /// Where that was: `.forwarded` where it left by an interface, `.local` over loopback.
    public var end: PathEnd
    /// Its bytes; empty where the refused packet had none.
    public var bytes: [UInt8]
}

/// The answers to the packet whose way has just ended as `.rejected`.
struct AnswersUnderWay: Sendable {
    var finished: [Answer] = []
    /// How many are on their way: a rule at OUTPUT may refuse an answer, and be answered itself.
    var depth = 0
    var limiter = AnswerLimiter()
}

extension Node {
    /// What `reject` rules have answered to the packet whose way has just ended as `.rejected`.
    ///
    /// One at most, unless a rule at OUTPUT refuses it and is answered too. They are here until the
    /// next packet is refused.
    public var answers: [Answer] { answersUnderWay.finished }

    /// Ends the way of a packet that a rule refuses, and answers it.
    @inline(never)
    mutating func reject(
        _ packet: Packet, _ kind: RejectAnswer, _ rule: RuleReference, _ hook: Hook, at now: Moment
    ) -> PathEnd {
        if answersUnderWay.depth == 0, !answersUnderWay.finished.isEmpty {
            answersUnderWay.finished.removeAll(keepingCapacity: true)
        }
        // An ICMP error is never answered, so that no answer is far from a packet that came in.
        if answersUnderWay.depth < 2, let (answer, bytes) = answer(kind, to: packet, hook, at: now)
        {
            if kind == .tcpReset { closeReset(packet, at: now) }
            answersUnderWay.depth += 1
            send(answer, bytes, for: packet, at: now)
            answersUnderWay.depth -= 1
        }
        return PathEnd(.dropped, .rejected, rule, answer: kind)
    }

    /// Sends an answer on its way, and notes what became of it.
    private mutating func send(
        _ made: Packet, _ bytes: [UInt8], for refused: Packet, at now: Moment
    ) {
        var made = made
        var layout = PacketLayout()
        if !bytes.isEmpty,
            let read = try? Packet(parsing: bytes.span, verifiesChecksum: false, layout: &layout)
        {
            made = read
        }
        if refused.connection != .none, let direction = refused.info.direction {
            table.retain(refused.connection)
            made.connection = refused.connection
            made.info = direction == .original ? .relatedReply : .related
        } else if refused.template.isAttached, !refused.template.isPast {
            // Refused before the tracker: the answer gets the template as it would a connection.
            made.template = refused.template
            made.info = .relatedReply
        }
        if table.journal.explains { table.journal.steps.append(.answered(made)) }
        // What is at hand about the refused packet is not about this one.
        let held = (transit, payload)
        transit = PacketInTransit(bytes: bytes, arrived: made, layout: layout)
        payload = PayloadInTransit()
        var packet = made
        let end = output(&packet, at: now) ?? leave(&packet, at: now)
        letGo(&packet)
        (transit, payload) = held
        var left = bytes
        if !left.isEmpty {
            PacketRewriter.apply(from: made, to: packet, layout, bytes: &left)
        }
        answersUnderWay.finished.append(Answer(packet: packet, end: end, bytes: left))
    }

    // MARK: Making

    /// The answer to a packet, and its bytes; `nil` where the kernel sends none.
    private mutating func answer(
        _ kind: RejectAnswer, to packet: Packet, _ hook: Hook, at now: Moment
    ) -> (Packet, [UInt8])? {
        guard mayAnswer(packet, hook, kind) else { return nil }
        var refused = RefusedPacket(
            packet, at: hook, bytesInTransit(of: packet),
            isVerified: settings.verifiesChecksums && packet.hasPassedSummation)
        fillOptions(of: &refused, at: now)
        if answersUnderWay.depth > 0 { refused.forgetChecksum() }
        switch kind {
        case .tcpReset:
            guard let segment = refused.resettable,
                let answer = AnswerMaker.reset(segment, for: refused),
                routing.egress(to: answer.tuple.destination, answer.tuple.family) != nil
            else { return nil }
            return (answer, refused.bytes.isEmpty ? [] : AnswerMaker.bytes(of: answer))
        case .icmp(let code), .icmpv6(let code):
            return unreachable(code, for: refused, at: now)
        }
    }

    /// Whether the addresses of a packet are such that it is answered.
    private func mayAnswer(_ packet: Packet, _ hook: Hook, _ kind: RejectAnswer) -> Bool {
        let tuple = packet.tuple
        let isReset = kind == .tcpReset
        guard !routing.isGroup(tuple.source, tuple.family) else { return false }
        switch tuple.family {
        case .ipv4:
            guard hook == .prerouting else { return !routing.isGroup(tuple.destination, .ipv4) }
            // Before routing nothing is known of the destination, and nobody looks at it.
            if isReset { return tuple.destination.ipv4 >> 24 != 127 }
            return tuple.source != .zero && !routing.isOwn(tuple.source, .ipv4)
        case .ipv6:
            let loopback = Address(high: 0, low: 1)
            let isUnspecified = tuple.source == .zero || (isReset && tuple.destination == .zero)
            let isFromOutside = packet.inInterface != .none
            let isLoopback = tuple.source == loopback || tuple.destination == loopback
            return !isUnspecified && !(isFromOutside && isLoopback)
                && !routing.isGroup(tuple.destination, .ipv6)
        }
    }

    private mutating func unreachable(
        _ code: UInt8, for refused: RefusedPacket, at now: Moment
    ) -> (Packet, [UInt8])? {
        let tuple = refused.packet.tuple
        guard refused.isReportable, let egress = routing.egress(to: tuple.source, tuple.family),
            let source = answeringAddress(for: refused, leavingBy: egress),
            isInTime(tuple.source, tuple.family, at: now)
        else { return nil }
        var options: [UInt8] = []
        if refused.packet.health.contains(.options), refused.hook != .prerouting {
            options = IPv4Options.answering(
                refused.bytes, from: source, millisecondsOfDay: millisecondsOfDay(now))
        }
        let answer = AnswerMaker.unreachable(
            code, for: refused, from: source, limit: limit(of: tuple.family, egress),
            options: options)
        guard !refused.bytes.isEmpty else { return (answer, []) }
        // The kernel draws the one, and hashes addresses and message with a secret for the other.
        let number =
            tuple.family == .ipv4
            ? UInt32(truncatingIfNeeded: table.drawNumber())
            : table.hash(answer.tuple, zone: 0, namespace)
        let bytes = AnswerMaker.bytes(
            of: answer, quoting: refused.bytes, identification: number, options: options)
        return (answer, bytes)
    }

    /// Whether the limit of ICMP errors lets one go to this address now.
    private mutating func isInTime(
        _ receiver: Address, _ family: Family, at now: Moment
    ) -> Bool {
        guard !routing.isOwn(receiver, family) else { return true }
        let sysctl = configuration.sysctl
        let isLimited = family == .ipv6 || sysctl.icmpRateMask & 1 << 3 != 0
        let spacing = family == .ipv4 ? sysctl.icmpRateLimit : sysctl.icmpv6RateLimit
        return answersUnderWay.limiter.maySend(
            to: receiver, family, every: .milliseconds(isLimited ? Int64(spacing) : 0),
            at: now.instant)
    }

    /// Bytes an ICMP answer may have: what every host takes.
    private func limit(of family: Family, _ egress: InterfaceIndex) -> UInt32 {
        guard family == .ipv4 else { return 1280 }
        guard egress != .none else { return 576 }
        return UInt32(min(576, max(128, configuration.interfaces[Int(egress.raw)].mtu)))
    }

    /// The source of an ICMP answer: the node's address where the packet was for the node, else one
    /// of the interface the answer leaves by (IPv4), or of that the packet came in by (IPv6).
    private func answeringAddress(
        for refused: RefusedPacket, leavingBy egress: InterfaceIndex
    ) -> Address? {
        let tuple = refused.packet.tuple
        if routing.isOwn(tuple.source, tuple.family), refused.hook != .input { return tuple.source }
        let way = Tuple(
            tuple.family, tuple.protocolNumber, source: tuple.destination, 0,
            destination: tuple.source, 0)
        let interface: InterfaceIndex
        switch tuple.family {
        case .ipv4:
            if refused.hook == .input { return tuple.destination }
            interface = egress
        case .ipv6:
            if routing.isOwn(tuple.destination, .ipv6) { return tuple.destination }
            interface = refused.packet.inInterface == .none ? egress : refused.packet.inInterface
        }
        if let address = sourceAddress(on: interface, for: way) { return address }
        return configuration.interfaces.lazy.flatMap(\.addresses)
            .first { $0.family == tuple.family }?.address
    }

    /// Fills in the IPv4 options of a refused packet as routing has.
    private func fillOptions(of refused: inout RefusedPacket, at now: Moment) {
        guard refused.packet.health.contains(.options), !refused.bytes.isEmpty,
            refused.hook == .forward || refused.hook == .input
        else { return }
        let tuple = refused.packet.tuple
        let way = Tuple(
            .ipv4, tuple.protocolNumber, source: tuple.destination, 0, destination: tuple.source, 0)
        let own =
            refused.hook == .input
            ? tuple.destination : sourceAddress(on: refused.packet.inInterface, for: way) ?? .zero
        let before = refused.bytes
        IPv4Options.forward(
            &refused.bytes, from: own, millisecondsOfDay: millisecondsOfDay(now))
        let sum = before.span.bigEndianUInt16(at: 10)
        refused.bytes.setBigEndian(sum, at: 10)
        refused.hasStaleHeader = refused.bytes != before
    }
}
