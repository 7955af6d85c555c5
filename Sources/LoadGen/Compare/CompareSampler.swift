internal import LinuxCalls

/// Looks at a table while a run lasts, often enough to see when it fills.
///
/// Four times a second a few small files are read, of another host once a second; the table itself is
/// listed once, at the end, and then only if that is wanted, because a listing removes expired
/// entries (spec gc.md §5).
public struct CompareSampler: ~Copyable {
    /// Looks in a row without an answer after which the table is out of sight.
    private static let patience = 8

    private var probe: HostProbe
    private var collector: CollectorTrace?
    /// Nanoseconds between looks.
    private let interval: UInt64
    private var nextLook: UInt64 = 0
    private var samples: [HostSample] = []
    private var collections: [UInt64] = []
    private let end: UInt64
    private let listsAtEnd: Bool
    private var states: [StateCount]?
    private var hasEnded = false
    private var misses = 0
    private var latestFailure: ProbeError?

    /// - Parameters:
    ///   - vantage: Where the probe looks: the collector is watched on this machine alone.
    ///   - seconds: The length of the run.
    ///   - listsAtEnd: Whether entries are counted by state when it is over.
    public init(
        _ probe: consuming HostProbe, of vantage: Vantage, seconds: Double, listsAtEnd: Bool
    ) {
        self.probe = probe
        self.listsAtEnd = listsAtEnd
        end = UInt64(seconds * 1e9)
        switch vantage {
        case .local, .namespace:
            interval = 250_000_000
            // Without the right to, nothing is seen of it, and the report says so.
            collector = try? CollectorTrace()
        case .ssh, .metrics:
            interval = 1_000_000_000
            collector = nil
        }
    }

    /// Entries at the latest look.
    public var latestCount: Int { samples.last?.count ?? 0 }

    /// Whether there is nothing to be seen any more.
    public var isBlind: Bool { misses >= Self.patience }

    /// Why nothing is to be seen any more; `nil` while something is.
    public var blindness: ProbeError? { isBlind ? latestFailure : nil }

    /// The table before anything has happened.
    public mutating func first() throws(ProbeError) -> HostSample {
        let sample = try probe.sample()
        samples.append(sample)
        return sample
    }

    /// Looks if it is time to; called often.
    ///
    /// - Parameter origin: The run's start on the machine's monotonic clock.
    public mutating func look(origin: UInt64) {
        let now = MonotonicClock.now()
        guard now >= nextLook, !hasEnded, !isBlind else { return }
        nextLook = max(nextLook + interval, now + interval / 2)
        // Looks stand at whole steps of the run, wherever it began.
        if nextLook > origin { nextLook -= (nextLook - origin) % interval }
        if let runs = try? collector?.runs() { collections += runs }
        do throws(ProbeError) {
            samples.append(try probe.sample())
            misses = 0
        } catch {
            misses += 1
            latestFailure = error
        }
        guard now >= origin + end else { return }
        hasEnded = true
        if listsAtEnd { states = try? probe.sample(withStates: true).states }
    }

    /// What was seen, with `origin` as its beginning.
    public func measured(origin: UInt64) -> MeasuredTable {
        MeasuredTable(
            samples: samples, origin: origin, states: states,
            collections: collector == nil ? nil : Self.cycles(collections, origin))
    }

    /// Nanoseconds between the last run of one cycle and the first of the next, at least.
    private static let cycleGap: UInt64 = 500_000_000

    /// Seconds from `origin` to the beginnings of the collector's cycles behind it.
    static func cycles(_ runs: [UInt64], _ origin: UInt64) -> [Double] {
        var cycles: [Double] = []
        var last: UInt64?
        for run in runs.sorted() {
            let isNew = last.map { run - $0 > cycleGap } ?? true
            last = run
            if isNew, run >= origin { cycles.append(Double(run - origin) / 1e9) }
        }
        return cycles
    }
}

/// A table as it was seen in the course of a run.
public struct MeasuredTable: Sendable {
    public var curve: TableCurve
    /// When the collector's cycles began, in seconds; `nil` where nobody could tell.
    public var collections: [Double]?

    /// - Parameter samples: In order of time; the first is the one before the run.
    public init(
        samples: [HostSample], origin: UInt64, states: [StateCount]?, collections: [Double]?
    ) {
        func points(_ value: (HostSample) -> Int?) -> Curve {
            Curve(
                samples.compactMap { sample in
                    guard let value = value(sample) else { return nil }
                    let seconds =
                        sample.moment >= origin
                        ? Double(sample.moment - origin) / 1e9
                        : -Double(origin - sample.moment) / 1e9
                    return Curve.Point(seconds, Double(value))
                })
        }
        let first = samples.first
        func moved(_ name: String) -> Curve {
            points { sample in first.map { sample.change(name, since: $0) } ?? 0 }
        }
        curve = TableCurve(
            count: points(\.count), limit: points(\.limit), drop: moved("drop"),
            earlyDrop: moved("early_drop"), states: states)
        self.collections = collections
    }
}
