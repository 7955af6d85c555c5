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
        let zones = packet.template.zones
        if packet.health.contains(.laterFragment) {
            refuse(&packet, counting: \.invalid, nil, at: now)
            return nil
        }
        if packet.tuple.hasIdentifier {
            let isOwn = packet.health.contains(.local)
            let verifies = settings.verifiesChecksums && !isOwn
            switch ICMPTracker.check(packet, verifiesChecksum: verifies) {
            case .message: break
            case .untracked:
                packet.info = .untracked
                return nil
            case .invalid(let remark):
                refuse(&packet, counting: \.error, remark, at: now)
                return nil
            case .error:
                relate(&packet, at: now)
                return nil
            }
        }
        guard !packet.health.contains(.noTuple) else {
            refuse(&packet, counting: \.invalid, nil, at: now)
            return nil
        }
        // A SYN that reopens a closed connection removes it and comes here a second time; what it
        // then makes is new, so there is no third.
        while true {
            var isNew = false
            let walked = table.linksWalked
            let (found, hash) = table.find(
                packet.tuple, zones, namespace, knownHash: packet.knownHash, at: now)
            if table.journal.explains { explainLookup(packet.tuple, hash, found, walked, at: now) }
            if let found {
                packet.connection = found.slot
                packet.info = info(of: found)
                table.retain(found.slot)
            } else {
                guard let reply = packet.tuple.inverted else {
                    refuse(&packet, counting: \.invalid, nil, at: now)
                    return nil
                }
                if packet.knownReplyHash == 0 {
                    // The wait for the other chain's head passes while the connection is made.
                    packet.knownReplyHash = table.fetchAhead(reply, namespace)
                }
                let made = table.create(
                    packet.tuple, reply: reply, hash: hash, zones, namespace, at: now)
                guard let made else {
                    table.count(\.drop, namespace)
                    kernelLog.tableFull(at: now.instant)
                    if table.journal.explains { table.journal.steps.append(.tableFull) }
                    return .tableFull
                }
                packet.connection = made
                packet.info = .new
                isNew = true
                if let helper = packet.template.helper,
                    helper.protocolNumber == packet.tuple.protocolNumber
                {
                    table.setHelper(helper, made)
                }
                if table.journal.explains { explainCreation(packet.tuple, hash) }
                if !table.expectations.isEmpty, fulfilExpectation(packet, made, at: now) {
                    packet.info = .related
                }
            }
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
        if packet.info.direction == .original,
            !table.records[packet.connection].status.contains(.confirmed)
        {
            let outcome = table.confirm(
                packet.connection, allowsClash: Trackers.allowsClash(packet.tuple),
                knownReplyHash: packet.knownReplyHash, at: now)
            if table.journal.explains { table.journal.steps.append(.confirmed(outcome)) }
            switch outcome {
            case .inserted, .insertedReplyOnly: break
            case .merged(let winner): packet.connection = winner
            case .chainTooLong: return .chainTooLong
            case .dying: return .insertFailed
            case .clash:
                // Else somebody took the tuple while this packet was on its way.
                if packet.lacksPort { table.searches.refusals &+= 1 }
                return .insertFailed
            }
        }
        table.deliverEvents(packet.connection, at: now)
        return nil
    }
}
