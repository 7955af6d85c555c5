public import LinuxCalls
public import Wire

// What is to be done, as plain values: a plan is made from a quick profile or from a scenario's
// workloads, checked (`LoadLimits`), split over processes (`Plan.part`), and carried out (`Worker`).

/// How a connection ends: each way leaves another conntrack state and timeout behind.
public enum Ending: String, Sendable, Codable, CaseIterable {
    /// The client closes first: TIME_WAIT.
    case clientFIN = "client-fin"
    /// The server closes first, when the client tells it to.
    case serverFIN = "server-fin"
    /// The client resets: CLOSE.
    case reset = "rst"
    /// Both ends forget the connection without a word: ESTABLISHED, for as long as that lasts.
    case abandon
}

/// A run of addresses that follow each other.
public struct AddressPool: Sendable, Codable, Hashable {
    var isIPv6: Bool
    var high: UInt64
    var low: UInt64
    /// How many addresses; at least one.
    public var count: Int

    public init(_ family: Family, first: Address, count: Int = 1) {
        precondition(count > 0, "a pool has addresses")
        isIPv6 = family == .ipv6
        high = first.high
        low = first.low
        self.count = count
    }

    public var family: Family { isIPv6 ? .ipv6 : .ipv4 }
    public var first: Address { Address(high: high, low: low) }
    public var last: Address { address(count - 1) }

    /// Address `index`; beyond the last it starts over.
    public func address(_ index: Int) -> Address {
        let (sum, overflow) = low.addingReportingOverflow(UInt64(index % count))
        return Address(high: overflow ? high &+ 1 : high, low: sum)
    }

    /// The part of the pool process `part` of `parts` uses: all of it if there is not one for each.
    func share(_ part: Int, of parts: Int) -> AddressPool {
        guard count >= parts else { return self }
        let start = count * part / parts
        let end = count * (part + 1) / parts
        return AddressPool(family, first: address(start), count: end - start)
    }
}

/// Where the load goes: addresses and ports, each combination of which is a destination.
public struct TargetPool: Sendable, Codable, Hashable {
    public var addresses: AddressPool
    public var firstPort: UInt16
    public var portCount: Int

    public init(addresses: AddressPool, firstPort: UInt16, portCount: Int = 1) {
        precondition(portCount > 0 && Int(firstPort) + portCount <= 65_536, "ports go to 65535")
        self.addresses = addresses
        self.firstPort = firstPort
        self.portCount = portCount
    }

    public var count: Int { addresses.count * portCount }

    /// Destination `index`, ports first; beyond the last it starts over.
    public func destination(_ index: Int) -> SocketAddress {
        let port = UInt16(truncatingIfNeeded: Int(firstPort) + index % portCount)
        return SocketAddress(
            addresses.family, addresses.address(index / portCount), port: port)
    }
}

/// When flows begin.
public enum LoadModel: Sendable, Codable, Hashable {
    /// So many a second, whatever happens to them.
    case open(Arrivals)
    /// So many at a time; one that ends makes room for the next, at most `startsPerSecond`.
    case held(count: Int, startsPerSecond: Double)
    /// So many at a time as the stages say, which change evenly from one count to another.
    case population(stages: [Arrivals.Stage])
}

public enum Transport: String, Sendable, Codable {
    case tcp
    /// Datagrams from few sockets to many destinations: each destination is a flow.
    case udp
}

/// Which part of a plan a process carries out.
public struct PlanShare: Sendable, Codable, Hashable {
    var part: Int
    var parts: Int

    /// Process `part` of `parts`; the only one, if nothing is said.
    public init(part: Int = 0, parts: Int = 1) {
        self.part = part
        self.parts = parts
    }

    /// Its part of `total`: those of all processes add up to it, and none falls as it grows.
    func count(of total: Int) -> Int { (total + parts - 1 - part) / parts }
}

/// One kind of flow, and how many of them.
public struct LoadWorkload: Sendable, Codable, Hashable {
    public var name: String
    public var transport: Transport
    public var model: LoadModel
    /// Flows after which it begins no more; `nil` is as many as the model says.
    public var total: Int?
    public var target: TargetPool
    /// Where flows come from, in turn; `nil` is the system's choice.
    public var sources: AddressPool?
    /// Source ports of a UDP workload, for each source address.
    public var sourcePortCount = 1
    public var ending = Ending.clientFIN
    public var hold = HoldTime.none
    /// Bytes the client sends, and waits for; with both zero nothing is exchanged, unless the
    /// ending has to be told.
    public var requestByteCount = 0
    public var responseByteCount = 0
    /// Datagrams a UDP flow has, one right behind the other.
    public var datagramsPerFlow = 1
    /// Whether the far end is asked to answer datagrams.
    public var wantsAnswers = false
    /// A name is looked up before each flow; with UDP, that is all of it.
    public var lookup: Lookup?
    /// Of datagrams: what becomes of new flows once every five-tuple was used.
    public var reuse = TupleReuse.cycle
    /// Of a population, and of each burst: what of it is begun here.
    var share = PlanShare()
    /// Flows a population begins a second at most, whatever its stages ask for.
    public var populationStartsPerSecond = 50_000.0
    /// Nanoseconds after which an attempt, or an answer, counts as failed.
    public var patience: UInt64 = 10_000_000_000

    /// The most bytes a datagram of a fan-out has.
    public static let datagramByteCount = DatagramTable.datagramByteCount

    public init(name: String, transport: Transport, model: LoadModel, target: TargetPool) {
        self.name = name
        self.transport = transport
        self.model = model
        self.target = target
    }

    /// Whether it is datagrams alone, from sockets that its flows share.
    public var isFanout: Bool { transport == .udp && lookup == nil }

    /// Of a fan-out: how many flows can differ, source addresses × source ports × destinations.
    public var tupleCount: Int {
        (sources?.count ?? 1) * max(1, sourcePortCount) * target.count
    }

    /// Divides the five-tuples of a fan-out.
    ///
    /// A pair of ends belongs to one process, so that only one side of the pairs is divided. Where
    /// neither is enough, each process has source ports of its own, at least one.
    fileprivate mutating func divideTuples(_ share: PlanShare) {
        let (part, parts) = (share.part, share.parts)
        if target.addresses.count >= parts {
            target.addresses = target.addresses.share(part, of: parts)
        } else if target.portCount >= parts {
            let first = target.portCount * part / parts
            target.portCount = target.portCount * (part + 1) / parts - first
            target.firstPort += UInt16(first)
        } else if let sources, sources.count >= parts {
            self.sources = sources.share(part, of: parts)
        } else {
            sourcePortCount = max(1, share.count(of: sourcePortCount))
        }
    }

    /// Whether the far end has to be `ctlab sink`.
    public var needsSink: Bool {
        lookup != nil || talksToSink
    }

    /// Of datagrams: whether answers are waited for.
    var awaitsAnswers: Bool { lookup != nil || wantsAnswers }

    /// Of `flows`, those to which came what was waited for.
    func fruits(of flows: FlowCounts) -> Int {
        switch transport {
        // What stood until the peer broke it off had been answered before.
        case .tcp: flows.completed + flows.lost
        case .udp: awaitsAnswers ? flows.answers : flows.datagrams
        }
    }

    /// Whether the flows themselves, lookups aside, speak the sink's language.
    var talksToSink: Bool {
        transport == .udp
            ? wantsAnswers
            : requestByteCount > 0 || responseByteCount > 0 || ending == .serverFIN
                || ending == .abandon
    }
}

/// Everything a run does.
public struct Plan: Sendable, Codable, Hashable {
    public var workloads: [LoadWorkload]
    /// Nanoseconds in which flows begin.
    public var duration: UInt64
    /// Nanoseconds that flows begun in time have to end by themselves.
    public var grace: UInt64 = 2_000_000_000
    public var seed: UInt64 = 1

    public init(workloads: [LoadWorkload], duration: UInt64) {
        self.workloads = workloads
        self.duration = duration
        // Lookups that are answered late, or never, are what is looked for.
        let longest = workloads.compactMap(\.lookup?.longest).max() ?? 0
        if longest > 0 { grace = max(grace, longest + 1_000_000_000) }
    }

    /// Flows that are open at the same time, as far as that can be known beforehand; those alone
    /// that need a descriptor each.
    public var expectedFlows: Int {
        workloads.filter { !$0.isFanout }.reduce(0) { sum, workload in
            switch workload.model {
            case .held(let count, _): return sum + count
            case .population(let stages):
                return sum + workload.share.count(of: Self.peak(stages))
            case .open(let arrivals):
                // Little's law, and room for stragglers.
                let life = workload.hold.meanSeconds + 1
                return sum + Int(min(arrivals.peakPerSecond * life, 1e9).rounded(.up)) + 64
            }
        }
    }

    /// Flows of open workloads under way at the same time if none of them is answered; those alone
    /// that need a descriptor each.
    public var unansweredFlows: Int {
        workloads.filter { !$0.isFanout }.reduce(0) { sum, workload in
            guard case .open(let arrivals) = workload.model else { return sum }
            let wait = max(workload.patience, workload.lookup?.longest ?? 0)
            let seconds = workload.hold.meanSeconds + Double(wait) / 1e9 + 1
            return sum + Int(min(arrivals.peakPerSecond * seconds, 1e9).rounded(.up))
        }
    }

    /// The most flows a population has.
    static func peak(_ stages: [Arrivals.Stage]) -> Int {
        Int(stages.reduce(0) { max($0, $1.fromPerSecond, $1.toPerSecond) }.rounded(.up))
    }

    /// What process `part` of `parts` does of it.
    ///
    /// Rates are divided evenly; counts so that they add up, at every moment and in every burst.
    /// Processes have source addresses of their own where there are enough, five-tuples of their own
    /// where flows are datagrams, and seeds of their own.
    public func part(_ part: Int, of parts: Int) -> Plan {
        precondition((0..<parts).contains(part), "part \(part) of \(parts)")
        var plan = self
        plan.seed = seed &+ UInt64(part) &* 0x9E37_79B9
        for index in plan.workloads.indices {
            var workload = plan.workloads[index]
            workload.share = PlanShare(part: part, parts: parts)
            workload.total = workload.total.map { workload.share.count(of: $0) }
            if workload.isFanout {
                workload.divideTuples(workload.share)
            } else {
                workload.sources = workload.sources?.share(part, of: parts)
            }
            switch workload.model {
            case .open(let arrivals): workload.model = .open(arrivals.divided(by: parts))
            case .held(let count, let startsPerSecond):
                workload.model = .held(
                    count: workload.share.count(of: count),
                    startsPerSecond: startsPerSecond / Double(parts))
            case .population: workload.populationStartsPerSecond /= Double(parts)
            }
            plan.workloads[index] = workload
        }
        return plan
    }

    /// Of `flows`, one count a workload, those to which came what was waited for.
    public func fruits(of flows: [FlowCounts]) -> Int {
        zip(workloads, flows).reduce(0) { $0 + $1.0.fruits(of: $1.1) }
    }

    /// How many flows of a fan-out can differ, when so many processes make them.
    func tupleCount(ofWorkload index: Int, processes: Int) -> Int {
        (0..<processes).reduce(0) { $0 + part($1, of: processes).workloads[index].tupleCount }
    }
}
