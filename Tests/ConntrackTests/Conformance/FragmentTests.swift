import Testing
import Wire

@testable import Conntrack

/// Fragments, and the machine's own packets: spec protocols.md §1 and §10.
@Suite("Fragments and local packets")
struct FragmentTests {
    /// A datagram of O with 100 bytes, in pieces for a link of 96 bytes.
    private static func pieces(_ x: borrowing Exchange) -> [[UInt8]] {
        let outcome = Fragmenter.split(
            x.datagram(from: .o, length: 100).span, x.family, mtu: 96, origin: nil,
            identification: 7)
        guard case .fragments(let pieces) = outcome else { return [] }
        return pieces
    }

    @Test("protocols.md case 19: a datagram in two fragments is one packet after the second")
    func twoFragments() {
        var x = Exchange()
        let pieces = Self.pieces(x)
        x.expect("fragments", pieces.count, 2)
        x.send(pieces[0], from: .o, called: "first", "NONE gone dropped:fragment_pending")
        x.expectTable([])
        x.send(pieces[1], from: .o, called: "second", "NEW 30 U count 1,0")
        x.expectTable(["30 U"])
        x.expect("packets that went out", x.transmissions.count, 2)
        x.expect("bytes counted", x.node.list(at: x.now).first?.bytesOriginal, 128)
    }

    @Test("protocols.md §1: no fragment that waits is seen by a rule")
    func rulesSeeWholePackets() {
        var x = Exchange(
            rules: """
                table ip t {
                    chain raw {
                        type filter hook prerouting priority raw
                        udp dport 80 counter
                    }
                    chain pass {
                        type filter hook forward priority 0
                        ct state new accept
                    }
                }

                """)
        let pieces = Self.pieces(x)
        x.send(pieces[0], from: .o, called: "first", "NONE dropped:fragment_pending")
        let before = x.node.ruleset.counterLines()
        x.send(pieces[1], from: .o, called: "second", "NEW 30 U")
        let after = x.node.ruleset.counterLines()
        x.expect("counted before", before.contains { $0.contains("packets 0 bytes 0") }, true)
        x.expect("counted after", after.contains { $0.contains("packets 1 bytes 128") }, true)
    }

    @Test("protocols.md §1: in any order, but not 30 s apart")
    func lateFragments() {
        var x = Exchange()
        let pieces = Self.pieces(x)
        x.send(pieces[1], from: .o, called: "second", "NONE dropped:fragment_pending")
        x.send(pieces[0], from: .o, called: "first", "NEW 30 U")
        var y = Exchange()
        y.send(pieces[1], from: .o, called: "second", "NONE dropped:fragment_pending")
        y.wait(seconds: 31)
        y.send(pieces[0], from: .o, called: "first", "NONE dropped:fragment_pending")
        y.expectTable([])
    }

    @Test("protocols.md §1: IPv6 fragments")
    func fragmentsOfIPv6() {
        var x = Exchange()
        x.family = .ipv6
        let datagram = Array(x.datagram(from: .o, length: 100).dropFirst(40))
        // The bytes behind the next-header field: offset in units of eight with the flag "more
        // fragments" lowest, then the identification.
        let pieces = [(0..<48, [0, 0, 1]), (48..<108, [0, 0, 48])].map { range, field in
            var builder = x.builder(from: .o)
            let rest = field.map(UInt8.init) + [0, 0, 0, 7]
            builder.extensions = [.raw(number: IPv6Extension.fragment, rest: rest)]
            return builder.packet(carrying: Array(datagram[range]), as: IPProtocol.udp)
        }
        x.send(pieces[0], from: .o, called: "first", "NONE dropped:fragment_pending")
        x.send(pieces[1], from: .o, called: "second", "NEW 30 U count 1,0")
        x.expectTable(["30 U"])
    }

    // MARK: Local packets

    @Test("protocols.md §10: a packet to the machine itself is tracked once")
    func loopback() {
        var x = Exchange()
        let own = PacketBuilder(
            .ipv4, from: Address(ipv4: 0x0a01_0001), to: Address(ipv4: 0x0a01_0001))
        let delivery = x.node.send(own.udp(from: 1000, to: 53).span, at: x.now)
        x.expect("verdict", delivery.verdict, .local)
        x.expect("info", delivery.info, .new)
        x.expect("packets", delivery.entry?.packetsOriginal, 1)
        x.expectTable(["30 U"])
    }

    @Test(
        "tcp.md case 11, protocols.md §2: checksums of the machine's own packets are not verified")
    func ownChecksum() {
        var x = Exchange()
        var own = PacketBuilder(
            .ipv4, from: Address(ipv4: 0x0a02_0001), to: x.address(of: .r))
        own.overrides.transportChecksum = 0x1234
        for bytes in [
            own.tcp(from: 1, to: 2, flags: .syn), own.udp(from: 1, to: 2), own.icmp(type: 8),
        ] {
            let delivery = x.node.send(bytes.span, at: x.now)
            x.expect("info", delivery.info, .new)
        }
        x.expect("entries", x.node.count, 3)
    }
}
