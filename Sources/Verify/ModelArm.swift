public import Conntrack
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

    public init(_ configuration: NodeConfiguration) {
        replayer = Replayer(configuration, wants: .outcomes)
    }

    /// What the model does with one packet that comes in `nanoseconds` after the first.
    ///
    /// - Parameter reference: What the kernel did with it: where that drew a port, the model's
    ///   search begins there, and must come to the same mapping.
    public mutating func send(
        _ packet: [UInt8], number: Int, on interface: String?, nanoseconds: UInt64,
        reference: PacketOutcome? = nil
    ) -> PacketOutcome {
        var catcher = Catcher()
        replayer.node.portHints = reference.map(Self.drawnPorts) ?? PortHints()
        let index = interface.flatMap { replayer.interface(named: $0) }
        replayer.take(
            packet.span, number: number, timestamp: Self.epochNanoseconds + nanoseconds, on: index,
            &catcher)
        return catcher.outcome
            ?? PacketOutcome(packet: number, time: "", state: "none", verdict: "dropped")
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
}
