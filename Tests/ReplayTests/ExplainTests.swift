import Conntrack
import Foundation
import Replay
import Report
import Scenario
import Testing
import Wire

/// The story of a packet is told and never asked.
@Suite("--explain")
struct ExplainTests {
    private static func replay(_ name: String, _ explained: ExplainedPackets) throws -> (
        outcomes: [PacketOutcome], table: [Entry], counters: Counters
    ) {
        let file = try NodeFile.read(Recordings.nodeFile(name))
        var replayer = Replayer(file.configuration, wants: .outcomes)
        replayer.explained = explained
        var reader = try CaptureReader(try Recordings.capture(name))
        var keeper = Keeper()
        var notes = CaptureNotes()
        try replayer.replay(&reader, &notes, &keeper)
        return (keeper.outcomes, replayer.list(), replayer.node.counters)
    }

    @Test(
        "It changes nothing: every outcome, the table and the counters are the same",
        arguments: Recordings.names)
    func changesNothing(name: String) throws {
        let plain = try Self.replay(name, .none)
        var told = try Self.replay(name, .all)
        #expect(told.outcomes.allSatisfy { $0.story?.isEmpty == false })
        for index in told.outcomes.indices { told.outcomes[index].story = nil }
        #expect(told.outcomes == plain.outcomes)
        #expect(told.table == plain.table)
        #expect(told.counters == plain.counters)
    }

    @Test("One packet is told of, and the others are not")
    func onePacket() throws {
        let name = try #require(Recordings.names.first)
        let told = try Self.replay(name, .packet(3)).outcomes
        #expect(told.filter { $0.story != nil }.map(\.packet) == [3])
    }
}
