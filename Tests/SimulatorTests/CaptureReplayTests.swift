import Conntrack
import Replay
import Report
import Scenario
import Simulator
import Testing
import Wire

/// What a run writes down about a node leads the same node to the same table.
@Suite struct CaptureReplayTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var scenario: String
        var node: String
        /// One interface, or all that comes in.
        var interface: String?
        var seconds: Int64
        var settings: [String] = []
        /// Entries the table has in the end, at least.
        var entries = 6

        var testDescription: String {
            "\(scenario), \(node)\(interface.map { ":\($0)" } ?? ""), \(seconds) s"
        }
    }

    static let rows = [
        Row(scenario: "timewait-arithmetic", node: "gw", seconds: 2),
        Row(scenario: "timewait-arithmetic", node: "gw", interface: "eth0", seconds: 2),
        Row(scenario: "timewait-arithmetic", node: "gw", interface: "eth1", seconds: 2),
        Row(scenario: "ndots-amplification", node: "small", seconds: 5),
        Row(scenario: "ndots-amplification", node: "even", interface: "eth0", seconds: 5),
        Row(scenario: "udp-timeout-too-short", node: "gw-stream", seconds: 30),
        Row(scenario: "snat-exhaustion", node: "gw-98", seconds: 3),
        Row(scenario: "dnat-reverse-translation", node: "gw", seconds: 20),
        Row(scenario: "asymmetric-return", node: "gw2", seconds: 20, entries: 0),
        Row(scenario: "firewall-missing-established", node: "gw", seconds: 20),
        Row(scenario: "udp-sticky", node: "node", seconds: 3),
        Row(scenario: "address-range-no-balance", node: "gw", seconds: 5),
        Row(
            scenario: "syn-flood", node: "gw", seconds: 5,
            settings: ["flood.start=0s", "flood.stages[0].rate=1000/s"]),
    ]

    @Test("a node's packets, replayed, lead to the same table", arguments: rows)
    func replaysToTheSameTable(_ row: Row) throws {
        var options = RunOptions()
        options.end = .start + .seconds(row.seconds)
        var run = try Run(ShippedScenario.read(row.scenario, row.settings), options)
        let file = try run.nodeFile(of: row.node)
        let box = Box()
        try run.capture(CaptureRequest(node: row.node, interface: row.interface)) {
            box.bytes += $0
        }
        while run.advance() {}
        run.finishCaptures()
        #expect(try run.replayObstacles(of: row.node) == [])
        let expected = try #require(run.tables().first { $0.node == row.node }).entries

        let node = try NodeFile.parse(file.text, file: "node.yaml")
        var replayer = Replayer(node.configuration, wants: [])
        var reader = try CaptureReader(ByteArraySource(box.bytes))
        var notes = CaptureNotes()
        var sink = Nobody()
        try replayer.replay(&reader, &notes, &sink)
        // The replay's clock begins with the first packet.
        let first = try #require(replayer.clock.epochNanoseconds)
        let end = Instant(nanoseconds: UInt64(row.seconds) * 1_000_000_000 - first)
        replayer.node.advance(to: end)
        let found = replayer.node.list(at: end)
        #expect(notes.framesWithoutIP == 0)
        #expect(Self.lines(found) == Self.lines(expected))
        #expect(Self.clocksAgree(found, expected))
        #expect(expected.count >= row.entries)
    }

    /// What stays when time and numbering are left out, in an order of its own: chains of two
    /// tables have theirs.
    static func lines(_ entries: [Entry]) -> [String] {
        let text = Listing(TimeBase(tickRate: .reference, epochNanoseconds: 0))
        return entries.map { entry in
            var entry = entry
            entry.remainingTicks = 0
            entry.identifier = 0
            return text.line(entry, at: .start)
        }.sorted()
    }

    /// Ticks begin at another moment, so that one of them may lie between two timeouts.
    static func clocksAgree(_ found: [Entry], _ expected: [Entry]) -> Bool {
        func ticks(_ entries: [Entry]) -> [Int32] { entries.map(\.remainingTicks).sorted() }
        return zip(ticks(found), ticks(expected)).allSatisfy { abs($0 - $1) <= 1 }
    }

    /// Bytes that a closure gathers.
    final class Box {
        var bytes: [UInt8] = []
    }

    struct Nobody: ReplaySink {
        var isClosed: Bool { false }
        mutating func take(_ outcome: PacketOutcome) {}
        mutating func take(_ event: ConntrackEvent, _ base: TimeBase) {}
    }
}
