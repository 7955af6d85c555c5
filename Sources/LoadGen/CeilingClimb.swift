/// Takes a held workload from level to level while a run lasts: ramp, hold, note, next.
public struct CeilingClimb: Sendable {
    /// What came of a level.
    public struct Trial: Sendable {
        public var level: Int
        public var standing: Int
    }

    /// Seconds a level has to stand, and seconds without progress after which it does not: two
    /// retransmissions of a SYN and a little.
    private static let holdSeconds = 2
    private static let patienceSeconds = 4

    private var search: CeilingSearch
    private var level: Int
    private var standingSeconds = 0
    private var stuckSeconds = 0
    private var lastStanding = 0
    private var before: HostSample?
    private var ownBefore: HostSample?
    private var flowsBefore = FlowCounts()
    public private(set) var trials: [Trial] = []
    /// What was seen at the last level that did not stand.
    public private(set) var evidence: LimitEvidence?
    public private(set) var isOver = false

    public init(_ search: CeilingSearch) {
        self.search = search
        level = search.next ?? 1
    }

    /// The level being tried.
    public var presentLevel: Int { level }
    /// The highest level that stood.
    public var ceiling: Int { search.good }
    /// Whether the search ended because something gave in.
    public var wasReached: Bool { search.bad != nil }

    /// Notes a second of the run, and says what to do next.
    ///
    /// - Parameters:
    ///   - sample: The table watched.
    ///   - own: This process's own, where that is another.
    public mutating func note(
        _ flows: FlowCounts, _ sample: HostSample?, own: HostSample? = nil
    ) -> [LoadWish] {
        guard !isOver else { return [.stop] }
        if before == nil { before = sample }
        if ownBefore == nil { ownBefore = own }
        let standing = flows.standing
        if standing >= level {
            standingSeconds += 1
            stuckSeconds = 0
        } else {
            standingSeconds = 0
            stuckSeconds = standing > lastStanding ? 0 : stuckSeconds + 1
        }
        lastStanding = standing
        if standingSeconds >= Self.holdSeconds {
            search.note(level: level, standing: level)
            return advance(standing, flows, sample, own)
        }
        guard stuckSeconds >= Self.patienceSeconds else { return [] }
        var evidence = LimitEvidence()
        evidence.level = level
        evidence.standing = standing
        evidence.before = before
        evidence.after = sample
        evidence.ownBefore = ownBefore
        evidence.ownAfter = own
        evidence.flows = flows.since(flowsBefore)
        self.evidence = evidence
        search.note(level: level, standing: standing)
        return advance(standing, flows, sample, own)
    }

    private mutating func advance(
        _ standing: Int, _ flows: FlowCounts, _ sample: HostSample?, _ own: HostSample?
    ) -> [LoadWish] {
        trials.append(Trial(level: level, standing: min(level, standing)))
        guard let next = search.next else {
            isOver = true
            return [.stop]
        }
        level = next
        standingSeconds = 0
        stuckSeconds = 0
        lastStanding = 0
        before = sample
        ownBefore = own
        flowsBefore = flows
        return [.hold(workload: 0, count: next)]
    }
}

extension FlowCounts {
    /// What happened since `old`.
    func since(_ old: FlowCounts) -> FlowCounts {
        var change = self
        change.started -= old.started
        change.droppedStarts -= old.droppedStarts
        change.startsWithoutSlot -= old.startsWithoutSlot
        change.usedUpStarts -= old.usedUpStarts
        change.lookups = lookups.since(old.lookups)
        change.connected -= old.connected
        change.completed -= old.completed
        change.failed -= old.failed
        change.lost -= old.lost
        change.unfinished -= old.unfinished
        change.orphaned -= old.orphaned
        change.datagrams -= old.datagrams
        change.answers -= old.answers
        for index in retransmitted.indices {
            change.retransmitted[index] -= old.retransmitted[index]
        }
        change.failures = failures.compactMap { entry in
            var entry = entry
            entry.count -= old.failures.first { $0.failure == entry.failure }?.count ?? 0
            return entry.count > 0 ? entry : nil
        }
        return change
    }
}
