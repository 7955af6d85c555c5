public import Wire

// One machine's packet path, told once. A packet passes the hooks in the kernel's order; at each
// hook the stations of the plan follow by priority. This is the only place that knows the order.

/// Where a packet's way ended, and why.
public struct PathEnd: Sendable, Hashable, BitwiseCopyable {
    public var verdict: Verdict
    public var reason: DropReason?
    public var rule: RuleReference?
    /// What the sender is told, for `.rejected`.
    public var answer: RejectAnswer?

    init(
        _ verdict: Verdict, _ reason: DropReason? = nil, _ rule: RuleReference? = nil,
        answer: RejectAnswer? = nil
    ) {
        self.verdict = verdict
        self.reason = reason
        self.rule = rule
        self.answer = answer
    }
}

/// One tracked machine: interfaces, rules, settings and its connection table.
public struct Node: ~Copyable {
    public internal(set) var configuration: NodeConfiguration
    public internal(set) var table: ConnectionTable
    public internal(set) var ruleset: Ruleset
    public internal(set) var kernelLog: KernelLog
    let namespace = NamespaceIndex.initial
    var settings: TrackerSettings
    var routing: Routing
    var plan: PathPlan
    /// Where in the table's list the timeout policies of the ruleset begin.
    private var firstTimeoutPolicy: UInt32 = 0
    /// The packet before this one was in no entry.
    var followsNewcomer = false
    var effects = RuleEffects()
    var transit = PacketInTransit()
    var payload = PayloadInTransit()
    var answersUnderWay = AnswersUnderWay()
    var reassembly: Reassembly

    public init(_ configuration: NodeConfiguration) {
        self.configuration = configuration
        let sysctl = configuration.sysctl
        ruleset = configuration.ruleset
        ruleset.tickRate = configuration.tickRate
        ruleset.learn(configuration.interfaces)
        settings = TrackerSettings(sysctl, configuration.tickRate, configuration.profile)
        routing = Routing(configuration.interfaces)
        table = ConnectionTable(
            limits: Limits(
                connections: sysctl.max, buckets: sysctl.roundedBuckets,
                expectations: sysctl.expectMax),
            seed: configuration.seed, tickRate: configuration.tickRate)
        table.expectationsHaveTimers = configuration.profile == .linux618
        kernelLog = KernelLog(
            namespaceInode: configuration.namespaceInode, profile: configuration.profile,
            burst: sysctl.messageBurst, costSeconds: sysctl.messageCost)
        plan = Self.plan(configuration.ruleset, configuration.tracking)
        reassembly = Reassembly(sysctl)
        if let range = configuration.chainLimit {
            table.chainLimit = range.lowerBound
            table.chainLimitSpread = range.upperBound - range.lowerBound + 1
        }
        table.portSearchStart = configuration.portSearchStart
        updateExtensionParts()
        addTimeoutPolicies()
    }

    private static func plan(_ ruleset: Ruleset, _ tracking: TrackingMode) -> PathPlan {
        PathPlan(
            ruleset,
            tracks: { tracking == .always || ruleset.needsTracking($0) },
            translates: { ruleset.needsNAT($0) })
    }

    // MARK: What may change while it runs

    /// Replaces the settings, as writing to the sysctl files does: existing connections keep their
    /// deadlines.
    public mutating func apply(_ sysctl: Sysctl, at now: Instant) {
        configuration.sysctl = sysctl
        settings = TrackerSettings(sysctl, configuration.tickRate, configuration.profile)
        table.limits.connections = sysctl.max
        table.limits.expectations = sysctl.expectMax
        table.resize(buckets: sysctl.roundedBuckets, at: Moment(now, configuration.tickRate))
        kernelLog.limit(burst: sysctl.messageBurst, costSeconds: sysctl.messageCost)
        updateExtensionParts()
    }

    /// Replaces the ruleset; connections stay.
    public mutating func replace(_ ruleset: Ruleset) {
        let tracked = Family.allCases.map { isTracking($0) }
        self.ruleset = ruleset
        self.ruleset.tickRate = configuration.tickRate
        self.ruleset.learn(configuration.interfaces)
        configuration.ruleset = ruleset
        plan = Self.plan(ruleset, configuration.tracking)
        table.recentSource = nil
        addTimeoutPolicies()
        for (family, was) in zip(Family.allCases, tracked) where !was && isTracking(family) {
            table.forgetWindows(family, namespace)
        }
    }

    /// Makes the ruleset's `ct timeout` objects; connections keep those of rulesets before.
    private mutating func addTimeoutPolicies() {
        firstTimeoutPolicy = UInt32(table.timeoutPolicies.count)
        table.timeoutPolicies += ruleset.program.timeouts.map {
            TimeoutPolicy($0, configuration.tickRate, configuration.profile)
        }
    }

    public func isTracking(_ family: Family) -> Bool {
        configuration.tracking == .always || ruleset.needsTracking(family)
    }

    /// Whether a ctnetlink listener exists.
    ///
    /// With `nf_conntrack_events = 2` only connections made while it does ever report.
    public var isListening: Bool {
        get { table.journal.isListening }
        set {
            table.journal.isListening = newValue
            updateExtensionParts()
        }
    }

    private mutating func updateExtensionParts() {
        let sysctl = configuration.sysctl
        var parts: ConnectionExtension.Parts = []
        if sysctl.accounting { parts.insert(.accounting) }
        if sysctl.timestamp { parts.insert(.timestamp) }
        if sysctl.events == 1 || (sysctl.events == 2 && isListening) { parts.insert(.events) }
        table.namespaces[namespace].extensionParts = parts
    }

    /// The ports a search for a free one begins at instead of at random, while they are set.
    ///
    /// A comparison with the kernel sets them to what that drew: the same draw must lead to the
    /// same mapping.
    public var portHints: PortHints {
        get { table.portHints }
        set { table.portHints = newValue }
    }

    // MARK: What can be read

    /// What happened since it was last cleared.
    public var journal: Journal {
        _read { yield table.journal }
        _modify { yield &table.journal }
    }

    public var counters: Counters { table.namespaces[namespace].counters }
    public var count: UInt32 { table.namespaces[namespace].count }
    public var peakCount: UInt32 { table.namespaces[namespace].peakCount }
    public var tableByteCount: Int { table.byteCount }

    /// The table in the order of `conntrack -L`; evicts expired connections as a dump does.
    public mutating func list(at now: Instant) -> [Entry] {
        table.list(namespace, at: moment(now))
    }

    // Inlined: a call that borrows the node copies all of it.
    @inline(__always)
    func moment(_ now: Instant) -> Moment { Moment(now, configuration.tickRate) }

    // MARK: Time

    /// Lets time pass up to and including `now`: the collector runs whenever it is due.
    public mutating func advance(to now: Instant) {
        let ticks = configuration.tickRate.ticks64(at: now)
        if !table.expectations.isEmpty, table.expectationsHaveTimers {
            table.expireExpectations(at: moment(now))
        }
        while table.collector.nextRun <= ticks {
            table.collect(atTick: table.collector.nextRun)
        }
    }

    /// Runs the collector now, at the tick given: for those who keep its time themselves.
    @discardableResult
    public mutating func collect(atTick tick: UInt64) -> Int { table.collect(atTick: tick) }

    // MARK: The path

    /// Takes a packet from an interface through the whole path.
    ///
    /// What the path changes, it changes in `packet`; a packet that went on has its egress
    /// interface set.
    public mutating func receive(_ packet: inout Packet, at now: Instant) -> PathEnd {
        let now = moment(now)
        let end = begin(&packet, at: now) ?? finish(&packet, at: now)
        letGo(&packet)
        return end
    }

    /// The path up to its last hook, where a new connection is not in the table yet: between this
    /// and `finish` other packets may pass.
    ///
    /// Returns where the packet ended, or `nil` if it goes on.
    mutating func begin(_ packet: inout Packet, at now: Moment) -> PathEnd? {
        packet.template = PacketTemplate()
        let steps = plan.range(of: .prerouting, packet.tuple.family)
        return run(steps, .prerouting, &packet, at: now) ?? route(&packet, at: now)
    }

    /// From routing to the last hook.
    mutating func route(_ packet: inout Packet, at now: Moment) -> PathEnd? {
        let family = packet.tuple.family
        guard !packet.health.contains(.refusedOptions) else {
            return PathEnd(.dropped, .refusedOptions)
        }
        let destination = routing.destination(of: packet.tuple, from: packet.inInterface)
        if table.journal.explains { table.journal.steps.append(.route(destination, packet)) }
        switch destination {
        case .martian: return PathEnd(.dropped, .martian)
        case .none: return PathEnd(.dropped, .noRoute)
        case .local:
            packet.outInterface = .none
            return nil
        case .interface(let egress):
            packet.outInterface = egress
            guard packet.timeToLive > 1 else { return PathEnd(.dropped, .timeToLive) }
            packet.timeToLive -= 1
            guard fits(packet, egress) else { return PathEnd(.dropped, .tooBig) }
            let forward = plan.range(of: .forward, family)
            return run(forward, .forward, &packet, at: now)
        }
    }

    /// The last hook: out by the interface that routing found, or in where it found none.
    mutating func finish(_ packet: inout Packet, at now: Moment) -> PathEnd {
        let (hook, stations) = lastHook(of: packet)
        return run(stations, hook, &packet, at: now) ?? end(behind: hook)
    }

    @inline(__always)
    func lastHook(of packet: Packet) -> (hook: Hook, stations: Range<Int>) {
        let hook: Hook = packet.outInterface == .none ? .input : .postrouting
        return (hook, plan.range(of: hook, packet.tuple.family))
    }

    @inline(__always)
    func end(behind lastHook: Hook) -> PathEnd {
        PathEnd(lastHook == .input ? .local : .forwarded)
    }

    /// The packet's hold on its connection ends with its way, and so do the hashes noted for it:
    /// elsewhere it may have another tuple.
    @inline(__always)
    mutating func letGo(_ packet: inout Packet) {
        packet.knownHash = 0
        packet.knownReplyHash = 0
        guard packet.connection != .none else { return }
        table.release(packet.connection)
        packet.connection = .none
    }

    /// Whether the packet may leave as it is, or in pieces.
    @inline(__always)
    private func fits(_ packet: Packet, _ egress: InterfaceIndex) -> Bool {
        let limit = configuration.interfaces[Int(egress.raw)].mtu
        if Int(packet.networkByteCount) <= limit { return true }
        if packet.tuple.family == .ipv4, !packet.health.contains(.dontFragment) { return true }
        return packet.health.contains(.reassembled) && Int(packet.fragmentByteCount) <= limit
    }

    /// Where among the stations at `.prerouting` fragments are put together; `nil` where nothing
    /// does so.
    func reassemblyStation(_ family: Family) -> Int? {
        plan.range(of: .prerouting, family).first { plan.steps[$0] == .reassemble }
    }

    /// Walks the stations of one hook.
    ///
    /// Returns where the packet ended, or `nil` if it goes on.
    mutating func run(
        _ stations: Range<Int>, _ hook: Hook, _ packet: inout Packet, at now: Moment
    ) -> PathEnd? {
        if table.journal.explains { table.journal.steps.append(.hook(hook, packet)) }
        for station in stations {
            switch plan.steps[station] {
            case .reassemble: continue  // Packets made of bytes have it done before.
            case .chain(let chain):
                switch ask(chain, hook, &packet, at: now) {
                case .accept, .map: continue
                case .drop(let rule): return PathEnd(.dropped, .rule, rule)
                case .reject(let answer, let rule):
                    return reject(packet, answer, rule, hook, at: now)
                }
            case .track:
                if let reason = track(&packet, at: now) { return PathEnd(.dropped, reason) }
            case .translate(let kind):
                if let end = translate(&packet, kind, hook, at: now) { return end }
            case .confirm:
                if let reason = confirm(&packet, at: now) { return PathEnd(.dropped, reason) }
            }
        }
        return nil
    }

    /// Asks one base chain and carries out what it wants besides a verdict.
    mutating func ask(
        _ chain: AskedChain, _ hook: Hook, _ packet: inout Packet, at now: Moment
    ) -> RuleOutcome {
        var entry: Entry? = nil
        if packet.connection != .none, chain.readsEntry {
            entry = table.entry(packet.connection, at: now)
        }
        effects.traces = table.journal.explains
        let outcome = ruleset.evaluate(
            chain.index, &packet, entry: entry, effects: &effects, dice: &table.dice,
            at: now.instant)
        if let mark = effects.connectionMark {
            let hasChanged = effects.hasChangedMark
            effects.connectionMark = nil
            effects.hasChangedMark = false
            table.setMark(mark, packet.connection)
            if hasChanged, packet.connection != .none { table.note(.mark, packet.connection) }
        }
        // The story tells what a rule did behind the rule.
        if effects.traces { explainChain(chain.index, outcome) }
        if effects.attaches { attach(packet, at: now) }
        if !effects.logs.isEmpty { writeRuleLogs(packet, hook, at: now) }
        return outcome
    }

    /// Gives the packet's connection what a chain's rules have set.
    private mutating func attach(_ packet: Packet, at now: Moment) {
        defer { effects.forgetAttachments() }
        guard packet.connection != .none else { return }
        if !effects.labels.isEmpty { table.addLabels(effects.labels, packet.connection) }
        if let policy = effects.timeoutPolicy {
            table.setTimeoutPolicy(
                firstTimeoutPolicy + UInt32(policy), packet.connection, at: now)
            if table.journal.explains { explainPolicy(packet.connection, at: now) }
        }
        if let helper = effects.helper { table.setHelper(helper, packet.connection) }
    }
}
