public import LinuxCalls

// The parent of a run: starts the processes, gathers what they say once a second, passes on what
// they are to do, and leaves nothing behind however it ends.

/// Where a run stands, a second at a time; everything since the start.
public struct LoadTick: Sendable {
    /// Seconds since the start.
    public var seconds: Int
    /// One a workload, in the plan's order, summed over the processes.
    public var flows: [FlowCounts]
    /// Of each process.
    public var processors: [ProcessorTime]
    /// Processes that had not told of this second half a second after it: of them, the counts are
    /// those they told last.
    public var lateWorkers = 0
}

/// What a run came to.
public struct LoadResult: Sendable {
    public var flows: [FlowCounts]
    public var latencies: [Latencies]
    /// Of all processes together.
    public var processor: ProcessorTime
    /// The start on the machine's monotonic clock.
    public var origin: UInt64
    /// Nanoseconds from the start to the last process's end.
    public var elapsed: UInt64
    /// Somebody stopped it.
    public var wasInterrupted: Bool
    /// Why the target was spared the rest: what the health probe said.
    public var healthFailure: String?
    /// Why processes ended before their time, if any did; the counts are theirs up to then.
    public var lostProcesses: [String]
    /// In how many seconds each process had not told of them half a second later.
    public var lateSeconds: [Int]

    var processCount: Int { lateSeconds.count }

    /// Whether process `index` ended before its time.
    func isLost(_ index: Int) -> Bool {
        lostProcesses.contains { $0.hasPrefix("worker \(index + 1) ") }
    }

    /// Whether the run ended before it had done what it was to do.
    public var isPartial: Bool {
        wasInterrupted || healthFailure != nil || !lostProcesses.isEmpty
    }
}

/// Why a run cannot be.
public enum LoadError: Error, Sendable, CustomStringConvertible {
    case call(SystemCallError)
    /// The target is not within what is permitted, which is our mistake or a changed plan.
    case notPermitted(String)
    /// This machine does not fit; `remedy` says what to do.
    case environment(String, remedy: String)
    /// Interrupted twice: everything was ended at once.
    case killed

    public var description: String {
        switch self {
        case .call(let error): "\(error)"
        case .notPermitted(let text): text
        case .environment(let what, let remedy): "\(what); \(remedy)"
        case .killed: "interrupted twice: the workers were ended at once, and there is no report"
        }
    }
}

/// What whoever watches a run wants of it.
public enum LoadWish: Sendable, Hashable {
    case goOn
    case stop
    /// So many flows of a held workload from now on.
    case hold(workload: Int, count: Int)
}

/// A plan, carried out by worker processes.
public struct LoadRun: ~Copyable {
    /// Descriptors a process needs besides its connections.
    public static let spareDescriptors = 64
    /// Nanoseconds the processes have to get ready.
    private static let preparation: UInt64 = 300_000_000
    /// Nanoseconds a process may take to end, behind the plan's end and grace; and for each
    /// connection that has to be ended.
    private static let overtime: UInt64 = 8_000_000_000
    private static let overtimeEach: UInt64 = 1_000_000
    /// Nanoseconds behind a full second in which the processes may tell of it.
    private static let lateness: UInt64 = 500_000_000

    private let plan: Plan
    private let children: [ChildProcess]
    private var reports: [WorkerReport?]
    /// One a workload, summed over the reports of all processes.
    private var latencies: [Latencies]
    private var lateSeconds: [Int]
    private var isRunning: [Bool]
    private var lost: [String] = []
    /// The run's start on the machine's monotonic clock.
    public let origin: UInt64
    private var health: HealthProbe?
    /// When a process that has not ended is ended: it hangs.
    private var deadline: UInt64
    private var overtime: UInt64

    /// How many processes `plan` takes: as many as its connections need descriptors.
    public static func processCount(for plan: Plan, descriptorLimit: Int) -> Int {
        let each = max(1, descriptorLimit - spareDescriptors)
        return max(1, (plan.expectedFlows + each - 1) / each)
    }

    /// The most processes that are started unless somebody asks for more, and unless this process
    /// has fewer descriptors: each takes two of them.
    public static var mostProcesses: Int {
        max(1, min(256, (DescriptorLimit.raise() - spareDescriptors / 2) / 2))
    }

    /// Starts the processes in the calling thread's network namespace; the run begins a moment
    /// later, for all of them at once.
    ///
    /// - Parameters:
    ///   - program: This command; `arguments` make it a worker.
    ///   - permit: What `TargetGate` said about the targets; each process asks it again.
    ///   - health: What stops the run when the target is not well.
    public init(
        _ plan: Plan, processCount: Int, permit: LoadPermit, descriptorLimit: Int,
        health: consuming HealthProbe? = nil, program: String = "/proc/self/exe",
        arguments: [String] = ["load-worker"], pinned: Bool = false
    ) throws(LoadError) {
        do throws(TargetRefusal) {
            try permit.check(plan)
        } catch {
            throw .notPermitted(error.description)
        }
        let origin = MonotonicClock.now() + Self.preparation
        let slots = max(1, descriptorLimit - Self.spareDescriptors)
        var children: [ChildProcess] = []
        for part in 0..<processCount {
            let share = plan.part(part, of: processCount)
            let order = WorkerOrder(
                plan: share, origin: origin, slotCount: min(slots, Self.slots(for: share)),
                processor: pinned ? part % Processor.count : nil, claim: permit.claim)
            do throws(SystemCallError) {
                let child = try ChildProcess(program, arguments)
                child.tell(WorkerLine.text(order))
                children.append(child)
            } catch {
                guard error.isOutOfDescriptors else { throw .call(error) }
                throw .environment(
                    "\(processCount) processes take more descriptors than this one has: \(error)",
                    remedy: "fewer --processes, or a higher limit: ulimit -n")
            }
        }
        self.plan = plan
        self.origin = origin
        self.children = children
        self.health = health
        reports = Array(repeating: nil, count: processCount)
        latencies = plan.workloads.map { _ in Latencies() }
        lateSeconds = Array(repeating: 0, count: processCount)
        isRunning = Array(repeating: true, count: processCount)
        overtime = Self.overtime + UInt64(plan.expectedFlows) * Self.overtimeEach
        deadline = origin + plan.duration + plan.grace + overtime
    }

    /// Slots for a share: what it expects and as much again, because not all goes as expected; and
    /// enough for all attempts that wait for an answer which a full table keeps from them.
    private static func slots(for plan: Plan) -> Int {
        let isChanging = plan.workloads.contains {
            if case .held = $0.model { $0.hold == .forever } else { false }
        }
        return isChanging ? Int.max : max(256, 2 * plan.expectedFlows, plan.unansweredFlows)
    }

    /// Watches the run to its end.
    ///
    /// - Parameters:
    ///   - interruption: Once stops it cleanly, twice ends it at once.
    ///   - turn: Called a hundred times a second, for what has to be done more often.
    ///   - tick: Told once a second; says what is wanted.
    public mutating func run(
        interruption: borrowing Interruption, turn: () -> Void = {},
        tick: (LoadTick) -> [LoadWish]
    ) throws(LoadError) -> LoadResult {
        var wasInterrupted = false
        var healthFailure: String?
        var seconds = 0
        while isRunning.contains(true) {
            MonotonicClock.sleep(until: MonotonicClock.now() + 10_000_000)
            if interruption.take() {
                if wasInterrupted {
                    for child in children { child.kill() }
                    throw .killed
                }
                wasInterrupted = true
                stop()
            }
            if healthFailure == nil, let failure = health?.look(at: MonotonicClock.now()) {
                healthFailure = failure
                stop()
            }
            if MonotonicClock.now() > deadline { endHanging() }
            turn()
            // What was told by now is gathered below: nobody is late because we were.
            let now = MonotonicClock.now()
            try gather()
            if let next = nextTick(behind: seconds, at: now) {
                seconds = next.seconds
                for wish in tick(next) { pass(wish) }
            }
        }
        return result(wasInterrupted, healthFailure)
    }

    /// Asks the processes to end.
    private mutating func stop() {
        for child in children { child.tell("stop") }
        deadline = min(deadline, MonotonicClock.now() + plan.grace + overtime)
    }

    /// Ends the processes that should have ended by themselves.
    private mutating func endHanging() {
        for index in children.indices where isRunning[index] {
            lost.append("worker \(index + 1) hung and was ended")
            children[index].kill()
        }
        deadline = UInt64.max
    }

    private mutating func gather() throws(LoadError) {
        for index in children.indices where isRunning[index] {
            do throws(SystemCallError) {
                let (lines, hasMore) = try children[index].lines()
                for line in lines {
                    guard let report = WorkerLine.value(WorkerReport.self, line) else { continue }
                    reports[index] = report
                    for (sum, part) in zip(latencies.indices, report.latencies) {
                        latencies[sum].add(part)
                    }
                }
                guard !hasMore else { continue }
            } catch {
                throw .call(error)
            }
            isRunning[index] = false
            let code = children[index].wait()
            let isExplained = lost.contains { $0.hasPrefix("worker \(index + 1) ") }
            if reports[index]?.isLast != true, !isExplained {
                lost.append("worker \(index + 1) ended with code \(code) before its time")
            }
        }
    }

    /// The second every process still running has told of, if that is a new one; or the one that
    /// has been over for so long that those who have not told of it are late.
    private mutating func nextTick(behind seconds: Int, at now: UInt64) -> LoadTick? {
        let running = children.indices.filter { isRunning[$0] }
        let reached = running.map { Int((reports[$0]?.elapsed ?? 0) / 1_000_000_000) }
        guard let slowest = reached.min() else { return nil }
        let due = Int((now - min(now, origin + Self.lateness)) / 1_000_000_000)
        let next = max(slowest, due)
        guard next > seconds else { return nil }
        var late = 0
        for (index, second) in zip(running, reached) where second < next {
            late += 1
            lateSeconds[index] += next - max(seconds, second)
        }
        return LoadTick(
            seconds: next, flows: flows, processors: reports.compactMap { $0?.processor },
            lateWorkers: late)
    }

    private var flows: [FlowCounts] {
        var sums = plan.workloads.map { _ in FlowCounts() }
        for (report, isRunning) in zip(reports, isRunning) {
            guard let report else { continue }
            for (index, flows) in report.flows.enumerated() where index < sums.count {
                var flows = flows
                if !isRunning, !report.isLast {
                    // Its connections went with it.
                    flows.orphaned = flows.active
                    flows.active = 0
                    flows.standing = 0
                }
                sums[index] = sums[index] + flows
            }
        }
        return sums
    }

    private mutating func pass(_ wish: LoadWish) {
        switch wish {
        case .goOn: break
        case .stop: stop()
        case .hold(let workload, let count):
            overtime = max(overtime, Self.overtime + UInt64(count) * Self.overtimeEach)
            deadline = max(deadline, origin + plan.duration + plan.grace + overtime)
            for (part, child) in children.enumerated() {
                let share = PlanShare(part: part, parts: children.count).count(of: count)
                child.tell("hold \(workload) \(share)")
            }
        }
    }

    private func result(_ wasInterrupted: Bool, _ healthFailure: String?) -> LoadResult {
        let times = reports.compactMap { $0?.processor }
        return LoadResult(
            flows: flows, latencies: latencies,
            processor: ProcessorTime(
                user: times.reduce(0) { $0 + $1.user }, system: times.reduce(0) { $0 + $1.system }),
            origin: origin, elapsed: reports.compactMap { $0?.elapsed }.max() ?? 0,
            wasInterrupted: wasInterrupted, healthFailure: healthFailure, lostProcesses: lost,
            lateSeconds: lateSeconds)
    }
}
