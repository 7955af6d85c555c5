public import Conntrack
public import LiveKernel
internal import Replay
public import Report

/// The model as one of the arms.
public struct ModelArm: ~Copyable {
    /// Unix time of the first packet: any will do, and it is part of the run.
    private static let epochNanoseconds: UInt64 = 1_700_000_000_000_000_000

    private struct Catcher: ReplaySink {
        var outcome: PacketOutcome?
        var isClosed: Bool { false }

        mutating func take(_ outcome: PacketOutcome) { self.outcome = outcome }
        mutating func take(_ event: ConntrackEvent, _ base: TimeBase) {}
    }

    private var replayer: Replayer

    /// - Parameter follows: Whether `follow` tells what the other arm's collector takes; the model's
    ///   own rests then.
    public init(_ configuration: NodeConfiguration, follows: Bool = false) {
        replayer = Replayer(configuration, wants: .outcomes)
        if follows { replayer.node.stopCollecting() }
    }

    /// Takes over what the live kernel left to chance with the packet that comes next: where it
    /// drew a port the model's search begins, and must come to the same mapping.
    public mutating func follow(_ live: PacketOutcome) {
        replayer.node.portHints = Self.drawnPorts(live)
        let evictions = Evictions(live)
        replayer.node.evictionHint = evictions.searched
        replayer.collected = evictions.collected
    }

    /// What the model does with one packet that comes in `nanoseconds` after the first.
    public mutating func send(
        _ packet: [UInt8], number: Int, on interface: String?, nanoseconds: UInt64
    ) -> PacketOutcome {
        var catcher = Catcher()
        let index = interface.flatMap { replayer.interface(named: $0) }
        replayer.take(
            packet.span, number: number, timestamp: Self.epochNanoseconds + nanoseconds, on: index,
            &catcher)
        return catcher.outcome
            ?? PacketOutcome(packet: number, time: "", state: "none", verdict: "dropped")
    }

    /// Replaces the rules.
    ///
    /// - Throws: `.refused` with what is wrong with them.
    public mutating func replaceRules(with text: String) throws(LiveKernelError) {
        do {
            let names = replayer.node.configuration.interfaces.map(\.name)
            replayer.node.replace(
                try Ruleset(nftables: text, file: "rules", interfaces: names))
        } catch {
            throw .refused(program: "the model", "\(error)")
        }
    }

    /// The ports the kernel gave the mapping this packet made, if it made one.
    private static func drawnPorts(_ outcome: PacketOutcome) -> PortHints {
        let made = (outcome.events ?? []).first { $0.type == "NEW" }
        guard let entry = made?.entry ?? outcome.entry else { return PortHints() }
        func port(_ number: Int?, _ status: String) -> UInt16? {
            entry.status.contains(status) ? number.flatMap { UInt16(exactly: $0) } : nil
        }
        return PortHints(
            source: port(entry.reply.destinationPort ?? entry.reply.id, "SRC_NAT"),
            destination: port(entry.reply.sourcePort ?? entry.reply.id, "DST_NAT"))
    }

    /// The table at the end.
    public mutating func table() -> [EntryRecord] {
        let recorder = replayer.recorder
        return replayer.list().map { recorder.record($0) }
    }

    /// How early drop went so far.
    public var evictions: EvictionSummary {
        let tally = replayer.node.evictions
        return EvictionSummary(
            searches: tally.searches, live: tally.followed, model: tally.found)
    }

    /// The kernel log's lines, without times.
    public var kernelLog: [String] { replayer.node.kernelLog.lines.map(\.text) }
}
