import Conntrack
import Fuzz
import Report
import Scenario
import Testing
import Verify

/// Linux 6.12 beside 6.18: spec table.md §17 and tcp.md §5.5 say where they differ, and nowhere else
/// may they.
@Suite struct KernelProfileTests {
    /// Where the two profiles part in a trace, and what the packet was that parted them.
    private struct Parting {
        var isReset: Bool
        var older: PacketOutcome
        var newer: PacketOutcome
    }

    /// Plays one trace in both profiles and gives every packet whose outcomes differ.
    private static func partings(_ trace: FuzzCase) throws -> [Parting] {
        var configuration = try NodeFile.parse(trace.node.text, file: "trace").configuration
        configuration.profile = .linux612
        var older = ModelArm(configuration)
        configuration.profile = .linux618
        var newer = ModelArm(configuration)
        var partings: [Parting] = []
        for (number, packet) in trace.packets.enumerated() {
            let one = older.send(
                packet.bytes, number: number, on: nil, nanoseconds: packet.time)
            let other = newer.send(
                packet.bytes, number: number, on: nil, nanoseconds: packet.time)
            guard one != other else { continue }
            partings.append(Parting(isReset: isReset(packet.bytes), older: one, newer: other))
        }
        return partings
    }

    private static func isReset(_ bytes: [UInt8]) -> Bool {
        let isIPv4 = bytes[0] >> 4 == 4
        let header = isIPv4 ? Int(bytes[0] & 15) * 4 : 40
        guard bytes.count > header + 13, bytes[isIPv4 ? 9 : 6] == 6 else { return false }
        return bytes[header + 13] & 4 != 0
    }

    private static func withoutTimeouts(_ outcome: PacketOutcome) -> PacketOutcome {
        var outcome = outcome
        outcome.entry?.timeout = nil
        outcome.events = outcome.events?.map { event in
            var event = event
            event.entry.timeout = nil
            return event
        }
        return outcome
    }

    @Test(
        "table.md §17: without TCP no packet tells 6.12 from 6.18",
        arguments: [FuzzKind.udp, .icmp, .sctp, .gre, .udplite])
    func agree(_ kind: FuzzKind) throws {
        for seed in UInt64(1)...6 {
            let trace = FuzzGenerator.trace(seed: seed, kind: kind, packetCount: 400)
            let resets = try Self.partings(trace).filter { !$0.isReset }
            #expect(resets.isEmpty, "seed \(seed)")
        }
    }

    @Test("tcp.md §5.5, Linux 6.12: only the timeout after an inexact reset differs")
    func partAtResets() throws {
        var count = 0
        for seed in UInt64(1)...20 {
            let trace = FuzzGenerator.trace(seed: seed, kind: .tcp, packetCount: 400)
            let partings = try Self.partings(trace)
            guard let first = partings.first else { continue }
            count += 1
            #expect(first.isReset, "seed \(seed)")
            for parting in partings {
                #expect(
                    Self.withoutTimeouts(parting.older) == Self.withoutTimeouts(parting.newer),
                    "seed \(seed)")
            }
        }
        #expect(count > 0)
    }
}
