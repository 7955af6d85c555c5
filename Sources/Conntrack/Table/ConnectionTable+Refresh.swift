internal import Wire

extension ConnectionTable {
    /// Sets a connection's timeout, in ticks from now: spec table.md §13.
    @inline(__always)
    mutating func refresh(_ slot: Slot, _ timeout: UInt32, at now: Moment) {
        let status = records[slot].status
        guard !status.contains(.fixedTimeout) else { return }
        guard status.contains(.confirmed) else {
            records[slot].deadline = Tick(timeout)
            return
        }
        records[slot].deadline = now.tick + timeout
        // A policy's number beyond 2^31 ticks is a time that is over.
        if Int32(bitPattern: timeout) < Int32(ExpiryBound.horizon) { noteEarlier(slot, at: now) }
    }

    /// Tells both chains that a connection's end came nearer than their summaries may assume.
    private mutating func noteEarlier(_ slot: Slot, at now: Moment) {
        let record = records[slot]
        let original = buckets.bucket(of: record.hashOriginal)
        buckets[original].noteEarlier(record.deadline, at: now.tick)
        let reply = buckets.bucket(of: record.hashReply)
        buckets[reply].noteEarlier(record.deadline, at: now.tick)
    }

    /// Counts a packet of a connection, if it has an accounting part.
    @inline(__always)
    mutating func account(_ slot: Slot, _ direction: Direction, byteCount: UInt64) {
        let index = records[slot].extensionIndex
        guard index != UInt32.max else { return }
        guard extensions[index].parts.contains(.accounting) else { return }
        if direction == .original {
            extensions[index].packetsOriginal &+= 1
            extensions[index].bytesOriginal &+= byteCount
        } else {
            extensions[index].packetsReply &+= 1
            extensions[index].bytesReply &+= byteCount
        }
    }

    /// Notes a change that becomes part of the connection's next message.
    @inline(__always)
    mutating func note(_ events: PendingEvents, _ slot: Slot) {
        guard records[slot].extensionIndex != UInt32.max else { return }
        records[slot].pendingEvents.formUnion(events)
    }

    /// Sends what has been noted as one message: when a packet leaves the last hook.
    @inline(__always)
    mutating func deliverEvents(_ slot: Slot, at now: Moment) {
        let pending = records[slot].pendingEvents
        // The answer to a packet that is refused comes by with a connection that is not confirmed.
        guard !pending.isEmpty, records[slot].status.contains(.confirmed) else { return }
        records[slot].pendingEvents = []
        if records[slot].extensionIndex != UInt32.max { deliver(pending, slot, at: now) }
    }

    @inline(never)
    private mutating func deliver(_ pending: PendingEvents, _ slot: Slot, at now: Moment) {
        let index = records[slot].extensionIndex
        guard index != UInt32.max, extensions[index].parts.contains(.events),
            journal.isListening, !records[slot].status.contains(.dying)
        else { return }
        let isNew = !pending.isDisjoint(with: [.new, .related])
        var entry = entry(slot, at: now)
        // Observed on 6.18: only a message about labels carries them.
        if !pending.contains(.labels) { entry.labels = LabelSet() }
        journal.events.append(
            ConntrackEvent(
                isNew ? .new : .update, entry,
                hasProtocolPart: isNew || pending.contains(.protocolInfo), at: now.instant))
    }

    /// A copy of a connection for people and programs to read.
    public func entry(_ slot: Slot, at now: Moment) -> Entry {
        let record = records[slot]
        let state = states[slot]
        var entry = Entry(
            original: tuple(record, .original), reply: tuple(record, .reply))
        entry.status = record.status
        entry.remainingTicks =
            record.status.contains(.confirmed)
            ? record.deadline.ticks(after: now.tick) : Int32(bitPattern: record.deadline.raw)
        if record.protocolNumber == IPProtocol.tcp {
            entry.protocolState = state.tcp.state.rawValue
            entry.windowScaleOriginal = state.tcp.original.scale
            entry.windowScaleReply = state.tcp.reply.scale
            entry.flagsOriginal = state.tcp.original.flags.rawValue
            entry.flagsReply = state.tcp.reply.flags.rawValue
        }
        if record.protocolNumber == IPProtocol.sctp {
            let sctp = state.sctp
            entry.protocolState = sctp.state.rawValue
            entry.tagOriginal = sctp.tagOriginal
            entry.tagReply = sctp.tagReply
        }
        entry.mark = record.mark
        entry.zoneOriginal = record.zoneOriginal
        entry.zoneReply = record.zoneReply
        entry.identifier = identifier(of: slot, record)
        guard record.extensionIndex != UInt32.max else { return entry }
        let block = extensions[record.extensionIndex]
        entry.hasAccounting = block.parts.contains(.accounting)
        entry.packetsOriginal = block.packetsOriginal
        entry.bytesOriginal = block.bytesOriginal
        entry.packetsReply = block.packetsReply
        entry.bytesReply = block.bytesReply
        entry.hasTimestamp = block.parts.contains(.timestamp)
        entry.start = block.start
        entry.stop = block.stop
        if block.parts.contains(.attachments) { describe(attached[block.attachments], in: &entry) }
        return entry
    }

    /// A connection's 32-bit id: of its place and original tuple, as in spec formats.md §9.
    private func identifier(of slot: Slot, _ record: ConnectionRecord) -> UInt32 {
        let hash = identifierKey.of(
            UInt64(slot.index), UInt64(record.hashOriginal), UInt64(record.namespace.raw),
            UInt64(record.originalSourcePart) << 16 | UInt64(record.originalDestinationPart))
        return UInt32(truncatingIfNeeded: hash)
    }

    /// Every live connection of a namespace in the order of `conntrack -L`.
    ///
    /// Like a dump, it evicts expired connections of every namespace, at most eight a bucket (spec
    /// table.md §6).
    public mutating func list(_ namespace: NamespaceIndex, at now: Moment) -> [Entry] {
        var entries: [Entry] = []
        for bucket in 0..<buckets.count {
            var expired: [Slot] = []
            var link = buckets[bucket].first
            while link != .none {
                let record = records[link.slot]
                if record.deadline.hasPassed(at: now.tick) {
                    if expired.count < Limits.dumpEvictions, !expired.contains(link.slot) {
                        expired.append(link.slot)
                    }
                } else if link.direction == .original, record.namespace == namespace {
                    entries.append(entry(link.slot, at: now))
                }
                link = next(record, link.direction)
            }
            for slot in expired { delete(slot, at: now) }
        }
        return entries
    }

    /// Changes the number of buckets: spec table.md §5, "Run-time resize".
    public mutating func resize(buckets wanted: UInt32, at now: Moment) {
        guard wanted != buckets.count, wanted > 0 else { return }
        var moved = Buckets(repeating: BucketHead(), count: wanted)
        swap(&moved, &buckets)
        limits.buckets = wanted
        for bucket in 0..<moved.count {
            var link = moved[bucket].first
            while link != .none {
                let record = records[link.slot]
                let following = next(record, link.direction)
                push(
                    link.slot, link.direction, record.hash(link.direction), at: now)
                link = following
            }
        }
    }
}
