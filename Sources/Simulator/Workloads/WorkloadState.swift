import Conntrack
import Scenario
import Wire

// A workload as it runs: where from, where to, how often, and what each of its exchanges does.

/// What a workload's exchanges do.
struct FlowPlan {
    var transport = Scenario.Transport.tcp
    var flow = Scenario.Flow()
    /// Nanoseconds.
    var timeout = UInt64.max
    var connectTimeout = UInt64.max
    var keepAlive = UInt64.max
    /// Datagrams: nanoseconds until a question without answer is asked again.
    var questionTimeout: UInt64 = 5_000_000_000
    /// Datagrams that are questions of a resolver: how many at once.
    var questions: UInt8 = 1
    /// The workload that looks names up before each exchange of this one.
    var resolver: Int?

    /// Every request has a socket of its own, as a resolver's names have.
    var opensSocketPerRequest = false

    var isDatagram: Bool { transport != .tcp }
    /// Messages of the server that nobody asked for.
    var pushCount: UInt32 { UInt32(clamping: flow.push?.count ?? 0) }
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

/// Addresses and ports a workload sends to.
struct TargetPlan {
    struct Choice {
        var family: Family
        var first: Address
        var count: UInt64
        var weight: Double
    }

    var choices: [Choice]
    var ports: ClosedRange<UInt16>
    var spread: Scenario.Target.Spread
    private var cursor: UInt64 = 0

    init(_ choices: [Choice], ports: ClosedRange<UInt16>, _ spread: Scenario.Target.Spread) {
        self.choices = choices
        self.ports = ports
        self.spread = spread
    }

    private var portCount: UInt64 { UInt64(ports.upperBound - ports.lowerBound) + 1 }

    /// The next address and port of a family; `nil` where there is none.
    mutating func next(
        _ family: Family, _ sampler: inout Sampler
    ) -> (address: Address, port: UInt16)? {
        if choices.count == 1, choices[0].family == family, choices[0].count == 1,
            portCount == 1
        {
            return (choices[0].first, ports.lowerBound)
        }
        let fitting = choices.filter { $0.family == family }
        guard let first = fitting.first else { return nil }
        switch spread {
        case .first: return (first.first, ports.lowerBound)
        case .roundRobin where fitting.allSatisfy { $0.weight == first.weight }:
            let total = fitting.reduce(UInt64(0)) { $0 + $1.count }
            let port = ports.lowerBound + UInt16(truncatingIfNeeded: cursor % portCount)
            let address = Self.address((cursor / portCount) % total, fitting)
            cursor &+= 1
            return (address, port)
        default:
            let total = fitting.reduce(0) { $0 + $1.weight * Double($1.count) }
            var place = Double(sampler.next() >> 11) * 0x1p-53 * total
            let port =
                ports.lowerBound
                + UInt16(truncatingIfNeeded: (sampler.next() >> 32) % portCount)
            for choice in fitting {
                let share = choice.weight * Double(choice.count)
                if place < share {
                    let offset = min(choice.count - 1, UInt64(place / choice.weight))
                    return (Address(high: choice.first.high, low: choice.first.low &+ offset), port)
                }
                place -= share
            }
            return (first.first, port)
        }
    }

    private static func address(_ place: UInt64, _ choices: [Choice]) -> Address {
        var place = place
        for choice in choices {
            if place < choice.count {
                return Address(high: choice.first.high, low: choice.first.low &+ place)
            }
            place -= choice.count
        }
        return choices[0].first
    }
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
    var target: TargetPlan
    var raw: RawPlan? {
        didSet { isRaw = raw != nil }
    }
    /// Whether it sends packets without connections: asked at every arrival, and cheaper to ask than
    /// the plan.
    private(set) var isRaw: Bool
    /// Connections that requests share: its place among the pools.
    var pool: Int?
    /// Nanoseconds into the run.
    var start: UInt64 = 0
    /// A lookup's, a proxy's back: begun by other exchanges alone.
    var isHidden = false
    /// Exchanges that a bound of the run kept from beginning.
    var skipped: UInt64 = 0
    /// Where to, in the scenario's words: what addresses stand behind it may change.
    var targetDescription: Scenario.Target?
    /// Whether it starts by itself.
    var startsByItself = true

    var sampler: Sampler
    var stats = WorkloadStats()
    var isRunning = false
    /// Exchanges going on.
    var active = 0
    /// The machine whose maximum the stages of a closed workload are shares of.
    var shareOf: Int?
    /// What the stages' figures are multiples of: that maximum when the workload started.
    var unit = 1.0
    /// When its stages began to count.
    var began: UInt64 = 0
    /// A rate that replaces the stages', while it is set.
    var fixedRate: Double?
    /// Exchanges, or raw packets, that may still begin.
    var left = UInt64.max
    /// Tells its events from those before a change.
    var generation: UInt32 = 0
    private var sourceCursor: UInt64 = 0
    private var traceCursor = 0
    /// Restarts that wait for their event, in a closed workload.
    var pendingStarts = 0

    init(
        name: String, isOpen: Bool, arrivals: ArrivalKind, stages: [Stage], flow: FlowPlan,
        sources: [SourceRange], target: TargetPlan, raw: RawPlan? = nil, seed: UInt64
    ) {
        self.name = name
        self.isOpen = isOpen
        self.arrivals = arrivals
        self.stages = stages
        self.flow = flow
        self.sources = sources
        self.target = target
        self.raw = raw
        isRaw = raw != nil
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

    /// The next address and port to send to.
    mutating func nextTarget(_ family: Family) -> (address: Address, port: UInt16)? {
        target.next(family, &sampler)
    }

    /// How much an exchange asks, how often, and how long it stays.
    mutating func draw(_ exchange: inout Exchange) {
        exchange.requests = count(flow.flow.requests)
        exchange.hold = nanoseconds(flow.flow.hold)
        exchange.requestByteCount = byteCount(flow.flow.request)
        exchange.responseByteCount = byteCount(flow.flow.response)
    }

    mutating func byteCount(_ distribution: Scenario.Distribution) -> UInt32 {
        UInt32(sampler.draw(distribution, limit: 2e9))
    }

    mutating func count(_ distribution: Scenario.Distribution) -> UInt32 {
        UInt32(max(1, sampler.draw(distribution, limit: 1e6).rounded()))
    }

    mutating func nanoseconds(_ distribution: Scenario.Distribution) -> UInt64 {
        UInt64(sampler.draw(distribution, limit: 1e18))
    }

    // MARK: When

    /// Arrivals per second, or exchanges at once, at a moment of the run.
    func rate(at now: UInt64) -> Double {
        if let fixedRate { return fixedRate }
        var left = now - min(now, began)
        for stage in stages {
            if left < stage.duration {
                let part = Double(left) / Double(stage.duration)
                return (stage.from + (stage.to - stage.from) * part) * unit
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
        case .poisson: return moment(after: now, of: sampler.waitingTime())
        case .uniform: return moment(after: now, of: 1)
        }
    }

    /// When the integral of the rate from `now` on reaches `amount`.
    ///
    /// Mutating, though it changes nothing: a call that borrows the workload copies all of it.
    private mutating func moment(after now: UInt64, of amount: Double) -> UInt64? {
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
