internal import Histogram
public import LinuxCalls
internal import Wire

// The engine: one process, one thread, one epoll. A connection is a slot number; everything about it
// stands in arrays made at the start, so that a connection costs its system calls and little else.
//
//     due ─▶ connect ─▶ (stands) ─▶ send ─▶ receive ─▶ hold ─▶ end ─▶ (closed)
//       Lane   Sockets    epoll       instruction       wheel    by the plan's ending
//
// Latency counts from the moment a flow was due, not from when its turn came.

/// One process's share of a plan, carried out.
public struct Worker: ~Copyable {
    enum Phase: UInt8 {
        case free, asking, connecting, exchanging, holding, closing
    }

    /// Flows begun in one turn at most, so that those that stand are looked after in between.
    private static let startsPerTurn = 64
    /// Nanoseconds in which starts that were due before the end are still made up for.
    private static let lateness: UInt64 = 500_000_000
    /// Nanoseconds within which no SYN is sent again: half of the first wait.
    static let shortestRetransmission: UInt64 = 500_000_000
    private static let controlNumber = 1 << 40
    static let datagramNumber = 1 << 41
    private static let reportEvery: UInt64 = 1_000_000_000

    let plan: Plan
    let origin: UInt64
    var sockets: SocketTable
    var datagrams = DatagramTable()
    /// Of each datagram workload its first socket and how many it has.
    var datagramSockets: [Range<Int>]
    var wheel: TimerWheel
    var lanes: [Lane]
    /// Slots nobody uses, the last one first.
    var free: [Int32]
    // By slot.
    var phases: [Phase]
    var owners: [UInt8]
    var scheduled: [UInt64]
    var begun: [UInt64]
    var remaining: [Int32]
    var unsent: [Int32]
    var peers: [Int32]
    var lookups: [LookupProgress]
    private var isStopping = false
    /// Nothing begins any more, and what stands is ended.
    private(set) var isEnding = false
    private let processorBefore: ProcessorTime

    /// - Parameters:
    ///   - permit: What the gate said in this very process; it covers the plan's targets.
    ///   - origin: The run's start on the machine's monotonic clock, the same in every process.
    ///   - slotCount: Connections at a time; the process must be allowed the descriptors.
    /// - Throws: A source address of a datagram workload that is not this machine's, for one.
    public init(
        _ plan: Plan, permit: LoadPermit, origin: UInt64, slotCount: Int
    ) throws(SystemCallError) {
        precondition(
            plan.workloads.allSatisfy { permit.covers($0.target) }, "a plan within its permit")
        precondition(plan.workloads.count < 256, "a plan has fewer than 256 workloads")
        self.plan = plan
        self.origin = origin
        let sockets = try SocketTable(slotCount: slotCount)
        var datagrams = DatagramTable()
        var ranges: [Range<Int>] = []
        for workload in plan.workloads {
            let first = datagrams.count
            if workload.isFanout {
                try Self.bind(workload, in: &datagrams)
            }
            ranges.append(first..<datagrams.count)
        }
        self.sockets = sockets
        self.datagrams = datagrams
        datagramSockets = ranges
        wheel = TimerWheel(slotCount: slotCount, now: origin)
        lanes = plan.workloads.enumerated().map {
            Lane($1, seed: plan.seed(ofWorkload: $0), origin: origin)
        }
        free = (0..<slotCount).reversed().map { Int32($0) }
        phases = Array(repeating: .free, count: slotCount)
        owners = Array(repeating: 0, count: slotCount)
        scheduled = Array(repeating: 0, count: slotCount)
        begun = Array(repeating: 0, count: slotCount)
        remaining = Array(repeating: 0, count: slotCount)
        unsent = Array(repeating: 0, count: slotCount)
        peers = Array(repeating: 0, count: slotCount)
        lookups = Array(repeating: LookupProgress(), count: slotCount)
        processorBefore = ProcessorTime.now()
    }

    /// Carries the plan out, from its start to its end or until it is told to stop.
    ///
    /// - Parameters:
    ///   - control: Lines that change the run: `hold WORKLOAD COUNT`, `stop`. Its end is a `stop`.
    ///   - report: Told once a second, and at the end.
    public mutating func run(
        control: inout StandardInput, report: (WorkerReport) -> Void
    ) throws(SystemCallError) {
        try live { sockets throws(SocketFailure) in
            try sockets.watch(control.descriptor, as: Self.controlNumber)
        }
        for index in 0..<datagrams.count {
            do throws(SocketFailure) {
                try sockets.watch(datagrams, index, as: Self.datagramNumber + index)
            } catch {
                throw SystemCallError(call: error.call.name, code: error.code)
            }
        }
        let end = origin + plan.duration
        var nextReport = origin + Self.reportEvery
        var graceEnd: UInt64?
        if MonotonicClock.now() < origin { MonotonicClock.sleep(until: origin) }
        while true {
            let now = MonotonicClock.now()
            let isOver = now >= end && (now >= end + Self.lateness || !isBehind(end))
            if graceEnd == nil, isStopping || isOver {
                graceEnd = now + plan.grace
                endStarts(at: now)
            }
            if let graceEnd, now >= graceEnd || !isAwaiting { break }
            if graceEnd == nil { start(min(now, end)) }
            while let slot = wheel.fire(by: now) { timerFired(slot, at: now) }
            if now >= nextReport {
                nextReport += Self.reportEvery * (1 + (now - nextReport) / Self.reportEvery)
                report(takeReport(at: now))
            }
            let count = sockets.wait(nanoseconds: pause(from: now, graceEnd, nextReport))
            for index in 0..<count {
                let event = sockets.readiness(at: index)
                if event.slot < phases.count {
                    handle(event)
                } else if event.slot == Self.controlNumber {
                    try obey(&control)
                } else {
                    receiveDatagrams(event.slot - Self.datagramNumber)
                }
            }
        }
        cutOff()
        report(takeReport(at: MonotonicClock.now(), isLast: true))
    }

    private func live(
        _ body: (borrowing SocketTable) throws(SocketFailure) -> Void
    ) throws(SystemCallError) {
        do throws(SocketFailure) {
            try body(sockets)
        } catch {
            throw SystemCallError(call: error.call.name, code: error.code)
        }
    }

    /// Whether flows that were due by `end` have not begun.
    private func isBehind(_ end: UInt64) -> Bool {
        lanes.contains { $0.isOpen && $0.isDue(at: end) }
    }

    /// Whether flows are under way, or answers to datagrams.
    private var isAwaiting: Bool { lanes.contains { $0.flows.active > 0 || $0.openAnswers > 0 } }

    /// What there is to tell; the latencies in it are forgotten here.
    private mutating func takeReport(at now: UInt64, isLast: Bool = false) -> WorkerReport {
        let processor = ProcessorTime.now()
        defer { for lane in lanes.indices { lanes[lane].latencies.reset() } }
        return WorkerReport(
            elapsed: now - min(now, origin), flows: lanes.map(\.flows),
            processor: ProcessorTime(
                user: processor.user - processorBefore.user,
                system: processor.system - processorBefore.system),
            latencies: lanes.map(\.latencies), isLast: isLast)
    }

    // MARK: Starting

    private mutating func start(_ now: UInt64) {
        for lane in lanes.indices {
            if lanes[lane].workload.isFanout {
                sendDatagrams(lane, now)
                continue
            }
            if lanes[lane].follow(now: now) { letGo(lane) }
            var budget = Self.startsPerTurn
            while budget > 0, lanes[lane].isDue(at: now) {
                begin(lane, now)
                budget -= 1
            }
        }
    }

    private mutating func begin(_ lane: Int, _ now: UInt64) {
        let due = lanes[lane].isOpen ? lanes[lane].nextStart ?? now : now
        lanes[lane].advance(now: now)
        lanes[lane].flows.largestLag = max(lanes[lane].flows.largestLag, now - min(now, due))
        guard let slot = free.popLast().map(Int.init) else {
            lanes[lane].flows.droppedStarts += 1
            lanes[lane].flows.startsWithoutSlot += 1
            return
        }
        let index = lanes[lane].index
        lanes[lane].index += 1
        lanes[lane].flows.started += 1
        lanes[lane].flows.active += 1
        owners[slot] = UInt8(truncatingIfNeeded: lane)
        scheduled[slot] = due
        peers[slot] = Int32(truncatingIfNeeded: index)
        if let lookup = lanes[lane].workload.lookup {
            lookUp(slot, lookup)
        } else {
            connect(slot)
        }
    }

    /// Connects the flow in `slot`.
    mutating func connect(_ slot: Int) {
        let lane = Int(owners[slot])
        let index = Int(peers[slot])
        let peer = lanes[lane].destination(index)
        let source = lanes[lane].source(index)
        let moment = MonotonicClock.now()
        do throws(SocketFailure) {
            try sockets.connect(slot, to: peer, from: source)
        } catch {
            lanes[lane].flows.failed += 1
            let isLocal = error.call == .bind
            lanes[lane].flows.add(error, isLocal ? source ?? peer : peer)
            _ = lanes[lane].latencies.gaveUp.record(
                Latencies.microseconds(from: scheduled[slot], to: MonotonicClock.now()))
            release(slot)
            return
        }
        phases[slot] = .connecting
        begun[slot] = moment
        wheel.set(slot, for: moment + lanes[lane].workload.patience)
    }

    /// No more starts; what is held is ended.
    private mutating func endStarts(at now: UInt64) {
        isEnding = true
        for lane in lanes.indices {
            // What was due and was not done was dropped.
            while lanes[lane].isOpen, lanes[lane].isDue(at: now) {
                lanes[lane].flows.droppedStarts += 1
                lanes[lane].advance(now: now)
            }
            lanes[lane].nextStart = nil
            lanes[lane].wanted = 0
        }
        for slot in phases.indices where phases[slot] == .holding {
            wheel.clear(slot)
            finish(slot)
        }
    }

    /// Nanoseconds nothing will be due by itself.
    private func pause(from now: UInt64, _ graceEnd: UInt64?, _ nextReport: UInt64) -> Int64 {
        var moment = min(nextReport, graceEnd ?? UInt64.max)
        for lane in lanes { moment = min(moment, lane.nextLook(from: now) ?? UInt64.max) }
        if wheel.count > 0 { moment = min(moment, now + TimerWheel.grain) }
        return moment > now ? Int64(clamping: moment - now) : 0
    }

    // MARK: Control

    private mutating func obey(_ control: inout StandardInput) throws(SystemCallError) {
        let (lines, hasMore) = try control.lines()
        for line in lines {
            let words = line.split(separator: " ")
            if words == ["stop"] { isStopping = true }
            guard words.count == 3, words[0] == "hold", let count = Int(words[2]),
                let lane = Int(words[1]), lanes.indices.contains(lane), !lanes[lane].isOpen
            else { continue }
            lanes[lane].wanted = max(0, count)
            letGo(lane)
        }
        if !hasMore { isStopping = true }
    }

    /// Ends connections of `lane` that are more than wanted: attempts first, which cost nobody
    /// anything, then those that stand.
    private mutating func letGo(_ lane: Int) {
        let now = MonotonicClock.now()
        for phase in [Phase.asking, .connecting, .holding] {
            for slot in phases.indices where phases[slot] == phase {
                guard lanes[lane].flows.active > lanes[lane].wanted else { return }
                guard Int(owners[slot]) == lane else { continue }
                if phase == .holding {
                    wheel.clear(slot)
                    finish(slot)
                } else {
                    cutOff(slot, at: now)
                }
            }
        }
    }
}
