internal import LinuxCalls
internal import Wire

/// One workload as a worker carries it out: what comes next, and what became of the rest.
struct Lane {
    let workload: LoadWorkload
    /// What is sent on a new connection; empty if nothing is exchanged.
    let outgoing: [UInt8]
    let responseByteCount: Int
    var flows = FlowCounts()
    var latencies = Latencies()
    /// How many to hold; 0 for an open workload.
    var wanted = 0
    /// When the next flow is due; `nil` if none is to come.
    var nextStart: UInt64?
    /// Flows begun, which decides each one's source and destination.
    var index = 0
    private var clock: ArrivalClock?
    private var dice: LoadDice
    /// Of a population.
    private var stages: [Arrivals.Stage] = []
    /// Of a fan-out: which five-tuples may be used again.
    var tuples: TupleRests
    private let gap: UInt64
    private let origin: UInt64
    /// Flows still to begin, where their number is given.
    private var left: Int?

    init(_ workload: LoadWorkload, seed: UInt64, origin: UInt64) {
        self.workload = workload
        self.origin = origin
        left = workload.total
        tuples = TupleRests(workload.reuse, tupleCount: workload.tupleCount)
        dice = LoadDice(seed: seed ^ 0x5DEE_CE66)
        // An abandoned connection needs an answer: it proves that nothing is left to be sent again.
        let answer = max(workload.responseByteCount, workload.ending == .abandon ? 1 : 0)
        responseByteCount = answer
        let instruction = Instruction(
            ending: workload.ending, endsAtOnce: workload.hold == .none,
            requestByteCount: UInt32(clamping: workload.requestByteCount),
            responseByteCount: UInt32(clamping: answer))
        if workload.isFanout {
            let padding = max(0, workload.requestByteCount - Instruction.mark.count)
            outgoing =
                (workload.wantsAnswers ? Instruction.mark : [0, 0, 0, 0])
                + Array(repeating: 0, count: min(padding, DatagramTable.datagramByteCount - 4))
        } else if workload.talksToSink {
            outgoing = instruction.bytes + Array(repeating: 0, count: workload.requestByteCount)
        } else {
            outgoing = []
        }
        switch workload.model {
        case .open(let arrivals):
            gap = 0
            var clock = ArrivalClock(arrivals, seed: seed, share: workload.share)
            nextStart = clock.next().map { origin + $0 }
            self.clock = clock
        case .held(let count, let startsPerSecond):
            gap = UInt64(1e9 / max(startsPerSecond, 1e-3))
            wanted = count
            nextStart = origin
        case .population(let stages):
            gap = UInt64(1e9 / max(workload.populationStartsPerSecond, 1e-3))
            nextStart = origin
            self.stages = stages
        }
        if left == 0 { nextStart = nil }
    }

    /// Of a population: how many there should be at `now`; what is wanted is set to it.
    ///
    /// - Returns: Whether some have to go: more are there than that, and none goes by itself. Flows
    ///   that are held for a time end when it is over, as the simulator's do.
    mutating func follow(now: UInt64) -> Bool {
        guard !stages.isEmpty, nextStart != nil else { return false }
        var seconds = Double(now - min(now, origin)) / 1e9
        var count = 0.0
        for stage in stages {
            if seconds < stage.seconds {
                let part = stage.seconds > 0 ? seconds / stage.seconds : 1
                count = stage.fromPerSecond + (stage.toPerSecond - stage.fromPerSecond) * part
                break
            }
            seconds -= stage.seconds
        }
        wanted = workload.share.count(of: Int(count.rounded()))
        return workload.hold == .forever && flows.active > wanted
    }

    /// Of a fan-out that is answered: answers that have not come.
    var openAnswers: Int {
        workload.isFanout && workload.wantsAnswers ? max(0, flows.datagrams - flows.answers) : 0
    }

    /// Whether what is wanted changes by itself.
    var isPopulation: Bool { !stages.isEmpty }

    var isOpen: Bool { clock != nil }

    /// Moves on to the start behind the one that was due; `now` is the present moment.
    mutating func advance(now: UInt64) {
        guard let due = nextStart else { return }
        if let count = left {
            left = count - 1
            if count <= 1 {
                nextStart = nil
                return
            }
        }
        if clock != nil {
            nextStart = clock?.next().map { origin + $0 }
        } else {
            // What was held up for long is not made up for in one rush.
            nextStart = max(due, now &- min(now, 10_000_000)) + gap
        }
    }

    /// Whether a flow is due.
    func isDue(at now: UInt64) -> Bool {
        guard let nextStart, nextStart <= now else { return false }
        return isOpen || flows.active < wanted
    }

    /// When to look again; `nil` if nothing will be due by itself.
    func nextLook(from now: UInt64) -> UInt64? {
        if isOpen || flows.active < wanted { return nextStart }
        return isPopulation && nextStart != nil ? now + 10_000_000 : nil
    }

    mutating func drawHold() -> UInt64? { workload.hold.draw(&dice) }

    /// The destination of flow `index`: the next one once every source had its turn, so that all
    /// pairs come about.
    func destination(_ index: Int) -> SocketAddress {
        workload.target.destination(index / (workload.sources?.count ?? 1))
    }

    /// Where flow `index` comes from.
    func source(_ index: Int) -> SocketAddress? {
        workload.sources.map { SocketAddress($0.family, $0.address(index), port: 0) }
    }
}
