import Testing
import Wire

@Suite("Composed packets")
struct PacketBuilderTests {
    /// A builder with every network field at random, and the transport bytes' place in its packets.
    static func builder(_ family: Family, _ dice: inout TestDice) -> PacketBuilder {
        var builder = PacketBuilder(
            family, from: address(family, &dice), to: address(family, &dice))
        builder.timeToLive = UInt8.random(in: 1...255, using: &dice)
        builder.typeOfService = UInt8.random(in: 0...255, using: &dice)
        builder.identification = UInt16.random(in: 0...UInt16.max, using: &dice)
        builder.dontFragment = Bool.random(using: &dice)
        builder.flowLabel = UInt32.random(in: 0...0xf_ffff, using: &dice)
        if Bool.random(using: &dice) { builder.options = [0x94, 4, 0, 0] }
        if Bool.random(using: &dice) {
            builder.extensions = [
                .hopByHop(), .destinationOptions([0x1e, UInt8(dice.below(5)), 0, 0, 0, 0]),
                .routing(type: 0),
            ]
        }
        return builder
    }

    /// An address that IP input accepts as source and as destination.
    static func address(_ family: Family, _ dice: inout TestDice) -> Address {
        switch family {
        case .ipv4: Address(ipv4: UInt32.random(in: 1..<0xe000_0000, using: &dice))
        case .ipv6: Address(high: 0xfd00 << 48 | dice.next() >> 16, low: dice.next())
        }
    }

    /// Checks the network header against the builder, and returns where the transport starts.
    static func checkNetwork(
        _ packet: [UInt8], _ builder: PacketBuilder, _ number: UInt8, _ note: Comment
    ) throws -> Int {
        switch builder.family {
        case .ipv4:
            let header = try IPv4Header(parsing: packet.span)
            #expect(header.source == builder.source, note)
            #expect(header.destination == builder.destination, note)
            #expect(header.totalByteCount == packet.count, note)
            #expect(header.timeToLive == builder.timeToLive, note)
            #expect(header.typeOfService == builder.typeOfService, note)
            #expect(header.identification == builder.identification, note)
            #expect(header.dontFragment == builder.dontFragment, note)
            #expect(header.protocolNumber == number, note)
            #expect(header.headerByteCount == 20 + builder.options.count, note)
            return header.headerByteCount
        case .ipv6:
            let header = try IPv6Header(parsing: packet.span)
            #expect(header.source == builder.source, note)
            #expect(header.destination == builder.destination, note)
            #expect(header.totalByteCount(present: packet.count) == packet.count, note)
            #expect(header.hopLimit == builder.timeToLive, note)
            #expect(header.trafficClass == builder.typeOfService, note)
            #expect(header.flowLabel == builder.flowLabel, note)
            let chain = IPv6Chain(walking: packet.span)
            #expect(chain.protocolNumber == number, note)
            #expect(!chain.isUnskippable, note)
            return chain.transportOffset
        }
    }

    @Test("A TCP packet reads back as what it was made of", arguments: UInt64(0)..<40)
    func tcp(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        for family in Family.allCases {
            let builder = Self.builder(family, &dice)
            let payload = dice.bytes(dice.below(60))
            let edge = UInt32(truncatingIfNeeded: dice.next())
            let packet = builder.tcp(
                from: 40_000, to: 443, flags: [.ack, .psh], sequence: edge &- 9,
                acknowledgment: edge, window: 512, urgentPointer: 3,
                options: [
                    .maximumSegmentSize(1460), .sackPermitted, .windowScale(9),
                    .sack([.init(left: edge &+ 1, right: edge &+ 77)]), .noOperation,
                    .timestamps(value: 5, echo: 6),
                ], payload: payload)
            let note = Comment("seed \(seed)")
            let offset = try Self.checkNetwork(packet, builder, 6, note)
            let segment = packet.span.extracting(offset..<packet.count)
            let header = try TCPHeader(parsing: segment)
            #expect(header.sourcePort == 40_000 && header.destinationPort == 443, note)
            #expect(header.sequence == edge &- 9 && header.acknowledgment == edge, note)
            #expect(header.flags == [.ack, .psh] && header.window == 512, note)
            #expect(header.urgentPointer == 3, note)
            let range = header.optionRange(in: segment.count)
            let options = TCPOptions(
                scanning: segment.extracting(range), acknowledgment: header.acknowledgment)
            #expect(options.windowScale == 9 && options.permitsSACK, note)
            #expect(options.sackEdge == edge &+ 77, note)
            #expect(Array(packet[(offset + header.headerByteCount)...]) == payload, note)
            #expect(Self.sum(segment, builder, 6) == 0, note)
        }
    }

    @Test("UDP, UDP-Lite, ICMP, SCTP and GRE packets read back", arguments: UInt64(0)..<40)
    func others(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        for family in Family.allCases {
            let builder = Self.builder(family, &dice)
            let payload = dice.bytes(dice.below(60))
            let note = Comment("seed \(seed)")

            var packet = builder.udp(from: 1, to: 2, payload: payload)
            var offset = try Self.checkNetwork(packet, builder, IPProtocol.udp, note)
            var segment = packet.span.extracting(offset..<packet.count)
            #expect(try UDPHeader(parsing: segment).lengthField == 8 + UInt16(payload.count), note)
            #expect(Self.sum(segment, builder, IPProtocol.udp) == 0, note)

            packet = builder.udpLite(from: 1, to: 2, coverage: 8, payload: payload)
            offset = try Self.checkNetwork(packet, builder, IPProtocol.udpLite, note)
            segment = packet.span.extracting(offset..<packet.count)
            #expect(try UDPHeader(parsing: segment).lengthField == 8, note)
            let covered = Checksum.transport(
                segment.extracting(0..<8), family, source: builder.source,
                destination: builder.destination, protocolNumber: IPProtocol.udpLite,
                byteCount: segment.count)
            #expect(covered == 0, note)

            packet = builder.icmp(type: 8, identifier: 77, sequence: 3, payload: payload)
            let number = family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6
            offset = try Self.checkNetwork(packet, builder, number, note)
            segment = packet.span.extracting(offset..<packet.count)
            #expect(try ICMPHeader(parsing: segment).identifier == 77, note)
            let sum = family == .ipv4 ? Checksum.of(segment) : Self.sum(segment, builder, number)
            #expect(sum == 0, note)

            packet = builder.sctp(
                from: 1, to: 2, tag: 0x222, chunks: [.init(type: 0, value: payload)])
            offset = try Self.checkNetwork(packet, builder, IPProtocol.sctp, note)
            segment = packet.span.extracting(offset..<packet.count)
            let sctp = try SCTPHeader(parsing: segment)
            #expect(sctp.verificationTag == 0x222, note)
            #expect(sctp.checksum == CRC32C.fieldValue(of: segment), note)

            packet = builder.gre(
                GREHeader(version: 1, protocolType: 0x880b, callID: 0x1234), payload: payload)
            offset = try Self.checkNetwork(packet, builder, IPProtocol.gre, note)
            segment = packet.span.extracting(offset..<packet.count)
            let gre = try GREHeader(parsing: segment)
            #expect(gre.callID == 0x1234 && Int(gre.payloadByteCount) == payload.count, note)
        }
    }

    static func sum(_ segment: Span<UInt8>, _ builder: PacketBuilder, _ number: UInt8) -> UInt16 {
        Checksum.transport(
            segment, builder.family, source: builder.source, destination: builder.destination,
            protocolNumber: number)
    }

    @Test("What is overridden is wrong, and nothing else is")
    func overrides() throws {
        var builder = IPHeaderTests.four
        builder.overrides.transportChecksum = 0
        var packet = builder.udp(from: 1, to: 2, payload: [9])
        #expect(try UDPHeader(parsing: packet.span.extracting(20..<29)).checksum == 0)

        builder.overrides = .init()
        builder.overrides.transportLengthField = 200
        packet = builder.udp(from: 1, to: 2, payload: [9])
        let header = try UDPHeader(parsing: packet.span.extracting(20..<29))
        #expect(header.lengthField == 200)
        #expect(Self.sum(packet.span.extracting(20..<29), builder, 17) == 0)

        builder.overrides = .init()
        builder.overrides.transportHeaderByteCount = 60
        packet = builder.tcp(from: 1, to: 2, flags: .ack)
        #expect(try TCPHeader(parsing: packet.span.extracting(20..<40)).headerByteCount == 60)

        builder.overrides = .init()
        builder.overrides.crc = 1
        packet = builder.sctp(from: 1, to: 2, tag: 0, chunks: [])
        #expect(try SCTPHeader(parsing: packet.span.extracting(20..<32)).checksum == 1)

        builder.overrides = .init()
        builder.overrides.pseudoHeaderProtocolNumber = 17
        packet = builder.udpLite(from: 1, to: 2)
        #expect(Self.sum(packet.span.extracting(20..<28), builder, 17) == 0)
        #expect(Self.sum(packet.span.extracting(20..<28), builder, 136) != 0)

        builder.overrides = .init()
        builder.overrides.protocolNumber = 200
        #expect(try IPv4Header(parsing: builder.udp(from: 1, to: 2).span).protocolNumber == 200)
    }

    @Test("An ICMP error quotes the packet it is about, and the answer goes the other way")
    func icmpError() throws {
        let packet = IPHeaderTests.four.udp(from: 1000, to: 53, payload: [1])
        let error = IPHeaderTests.four.reversed.icmpError(
            type: 3, code: 3, about: packet, quoting: 28)
        let outer = try IPv4Header(parsing: error.span)
        #expect(outer.source == IPHeaderTests.four.destination)
        #expect(outer.destination == IPHeaderTests.four.source)
        let quoted = try IPv4Header(quoted: error.span.extracting(28..<error.count))
        #expect(quoted.totalByteCount == packet.count)
        #expect(error.count == 20 + 8 + 28)
    }
}
