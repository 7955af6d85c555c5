internal import Wire

// The table's side of tracking: what a tracker's decision changes in a connection.

extension ConnectionTable {
    /// Lets the protocol's state machine look at a packet of a connection.
    @inline(__always)
    mutating func follow(
        _ packet: inout Packet, _ direction: Direction, isNew: Bool,
        settings: borrowing TrackerSettings, at now: Moment
    ) -> TrackerResult {
        let slot = packet.connection
        if records[slot].extensionIndex != UInt32.max, let index = attachments(of: slot) {
            return follow(
                &packet, direction, isNew: isNew, attached[index], settings: settings, at: now)
        }
        return Trackers.update(
            &states[slot], &packet, direction, isNew: isNew, status: records[slot].status,
            remaining: records[slot].deadline.ticks(after: now.tick), settings: settings,
            at: now.tick)
    }

    /// The same for a connection that may have a timeout policy of its own, or sequence numbers
    /// that its helper has shifted.
    @inline(never)
    private mutating func follow(
        _ packet: inout Packet, _ direction: Direction, isNew: Bool,
        _ attachments: ConnectionAttachments, settings: borrowing TrackerSettings, at now: Moment
    ) -> TrackerResult {
        let slot = packet.connection
        if records[slot].status.contains(.sequenceAdjust) {
            // The sender acknowledges the other's stream as it was changed for it.
            packet.tcp.acknowledgedShift = attachments[shift: direction.opposite].offset(
                at: packet.tcp.acknowledgment &- 1)
        }
        let policy = attachments.timeoutPolicy
        let own =
            policy == UInt32.max
            ? copy settings : timeoutPolicies[Int(policy)].applied(to: settings)
        return Trackers.update(
            &states[slot], &packet, direction, isNew: isNew, status: records[slot].status,
            remaining: records[slot].deadline.ticks(after: now.tick), settings: own,
            at: now.tick)
    }

    mutating func count(
        _ counter: WritableKeyPath<Counters, UInt32>, _ namespace: NamespaceIndex
    ) {
        namespaces[namespace].counters[keyPath: counter] &+= 1
    }

    @inline(__always)
    mutating func assure(_ slot: Slot) {
        guard !records[slot].status.contains(.assured) else { return }
        records[slot].status.insert(.assured)
        note(.assured, slot)
    }

    /// The first packet in reply direction that the tracker accepted.
    @inline(__always)
    mutating func markReplied(_ slot: Slot) {
        guard !records[slot].status.contains(.seenReply) else { return }
        records[slot].status.insert(.seenReply)
        note(.reply, slot)
    }

    mutating func setMark(_ mark: UInt32, _ slot: Slot) {
        guard slot != .none, records[slot].mark != mark else { return }
        records[slot].mark = mark
        note(.mark, slot)
    }

    /// Hooks came back: established TCP connections of the family begin window tracking anew
    /// (spec tcp.md §10).
    mutating func forgetWindows(_ family: Family, _ namespace: NamespaceIndex) {
        var slots: [Slot] = []
        forEachConnection { slot, record in
            if record.family == family, record.protocolNumber == IPProtocol.tcp,
                record.namespace == namespace
            {
                slots.append(slot)
            }
        }
        for slot in slots where states[slot].tcp.state == .established {
            states[slot].tcp.original.maxWindow = 0
            states[slot].tcp.reply.maxWindow = 0
        }
    }
}
