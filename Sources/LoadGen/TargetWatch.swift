internal import LinuxCalls

/// Watches a run, record by record, for a far end that goes away.
///
/// A target that refuses says so itself. One that vanishes says nothing: flows begin and none
/// succeeds, or all that stood are broken off. That alone accuses nobody: a run may have no starts
/// left, and a table or a queue that is seen to be full keeps flows away as well, which is a result.
public struct TargetWatch: Sendable {
    /// Seconds of the schedule in which flows were tried in vain before that is held against the
    /// target, and nanoseconds without success up to the end.
    private static let vainSeconds = 2
    private static let silence: UInt64 = 2_000_000_000
    /// Counters of the table that move when it keeps something away.
    private static let refusals = ["drop", "early_drop", "insert_failed", "chaintoolong"]

    private let plan: Plan
    private var flows: [FlowCounts]
    /// How far the records went before.
    private var elapsed: UInt64 = 0
    private var succeeded = 0
    private var lastSuccess: UInt64 = 0
    // Since the last success.
    private var refusingSince: Int?
    private var silentSince: Int?
    private var vainSeconds = 0
    private var isBrokenOff = false
    private var isLimited = false

    public init(_ plan: Plan) {
        self.plan = plan
        flows = plan.workloads.map { _ in FlowCounts() }
    }

    /// Notes what `record` says of the host.
    ///
    /// - Parameters:
    ///   - elapsed: Nanoseconds since the run's start.
    ///   - flows: Everything up to then, one a workload.
    public mutating func note(_ record: SeriesRecord, elapsed: UInt64, flows: [FlowCounts]) {
        let changes = zip(flows, self.flows).map { $0.since($1) }
        self.flows = flows
        // A record that only ends behind the schedule's end has a part of it.
        let isInSchedule = self.elapsed < plan.duration
        self.elapsed = elapsed
        let successes = zip(plan.workloads, changes).reduce(0) { $0 + Self.successes($1.0, $1.1) }
        guard successes == 0 else {
            succeeded += successes
            lastSuccess = elapsed
            refusingSince = nil
            silentSince = nil
            vainSeconds = 0
            isBrokenOff = false
            isLimited = false
            return
        }
        let change = changes.reduce(FlowCounts(), +)
        if change.refused > 0 { refusingSince = refusingSince ?? record.second }
        let isTrying = zip(plan.workloads, changes).contains(where: Self.isTrying)
        if isTrying || change.lost > 0 { silentSince = silentSince ?? record.second }
        if isTrying, isInSchedule { vainSeconds += 1 }
        if change.lost > 0, change.standing == 0 { isBrokenOff = true }
        if Self.isLimited(record) { isLimited = true }
    }

    /// How the target is missing, at the end of a run of `elapsed` nanoseconds; `nil` if it is not.
    public func absence(elapsed: UInt64) -> TargetAbsence? {
        if TargetAbsence.isShown(by: flows) { return .neverListened }
        if let refusingSince { return .refuses(sinceSecond: refusingSince) }
        guard let silentSince, succeeded > 0, !isLimited else { return nil }
        let isSilent =
            vainSeconds >= Self.vainSeconds && elapsed - min(elapsed, lastSuccess) >= Self.silence
        guard isSilent || isBrokenOff else { return nil }
        return .silent(sinceSecond: silentSince, succeeded: succeeded)
    }

    /// Flows of `change` that prove somebody there.
    ///
    /// What is held ends without the far end's help.
    private static func successes(_ workload: LoadWorkload, _ change: FlowCounts) -> Int {
        if workload.transport == .udp { return change.answers }
        return workload.hold == .none ? change.completed : change.connected
    }

    /// Whether flows waited for the far end: of those begun, some that neither this machine nor
    /// the target turned away, or more attempts than stand.
    private static func isTrying(_ workload: LoadWorkload, _ change: FlowCounts) -> Bool {
        guard workload.transport == .tcp || workload.awaitsAnswers else { return false }
        let turnedAway = change.failures.reduce(0) {
            $1.failure.isRefused || $1.failure.isLocal ? $0 + $1.count : $0
        }
        return change.started > turnedAway || change.active - change.standing > change.standing
    }

    private static func isLimited(_ record: SeriesRecord) -> Bool {
        if let count = record.count, let limit = record.limit, limit > 0, count >= limit {
            return true
        }
        return record.counters.contains { refusals.contains($0.name) && $0.count > 0 }
            || (record.listenOverflows ?? 0) > 0
    }
}

extension SocketFailure {
    /// This machine's own doing: the peer had no part in it.
    fileprivate var isLocal: Bool {
        isOutOfDescriptors || isOutOfPorts || isForeignSource || isOutOfMemory || isForbidden
            || isUnpermitted
    }
}
