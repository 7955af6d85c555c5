public import Conntrack
public import Report
import Wire

// Pushes the packets of a capture through one tracked machine and hands on what it did with each.

/// Whoever takes down what happened.
///
/// It is told and never asked, but for whether it can take more: a reader may have gone away.
public protocol ReplaySink {
    /// A packet went through; called when `ReplayWants.outcomes` is set.
    mutating func take(_ outcome: PacketOutcome)
    /// A ctnetlink message; called when `ReplayWants.events` is set, behind its packet's outcome.
    mutating func take(_ event: ConntrackEvent, _ base: TimeBase)
    /// Whether there is no point in going on.
    var isClosed: Bool { get }
}

/// What a sink wants to be told.
///
/// What nobody wants costs nothing.
public struct ReplayWants: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let outcomes = ReplayWants(rawValue: 1)
    public static let events = ReplayWants(rawValue: 2)
}

/// One node with packets going through it.
///
/// A ctnetlink listener exists as long as somebody wants outcomes or events: with
/// `nf_conntrack_events = 2` connections report only then.
public struct Replayer: ~Copyable {
    public var node: Node
    public let wants: ReplayWants
    public private(set) var clock = ReplayClock()
    public private(set) var tally = ReplayTally()
    /// Turns entries of the table into the contract's records.
    public let recorder: OutcomeRecorder
    /// What a kernel's collector took just before the next packet: see `Node.collect(_:at:)`.
    public var collected: [ConnectionKey] = []
    /// Whose way is told step by step, in `PacketOutcome.story`.
    public var explained = ExplainedPackets.none
    /// Whether one of them has come by.
    public private(set) var hasExplained = false
    private let interfaceNames: [String]
    /// Counters and count when they were last told.
    private var told = Counters()
    private var toldCount: UInt32 = 0

    public init(_ configuration: NodeConfiguration, wants: ReplayWants) {
        node = Node(configuration)
        self.wants = wants
        interfaceNames = configuration.interfaces.map(\.name)
        recorder = Self.recorder(configuration)
        if !wants.isEmpty { node.isListening = true }
        node.journal.wantsRemarks = wants.contains(.outcomes)
    }

    private static func recorder(_ configuration: NodeConfiguration) -> OutcomeRecorder {
        let ruleset = configuration.ruleset
        return OutcomeRecorder(
            interfaceNames: configuration.interfaces.map(\.name),
            base: TimeBase(
                tickRate: configuration.tickRate,
                epochNanoseconds: configuration.epochNanoseconds)
        ) { ruleset.describe($0) }
    }

    /// The node's interface of that name.
    public func interface(named name: String) -> InterfaceIndex? {
        interfaceNames.firstIndex(of: name).map { InterfaceIndex(UInt8($0)) }
    }

    /// How instants and ticks of this run become wall-clock text.
    ///
    /// The epoch is the capture's first timestamp, known once a packet was taken.
    public var base: TimeBase {
        TimeBase(
            tickRate: node.configuration.tickRate, epochNanoseconds: clock.epochNanoseconds ?? 0)
    }

    /// Takes one network-layer packet.
    ///
    /// - Parameters:
    ///   - number: its number in the capture, from 0.
    ///   - timestamp: nanoseconds of Unix time.
    ///   - interface: where it came in; `nil` leaves that to its source address.
    public mutating func take(
        _ packet: Span<UInt8>, number: Int, timestamp: UInt64, on interface: InterfaceIndex?,
        _ sink: inout some ReplaySink
    ) {
        let now = clock.advance(to: timestamp)
        guard !wants.isEmpty else {
            node.advance(to: now)
            tally.count(node.receive(packet, on: interface, at: now))
            return
        }
        node.journal.clear()
        node.advance(to: now)
        node.collect(collected, at: now)
        collected = []
        let before = interlude(&sink)
        node.journal.clear()
        node.journal.explains = explained.includes(number)
        let delivery = node.receive(packet, on: interface, at: now)
        tally.count(delivery)
        if wants.contains(.outcomes) {
            var outcome = recorder.outcome(packet: number, at: now, delivery, node.journal)
            outcome.counters = counterChanges()
            outcome.before = before
            if node.journal.explains {
                outcome.story = node.story()
                hasExplained = true
            }
            sink.take(outcome)
        }
        tellEvents(&sink)
    }

    /// What the collector did since the packet before; `nil` where it did nothing.
    private mutating func interlude(_ sink: inout some ReplaySink) -> Interlude? {
        tellEvents(&sink)
        guard wants.contains(.outcomes) else { return nil }
        let events = recorder.events(node.journal)
        let counters = counterChanges()
        guard events != nil || counters != nil else { return nil }
        return Interlude(events: events, counters: counters)
    }

    private func tellEvents(_ sink: inout some ReplaySink) {
        guard wants.contains(.events) else { return }
        let base = base
        for event in node.journal.events { sink.take(event, base) }
    }

    private mutating func counterChanges() -> CounterChanges? {
        let (counters, count) = (node.counters, node.count)
        defer { (told, toldCount) = (counters, count) }
        return CounterChanges(from: told, to: counters, oldCount: toldCount, newCount: count)
    }

    // MARK: The end

    /// The table as `conntrack -L` shows it after the last packet.
    public mutating func list() -> [Entry] { node.list(at: clock.now) }

    /// The last line of the contract, without its entries: a table may be large, and whoever
    /// writes the line has it from `list`.
    public func summary(version: String) -> FinalRecord {
        FinalRecord(
            entries: [], counters: CounterChanges(node.counters), count: Int(node.count),
            peak: Int(node.peakCount), kernelLog: node.kernelLog.lines.map(\.dmesg),
            version: version, seed: node.configuration.seed)
    }
}

/// Which packets of a capture are explained.
public enum ExplainedPackets: Sendable, Hashable {
    case none, all
    /// The one of this number.
    case packet(Int)

    func includes(_ number: Int) -> Bool {
        switch self {
        case .none: false
        case .all: true
        case .packet(let wanted): number == wanted
        }
    }
}

/// How many packets came to which end.
public struct ReplayTally: Sendable, Hashable {
    public private(set) var packets = 0
    public private(set) var forwarded = 0
    public private(set) var local = 0
    public private(set) var dropped = 0

    mutating func count(_ delivery: borrowing Delivery) {
        packets += 1
        switch delivery.verdict {
        case .forwarded: forwarded += 1
        case .local: local += 1
        case .dropped: dropped += 1
        }
    }
}
