internal import LinuxCalls
internal import RealModule

// Who gives way in a full table. Two trials: a table full of one kind of entries, then newcomers of
// the other kind, which ask for room.
//
//     unreplied   datagrams nobody answers        may be dropped early
//     assured     connections that stand          may not

/// A table full of one kind of entries, and newcomers that ask for room.
public struct EarlyDropTrial: Sendable {
    /// What the table is full of.
    public enum Filling: String, Sendable, CaseIterable {
        case unreplied, assured
    }

    /// Seconds the newcomers may take to get in after the last one did: three retransmissions.
    private static let patienceSeconds = 8
    /// The place of each kind in a trial's plan.
    static let datagrams = 0
    static let connections = 1

    private enum Step {
        case filling, asking, over
    }

    public let filling: Filling
    /// Entries it takes to fill the table, and newcomers.
    public let room: Int
    public let newcomers: Int
    private var step = Step.filling
    private var stuckSeconds = 0
    private var lastProgress = -1
    /// The full table, and the same behind the newcomers; with entries by state.
    public private(set) var before: HostSample?
    public private(set) var after: HostSample?
    private var latest = [FlowCounts(), FlowCounts()]
    /// Newcomers that stood at the end; of datagrams, that were sent.
    public private(set) var arrived = 0

    public init(_ filling: Filling, room: Int, newcomers: Int) {
        precondition(room > 0 && newcomers > 0, "a table with room, and somebody who asks for it")
        self.filling = filling
        self.room = room
        self.newcomers = newcomers
    }

    /// Both kinds towards `target`; the newcomers wait until the table is full.
    ///
    /// - Parameters:
    ///   - perSecond: Flows made a second.
    ///   - sources: Where they come from; `nil` is the system's choice.
    public func plan(
        to target: TargetPool, from sources: AddressPool?, perSecond: Double
    ) -> Plan {
        let fillingSeconds = Double(room) / perSecond
        let askingSeconds = Double(newcomers) / perSecond
        // Time to fill with what is held, and to see that it stands.
        let wait = filling == .assured ? fillingSeconds + 3 : 0
        let flows = filling == .unreplied ? room : newcomers
        let asked = filling == .unreplied ? fillingSeconds : askingSeconds
        var datagrams = LoadWorkload(
            name: "unreplied", transport: .udp,
            model: .open(
                Arrivals(
                    stages: [
                        Arrivals.Stage(seconds: wait, from: 0, to: 0),
                        Arrivals.Stage(seconds: asked, from: perSecond, to: perSecond),
                    ], spacing: .uniform)), target: target)
        datagrams.sources = sources
        let each = target.count * (sources?.count ?? 1)
        datagrams.sourcePortCount = (flows + each - 1) / each
        var held = LoadWorkload(
            name: "assured", transport: .tcp,
            model: .held(
                count: filling == .assured ? room : 0, startsPerSecond: perSecond), target: target)
        held.sources = sources
        held.hold = .forever
        held.ending = .reset
        held.patience = 60_000_000_000
        let seconds = wait + asked + askingSeconds + 30
        return Plan(workloads: [datagrams, held], duration: UInt64(seconds * 1e9))
    }

    /// Connections at a time, for which processes need descriptors.
    public var connections: Int { filling == .assured ? room : newcomers }

    /// Whether the table is to be listed now: `note` wants a sample with states.
    public func wantsStates(_ flows: [FlowCounts]) -> Bool {
        switch step {
        case .filling: isFull(flows)
        case .asking: hasArrived(flows) || stuckSeconds >= Self.patienceSeconds - 1
        case .over: false
        }
    }

    /// Notes a second of the run, and says what to do next.
    public mutating func note(_ flows: [FlowCounts], _ sample: HostSample?) -> [LoadWish] {
        if step != .over { latest = flows }
        switch step {
        case .filling:
            guard isFull(flows), let sample, sample.states != nil else { return [] }
            before = sample
            step = .asking
            return filling == .unreplied
                ? [.hold(workload: Self.connections, count: newcomers)] : []
        case .asking:
            let progress = progress(flows)
            stuckSeconds = progress > lastProgress ? 0 : stuckSeconds + 1
            lastProgress = progress
            guard let sample, sample.states != nil else { return [] }
            guard hasArrived(flows) || stuckSeconds >= Self.patienceSeconds else { return [] }
            after = sample
            arrived = progress
            step = .over
            return [.stop]
        case .over: return [.stop]
        }
    }

    private func isFull(_ flows: [FlowCounts]) -> Bool {
        switch filling {
        case .unreplied: flows[Self.datagrams].started >= room
        case .assured: flows[Self.connections].standing >= room
        }
    }

    private func progress(_ flows: [FlowCounts]) -> Int {
        switch filling {
        case .unreplied: flows[Self.connections].standing
        case .assured: flows[Self.datagrams].started
        }
    }

    private func hasArrived(_ flows: [FlowCounts]) -> Bool { progress(flows) >= newcomers }

    // MARK: What came of it

    /// Entries of the filling's kind in a table.
    private func entries(_ sample: HostSample) -> Int {
        (sample.states ?? []).reduce(0) { sum, state in
            let isOurs =
                filling == .unreplied
                ? state.proto == "udp" && state.state == "UNREPLIED"
                : state.proto == "tcp" && state.state == "ESTABLISHED"
            return isOurs ? sum + state.count : sum
        }
    }

    /// How many of the filling there were, and how many of those went; `nil` if the trial was not
    /// carried to its end.
    public var outcome: (filled: Int, gone: Int)? {
        guard let before, let after else { return nil }
        // Newcomers that are datagrams are of another kind; what expired meanwhile went, too.
        return (entries(before), max(0, entries(before) - entries(after)))
    }

    /// How many of the filling gave way, and how many went of themselves.
    ///
    /// No more gave way than the counter says; where that is not shown, all that went may have.
    var parting: (gaveWay: Int, expired: Int)? {
        guard let before, let after, let (_, gone) = outcome else { return nil }
        let gaveWay = min(gone, after.change("early_drop", since: before) ?? gone)
        return (gaveWay, gone - gaveWay)
    }

    /// How far a trial has come that was not carried to its end.
    public var progress: String {
        "\(latest[Self.datagrams].started) unreplied flows begun, "
            + "\(latest[Self.connections].standing) connections stood at last"
    }

    /// What came of it, a sentence a line.
    public var lines: [String] {
        guard let before, let after, let (filled, _) = outcome,
            let (gaveWay, expired) = parting
        else {
            return ["\(filling.rawValue): the table was not full in time"]
        }
        func moved(_ name: String) -> String {
            after.change(name, since: before).map { "\(name)+\($0)" } ?? "\(name) is not shown"
        }
        let drops = after.change("drop", since: before).map { "\($0)" } ?? "an unknown number of"
        let who = filling == .unreplied ? "connections" : "unreplied flows"
        var lines = [
            "full of \(filled) \(filling.rawValue) entries (\(before.count) of \(before.limit ?? 0) in "
                + "all), then \(newcomers) \(who) asked for room:"
        ]
        lines.append(
            "  \(gaveWay) \(filling.rawValue) entries gave way (\(moved("early_drop"))), \(drops) "
                + "packets were refused (\(moved("drop")))")
        if expired > 0 {
            let setting =
                filling == .unreplied
                ? "nf_conntrack_udp_timeout" : "nf_conntrack_tcp_timeout_established"
            lines.append(
                "  \(expired) more went of themselves: \(setting) is too short for the trial; "
                    + "raise it, or ask for fewer --newcomers")
        }
        if filling == .unreplied {
            lines.append("  \(arrived) of \(newcomers) connections stand")
            lines.append("  " + Self.odds(filled, after.buckets ?? 0))
        }
        return lines
    }

    /// How likely a newcomer finds somebody who gives way: it looks into eight buckets, and every
    /// entry hangs in two (spec table.md §9).
    private static func odds(_ entries: Int, _ buckets: Int) -> String {
        let share = buckets > 0 ? 1 - Double.exp(-16 * Double(entries) / Double(buckets)) : 0
        return "a newcomer looks into 8 of \(buckets) buckets: among \(entries) entries that "
            + "may go it finds one \(Int((share * 100).rounded())) times in 100"
    }
}
