internal import LinuxCalls

/// What gives in first.
public enum LoadLimit: String, Sendable, CaseIterable {
    case tableMaximum = "the table's maximum"
    case chainLength = "the length of the table's chains"
    case natPorts = "ports for translation"
    case descriptors = "the generator's descriptors"
    case ports = "the generator's source ports"
    case memory = "memory"
    case refused = "the target refuses connections"
    case refusedBeyond = "the target, or a rule before it, refuses further connections"
    case route = "the route to the target"
    case sourceAddress = "a source address that is not this machine's"
    case rights = "a right the generator lacks"
    case ownMaximum = "this machine's own table"
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
    /// The table of this process's namespace, where another one is watched.
    public var ownBefore: HostSample?
    public var ownAfter: HostSample?
    /// What the flows did meanwhile.
    public var flows = FlowCounts()
    /// Whether somebody has said which table is watched.
    public var isObserved = false

    public init() {}

    private func moved(_ name: String) -> Int {
        guard let before, let after else { return 0 }
        return after.change(name, since: before) ?? 0
    }

    /// Whether this machine's own table was full meanwhile.
    private var isOwnFull: Bool {
        guard let ownAfter else { return false }
        return ownAfter.isFull
            || ownBefore.flatMap { ownAfter.change("early_drop", since: $0) } ?? 0 > 0
    }

    private func count(where matches: (FailureCount) -> Bool) -> Int {
        flows.failures.filter(matches).reduce(0) { $0 + $1.count }
    }

    /// Which limit it was: explicit errors first, then what the table says, then what is left.
    public var limit: LoadLimit {
        if flows.startsWithoutSlot > 0 || count(where: { $0.failure.isOutOfDescriptors }) > 0 {
            return .descriptors
        }
        if count(where: { $0.failure.isOutOfPorts || $0.failure.isPortInUse }) > 0 {
            return .ports
        }
        if count(where: { $0.failure.isForeignSource }) > 0 { return .sourceAddress }
        if count(where: { $0.failure.isOutOfMemory }) > 0 { return .memory }
        if count(where: { $0.failure.isUnpermitted }) > 0 { return .rights }
        if count(where: { $0.failure.isForbidden }) > 0 {
            if isOwnFull { return .ownMaximum }
            // The table watched may be this machine's own: full, it refuses what is sent.
            if ownAfter == nil, after?.isFull == true { return .tableMaximum }
            return .ownTable
        }
        if count(where: { $0.failure.isRefused }) > 0 {
            return standing > 0 ? .refusedBeyond : .refused
        }
        if count(where: { $0.failure.isUnreachable }) > 0 { return .route }
        if moved("drop") > 0, after?.isFull == true { return .tableMaximum }
        // Entries give way in a full table alone.
        if moved("early_drop") > 0 { return .tableMaximum }
        if isOwnFull { return .ownMaximum }
        if moved("chaintoolong") > 0 { return .chainLength }
        if moved("insert_failed") > 0 { return .natPorts }
        if let before, let after {
            if (after.listenOverflows(since: before) ?? 0) > 0 { return .backlog }
            if (after.busyPercent(since: before) ?? 0) >= 95 { return .processor }
        }
        return .unknown
    }

    /// What shows it, a sentence a line; `noun` is what was counted.
    public func lines(of noun: String = "connections") -> [String] {
        var lines = ["\(standing) of \(level) \(noun) stood"]
        if let after {
            lines.append(
                "the table held \(after.count) entries"
                    + (after.limit.map { " of at most \($0)" } ?? ""))
        }
        if let before, let after {
            let moved = after.changes(since: before).map { "\($0.name)+\($0.count)" }
            let unsaid = ["drop", "early_drop"].filter { after.change($0, since: before) == nil }
            lines.append(
                !moved.isEmpty
                    ? "counters: " + moved.joined(separator: " ")
                    : unsaid.isEmpty
                        ? "no counter of the table moved"
                        : "the counters \(unsaid.joined(separator: " and ")) are not shown there")
            let logged = (after.tableFullLines ?? 0) - (before.tableFullLines ?? 0)
            if logged > 0 { lines.append("the kernel's log said 'table full' \(logged) times") }
            if let overflows = after.listenOverflows(since: before), overflows > 0 {
                lines.append("\(overflows) connections found a full listen queue")
            }
            if let busy = after.busyPercent(since: before) {
                lines.append("processors were busy \(busy) % of the time")
            }
        }
        if let ownAfter {
            lines.append(
                "this machine's own table held \(ownAfter.count) entries"
                    + (ownAfter.limit.map { " of at most \($0)" } ?? "")
                    + (ownBefore.map { ownAfter.changes(since: $0) } ?? []).map {
                        " \($0.name)+\($0.count)"
                    }.joined())
        }
        if flows.startsWithoutSlot > 0 {
            lines.append("\(flows.startsWithoutSlot) starts found no free descriptor")
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
        case .refused:
            "start what should listen there: ctlab sink "
                + "--\(TargetAbsence.refusingTransport([flows]).rawValue) PORT"
        case .refusedBeyond:
            "new connections are refused while \(standing) stand: see the backlog and the own limit "
                + "of the program there, and rules that reject: nft list ruleset"
        case .route: "see ip route get ADDRESS here, and on the way; ip route add makes one"
        case .sourceAddress:
            "leave --sources out, or make it this machine's: ip address add ADDRESS dev lo"
        case .rights: "run it as root, or with CAP_NET_ADMIN"
        case .ownMaximum:
            "raise net.netfilter.nf_conntrack_max here, or let nothing here track these flows: a "
                + "notrack rule"
        case .ownTable: "see nft list ruleset, and ctlab observe on this machine"
        case .backlog: "raise net.core.somaxconn at the target, and its program's backlog"
        case .processor: "a faster machine, or a lower --rate"
        case .unknown where isObserved:
            "the host watched shows nothing: see the listen queue at the far end (nstat -az "
                + "TcpExtListenOverflows there, and its program's backlog), and rules that drop on "
                + "the way (nft list ruleset)"
        case .unknown: "watch the host that tracks: --observe netns:NAME"
        }
    }
}
