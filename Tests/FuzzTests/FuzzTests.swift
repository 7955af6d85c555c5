import Fuzz
import Testing

@Suite struct FuzzGeneratorTests {
    @Test("the same seed makes the same trace", arguments: FuzzKind.allCases)
    func repeats(_ kind: FuzzKind) {
        let one = FuzzGenerator.trace(seed: 7, kind: kind, packetCount: 200)
        let other = FuzzGenerator.trace(seed: 7, kind: kind, packetCount: 200)
        #expect(one.packets == other.packets)
        #expect(one.node.text == other.node.text)
        let different = FuzzGenerator.trace(seed: 8, kind: kind, packetCount: 200)
        #expect(one.packets != different.packets)
    }

    @Test("traces have the length asked for, and their time goes forward", arguments: 1...20)
    func hasOrder(_ seed: UInt64) {
        let trace = FuzzGenerator.trace(seed: seed, kind: .mixed, packetCount: 300)
        #expect(trace.packets.count >= 300, "seed \(seed)")
        #expect(trace.packets.count < 310, "seed \(seed)")
        #expect(trace.packets.allSatisfy { !$0.bytes.isEmpty }, "seed \(seed)")
        let times = trace.packets.map(\.time)
        #expect(times == times.sorted(), "seed \(seed)")
    }

    @Test("only traces with pauses take longer than a moment", arguments: 1...10)
    func pausesWhenAsked(_ seed: UInt64) throws {
        let quick = FuzzGenerator.trace(seed: seed, kind: .udp, packetCount: 300)
        #expect(try #require(quick.packets.last).time < 100_000_000, "seed \(seed)")
        let slow = FuzzGenerator.trace(
            seed: seed, kind: .udp, packetCount: 300, hasPauses: true)
        #expect(try #require(slow.packets.last).time > 1_000_000_000, "seed \(seed)")
    }

    @Test("every kind of trace meets what it is about")
    func coversItsGround() {
        for kind in FuzzKind.allCases {
            var protocols: Set<UInt8> = []
            var versions: Set<UInt8> = []
            var fragments = 0
            for seed in UInt64(0)..<30 {
                let trace = FuzzGenerator.trace(seed: seed, kind: kind, packetCount: 100)
                for packet in trace.packets where packet.bytes.count >= 40 {
                    versions.insert(packet.bytes[0] >> 4)
                    guard packet.bytes[0] >> 4 == 4 else { continue }
                    protocols.insert(packet.bytes[9])
                    if packet.bytes[6] & 0x20 != 0 { fragments += 1 }
                }
            }
            #expect(versions.isSuperset(of: [4, 6]), "\(kind)")
            #expect(fragments > 0, "\(kind)")
            let wanted: Set<UInt8> =
                switch kind {
                case .tcp: [1, 6]
                case .udp: [1, 17, 136]
                case .icmp: [1, 6, 17]
                case .nat: [1, 6, 17]
                case .sctp: [1, 132]
                case .gre: [1, 17, 47]
                case .udplite: [1, 17, 136]
                case .mixed: [1, 6, 17, 47, 50, 132, 136, 200]
                }
            #expect(protocols.isSuperset(of: wanted), "\(kind): \(protocols.sorted())")
        }
    }

    @Test("a node's text names each setting once", arguments: 1...200)
    func settlesEachSetting(_ seed: UInt64) {
        let trace = FuzzGenerator.trace(
            seed: seed, kind: .mixed, packetCount: 1, hasPauses: true)
        let names = trace.node.sysctls.map(\.name)
        #expect(Set(names).count == names.count, "seed \(seed)")
    }

    @Test("a node's text names its interfaces, settings and rules")
    func writesNodeFiles() {
        let node = FuzzGenerator.trace(seed: 3, kind: .nat, packetCount: 10).node
        #expect(node.text.hasPrefix("version: 1\n"))
        for interface in node.interfaces { #expect(node.text.contains("  \(interface.name): {")) }
        for sysctl in node.sysctls {
            #expect(node.text.contains("  \(sysctl.name): \(sysctl.value)"))
        }
        for line in node.ruleset.split(separator: "\n") { #expect(node.text.contains(line)) }
    }
}
