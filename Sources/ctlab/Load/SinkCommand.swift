import ArgumentParser
import Foundation
import LinuxCalls
import LoadGen
import Wire

/// `ctlab sink`: the far end.
struct SinkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sink",
        abstract: "The far end of a load: accept, answer as told by the client, count.",
        discussion: """
            Listens on all addresses, IPv4 and IPv6, until Ctrl-C, and prints what it has seen. A \
            client says in its first bytes how much to answer and who ends the connection how; one \
            that says nothing is waited for. Forgetting connections silently ('abandon') needs \
            CAP_NET_ADMIN.

            EXAMPLES
              ctlab sink --tcp 9000 --udp 9000
            """)

    @Option(help: "Ports to accept connections on.")
    var tcp: [UInt16] = []

    @Option(help: "Ports to receive datagrams on.")
    var udp: [UInt16] = []

    @Flag(help: "No line a second.")
    var quiet = false

    @Flag(help: "Share the ports with other sinks: each holds as many as its descriptors allow.")
    var shared = false

    @Flag(help: .hidden)
    var untilInputEnds = false

    func validate() throws {
        if tcp.isEmpty, udp.isEmpty {
            throw ValidationError("found neither --tcp nor --udp, expected a port")
        }
        // A port of the system's choice would be another one for each address family.
        for (option, ports) in [("--tcp", tcp), ("--udp", udp)] where ports.contains(0) {
            throw ValidationError("\(option): found 0, expected a port from 1 to 65535")
        }
    }

    mutating func run() throws {
        let limit = DescriptorLimit.raise()
        var sink: Sink
        do {
            sink = try Self.sink(tcp, udp, [.ipv4, .ipv6], limit, shared)
        } catch let error where (error as? SystemCallError)?.isMissingFamily == true {
            sink = try Self.sink(tcp, udp, [.ipv4], limit, shared)
        } catch let error as SystemCallError {
            throw Failure(
                code: .environment,
                text: "sink: \(error); choose another port, or see who has it: ss -ltnup")
        }
        let interruption = try GeneratorOptions.interruption()
        let isQuiet = quiet || !StandardStream.error.isTerminal
        if untilInputEnds {
            // Started by another process of ours, which reads the first line and ends our input.
            var control = try StandardInput()
            try Output.line("ready")
            try sink.run(control: &control) { _ in true }
            return
        }
        Message.write("sink: ready")
        var before = SinkCounts()
        try sink.run { counts in
            if !isQuiet, counts != before { Message.write(Self.line(counts)) }
            before = counts
            return !interruption.hasHappened
        }
        try Output.line(Self.line(sink.counts))
    }

    private static func sink(
        _ tcp: [UInt16], _ udp: [UInt16], _ families: [Family], _ limit: Int, _ shared: Bool
    ) throws -> Sink {
        let stream = tcp.flatMap { port in families.map { SocketAddress($0, .zero, port: port) } }
        let datagram = udp.flatMap { port in
            families.map { SocketAddress($0, .zero, port: port) }
        }
        return try Sink(
            stream: stream, datagram: datagram, slotCount: max(1, limit - 64), shared: shared)
    }

    private static func line(_ counts: SinkCounts) -> String {
        "sink: \(counts.accepted) accepted, \(counts.open) open, \(counts.answered) answered, "
            + "\(counts.closed) closed first, \(counts.abandoned) abandoned, \(counts.broken) broken, "
            + "\(counts.refused) waiting for descriptors; \(counts.datagrams) datagrams, "
            + "\(counts.datagramAnswers) answered"
    }
}
