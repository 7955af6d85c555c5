import Testing
import Wire

@testable import Conntrack

/// What translation asks of the headers it writes to.
///
/// Observed on 6.18.
@Suite("Translated headers")
struct NATHeaderTests {
    private static func gre(_ flow: (String, String), _ version: UInt8, _ byteCount: Int) -> [UInt8]
    {
        let source = Address.parse(flow.0)?.1 ?? .zero
        let destination = Address.parse(flow.1)?.1 ?? .zero
        let header: [UInt8] = [0x20, version, 0x88, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0]
        return PacketBuilder(.ipv4, from: source, to: destination)
            .packet(carrying: Array(header.prefix(byteCount)), as: IPProtocol.gre)
    }

    @Test("GRE with less than eight bytes is dropped where it is translated")
    func dropsShortGRE() throws {
        for byteCount in [0, 4, 7, 8, 12] {
            let bench = try NATBench(NATSourceTests.toTen)
            let sent = bench.pass(Self.gre(("10.1.0.2", "10.2.0.2"), 0, byteCount))
            #expect((sent.reason == .nat) == (byteCount < 8), "\(byteCount)")
            let plain = try NATBench(Chain.postrouting("ip saddr 10.9.9.9 masquerade"))
            let passed = plain.pass(Self.gre(("10.1.0.2", "10.2.0.2"), 0, byteCount))
            #expect(passed.verdict == .forwarded, "\(byteCount)")
        }
    }

    @Test("GRE of an unknown version may change its source and not its destination")
    func knowsVersions() throws {
        for version in UInt8(0)..<8 {
            let bench = try NATBench(NATSourceTests.toTen)
            let sent = bench.pass(Self.gre(("10.1.0.2", "10.2.0.2"), version, 12))
            #expect(sent.verdict == .forwarded, "\(version)")
            let answer = bench.pass(Self.gre(("10.2.0.2", "10.2.0.10"), version, 12))
            #expect(answer.reason == (version < 2 ? nil : .nat), "\(version)")
        }
    }

    @Test("An error that quotes such GRE is dropped where the quotation's destination changes")
    func knowsQuotedVersions() throws {
        for version: UInt8 in [0, 2, 7] {
            let bench = try NATBench(NATSourceTests.toTen)
            _ = bench.pass(Self.gre(("10.1.0.2", "10.2.0.2"), 0, 12))
            // Outside about the client's packet, then the client about an answer.
            let about = Self.gre(("10.2.0.10", "10.2.0.2"), version, 12)
            let error = bench.pass(Make.error("10.2.0.9 > 10.2.0.10", about: about))
            #expect(error.verdict == .forwarded, "\(version)")
            let answer = Self.gre(("10.2.0.2", "10.1.0.2"), version, 12)
            let complaint = bench.pass(Make.error("10.1.0.2 > 10.2.0.2", about: answer))
            #expect(complaint.reason == (version < 2 ? nil : .natICMP), "\(version)")
        }
    }

    @Test(
        "A quoted UDP header without a checksum stays without; a UDP-Lite one gets one",
        arguments: [(IPProtocol.udp, [0, 0]), (IPProtocol.udpLite, [0, 9])]
            as [(UInt8, [UInt8])])
    func changesZeroChecksums(number: UInt8, sum: [UInt8]) throws {
        let bench = try NATBench(NATSourceTests.toTen) { $0.sysctl.checksum = false }
        func datagram(from source: UInt32, sum: UInt8) -> [UInt8] {
            PacketBuilder(.ipv4, from: Address(ipv4: source), to: Address(ipv4: 0x0a02_0002))
                .packet(carrying: [0, 9, 0, 53, 0, 8, 0, sum], as: number)
        }
        _ = bench.node.receive(
            datagram(from: 0x0a01_0002, sum: 1).span, on: nil, at: bench.now)
        let error = Make.error(
            "10.2.0.2 > 10.2.0.10", about: datagram(from: 0x0a02_000a, sum: 0))
        let delivery = bench.node.receive(error.span, on: nil, at: bench.now)
        let sent = try #require(delivery.out.first).bytes
        #expect(Array(sent[54..<56]) == sum)
    }

    @Test("The id of an ICMPv6 echo is translated, that of a node information query is not")
    func translatesIdentifiers() throws {
        for (type, isTranslated) in [(128, true), (139, false)] as [(UInt8, Bool)] {
            let bench = try NATBench(
                Chain.postrouting("oifname \"srv\" masquerade random", "ip6"))
            bench.node.portHints.source = 77
            let query = PacketBuilder(
                .ipv6, from: try #require(Address.parse("fd01::2")).1,
                to: try #require(Address.parse("fd02::2")).1
            ).icmp(type: type, identifier: 5)
            let sent = bench.pass(query)
            #expect(sent.entry?.reply.sourcePart == 77)
            #expect(sent.bytes[0][44..<46] == [0, isTranslated ? 77 : 5])
        }
    }

    @Test("A search begins at the port it is told, in its own direction and range only")
    func takesHints() throws {
        let rules = Chain.postrouting("udp dport 53 masquerade to :2000-2009 fully-random")
        let bench = try NATBench(rules)
        bench.node.portHints = PortHints(source: 2007, destination: 2003)
        #expect(bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53")).sourcePort == 2007)
        // Taken: the next one.
        #expect(bench.pass(Make.udp("10.1.0.3:1000 > 10.2.0.2:53")).sourcePort == 2008)
        let other = try NATBench(
            Chain.prerouting("udp dport 53 dnat to 10.2.0.2:4000-4009 random"))
        other.node.portHints = PortHints(source: 4001, destination: 4006)
        #expect(other.pass(Make.udp("10.1.0.2:1000 > 10.1.0.50:53")).destinationPort == 4006)
    }

    @Test("A quoted SCTP header in two fragments is drawn together where it is translated")
    func drawsQuotedHeader() throws {
        let bench = try NATBench(NATSourceTests.toTen) { $0.sysctl.checksum = false }
        let sent = bench.pass(
            Make.sctp("10.1.0.2:1000 > 10.2.0.2:20", tag: 0, [.initiation(7)]))
        let about = sent.bytes[0] + [UInt8](repeating: 0, count: 40)
        let error = Make.error("10.2.0.9 > 10.2.0.10", about: about)
        // 8 bytes of ICMP, 20 of the quoted header, 12 of SCTP's; cut behind its ports. The second
        // piece is the larger one, so that there is room for what the first one gains.
        let pieces = FragmentPair.cut(error, behind: 32)
        #expect(bench.pass(pieces[0]).reason == .fragmentPending)
        let left = bench.pass(pieces[1])
        #expect(left.bytes.map { $0.count - 20 } == [40, error.count - 20 - 40])
    }

    @Test("Fragments that must not be divided and do not fit are dropped, their datagram unseen")
    func dropsTooBig() throws {
        let bench = try NATBench(NATSourceTests.toTen) { configuration in
            for index in configuration.interfaces.indices {
                configuration.interfaces[index].mtu = 1280
            }
        }
        let datagram = Make.udp(
            "10.1.0.2:1000 > 10.2.0.2:53", payload: [UInt8](repeating: 1, count: 2000))
        for (mayDivide, verdict) in [(true, Verdict.forwarded), (false, .dropped)] {
            let pieces = FragmentPair.cut(datagram, behind: 1400, dontFragment: !mayDivide)
            #expect(bench.pass(pieces[0]).reason == .fragmentPending)
            let left = bench.pass(pieces[1])
            #expect(left.verdict == verdict)
            #expect(left.reason == (mayDivide ? nil : .tooBig))
            #expect((left.entry != nil) == mayDivide)
            bench.flush()
        }
    }
}

/// IPv4 packets in pieces.
enum FragmentPair {
    /// Two fragments; `count` payload bytes, a multiple of eight, are in the first.
    static func cut(_ packet: [UInt8], behind count: Int, dontFragment: Bool = false) -> [[UInt8]] {
        let flag: UInt16 = dontFragment ? 0x4000 : 0
        var first = Array(packet[..<(20 + count)])
        var second = Array(packet[..<20] + packet[(20 + count)...])
        first.setBigEndian(0x2000 | flag, at: 6)
        second.setBigEndian(UInt16(count / 8) | flag, at: 6)
        return [first, second].map { piece in
            var piece = piece
            piece.setBigEndian(UInt16(piece.count), at: 2)
            IPv4Header.setChecksum(in: &piece)
            return piece
        }
    }
}
