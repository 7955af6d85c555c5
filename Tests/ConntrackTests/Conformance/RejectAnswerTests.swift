import Testing
import Wire

@testable import Conntrack

/// What REJECT says to senders: spec policy.md §6, case 6.
///
/// How every kind of packet is answered, byte for byte, is in the recorded trace "reject-answers".
@Suite("Answers of reject rules")
struct RejectAnswerTests {
    private static let client = Address(ipv4: 0x0A00_0002)
    static let server = Address(ipv4: 0xCB00_7109)

    private static func node(_ rules: String) throws -> Node {
        var configuration = NodeConfiguration()
        configuration.tracking = .always
        configuration.interfaces = [
            Interface(
                name: "lan", addresses: [try prefix("10.0.0.1/16"), try prefix("fd00::1/64")]),
            Interface(
                name: "wan",
                addresses: [try prefix("203.0.113.1/24"), try prefix("2001:db8::1/64")],
                isDefault: true),
        ]
        configuration.ruleset = try Ruleset(
            nftables: rules, file: "t.nft", interfaces: ["lan", "wan"])
        return Node(configuration)
    }

    private static func prefix(_ text: String) throws -> Prefix {
        let (family, address, length) = try #require(Address.parsePrefix(text))
        return Prefix(family, address, length: length)
    }

    static func forward(_ rule: String, more: String = "") throws -> Node {
        try node(
            "table inet t {\nchain f {\ntype filter hook forward priority 0\n\(rule)\n}\n\(more)}\n"
        )
    }

    static let way = PacketBuilder(.ipv4, from: client, to: server)

    /// The one answer to a packet from the LAN, and what else became of it.
    private static func answer(
        _ node: inout Node, _ bytes: [UInt8]
    ) throws -> (answer: Packet?, delivery: Delivery) {
        let delivery = node.receive(bytes.span, on: InterfaceIndex(0), at: .start)
        #expect(delivery.answers.count <= 1)
        guard let sent = delivery.answers.first else { return (nil, delivery) }
        var layout = PacketLayout()
        let packet = try Packet(parsing: sent.bytes.span, verifiesChecksum: true, layout: &layout)
        #expect(!packet.health.contains(.badChecksum))
        return (packet, delivery)
    }

    struct Reset: Sendable, CustomTestStringConvertible {
        var flags: TCPFlags
        var payload: Int
        /// Of the answer; `nil` where there is none.
        var answer: (flags: TCPFlags, sequence: UInt32, acknowledgment: UInt32)?
        var testDescription: String { "\(flags), \(payload) bytes" }
    }

    static let resets = [
        Reset(flags: .syn, payload: 0, answer: ([.rst, .ack], 0, 1001)),
        Reset(flags: .syn, payload: 3, answer: ([.rst, .ack], 0, 1004)),
        Reset(flags: [.syn, .fin], payload: 0, answer: ([.rst, .ack], 0, 1002)),
        Reset(flags: [], payload: 0, answer: ([.rst, .ack], 0, 1000)),
        Reset(flags: .ack, payload: 5, answer: (.rst, 777, 0)),
        Reset(flags: [.syn, .ack], payload: 0, answer: (.rst, 777, 0)),
        Reset(flags: .rst, payload: 0, answer: nil),
        Reset(flags: [.rst, .ack], payload: 0, answer: nil),
    ]

    @Test("policy.md case 6: a reset takes its numbers from the segment", arguments: resets)
    func resetNumbers(_ row: Reset) throws {
        var node = try Self.forward("tcp dport 80 reject with tcp reset")
        let segment = Self.way.tcp(
            from: 4000, to: 80, flags: row.flags, sequence: 1000, acknowledgment: 777,
            payload: [UInt8](repeating: 1, count: row.payload))
        let (answer, delivery) = try Self.answer(&node, segment)
        #expect(delivery.reason == .rejected)
        guard let expected = row.answer else {
            #expect(answer == nil)
            return
        }
        let reset = try #require(answer)
        #expect(reset.tcp.flags == expected.flags)
        #expect(reset.tcp.sequence == expected.sequence)
        #expect(reset.tcp.acknowledgment == expected.acknowledgment)
        #expect(reset.tuple.source == Self.server && reset.tuple.destination == Self.client)
        #expect(reset.tuple.sourcePart == 80 && reset.tuple.destinationPart == 4000)
    }

    @Test("policy.md case 6b: an ICMP error quotes up to 576 bytes, IPv6 up to 1280")
    func quotation() throws {
        var node = try Self.forward("udp dport 82 reject")
        let long = Self.way.udp(from: 1, to: 82, payload: [UInt8](repeating: 7, count: 1000))
        let (answer, _) = try Self.answer(&node, long)
        let error = try #require(answer)
        #expect(error.networkByteCount == 576)
        #expect(error.tuple.icmpType == 3 && error.tuple.icmpCode == 3)
        #expect(error.tuple.source == Address(ipv4: 0x0A00_0001))
        #expect(error.typeOfService == 0xc0)
        let six = PacketBuilder(
            .ipv6, from: Address(high: 0xfd00 << 48, low: 2),
            to: Address(high: 0x2001_0db8 << 32, low: 9))
        let (answer6, _) = try Self.answer(
            &node, six.udp(from: 1, to: 82, payload: [UInt8](repeating: 7, count: 1400)))
        #expect(try #require(answer6).networkByteCount == 1280)
    }

    @Test("policy.md case 6c: the answer is RELATED in the reply direction, and no entry appears")
    func related() throws {
        var node = try Self.forward(
            "udp dport 82 reject",
            more: """
                chain o {
                type filter hook output priority 0; policy drop;
                ct state related ct direction reply accept
                }

                """)
        let (answer, delivery) = try Self.answer(&node, Self.way.udp(from: 1, to: 82))
        #expect(answer != nil)
        #expect(delivery.entry == nil)
        #expect(node.count == 0)
    }

    @Test("policy.md §6: an answer needs OUTPUT's leave")
    func refused() throws {
        var node = try Self.forward(
            "udp dport 82 reject",
            more: "chain o {\ntype filter hook output priority 0; policy drop;\n}\n")
        let (answer, delivery) = try Self.answer(&node, Self.way.udp(from: 1, to: 82))
        #expect(answer == nil && delivery.reason == .rejected)
        #expect(node.answers.map(\.end.reason) == [.rule])
    }

    @Test("A reset refused at OUTPUT is reported to whom it speaks for, and that is the end")
    func twice() throws {
        var node = try Self.forward(
            "tcp dport 80 reject with tcp reset",
            more:
                "chain o {\ntype filter hook output priority 0\nmeta l4proto { tcp, icmp } reject\n}\n"
        )
        let (answer, _) = try Self.answer(&node, Self.way.tcp(from: 1, to: 80, flags: .syn))
        #expect(answer == nil)
        #expect(node.answers.map(\.end.reason) == [.rejected, .rejected])
    }

    @Test("A mapping is undone for the answer")
    func translated() throws {
        var node = try Self.node(
            """
            table ip nat {
            chain pre {
            type nat hook prerouting priority dstnat
            tcp dport 8080 dnat to 203.0.113.9:80
            }
            }
            table ip t {
            chain f {
            type filter hook forward priority 0
            tcp dport 80 reject with tcp reset
            }
            }

            """)
        let virtual = Address(ipv4: 0xC633_6401)
        let way = PacketBuilder(.ipv4, from: Self.client, to: virtual)
        let (answer, _) = try Self.answer(&node, way.tcp(from: 4000, to: 8080, flags: .syn))
        let reset = try #require(answer)
        #expect(reset.tuple.source == virtual && reset.tuple.sourcePart == 8080)
    }

    @Test("A packet without bytes has an answer without bytes")
    func flat() throws {
        var node = try Self.forward("tcp dport 80 reject with tcp reset\nudp dport 82 reject")
        var syn = Packet(
            tuple: Tuple(
                .ipv4, IPProtocol.tcp, source: Self.client, 4000, destination: Self.server, 80),
            networkByteCount: 60, transportByteCount: 40)
        syn.tcp.flags = .syn
        syn.tcp.sequence = 1000
        syn.tcp.headerByteCount = 40
        syn.inInterface = InterfaceIndex(0)
        #expect(node.receive(&syn, at: .start).reason == .rejected)
        let reset = try #require(node.answers.first)
        #expect(reset.end.verdict == .forwarded && reset.bytes.isEmpty)
        #expect(reset.packet.tcp.acknowledgment == 1001)
        #expect(reset.packet.outInterface == InterfaceIndex(0))
        var datagram = Packet(
            tuple: Tuple(
                .ipv4, IPProtocol.udp, source: Self.client, 4000, destination: Self.server, 82),
            networkByteCount: 1000, transportByteCount: 980)
        datagram.inInterface = InterfaceIndex(0)
        #expect(node.receive(&datagram, at: .start).reason == .rejected)
        let error = try #require(node.answers.first)
        #expect(error.packet.networkByteCount == 576)
        #expect(error.packet.quoted == datagram.tuple)
        #expect(error.packet.quotedByteCount == 528)
    }

    @Test("A wrong checksum is not answered, and closes nothing")
    func wrongChecksum() throws {
        var node = try Self.forward("tcp flags psh reject with tcp reset")
        var sysctl = Sysctl()
        sysctl.checksum = false
        node.apply(sysctl, at: .start)
        let open = Self.way.tcp(from: 4000, to: 80, flags: .syn, sequence: 1000)
        #expect(try Self.answer(&node, open).delivery.verdict == .forwarded)
        var wrong = Self.way
        wrong.overrides.transportChecksum = 0x1234
        let (answer, delivery) = try Self.answer(
            &node, wrong.tcp(from: 4000, to: 80, flags: [.ack, .psh], sequence: 1001))
        #expect(answer == nil && delivery.reason == .rejected)
        #expect(delivery.entry?.protocolState != TCPState.close.rawValue)
    }
}

extension RejectAnswerTests {
    @Test(
        "An address hears of six refusals at once, and then of one a second; resets are not counted"
    )
    func limited() throws {
        var node = try Self.forward("tcp dport 80 reject with tcp reset\nudp dport 82 reject")
        func heard(_ bytes: [UInt8], at milliseconds: Int64) -> Bool {
            !node.receive(
                bytes.span, on: InterfaceIndex(0), at: .start + .milliseconds(milliseconds)
            ).answers.isEmpty
        }
        let datagram = Self.way.udp(from: 1, to: 82)
        let other = PacketBuilder(.ipv4, from: Address(ipv4: 0x0A00_0003), to: Self.server)
        #expect((0..<20).map { _ in heard(datagram, at: 0) }.count { $0 } == 6)
        #expect(heard(other.udp(from: 1, to: 82), at: 0))
        #expect(!heard(datagram, at: 999))
        #expect(heard(datagram, at: 1000))
        #expect(!heard(datagram, at: 1001))
        #expect((0..<20).map { _ in heard(datagram, at: 9000) }.count { $0 } == 6)
        let segment = Self.way.tcp(from: 1, to: 80, flags: .syn)
        #expect((0..<20).allSatisfy { _ in heard(segment, at: 9000) })
    }
}
