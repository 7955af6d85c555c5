internal import LinuxCalls

/// Looks for the highest level that stands: doubling until one does not, then closing in.
///
/// Pure arithmetic: it is told what stood and says what to try next. A level that did not stand
/// shows how much of it did; one more than that is tried first, because if that fails as well the
/// search is over.
public struct CeilingSearch: Sendable {
    /// The highest level known to stand.
    public private(set) var good = 0
    /// The lowest level known not to stand; `nil` while all did.
    public private(set) var bad: Int?
    private let start: Int
    private let most: Int
    /// Share of the level below which a difference does not matter.
    private let resolution: Double
    private var hasTriedNext = false

    /// - Parameters:
    ///   - start: The first level.
    ///   - most: Never tried beyond.
    ///   - resolution: 0 finds the exact level.
    public init(start: Int, most: Int, resolution: Double = 0) {
        precondition(start > 0 && most >= start, "levels go from 1 up")
        self.start = start
        self.most = most
        self.resolution = resolution
    }

    /// The level to try next; `nil` when the search is over.
    public var next: Int? {
        guard let bad else {
            if good == 0 { return start }
            return good >= most ? nil : min(most, good * 2)
        }
        let gap = bad - good
        guard gap > max(1, Int(Double(good) * resolution)) else { return nil }
        return hasTriedNext ? good + gap / 2 : good + 1
    }

    /// Notes that of `level`, `standing` stood.
    public mutating func note(level: Int, standing: Int) {
        guard standing < level else {
            hasTriedNext = bad != nil
            good = max(good, level)
            return
        }
        hasTriedNext = false
        good = max(good, standing)
        bad = min(bad ?? Int.max, max(level, good + 1))
        if bad == level, level == good + 1 { hasTriedNext = true }
    }
}

/// What gives in first.
public enum LoadLimit: String, Sendable, CaseIterable {
    case tableMaximum = "the table's maximum"
    case chainLength = "the length of the table's chains"
    case natPorts = "ports for translation"
    case descriptors = "the generator's descriptors"
    case ports = "the generator's source ports"
    case memory = "memory"
    case refused = "the target refuses connections"
    case ownTable = "this machine's own table, or a rule of it"
    case backlog = "the target's listen queue"
    case processor = "processor time"
    case unknown = "something that leaves no trace here"
}

/// What was seen while a level was tried and did not stand.
public struct LimitEvidence: Sendable {
    public var level = 0
    public var standing = 0
    /// The table watched, before and after.
    public var before: HostSample?
    public var after: HostSample?
    /// What the flows did meanwhile.
    public var flows = FlowCounts()

    public init() {}

    private func moved(_ name: String) -> Int {
        guard let before, let after else { return 0 }
        return after.change(name, since: before)
    }

    private func count(where matches: (FailureCount) -> Bool) -> Int {
        flows.failures.filter(matches).reduce(0) { $0 + $1.count }
    }

    /// Which limit it was: explicit errors first, then what the table says, then what is left.
    public var limit: LoadLimit {
        if flows.droppedStarts > 0 || count(where: { $0.failure.isOutOfDescriptors }) > 0 {
            return .descriptors
        }
        if count(where: { $0.failure.isOutOfPorts }) > 0 { return .ports }
        if count(where: { $0.failure.isOutOfMemory }) > 0 { return .memory }
        if count(where: { $0.failure.isForbidden }) > 0 { return .ownTable }
        if count(where: { $0.failure.isRefused }) > 0 { return .refused }
        if moved("drop") > 0, let after, after.count >= after.limit, after.limit > 0 {
            return .tableMaximum
        }
        if moved("chaintoolong") > 0 { return .chainLength }
        if moved("insert_failed") > 0 { return .natPorts }
        if let before, let after {
            if after.listenOverflows > before.listenOverflows { return .backlog }
            if after.processor.busyPercent(since: before.processor) >= 95 { return .processor }
        }
        return .unknown
    }

    /// What shows it, a sentence a line.
    public var lines: [String] {
        var lines = ["\(standing) of \(level) connections stood"]
        if let after {
            lines.append("the table held \(after.count) entries of at most \(after.limit)")
        }
        if let before, let after {
            let moved = after.changes(since: before).map { "\($0.name)+\($0.count)" }
            lines.append(
                moved.isEmpty
                    ? "no counter of the table moved" : "counters: " + moved.joined(separator: " "))
            let logged = (after.tableFullLines ?? 0) - (before.tableFullLines ?? 0)
            if logged > 0 { lines.append("the kernel's log said 'table full' \(logged) times") }
            let overflows = after.listenOverflows - before.listenOverflows
            if overflows > 0 { lines.append("\(overflows) connections found a full listen queue") }
            lines.append(
                "processors were busy \(after.processor.busyPercent(since: before.processor)) % of "
                    + "the time")
        }
        if flows.droppedStarts > 0 {
            lines.append("\(flows.droppedStarts) starts found no free descriptor")
        }
        for failure in flows.failures { lines.append("\(failure.count) × \(failure.text)") }
        if flows.retransmitted.contains(where: { $0 > 0 }) {
            lines.append(
                "SYNs sent again: \(flows.retransmitted[0]) once, \(flows.retransmitted[1]) twice, "
                    + "\(flows.retransmitted[2]) more often")
        }
        return lines
    }

    /// What would move the limit.
    public var remedy: String {
        switch limit {
        case .tableMaximum: "raise net.netfilter.nf_conntrack_max, or let entries time out sooner"
        case .chainLength: "raise net.netfilter.nf_conntrack_buckets"
        case .natPorts: "translate to more addresses, or spread over more destinations"
        case .descriptors: "more --processes, or a higher limit: ulimit -n"
        case .ports: "more source addresses (--sources), or more target ports"
        case .memory: "see net.ipv4.tcp_mem, and free memory"
        case .refused: "start what should listen there: ctlab sink --tcp PORT"
        case .ownTable: "see nft list ruleset, and ctlab observe on this machine"
        case .backlog: "raise net.core.somaxconn at the target, and its program's backlog"
        case .processor: "a faster machine, or a lower --rate"
        case .unknown: "watch the host that tracks: --observe netns:NAME"
        }
    }
}
