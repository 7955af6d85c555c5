internal import Wire

// The tracker's two stations: `track` at priority -200 and `confirm` at the end of the path. Spec
// table.md §7 and §10, policy.md §3.

extension Node {
    /// Finds or makes the packet's connection and lets the protocol follow it.
    ///
    /// Returns a reason only where the packet must be dropped; an INVALID packet goes on without
    /// connection.
    ///
    /// Kernel: `nf_conntrack_in()`.
    mutating func track(_ packet: inout Packet, at now: Moment) -> DropReason? {
        packet.template.isPast = true
        guard packet.connection == .none, packet.info != .untracked else { return nil }
        if !packet.health.isDisjoint(with: [.laterFragment, .noTuple]) || packet.tuple.hasIdentifier
        {
            guard isTrackable(&packet, at: now) else { return nil }
        }
        let zones = packet.template.zones
        if packet.knownHash == 0, isLikelyNew(packet) { fetchBothChains(&packet) }
        // A SYN that reopens a closed connection removes it and comes here a second time; what it
        // then makes is new, so there is no third.
        while true {
            let walked = table.linksWalked
            let (found, hash) = table.find(
                packet.tuple, zones, namespace, knownHash: packet.knownHash, at: now)
            if table.journal.explains {
                explainLookup(packet.tuple, zones, hash, found, walked, at: now)
            }
            followsNewcomer = found == nil
            if let found {
                packet.connection = found.slot
                packet.info = info(of: found)
                table.retain(found.slot)
            } else {
                switch begin(&packet, hash, zones, at: now) {
                case .begun: break
                case .refused: return nil
                case .tableFull: return .tableFull
                }
            }
            let isNew = found == nil
            if followPlain(packet, isNew: isNew, at: now) { return nil }
            let direction = packet.info.direction ?? .original
            let before = table.journal.explains ? table.states[packet.connection] : nil
            let result = table.follow(
                &packet, direction, isNew: isNew, settings: settings, at: now)
            if let before { explainFollowing(packet, direction, isNew, before, result) }
            if result.action == .reopen {
                let slot = packet.connection
                letGo(&packet)
                guard table.delete(slot, at: now) else { return .tracker }
                continue
            }
            act(on: result, &packet, direction, at: now)
            return nil
        }
    }

    /// Looks at packets that may have no place in the table: fragments, broken headers, and all of
    /// ICMP, whose errors belong to other packets' connections.
    ///
    /// Returns false for a packet that has been dealt with.
    @inline(never)
    private mutating func isTrackable(_ packet: inout Packet, at now: Moment) -> Bool {
        if packet.health.contains(.laterFragment) {
            refuse(&packet, counting: \.invalid, nil, at: now)
            return false
        }
        if packet.tuple.hasIdentifier {
            let isOwn = packet.health.contains(.local)
            let verifies = settings.verifiesChecksums && !isOwn
            switch ICMPTracker.check(packet, verifiesChecksum: verifies) {
            case .message: break
            case .untracked:
                packet.info = .untracked
                return false
            case .invalid(let remark):
                refuse(&packet, counting: \.error, remark, at: now)
                return false
            case .error:
                relate(&packet, at: now)
                return false
            }
        }
        guard !packet.health.contains(.noTuple) else {
            refuse(&packet, counting: \.invalid, nil, at: now)
            return false
        }
        return true
    }

    /// Follows a datagram of a connection without extras, the commonest packet of all: it gives the
    /// connection new life and changes little else.
    ///
    /// Returns false where the packet has to go the long way, through `follow` and `act`.
    @inline(__always)
    private mutating func followPlain(_ packet: Packet, isNew: Bool, at now: Moment) -> Bool {
        let slot = packet.connection
        guard packet.tuple.protocolNumber == IPProtocol.udp,
            table.records[slot].extensionIndex == UInt32.max, !table.journal.explains
        else { return false }
        let status = table.records[slot].status
        let phase = UDPTracker.phase(
            &table.states[slot], packet, isNew: isNew, status: status, settings: settings,
            at: now.tick)
        switch phase {
        case .defective: return false
        case .exchange: table.refresh(slot, settings.udp, at: now)
        case .stream:
            if !status.contains(.natClash) { table.assure(slot) }
            table.refresh(slot, settings.udpStream, at: now)
        }
        if packet.info == .establishedReply { table.markReplied(slot) }
        return true
    }

    /// A guess that costs little when it is wrong: newcomers come in runs.
    @inline(__always)
    private func isLikelyNew(_ packet: Packet) -> Bool {
        guard packet.tuple.protocolNumber == IPProtocol.tcp else { return followsNewcomer }
        return packet.tcp.flags.intersection([.syn, .ack]) == .syn
    }

    /// Sets out for the heads of both chains a newcomer is linked into, so that the waits for memory
    /// pass together.
    @inline(__always)
    private mutating func fetchBothChains(_ packet: inout Packet) {
        let reply = packet.tuple.inverted ?? packet.tuple
        packet.knownHash = table.fetchAhead(packet.tuple, namespace)
        packet.knownReplyHash = table.fetchAhead(reply, namespace)
    }

    /// How many connections ahead the place of a new one is fetched.
    private static var placesAhead: Int { 3 }

    private enum Beginning {
        case begun
        /// The packet goes on without a connection.
        case refused
        case tableFull
    }

    /// Makes a connection for a packet whose tuple is in no entry.
    @inline(never)
    private mutating func begin(
        _ packet: inout Packet, _ hash: UInt32, _ zones: ZonePair, at now: Moment
    ) -> Beginning {
        guard let reply = packet.tuple.inverted else {
            refuse(&packet, counting: \.invalid, nil, at: now)
            return .refused
        }
        if packet.knownReplyHash == 0 {
            // The wait for the other chain's head passes while the connection is made.
            packet.knownReplyHash = table.fetchAhead(reply, namespace)
        }
        table.fetchPlace(after: Self.placesAhead)
        let made = table.create(
            packet.tuple, reply: reply, hash: hash, replyHash: packet.knownReplyHash, zones,
            namespace, at: now)
        guard let made else {
            table.count(\.drop, namespace)
            kernelLog.tableFull(at: now.instant)
            if table.journal.explains { table.journal.steps.append(.tableFull) }
            return .tableFull
        }
        packet.connection = made
        packet.info = .new
        if let helper = packet.template.helper,
            helper.protocolNumber == packet.tuple.protocolNumber
        {
            table.setHelper(helper, made)
        }
        if table.recentSource != nil { table.foreseeMapping(of: made) }
        if table.journal.explains { explainCreation(packet.tuple, hash) }
        if !table.expectations.isEmpty, fulfilExpectation(packet, made, at: now) {
            packet.info = .related
        }
        return .begun
    }

    /// Carries out what the tracker decided.
    private mutating func act(
        on result: TrackerResult, _ packet: inout Packet, _ direction: Direction, at now: Moment
    ) {
        let slot = packet.connection
        if let remark = result.remark { self.remark(packet, remark, at: now) }
        if let remark = result.secondRemark { self.remark(packet, remark, at: now) }
        if result.changesProtocolState { table.note(.protocolInfo, slot) }
        if result.setsAssured { table.assure(slot) }
        switch result.action {
        case .invalid, .reopen:
            if let ticks = result.shortenTo { table.refresh(slot, ticks, at: now) }
            letGo(&packet)
            packet.info = .invalid
            table.count(\.invalid, namespace)
            return
        case .pass: break
        case .refresh:
            table.refresh(slot, result.timeout, at: now)
            table.account(slot, direction, byteCount: UInt64(packet.networkByteCount))
        case .kill:
            table.account(slot, direction, byteCount: UInt64(packet.networkByteCount))
            table.delete(slot, at: now)
        }
        if packet.info == .establishedReply { table.markReplied(slot) }
    }

    /// What a packet is to a connection found: spec table.md §7.1.
    @inline(__always)
    private func info(of found: ConnectionTable.Found) -> ConntrackInfo {
        if found.direction == .reply { return .establishedReply }
        let status = table.records[found.slot].status
        if status.contains(.seenReply) { return .established }
        return status.contains(.expected) ? .related : .new
    }

    /// Attaches an ICMP error to the connection of the packet it quotes: spec protocols.md §5.1.
    private mutating func relate(_ packet: inout Packet, at now: Moment) {
        guard packet.health.contains(.quotesTuple), let inverted = packet.quoted.inverted else {
            refuse(&packet, counting: \.error, nil, at: now)
            return
        }
        let (found, _) = table.find(inverted, packet.template.zones, namespace, at: now)
        guard let found else {
            refuse(&packet, counting: \.error, nil, at: now)
            return
        }
        let expected = table.tuple(of: found.slot, found.direction).destination
        guard packet.tuple.destination == expected else {
            refuse(
                &packet, counting: \.error,
                .outerDestination(
                    found: packet.tuple.destination, expected: expected, packet.tuple.family),
                at: now)
            return
        }
        table.retain(found.slot)
        packet.connection = found.slot
        packet.info = found.direction == .original ? .related : .relatedReply
        if table.journal.explains {
            table.journal.steps.append(.related(table.entry(found.slot, at: now)))
        }
    }

    /// Leaves a packet without connection.
    private mutating func refuse(
        _ packet: inout Packet, counting counter: WritableKeyPath<Counters, UInt32>,
        _ remark: TrackerRemark.Text?, at now: Moment
    ) {
        packet.info = .invalid
        table.count(counter, namespace)
        if let remark { self.remark(packet, remark, at: now) }
        if table.journal.explains { table.journal.steps.append(.unlinked(remark)) }
    }

    // MARK: Rejection

    /// Closes the connection of a packet that a rule answers with a TCP reset: spec tcp.md §11.
    ///
    /// It happens before the reset is sent, which takes the message about it along.
    ///
    /// Kernel: `nf_ct_set_closed()`.
    mutating func closeReset(_ packet: Packet, at now: Moment) {
        let slot = packet.connection
        guard slot != .none, packet.tuple.protocolNumber == IPProtocol.tcp,
            !packet.tcp.flags.contains(.rst), table.records[slot].status.contains(.confirmed),
            table.states[slot].tcp.state != .close
        else { return }
        table.states[slot].tcp.state = .close
        table.refresh(slot, settings.tcp[Int(TCPState.close.rawValue)], at: now)
        table.note(.protocolInfo, slot)
    }

    // MARK: Confirmation

    /// Enters the packet's connection into the table if it is not there yet, and sends what has
    /// been noted.
    ///
    /// Returns a reason where the packet must be dropped.
    ///
    /// Kernel: `nf_confirm()`.
    mutating func confirm(_ packet: inout Packet, at now: Moment) -> DropReason? {
        guard packet.connection != .none else { return nil }
        let status = table.records[packet.connection].status
        if !status.isDisjoint(with: [.helper, .sequenceAdjust]),
            let reason = help(&packet, status, at: now)
        {
            return reason
        }
        if !status.contains(.confirmed), packet.info.direction == .original,
            let reason = enter(&packet, at: now)
        {
            return reason
        }
        table.deliverEvents(packet.connection, at: now)
        return nil
    }

    /// Enters the packet's connection into the table.
    private mutating func enter(_ packet: inout Packet, at now: Moment) -> DropReason? {
        let outcome = table.confirm(
            packet.connection, allowsClash: Trackers.allowsClash(packet.tuple), at: now)
        if table.journal.explains { table.journal.steps.append(.confirmed(outcome)) }
        switch outcome {
        case .inserted, .insertedReplyOnly: return nil
        case .merged(let winner):
            packet.connection = winner
            return nil
        case .chainTooLong: return .chainTooLong
        case .dying: return .insertFailed
        case .clash:
            // Else somebody took the tuple while this packet was on its way.
            if packet.lacksPort { table.searches.refusals &+= 1 }
            return .insertFailed
        }
    }
}
