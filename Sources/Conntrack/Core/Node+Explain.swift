internal import Wire

// Writes down what happens to a packet while somebody wants it explained. Each of these is called
// behind one test of `journal.explains`, and changes nothing that a packet could notice.

extension Node {
    /// The way of the last packet, as lines for people; empty unless `journal.explains` was set.
    public func story() -> [String] {
        guard table.journal.explains else { return [] }
        guard !table.journal.steps.isEmpty else {
            return ["  IP input refuses its header: no hook sees it"]
        }
        let names = configuration.interfaces.map(\.name)
        var story = PacketStory(
            ruleset: ruleset, interfaces: names, tickRate: configuration.tickRate,
            sysctl: configuration.sysctl)
        for step in table.journal.steps { story.tell(step) }
        return story.lines
    }

    mutating func explainChain(_ chain: Int, _ outcome: RuleOutcome) {
        table.journal.steps.append(.chain(chain, effects.matches, outcome))
        effects.matches.removeAll(keepingCapacity: true)
    }

    mutating func explainLookup(
        _ tuple: Tuple, _ zones: ZonePair, _ hash: UInt32, _ found: ConnectionTable.Found?,
        _ walked: UInt64, at now: Moment
    ) {
        table.journal.steps.append(
            .lookup(
                LookupTrace(
                    tuple: tuple, zones: zones, bucket: Int(table.buckets.bucket(of: hash)),
                    linksWalked: table.linksWalked &- walked, removed: table.journal.removedCount,
                    direction: found?.direction,
                    entry: found.map { table.entry($0.slot, at: now) })))
    }

    mutating func explainCreation(_ tuple: Tuple, _ hash: UInt32) {
        table.journal.steps.append(
            .made(
                LookupTrace(
                    tuple: tuple, bucket: Int(table.buckets.bucket(of: hash)), linksWalked: 0,
                    removed: table.journal.removedCount)))
    }

    mutating func explainFollowing(
        _ packet: Packet, _ direction: Direction, _ isNew: Bool, _ before: ConnectionState,
        _ result: TrackerResult
    ) {
        table.journal.steps.append(
            .followed(
                TrackerTrace(
                    packet: packet, direction: direction, isNew: isNew, before: before,
                    after: table.states[packet.connection],
                    statusBefore: table.records[packet.connection].status, result: result,
                    hasPolicy: table.hasTimeoutPolicy(packet.connection))))
    }

    mutating func explainPolicy(_ slot: Slot, at now: Moment) {
        let isNew = !table.records[slot].status.contains(.confirmed)
        table.journal.steps.append(
            .policy(isNew ? table.entry(slot, at: now).remainingTicks : nil))
    }

    mutating func explainMapping(
        _ slot: Slot, _ range: NATRange, _ kind: NATKind, _ rule: RuleReference?, _ before: Tuple
    ) {
        let after = table.tuple(of: slot, .reply).inverted ?? before
        table.journal.steps.append(
            .decision(
                MappingTrace(kind: kind, range: range, rule: rule, before: before, after: after)))
    }
}
