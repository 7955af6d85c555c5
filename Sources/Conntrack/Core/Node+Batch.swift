// Other ways through the same path: many packets at once, and the tracker alone.

extension Node {
    /// Takes packets through the whole path one after another, as `receive` does with each.
    ///
    /// What their lookups touch is fetched ahead, so that a large table costs less; the outcome is
    /// the same. `ends` has room for one end a packet.
    public mutating func receive(
        _ packets: inout MutableSpan<Packet>, ends: inout MutableSpan<PathEnd>, at now: Instant
    ) {
        precondition(ends.count >= packets.count, "one end a packet")
        let moment = moment(now)
        inBatches(&packets) { node, packet, index in
            let end = node.begin(&packet, at: moment) ?? node.finish(&packet, at: moment)
            node.letGo(&packet)
            ends[index] = end
        }
    }

    /// Tracks a packet and enters its connection, and nothing else: no rules, translation, routing.
    ///
    /// For data paths that have those already. Returns the reason where the packet must be dropped.
    public mutating func track(_ packet: inout Packet, at now: Instant) -> DropReason? {
        trackAlone(&packet, at: moment(now))
    }

    /// Tracks packets one after another, as `track` does with each, and fetches ahead for them.
    ///
    /// `drops` has room for one reason a packet; `nil` stands for one that goes on.
    public mutating func track(
        _ packets: inout MutableSpan<Packet>, drops: inout MutableSpan<DropReason?>,
        at now: Instant
    ) {
        precondition(drops.count >= packets.count, "one reason a packet")
        let moment = moment(now)
        inBatches(&packets) { node, packet, index in
            drops[index] = node.trackAlone(&packet, at: moment)
        }
    }

    @inline(__always)
    private mutating func trackAlone(_ packet: inout Packet, at now: Moment) -> DropReason? {
        let reason = track(&packet, at: now) ?? confirm(&packet, at: now)
        letGo(&packet)
        return reason
    }

    @inline(__always)
    private mutating func inBatches(
        _ packets: inout MutableSpan<Packet>,
        _ take: (inout Node, inout Packet, Int) -> Void
    ) {
        var start = 0
        while start < packets.count {
            let end = min(start + ConnectionTable.batchSize, packets.count)
            table.fetchAhead(&packets, start..<end, namespace)
            for index in start..<end {
                take(&self, &packets[index], index)
            }
            start = end
        }
    }
}
