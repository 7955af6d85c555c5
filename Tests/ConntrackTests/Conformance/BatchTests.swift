import Testing
import Wire

@testable import Conntrack

/// Batches are a way of handing packets over, not another path.
@Suite("Batches")
struct BatchTests {
    private static let rules = """
        table ip nat {
            chain post {
                type nat hook postrouting priority srcnat
                oifname "wan" meta l4proto { tcp, udp } masquerade to :40000-40063
            }
        }
        """

    private static func gateway() throws -> Node {
        var configuration = NodeConfiguration()
        configuration.tracking = .always
        configuration.sysctl.max = 300
        configuration.sysctl.buckets = 64
        configuration.interfaces = [
            Interface(
                name: "lan", addresses: [Prefix(.ipv4, Address(ipv4: 0x0a00_0001), length: 8)]),
            Interface(
                name: "wan", addresses: [Prefix(.ipv4, Address(ipv4: 0xcb00_7101), length: 24)],
                isDefault: true),
        ]
        configuration.ruleset = try Ruleset(
            nftables: rules, file: "batch.nft", interfaces: ["lan", "wan"])
        var node = Node(configuration)
        node.isListening = true
        return node
    }

    /// Packets of a few hundred flows, some several times, some of them answers.
    private static func packets(seed: UInt64) -> [Packet] {
        var dice = Dice(seed: seed)
        return (0..<400).map { _ in
            let isTCP = dice.chance(of: 1, in: 2)
            var tuple = Tuple(
                .ipv4, isTCP ? IPProtocol.tcp : IPProtocol.udp,
                source: Address(ipv4: 0x0a01_0000 + dice.below(40)),
                UInt16(1024 + dice.below(10)),
                destination: Address(ipv4: 0xc633_6400 + dice.below(4)), 53)
            if dice.chance(of: 1, in: 3), let reply = tuple.inverted { tuple = reply }
            var packet = Packet(tuple: tuple, networkByteCount: 60, transportByteCount: 40)
            packet.lengthField = 40
            packet.tcp.flags = dice.chance(of: 1, in: 2) ? .syn : .ack
            packet.tcp.window = 1000
            return packet
        }
    }

    @Test(
        "A batch ends as its packets do one by one, table, counters and events too",
        arguments: 1...8)
    func sameOutcome(seed: Int) throws {
        var single = try Self.gateway()
        var batched = try Self.gateway()
        var ends = [PathEnd](repeating: PathEnd(.local), count: 400)
        for round in 0..<5 {
            let now = Instant(nanoseconds: UInt64(round) * 20_000_000_000)
            var alone = Self.packets(seed: UInt64(seed * 10 + round))
            var together = alone
            let expected = alone.indices.map { single.receive(&alone[$0], at: now) }
            var span = together.mutableSpan
            var places = ends.mutableSpan
            batched.receive(&span, ends: &places, at: now)
            #expect(ends == expected, "round \(round)")
            for (left, right) in zip(alone, together) {
                #expect(left.tuple == right.tuple && left.info == right.info, "round \(round)")
            }
            #expect(single.counters == batched.counters)
            #expect(single.journal.events.map(\.entry) == batched.journal.events.map(\.entry))
        }
        let now = Instant(nanoseconds: 80_000_000_000)
        #expect(single.list(at: now) == batched.list(at: now))
        #expect(single.count > 100)
    }

    @Test("The tracker alone, in batches and one by one", arguments: 1...4)
    func trackerAlone(seed: Int) throws {
        var single = try Self.gateway()
        var batched = try Self.gateway()
        var alone = Self.packets(seed: UInt64(seed))
        var together = alone
        var drops = [DropReason?](repeating: .rule, count: alone.count)
        let expected = alone.indices.map { single.track(&alone[$0], at: .start) }
        var span = together.mutableSpan
        var places = drops.mutableSpan
        batched.track(&span, drops: &places, at: .start)
        #expect(drops == expected)
        #expect(single.list(at: .start) == batched.list(at: .start))
        #expect(single.count > 100)
    }
}
