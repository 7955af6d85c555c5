import Testing
import Wire

@testable import Conntrack

/// Packets nobody sane would send go through a whole gateway: rules, reassembly, tracking, NAT.
@Suite("Hostile packets")
struct HostilePacketTests {
    private static let ruleset = """
        table inet filter {
            chain forward {
                type filter hook forward priority filter; policy accept
                ct state invalid drop
                ct state established,related accept
                tcp flags & (fin|syn) == fin|syn drop
            }
        }
        table ip nat {
            chain pre {
                type nat hook prerouting priority dstnat
                iifname "wan" tcp dport 8080 dnat to 10.0.0.80:80
            }
            chain post {
                type nat hook postrouting priority srcnat
                oifname "wan" masquerade
            }
        }
        """

    private static func gateway(seed: UInt64) throws -> Node {
        var configuration = NodeConfiguration()
        configuration.seed = seed
        configuration.tracking = .always
        configuration.sysctl.max = 64
        configuration.sysctl.buckets = 512
        configuration.sysctl.accounting = true
        configuration.sysctl.logInvalid = 255
        // Without it what is flipped gets past the checksum, into the state machines.
        configuration.sysctl.checksum = seed % 2 == 0
        configuration.interfaces = [
            Interface(
                name: "lan",
                addresses: [
                    Prefix(.ipv4, Address(ipv4: 0x0a00_0001), length: 16),
                    Prefix(.ipv6, Address(high: 0xfd00 << 48, low: 1), length: 64),
                ], mtu: 1280),
            Interface(
                name: "wan",
                addresses: [
                    Prefix(.ipv4, Address(ipv4: 0xcb00_7101), length: 24),
                    Prefix(.ipv6, Address(high: 0xfd01 << 48, low: 1), length: 64),
                ], isDefault: true),
        ]
        configuration.ruleset = try Ruleset(
            nftables: ruleset, file: "gateway.nft", interfaces: ["lan", "wan"])
        var node = Node(configuration)
        node.isListening = true
        return node
    }

    /// Well-formed packets of every kind the path treats apart.
    private static let seeds: [[UInt8]] = {
        let client = Address(ipv4: 0x0a00_0002)
        let server = Address(ipv4: 0xc633_6407)
        let out = PacketBuilder(.ipv4, from: client, to: server)
        let out6 = PacketBuilder(
            .ipv6, from: Address(high: 0xfd00 << 48, low: 2),
            to: Address(high: 0xfd02 << 48, low: 7))
        var packets: [[UInt8]] = []
        for builder in [out, out6] {
            let syn = builder.tcp(
                from: 40000, to: 80, flags: [.syn], sequence: 1000, acknowledgment: 0,
                window: 64240,
                options: [.maximumSegmentSize(1460), .sackPermitted, .windowScale(7)])
            let data = builder.tcp(
                from: 40000, to: 80, flags: [.psh, .ack], sequence: 1001, acknowledgment: 5001,
                window: 500,
                options: [.sack([TCPOption.SACKBlock(left: 6000, right: 7000)])],
                payload: [UInt8](repeating: 0x61, count: 600))
            let datagram = builder.udp(
                from: 5000, to: 53, payload: [UInt8](repeating: 1, count: 1400))
            packets += [syn, data, datagram]
            packets.append(
                builder.sctp(
                    from: 40000, to: 2905, tag: 0,
                    chunks: [.init(type: 1, value: [UInt8](repeating: 7, count: 16))]))
            packets.append(
                builder.sctp(
                    from: 40000, to: 2905, tag: 0x0707_0707,
                    chunks: [4, 7, 5, 8, 9, 6, 0, 3].map { .init(type: $0, value: [1, 2, 3]) }))
            packets.append(
                builder.icmp(
                    type: builder.family == .ipv4 ? 8 : 128, code: 0, identifier: 7, sequence: 1,
                    payload: [1, 2, 3, 4]))
            packets.append(
                builder.reversed.icmpError(
                    type: builder.family == .ipv4 ? 3 : 1, code: 3, about: datagram))
            let outcome = Fragmenter.split(
                datagram.span, builder.family, mtu: 600, origin: nil, identification: 9)
            if case .fragments(let fragments) = outcome { packets += fragments }
        }
        return packets
    }()

    @Test("Every prefix of every packet ends somewhere")
    func prefixes() throws {
        var node = try Self.gateway(seed: 1)
        var moment: UInt64 = 0
        for packet in Self.seeds {
            for length in 0...packet.count {
                moment += 1_000_000
                let prefix = Array(packet[..<length])
                _ = node.receive(prefix.span, on: nil, at: Instant(nanoseconds: moment))
            }
        }
        Self.expectConsistency(&node, at: Instant(nanoseconds: moment), "prefixes")
    }

    @Test(
        "Any bits flipped, any order, any time: counts and links stay true",
        arguments: UInt64(0)..<24)
    func flippedBits(seed: UInt64) throws {
        var node = try Self.gateway(seed: seed)
        var dice = Dice(seed: seed)
        var moment: UInt64 = 0
        for _ in 0..<1500 {
            var packet = Self.seeds[Int(dice.below(UInt32(Self.seeds.count)))]
            for _ in 0..<dice.below(6) {
                let bit = Int(dice.below(UInt32(packet.count * 8)))
                packet[bit / 8] ^= 1 << UInt8(bit % 8)
            }
            if dice.chance(of: 1, in: 2), packet[0] >> 4 == 4, packet.count >= 20 {
                // With its header checksum mended the packet gets further in.
                IPv4Header.mendChecksum(&packet)
            }
            moment += UInt64(dice.below(50)) * 1_000_000
            let now = Instant(nanoseconds: moment)
            node.advance(to: now)
            let interface = [nil, InterfaceIndex(0), InterfaceIndex(1)][Int(dice.below(3))]
            let delivery = node.receive(packet.span, on: interface, at: now)
            for transmission in delivery.out {
                #expect(transmission.bytes.count <= max(1500, packet.count), "seed \(seed)")
            }
        }
        Self.expectConsistency(&node, at: Instant(nanoseconds: moment), "seed \(seed)")
    }

    /// What must hold whatever came: the count is the number of objects, each linked twice.
    private static func expectConsistency(
        _ node: inout Node, at now: Instant, _ context: Comment
    ) {
        var links = 0
        var connections = 0
        for bucket in 0..<node.table.buckets.count {
            var link = node.table.buckets[bucket].first
            while link != .none {
                links += 1
                link = node.table.next(node.table.records[link.slot], link.direction)
            }
        }
        node.table.forEachConnection { _, _ in connections += 1 }
        #expect(links == connections * 2, context)
        #expect(Int(node.count) == connections, context)
        #expect(node.count <= 64, context)
        let live = node.list(at: now).count
        #expect(live <= Int(node.count), context)
        node.table.flush(.initial, at: Moment(now, .reference))
        #expect(node.count == 0, context)
    }
}

extension IPv4Header {
    /// Makes the header checksum right, as far as the header is all there.
    fileprivate static func mendChecksum(_ packet: inout [UInt8]) {
        let length = Int(packet[0] & 0xf) * 4
        guard length >= 20, length <= packet.count else { return }
        packet.setBigEndian(UInt16(0), at: 10)
        packet.setBigEndian(Checksum.of(packet.span.extracting(0..<length)), at: 10)
    }
}
