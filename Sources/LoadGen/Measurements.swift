public import Histogram
public import LinuxCalls

// What a run measured. Every number is a sum or a histogram, so that those of several processes
// add up to those of the run.

/// Failures of one kind.
public struct FailureCount: Sendable, Codable, Hashable {
    public var failure: SocketFailure
    public var count: Int
    /// The first peer it happened with; of a `bind`, the local address.
    public var peer: String

    /// `connect 10.0.0.2:80: Connection refused (errno 111)`; `10.0.0.2:80: no answer came in time`.
    public var text: String {
        if failure == .unanswered { return "\(peer): no answer came in time" }
        return "\(SystemCallError(call: "\(failure.call.name) \(peer)", code: failure.code))"
    }
}

/// What became of a workload's flows so far.
public struct FlowCounts: Sendable, Codable, Hashable {
    /// Begun: a connection attempted, a datagram flow's first datagram handed over.
    public var started = 0
    /// Open-loop starts that could not be made when they were due.
    public var droppedStarts = 0
    /// Those of them that found no free slot; the rest were still due when the run ended.
    public var startsWithoutSlot = 0
    /// Handshakes that came to their end.
    public var connected = 0
    /// Flows that ended as planned.
    public var completed = 0
    public var failed = 0
    /// Standing connections the peer broke off.
    public var lost = 0
    /// Attempts, exchanges and endings cut off by the run's end.
    public var unfinished = 0
    /// Flows that were open when their process ended before its time.
    public var orphaned = 0
    /// Flows open now, and those of them that stand.
    public var active = 0
    public var standing = 0
    /// Of the dropped starts: those for which no five-tuple was left.
    public var usedUpStarts = 0
    public var lookups = LookupCounts()
    /// Datagrams sent, and answers received.
    public var datagrams = 0
    public var answers = 0
    /// Handshakes, and attempts given up, whose SYN was sent again, as the system counts it: once,
    /// twice, three times or more.
    public var retransmitted = [0, 0, 0]
    /// The largest delay from a flow's due moment to its start, in nanoseconds.
    public var largestLag: UInt64 = 0
    public var failures: [FailureCount] = []

    public init() {}

    /// Connections nobody listened for.
    public var refused: Int {
        failures.reduce(0) { $1.failure.isRefused ? $0 + $1.count : $0 }
    }

    mutating func add(_ failure: SocketFailure, _ peer: SocketAddress) {
        if let place = failures.firstIndex(where: { $0.failure == failure }) {
            failures[place].count += 1
        } else {
            failures.append(FailureCount(failure: failure, count: 1, peer: "\(peer)"))
        }
    }

    /// Sorts a handshake that came to its end, or was given up, by how often its SYN was sent again.
    mutating func noteHandshake(retransmissions: Int) {
        guard retransmissions > 0 else { return }
        retransmitted[min(retransmissions, retransmitted.count) - 1] += 1
    }

    public static func + (left: FlowCounts, right: FlowCounts) -> FlowCounts {
        var sum = left
        sum.started += right.started
        sum.droppedStarts += right.droppedStarts
        sum.startsWithoutSlot += right.startsWithoutSlot
        sum.usedUpStarts += right.usedUpStarts
        sum.lookups = sum.lookups + right.lookups
        sum.connected += right.connected
        sum.completed += right.completed
        sum.failed += right.failed
        sum.lost += right.lost
        sum.unfinished += right.unfinished
        sum.orphaned += right.orphaned
        sum.active += right.active
        sum.standing += right.standing
        sum.datagrams += right.datagrams
        sum.answers += right.answers
        for index in sum.retransmitted.indices {
            sum.retransmitted[index] += right.retransmitted[index]
        }
        sum.largestLag = max(sum.largestLag, right.largestLag)
        for entry in right.failures {
            if let place = sum.failures.firstIndex(where: { $0.failure == entry.failure }) {
                sum.failures[place].count += entry.count
            } else {
                sum.failures.append(entry)
            }
        }
        return sum
    }
}

/// Latencies of a workload, in microseconds from each flow's scheduled start: a generator that
/// falls behind shows it here, instead of leaving out what it did not do.
///
/// Every TCP flow that was begun is in `complete` or in `gaveUp` once it is decided.
public struct Latencies: Sendable, Codable {
    /// Longer ones count as this: an hour.
    public static let longest: UInt64 = 3_600_000_000

    /// Until the handshake's end.
    public internal(set) var connect: Histogram<UInt32>
    /// Until the answer's last byte; without an exchange, until the connection stood.
    public internal(set) var complete: Histogram<UInt32>
    /// Of flows that failed or were cut off before that: how long they had waited until then.
    public internal(set) var gaveUp: Histogram<UInt32>
    /// Until the last answer of a lookup.
    public internal(set) var lookup: Histogram<UInt32>

    public init() {
        connect = Histogram(highestTrackableValue: Self.longest)
        complete = Histogram(highestTrackableValue: Self.longest)
        gaveUp = Histogram(highestTrackableValue: Self.longest)
        lookup = Histogram(highestTrackableValue: Self.longest)
    }

    // On the wire between processes: only what was recorded, as value and count in turn.

    private enum CodingKeys: String, CodingKey {
        case connect, complete, gaveUp, lookup
    }

    public init(from decoder: any Decoder) throws {
        self.init()
        let container = try decoder.container(keyedBy: CodingKeys.self)
        Self.fill(&connect, with: try container.decode([UInt64].self, forKey: .connect))
        Self.fill(&complete, with: try container.decode([UInt64].self, forKey: .complete))
        Self.fill(&gaveUp, with: try container.decode([UInt64].self, forKey: .gaveUp))
        Self.fill(&lookup, with: try container.decode([UInt64].self, forKey: .lookup))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.numbers(connect), forKey: .connect)
        try container.encode(Self.numbers(complete), forKey: .complete)
        try container.encode(Self.numbers(gaveUp), forKey: .gaveUp)
        try container.encode(Self.numbers(lookup), forKey: .lookup)
    }

    private static func numbers(_ histogram: Histogram<UInt32>) -> [UInt64] {
        histogram.recordedValues().flatMap { [$0.value, UInt64($0.count)] }
    }

    private static func fill(_ histogram: inout Histogram<UInt32>, with numbers: [UInt64]) {
        for index in stride(from: 0, to: numbers.count - 1, by: 2) {
            _ = histogram.record(
                min(numbers[index], longest), count: UInt32(clamping: numbers[index + 1]))
        }
    }

    static func microseconds(from start: UInt64, to end: UInt64) -> UInt64 {
        min(max(1, (end &- min(start, end)) / 1000), longest)
    }

    mutating func add(_ other: Latencies) {
        connect.add(other.connect)
        complete.add(other.complete)
        gaveUp.add(other.gaveUp)
        lookup.add(other.lookup)
    }

    /// Forgets what was recorded.
    mutating func reset() {
        connect.reset()
        complete.reset()
        gaveUp.reset()
        lookup.reset()
    }
}

/// What a process tells about its share once a second, and at its end.
public struct WorkerReport: Sendable, Codable {
    /// Nanoseconds since the run's start.
    public var elapsed: UInt64
    /// One a workload, in the plan's order; everything since the start.
    public var flows: [FlowCounts]
    /// Processor time since the start.
    public var processor: ProcessorTime
    /// What was recorded since the report before: a process that is killed has told of all but its
    /// last second.
    public var latencies: [Latencies]
    /// Nothing follows: the process did what it was to do.
    public var isLast: Bool
}
