public import Fuzz
public import LiveKernel
public import Report
internal import Scenario

// A run of the fuzzer: trace after trace from one seed, each through both arms, until the packets
// are used up or the arms disagree.

/// What a run shall do.
public struct FuzzPlan: Sendable {
    public var seed: UInt64
    /// In turn.
    public var kinds: [FuzzKind]
    public var packetCount: Int
    public var packetsPerTrace: Int
    /// Whether every twentieth trace stops for longer than its timeouts.
    public var hasPauses: Bool
    /// Go on behind a disagreement, and count.
    public var keepsGoing: Bool

    public init(
        seed: UInt64, kinds: [FuzzKind], packetCount: Int, packetsPerTrace: Int = 500,
        hasPauses: Bool = false, keepsGoing: Bool = false
    ) {
        precondition(!kinds.isEmpty, "a run has a kind")
        self.seed = seed
        self.kinds = kinds
        self.packetCount = packetCount
        self.packetsPerTrace = packetsPerTrace
        self.hasPauses = hasPauses
        self.keepsGoing = keepsGoing
    }

    /// The trace number `index` of the run.
    public func trace(_ index: Int) -> FuzzCase {
        FuzzGenerator.trace(
            seed: FuzzGenerator.seed(seed, trace: index), kind: kinds[index % kinds.count],
            packetCount: packetsPerTrace, hasPauses: hasPauses && index % 20 == 19)
    }
}

/// How far a run has come.
public struct FuzzTally: Sendable {
    public internal(set) var traceCount = 0
    public internal(set) var packetCount = 0
    public internal(set) var packetsByKind: [(kind: FuzzKind, count: Int)] = []
    /// Traces in which the arms disagree.
    public internal(set) var disagreeingTraceCount = 0
    /// Traces with pauses in which they disagreed once, and not again when the trace was repeated:
    /// a timeout that fell on a packet.
    public internal(set) var unsettledTraceCount = 0
    public internal(set) var differencesByKind: [(kind: Difference.Kind, count: Int)] = []
    /// Traces with a disagreement, and what it was: the first of each kind of trace and of
    /// difference, at most `exampleLimit`.
    public internal(set) var examples: [(trace: FuzzCase, result: VerificationResult)] = []
    private static let exampleLimit = 8

    public var agrees: Bool { disagreeingTraceCount == 0 }

    mutating func add(_ trace: FuzzCase, _ result: VerificationResult) {
        traceCount += 1
        packetCount += result.packetCount
        Self.add(result.packetCount, trace.kind, to: &packetsByKind)
        guard !result.agrees else { return }
        disagreeingTraceCount += 1
        for (kind, count) in result.differencesByKind {
            Self.add(count, kind, to: &differencesByKind)
        }
        let isKnown = examples.contains {
            $0.trace.kind == trace.kind && Self.kind($0.result) == Self.kind(result)
        }
        if !isKnown, examples.count < Self.exampleLimit { examples.append((trace, result)) }
    }

    private static func kind(_ result: VerificationResult) -> Difference.Kind? {
        (result.first?.differences ?? result.table).first?.kind
    }

    private static func add<Key: Equatable>(
        _ count: Int, _ key: Key, to list: inout [(kind: Key, count: Int)]
    ) {
        if let place = list.firstIndex(where: { $0.kind == key }) {
            list[place].count += count
        } else {
            list.append((key, count))
        }
    }
}

public enum FuzzRun {
    /// Runs the plan's traces; `shouldStop` is asked between them.
    ///
    /// - Throws: `FuzzRunError`: what the live kernel cannot do, or a node file of our own that is
    ///   refused.
    public static func run(
        _ plan: FuzzPlan, shouldStop: () -> Bool = { false }
    ) throws(FuzzRunError) -> FuzzTally {
        var tally = FuzzTally()
        while tally.packetCount < plan.packetCount, !shouldStop() {
            let trace = plan.trace(tally.traceCount)
            var result = try verify(trace, packets: trace.packets, keepsGoing: plan.keepsGoing)
            if !result.agrees, trace.hasPauses {
                result = try verify(trace, packets: trace.packets, keepsGoing: plan.keepsGoing)
                if result.agrees { tally.unsettledTraceCount += 1 }
            }
            tally.add(trace, result)
            if !result.agrees, !plan.keepsGoing { break }
        }
        return tally
    }

    /// The shortest part of `trace` found that makes the arms disagree in the same way.
    ///
    /// What comes behind the first disagreement goes at once; pauses that are not needed go too.
    public static func shrink(
        _ trace: FuzzCase, _ result: VerificationResult, budget: Int = 400
    ) throws(FuzzRunError) -> [FuzzPacket] {
        guard let kind = (result.first?.differences ?? result.table).first?.kind else { return [] }
        let fails = { (packets: [FuzzPacket]) throws(FuzzRunError) -> Bool in
            let again = try verify(trace, packets: packets, keepsGoing: false)
            return (again.first?.differences ?? again.table).contains { $0.kind == kind }
        }
        var packets = trace.packets
        if let last = result.first?.packet { packets = Array(packets.prefix(last + 1)) }
        let hurried = packets.enumerated().map {
            FuzzPacket(time: UInt64($0.offset) * 1000, bytes: $0.element.bytes)
        }
        if try fails(hurried) { packets = hurried }
        return try Shrinker.shrink(packets, budget: budget, fails: fails)
    }

    /// Both arms over some packets of a trace, up to the first disagreement.
    public static func again(
        _ trace: FuzzCase, _ packets: [FuzzPacket]
    ) throws(FuzzRunError) -> VerificationResult {
        try verify(trace, packets: packets, keepsGoing: false)
    }

    /// What the live kernel does with some packets of a trace: a recording to test the model
    /// against where there is no root.
    public static func recording(
        _ trace: FuzzCase, _ packets: [FuzzPacket]
    ) throws(FuzzRunError) -> [PacketOutcome] {
        let node = LiveNode(try nodeFile(trace))
        let chooser = IngressChooser(node)
        do throws(LiveKernelError) {
            var router = try LiveRouter(node)
            var outcomes: [PacketOutcome] = []
            for (number, packet) in packets.enumerated() {
                let step = try router.send(
                    packet.bytes, number: number, on: chooser.interface(for: packet.bytes),
                    traceTime: packet.time - packets[0].time)
                outcomes.append(step.outcome)
            }
            return outcomes
        } catch {
            throw .live(error, node: trace.node.text)
        }
    }

    private static func nodeFile(_ trace: FuzzCase) throws(FuzzRunError) -> NodeFile {
        do throws(FileError) {
            return try NodeFile.parse(trace.node.text, file: "trace \(trace.seed)")
        } catch {
            throw .node("\(error)\n\(trace.node.text)")
        }
    }

    private static func verify(
        _ trace: FuzzCase, packets: [FuzzPacket], keepsGoing: Bool
    ) throws(FuzzRunError) -> VerificationResult {
        let node = try nodeFile(trace)
        do throws(LiveKernelError) {
            return try Verification.run(
                node, packets: packets.map { TracePacket(nanoseconds: $0.time, bytes: $0.bytes) },
                keepsGoing: keepsGoing)
        } catch {
            throw .live(error, node: trace.node.text)
        }
    }
}

/// Why a run of the fuzzer ended early.
public enum FuzzRunError: Error, Sendable, CustomStringConvertible {
    /// The model refuses a node the fuzzer made.
    case node(String)
    case live(LiveKernelError, node: String)

    public var description: String {
        switch self {
        case .node(let text): "the model refuses a node of the fuzzer:\n\(text)"
        case .live(let error, let node):
            error.isUnavailable ? "\(error)" : "\(error)\nwith the node\n\(node)"
        }
    }

    /// Whether this machine, or this user, lacks what the live kernel needs.
    public var isUnavailable: Bool {
        if case .live(let error, _) = self { error.isUnavailable } else { false }
    }
}
