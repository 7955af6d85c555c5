internal import Wire

extension ConnectionTable {
    /// Takes a confirmed connection out of the table: spec table.md §14.
    ///
    /// Returns false if somebody else is already doing so. Packets in flight that hold it keep it
    /// in existence, and counted, until they let go.
    @discardableResult
    public mutating func delete(_ slot: Slot, at now: Moment) -> Bool {
        guard !records[slot].status.contains(.dying) else { return false }
        records[slot].status.insert(.dying)
        let index = records[slot].extensionIndex
        if index != UInt32.max {
            if extensions[index].parts.contains(.timestamp) {
                extensions[index].stop = expiry(of: slot, at: now)
            }
            if extensions[index].parts.contains(.events), journal.isListening {
                var entry = entry(slot, at: now)
                entry.labels = LabelSet()
                journal.events.append(
                    ConntrackEvent(.destroy, entry, hasProtocolPart: true, at: now.instant))
            }
        }
        if records[slot].status.contains(.helper) { forgetExpectations(of: slot, at: now) }
        journal.removedCount += 1
        if !records[slot].status.contains(.natClash) { unlink(slot, .original) }
        unlink(slot, .reply)
        release(slot)
        return true
    }

    /// The moment a connection ended: now, or when it expired if that was earlier.
    private func expiry(of slot: Slot, at now: Moment) -> Instant {
        let left = records[slot].deadline.ticks(after: now.tick)
        guard left < 0 else { return now.instant }
        let overdue = tickRate.instant(ofTick: UInt64(left.magnitude))
        return Instant(nanoseconds: now.instant.nanoseconds &- overdue.nanoseconds)
    }

    /// Removes every connection of a namespace, as `conntrack -F` does.
    ///
    /// Returns how many.
    @discardableResult
    public mutating func flush(_ namespace: NamespaceIndex, at now: Moment) -> Int {
        delete(where: { $0.namespace == namespace }, at: now)
    }

    /// Removes the confirmed connections that `isWanted` picks, in table order.
    mutating func delete(where isWanted: (ConnectionRecord) -> Bool, at now: Moment) -> Int {
        var victims: [Slot] = []
        forEachConnection { slot, _ in victims.append(slot) }
        var removed = 0
        for slot in victims
        where !records[slot].status.contains(.dying) && isWanted(records[slot]) {
            if delete(slot, at: now) { removed += 1 }
        }
        return removed
    }

    /// Visits every connection once, in table order, through the first of its links that counts:
    /// the original one, or the reply link of a connection that has only that.
    func forEachConnection(_ visit: (Slot, ConnectionRecord) -> Void) {
        for bucket in 0..<buckets.count {
            var link = buckets[bucket].first
            while link != .none {
                let record = records[link.slot]
                if link.direction == .original || record.status.contains(.natClash) {
                    visit(link.slot, record)
                }
                link = next(record, link.direction)
            }
        }
    }

    // MARK: Early drop

    /// Looks for victims in the eight buckets from the newcomer's on: spec table.md §9.
    ///
    /// Every unassured connection of the namespace in the first bucket that has one goes; expired
    /// ones go everywhere and do not count.
    mutating func dropEarly(
        near hash: UInt32, _ namespace: NamespaceIndex, at now: Moment
    ) -> Bool {
        if let evictionHint { return dropHinted(evictionHint, near: hash, namespace, at: now) }
        var bucket = buckets.bucket(of: hash)
        for _ in 0..<min(Limits.earlyDropBuckets, buckets.count) {
            var dropped: UInt32 = 0
            var link = buckets[bucket].first
            while link != .none {
                let slot = link.slot
                let record = records[slot]
                link = next(record, link.direction)
                let hasExpired = record.deadline.hasPassed(at: now.tick)
                let isVictim =
                    !record.status.contains(.assured) && record.namespace == namespace
                    && !record.status.contains(.dying)
                guard hasExpired || isVictim else { continue }
                if link != .none, link.slot == slot { link = next(record, link.direction) }
                let isGone = delete(slot, at: now)
                if isGone, !hasExpired { dropped += 1 }
            }
            if dropped > 0 {
                namespaces[namespace].counters.earlyDrop &+= dropped
                return true
            }
            bucket = bucket + 1 == buckets.count ? 0 : bucket + 1
        }
        return false
    }
}
