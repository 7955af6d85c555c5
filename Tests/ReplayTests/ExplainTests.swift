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

    @Test("Zones and timeout policies that rules set are told where they take hold")
    func rulesThatAttach() throws {
        let shipped = Recordings.folder.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "scenarios/captures/udp-stream")
        var configuration = try NodeFile.read(shipped.path + ".node.yaml").configuration
        configuration.ruleset = try Ruleset(
            nftables: """
                table ip t {
                  ct timeout quick { protocol udp; policy = { unreplied: 11, replied: 100 } }
                  chain pre {
                    type filter hook prerouting priority raw;
                    iifname "lan" ct zone set 5
                    iifname "wan" ct original zone set 6
                  }
                  chain way {
                    type filter hook forward priority filter;
                    udp dport 5004 ct timeout set "quick"
                  }
                }
                """, file: "t.nft", interfaces: configuration.interfaces.map(\.name))
        var replayer = Replayer(configuration, wants: .outcomes)
        replayer.explained = .all
        var reader = try CaptureReader(
            ByteArraySource(try Recordings.contents(shipped.path + ".pcap")))
        var keeper = Keeper()
        var notes = CaptureNotes()
        try replayer.replay(&reader, &notes, &keeper)
        let told = keeper.outcomes.compactMap(\.story).flatMap { $0 }.joined(separator: "\n")
        #expect(told.contains("track     in zone 5, bucket "), "\(told)")
        #expect(told.contains("track     in zone 6, then in zone 0 of the replies, bucket "))
        #expect(told.contains("the entry has the timeout policy's lifetimes now: 11 s"))
        #expect(
            told.contains("the timeout policy changes nothing: the entry is in the table already"))
    }
}
