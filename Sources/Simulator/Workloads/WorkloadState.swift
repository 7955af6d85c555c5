import Conntrack
import Wire

// A workload as it runs: where from, where to, how often, and what each of its exchanges does.

/// What a workload's exchanges do.
struct FlowPlan {
    var isDatagram = false
    var requests = Distribution.constant(1)
    /// Seconds between an answer and the next request.
    var think = Distribution.constant(0)
    /// Seconds between the last answer and the end.
    var hold = Distribution.constant(0)
    /// Bytes.
    var request = Distribution.constant(200)
    var response = Distribution.constant(1000)
    var close = CloseKind.clientFin
    /// Attempts of an application, nanoseconds between them, and for each of them.
    var attempts: UInt8 = 1
    var backoff: UInt64 = 1_000_000_000
    var timeout = UInt64.max
    /// SYN retransmissions, where the workload says so.
    var synRetries: UInt8?
    /// Datagrams: questions at once from one socket, how often each is sent, and after how long.
    var questions: UInt8 = 1
    var questionSends: UInt8 = 2
    var questionTimeout: UInt64 = 5_000_000_000
    /// A question without answer is no failure: the next one follows.
    var goesOnWithoutAnswer = false
    /// The local port; 0 takes a free one.
    var sourcePort: UInt16 = 0
}

/// Addresses a workload sends from: a stretch of one machine's.
struct SourceRange: BitwiseCopyable {
    var station: Int
    var family: Family
    var first: Address
    /// At least one.
    var count: UInt64
}

/// One address of a machine.
struct SourceAddress {
    var station: Int
    var address: (family: Family, address: Address)
}

/// Where a workload sends to.
struct TargetAddress: BitwiseCopyable {
    var family: Family
    var address: Address
    var port: UInt16
    /// Its share among the targets.
    var weight: UInt32 = 1
}

/// A stretch of a workload's life; the rate goes from one figure to the other in a straight line.
struct Stage: BitwiseCopyable {
    var duration: UInt64
    /// Arrivals per second, or exchanges kept at once in a closed workload.
    var from: Double
    var to: Double
}

/// When exchanges of an open workload begin.
enum ArrivalKind {
    case poisson, uniform
    /// `size` at once, every so many nanoseconds.
    case bursts(size: UInt32, every: UInt64)
    /// At these moments, nanoseconds from the workload's beginning.
    case trace([UInt64])
}

/// A workload as it runs.
struct WorkloadState {
    var name: String
    var isOpen: Bool
    var arrivals: ArrivalKind
    var stages: [Stage]
    var flow: FlowPlan
    var sources: [SourceRange]
    var targets: [TargetAddress]
    var raw: RawPlan?
    /// Nanoseconds into the run.
    var start: UInt64 = 0
    /// Whether it starts by itself.
    var startsByItself = true

    var sampler: Sampler
    var stats = WorkloadStats()
    var isRunning = false
    /// Exchanges going on.
    var active = 0
    /// When its stages began to count.
    var began: UInt64 = 0
    /// A rate that replaces the stages', while it is set.
    var fixedRate: Double?
    /// Tells its events from those before a change.
    var generation: UInt32 = 0
    private var sourceCursor: UInt64 = 0
    private var traceCursor = 0
    /// Restarts that wait for their event, in a closed workload.
    var pendingStarts = 0

    init(
        name: String, isOpen: Bool, arrivals: ArrivalKind, stages: [Stage], flow: FlowPlan,
        sources: [SourceRange], targets: [TargetAddress], raw: RawPlan? = nil, seed: UInt64
    ) {
        self.name = name
        self.isOpen = isOpen
        self.arrivals = arrivals
        self.stages = stages
        self.flow = flow
        self.sources = sources
        self.targets = targets
        self.raw = raw
        sampler = Sampler(seed: seed)
    }

    // MARK: What an exchange is given

    /// The next address to send from: all of them in turn.
    mutating func nextSource() -> SourceAddress {
        let total = sources.reduce(0) { $0 + $1.count }
        var place = sourceCursor % max(1, total)
        sourceCursor &+= 1
        for range in sources {
            if place < range.count {
                let address = Address(
                    high: range.first.high, low: range.first.low &+ place)
                return SourceAddress(
                    station: range.station, address: (range.family, address))
            }
            place -= range.count
        }
        preconditionFailure("a workload has at least one source")
    }

    /// The next address to send to, of the same family: by weight, by chance where there are
    /// several.
    mutating func nextTarget(_ family: Family) -> TargetAddress {
        if targets.count == 1 { return targets[0] }
        let total = targets.reduce(UInt32(0)) { $0 + ($1.family == family ? $1.weight : 0) }
        var place = sampler.below(max(1, total))
        for target in targets where target.family == family {
            if place < target.weight { return target }
            place -= target.weight
        }
        return targets[0]
    }

    mutating func byteCount(_ distribution: Distribution) -> UInt32 {
        if case .constant(let value) = distribution { return UInt32(max(0, min(value, 4e9))) }
        return UInt32(max(0, min(sampler.draw(distribution), 4e9)))
    }

    mutating func count(_ distribution: Distribution) -> Int {
        Int(max(1, min(sampler.draw(distribution), 60_000)).rounded())
    }

    mutating func nanoseconds(_ distribution: Distribution) -> UInt64 {
        if case .constant(let value) = distribution {
            return UInt64(max(0, min(value, 1e9)) * 1e9)
        }
        return UInt64(max(0, min(sampler.draw(distribution), 1e9)) * 1e9)
    }

    // MARK: When

    /// Arrivals per second, or exchanges at once, at a moment of the run.
    func rate(at now: UInt64) -> Double {
        if let fixedRate { return fixedRate }
        var left = now - min(now, began)
        for stage in stages {
            if left < stage.duration {
                let part = Double(left) / Double(stage.duration)
                return stage.from + (stage.to - stage.from) * part
            }
            left -= stage.duration
        }
        return 0
    }

    /// When the workload's last stage is over; `.max` where it has none.
    var end: UInt64 {
        stages.isEmpty ? .max : stages.reduce(began) { $0.addingOrMax($1.duration) }
    }

    /// The moment of the next arrival after `now`; `nil` where none will come.
    mutating func nextArrival(after now: UInt64) -> UInt64? {
        switch arrivals {
        case .trace(let moments):
            guard traceCursor < moments.count else { return nil }
            defer { traceCursor += 1 }
            return max(now, began + moments[traceCursor])
        case .bursts(_, let every):
            let next = now == began && traceCursor == 0 ? now : now.addingOrMax(every)
            traceCursor = 1
            return next < end ? next : nil
        case .poisson: return moment(after: now, of: sampler.draw(.exponential(mean: 1)))
        case .uniform: return moment(after: now, of: 1)
        }
    }

    /// When the integral of the rate from `now` on reaches `amount`.
    private func moment(after now: UInt64, of amount: Double) -> UInt64? {
        if let fixedRate {
            guard fixedRate > 0 else { return nil }
            return now.addingOrMax(UInt64(min(amount / fixedRate, 1e9) * 1e9))
        }
        var amount = amount
        var start = began
        for stage in stages {
            let stageEnd = start.addingOrMax(stage.duration)
            defer { start = stageEnd }
            guard stageEnd > now else { continue }
            let from = max(now, start)
            let span = Double(stage.duration) / 1e9
            let slope = (stage.to - stage.from) / span
            let rate = stage.from + slope * (Double(from - start) / 1e9)
            let left = Double(stageEnd - from) / 1e9
            let rest = (rate + slope * left / 2) * left
            if rest < amount {
                amount -= rest
                continue
            }
            // amount = rate t + slope t² / 2, solved without cancellation.
            let root = max(0, rate * rate + 2 * slope * amount).squareRoot()
            let time = 2 * amount / (rate + root)
            return from + UInt64(time * 1e9)
        }
        return nil
    }
}

extension UInt64 {
    /// The sum, or the largest number where it does not fit.
    func addingOrMax(_ other: UInt64) -> UInt64 {
        let (sum, overflows) = addingReportingOverflow(other)
        return overflows ? .max : sum
    }
}
