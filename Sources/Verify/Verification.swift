public import LiveKernel
public import Report
public import Scenario

// Both arms, the same packets, one after the other, until they disagree or no more packets come.

/// One packet for both arms.
public struct TracePacket: Sendable, Hashable {
    /// Since the trace began.
    public var nanoseconds: UInt64
    /// From the IP header on.
    public var bytes: [UInt8]
    /// Where it comes in; `nil` leaves that to its source address.
    public var interface: String?

    public init(nanoseconds: UInt64, bytes: [UInt8], interface: String? = nil) {
        self.nanoseconds = nanoseconds
        self.bytes = bytes
        self.interface = interface
    }
}

/// A packet about which the arms disagree.
public struct Disagreement: Sendable {
    /// Its number in the trace.
    public var packet: Int
    /// Worst first; at least one.
    public var differences: [Difference]
    /// What the live kernel and what the model did.
    public var live: PacketOutcome
    public var model: PacketOutcome
    /// What the live kernel did with the packets of the same flow before it, oldest first.
    public var history: [PacketOutcome]
}

/// What came of a comparison.
public struct VerificationResult: Sendable {
    public internal(set) var packetCount = 0
    /// Packets about which the arms disagree.
    public internal(set) var disagreementCount = 0
    /// Differences by kind, in the order of `Difference.Kind.allCases`.
    public internal(set) var differencesByKind: [(kind: Difference.Kind, count: Int)] = []
    public internal(set) var first: Disagreement?
    /// Differences that only the end shows, the tables' first; looked for if all packets agreed.
    public internal(set) var table: [Difference] = []
    /// How early drop went in both arms.
    public internal(set) var evictions = EvictionSummary(searches: 0, live: 0, model: 0)
    /// Settings of the node the live kernel was not given.
    public internal(set) var settingsLeftOut: [String] = []

    public var agrees: Bool { first == nil && table.isEmpty }

    mutating func count(_ differences: [Difference]) {
        for difference in differences {
            if let place = differencesByKind.firstIndex(where: { $0.kind == difference.kind }) {
                differencesByKind[place].count += 1
            } else {
                differencesByKind.append((difference.kind, 1))
            }
        }
    }
}

public enum Verification {
    /// How many outcomes before the first disagreement are kept.
    private static let historyLimit = 2000

    /// Sends the packets `next` hands out through both arms and compares.
    ///
    /// - Parameters:
    ///   - keepsGoing: Go on behind the first disagreement, and count.
    ///   - record: Told what the live kernel did, packet by packet.
    public static func run(
        _ node: NodeFile, keepsGoing: Bool = false, record: (PacketOutcome) -> Void = { _ in },
        next: () throws(LiveKernelError) -> TracePacket?
    ) throws(LiveKernelError) -> VerificationResult {
        var arms = try TwoArms(node)
        var result = VerificationResult()
        result.settingsLeftOut = arms.settingsLeftOut
        var history: [PacketOutcome] = []
        while let packet = try next() {
            let number = result.packetCount
            result.packetCount += 1
            let step = try arms.send(packet)
            record(step.live)
            if result.first == nil {
                history.append(step.live)
                if history.count > historyLimit { history.removeFirst(historyLimit / 2) }
            }
            guard !step.differences.isEmpty else { continue }
            result.disagreementCount += 1
            result.count(step.differences)
            if result.first == nil {
                result.first = Disagreement(
                    packet: number, differences: step.differences, live: step.live,
                    model: step.model,
                    history: FlowHistory.leading(to: step.live, in: history.dropLast()))
            }
            guard keepsGoing else { return result }
        }
        guard result.first == nil else { return result }
        result.table = try arms.compareTables()
        result.evictions = arms.evictions
        if !result.evictions.agrees {
            result.table.append(
                Difference(
                    .evictions, expected: "room made \(result.evictions.live) times",
                    found: result.evictions.text))
        }
        result.count(result.table)
        return result
    }

    /// As above, for packets that are all there.
    public static func run(
        _ node: NodeFile, packets: [TracePacket], keepsGoing: Bool = false
    ) throws(LiveKernelError) -> VerificationResult {
        var index = 0
        return try run(node, keepsGoing: keepsGoing) { () throws(LiveKernelError) in
            guard index < packets.count else { return nil }
            index += 1
            return packets[index - 1]
        }
    }
}

/// Finds what happened to a flow before.
enum FlowHistory {
    private static let limit = 12

    /// The outcomes about the same flow as `outcome`, the last ones, oldest first.
    static func leading(
        to outcome: PacketOutcome, in history: ArraySlice<PacketOutcome>
    ) -> [PacketOutcome] {
        let keys = keys(of: outcome)
        let same = history.filter { !keys.isDisjoint(with: Self.keys(of: $0)) }
        return Array((keys.isEmpty ? Array(history) : same).suffix(limit))
    }

    /// Addresses and ports of the packet and its entry, whichever way round.
    private static func keys(of outcome: PacketOutcome) -> Set<String> {
        var keys: Set<String> = []
        for tuple in [outcome.tuple, outcome.entry?.original, outcome.entry?.reply] {
            guard let tuple else { continue }
            let ends = [
                "\(tuple.source) \(tuple.sourcePort ?? tuple.id ?? 0)",
                "\(tuple.destination) \(tuple.destinationPort ?? tuple.id ?? 0)",
            ]
            keys.insert(ends.sorted().joined(separator: " "))
        }
        return keys
    }
}
