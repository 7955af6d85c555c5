import Testing
import Wire

@Suite("IP headers")
struct IPHeaderTests {
    static let four = PacketBuilder(
        .ipv4, from: Address(ipv4: 0x0a00_0002), to: Address(ipv4: 0x0a00_0102))
    static let six = PacketBuilder(
        .ipv6, from: Address(high: 0xfd00_0000_0000_0001, low: 2),
        to: Address(high: 0xfd00_0000_0000_0002, low: 2))

    /// A change to the builder, and what IP input makes of the packet.
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var change: @Sendable (inout PacketBuilder) -> Void
        var error: ParseError?
        var testDescription: String { name }

        init(
            _ name: String, _ error: ParseError? = nil,
            _ change: @escaping @Sendable (inout PacketBuilder) -> Void
        ) {
            self.name = name
            self.error = error
            self.change = change
        }
    }

    // The accepting and refusing rows are what a 6.18 kernel did with the same packets.
    static let ipv4Rows = [
        Row("plain") { _ in },
        Row("options", nil) { $0.options = [1, 1, 1, 1] },
        Row("malformed options", nil) { $0.options = [7, 1, 1, 1] },
        Row("TTL 0", nil) { $0.timeToLive = 0 },
        Row("source 0.0.0.0", nil) { $0.source = .zero },
        Row("total length equal to the header", nil) { $0.overrides.lengthField = 20 },
        Row("version 5", .badField(.ipv4, .version, found: 5)) { $0.overrides.version = 5 },
        Row("IHL 4", .badField(.ipv4, .headerLength, found: 16)) {
            $0.overrides.headerByteCount = 16
        },
        Row("IHL beyond the packet", .truncated(.ipv4, found: 30, needed: 60)) {
            $0.overrides.headerByteCount = 60
        },
        Row("wrong checksum", .badField(.ipv4, .checksum, found: 0x1234)) {
            $0.overrides.headerChecksum = 0x1234
        },
        Row("total length beyond the packet", .badField(.ipv4, .totalLength, found: 100)) {
            $0.overrides.lengthField = 100
        },
        Row("total length below the header", .badField(.ipv4, .totalLength, found: 19)) {
            $0.overrides.lengthField = 19
        },
    ]

    @Test("IPv4 input", arguments: ipv4Rows)
    func ipv4Input(_ row: Row) {
        var builder = Self.four
        row.change(&builder)
        let packet = builder.udp(from: 1000, to: 53, payload: [1, 2])
        #expect(
            Self.error { () throws(ParseError) in _ = try IPv4Header(parsing: packet.span) }
                == row.error)
    }

    static let ipv6Rows = [
        Row("plain") { _ in },
        Row("hop limit 0", nil) { $0.timeToLive = 0 },
        Row("source ::", nil) { $0.source = .zero },
        Row("link-local multicast destination", nil) {
            $0.destination = Address(high: 0xff02 << 48, low: 1)
        },
        Row("version 5", .badField(.ipv6, .version, found: 5)) { $0.overrides.version = 5 },
        Row("payload beyond the packet", .badField(.ipv6, .payloadLength, found: 100)) {
            $0.overrides.lengthField = 100
        },
        Row("multicast source", .badField(.ipv6, .source, found: 0xff02)) {
            $0.source = Address(high: 0xff02 << 48, low: 1)
        },
        Row("loopback source", .badField(.ipv6, .source, found: 0)) {
            $0.source = Address(high: 0, low: 1)
        },
        Row("loopback destination", .badField(.ipv6, .destination, found: 0)) {
            $0.destination = Address(high: 0, low: 1)
        },
        Row("interface-local destination", .badField(.ipv6, .destination, found: 0xff01)) {
            $0.destination = Address(high: 0xff01 << 48, low: 1)
        },
        Row("reserved-scope destination", .badField(.ipv6, .destination, found: 0xff00)) {
            $0.destination = Address(high: 0xff00 << 48, low: 1)
        },
    ]

    @Test("IPv6 input", arguments: ipv6Rows)
    func ipv6Input(_ row: Row) {
        var builder = Self.six
        row.change(&builder)
        let packet = builder.udp(from: 1000, to: 53, payload: [1, 2])
        #expect(
            Self.error { () throws(ParseError) in _ = try IPv6Header(parsing: packet.span) }
                == row.error)
    }

    /// Hop-by-hop options, and whether the packet gets past IPv6 input (observed on 6.18).
    static let hopByHopRows: [(String, [UInt8], Bool)] = [
        ("padding only", [], true),
        ("six Pad1", [0, 0, 0, 0, 0, 0], true),
        ("PadN of length zero, three times", [1, 0, 1, 0, 1, 0], true),
        ("padding that is not zero", [1, 4, 0, 1, 0, 0], false),
        (
            "seven bytes of padding before an option", [1, 5, 0, 0, 0, 0, 0, 5, 2, 0, 0, 0, 0, 0],
            true
        ),
        ("eight bytes of padding", [1, 6, 0, 0, 0, 0, 0, 0, 5, 2, 0, 0, 0, 0], false),
        ("two paddings that make fourteen", [1, 4, 0, 0, 0, 0, 1, 6, 0, 0, 0, 0, 0, 0], false),
        ("router alert", [5, 2, 0, 0, 1, 0], true),
        ("router alert of three bytes", [5, 3, 0, 0, 0, 0], false),
        ("unknown, skip", [0x1e, 4, 0, 0, 0, 0], true),
        ("unknown, drop", [0x5e, 4, 0, 0, 0, 0], false),
        ("unknown, drop and say so", [0x9e, 4, 0, 0, 0, 0], false),
        ("unknown, drop and say so unless multicast", [0xde, 4, 0, 0, 0, 0], false),
        ("jumbo payload", [0xc2, 4, 0, 1, 0, 0], false),
        ("option beyond the header", [1, 9, 0, 0, 0, 0], false),
        ("option without its length", [0x1e, 3, 0, 0, 0, 0x1e], false),
        ("eight options", (0..<8).flatMap { _ in [0x1e, 0] as [UInt8] }, true),
        ("nine options", (0..<9).flatMap { _ in [0x1e, 0] as [UInt8] }, false),
    ]

    @Test("Hop-by-hop options", arguments: hopByHopRows)
    func hopByHop(_ name: String, _ options: [UInt8], _ isAccepted: Bool) {
        var builder = Self.six
        builder.extensions = [.hopByHop(options: options)]
        let packet = builder.udp(from: 1000, to: 53)
        let error = Self.error { () throws(ParseError) in _ = try IPv6Header(parsing: packet.span) }
        #expect((error == nil) == isAccepted)
    }

    @Test("A payload length of zero before hop-by-hop options claims nothing")
    func payloadLengthZero() throws {
        var builder = Self.six
        builder.overrides.lengthField = 0
        builder.extensions = [.hopByHop()]
        let packet = builder.udp(from: 1000, to: 53)
        let header = try IPv6Header(parsing: packet.span)
        #expect(header.totalByteCount(present: packet.count) == packet.count)
        builder.extensions = []
        let plain = try IPv6Header(parsing: builder.udp(from: 1000, to: 53).span)
        #expect(plain.totalByteCount(present: packet.count) == 40)
    }

    @Test("A quoted header is read whatever it says, if it is there")
    func quoted() throws {
        var builder = Self.four
        builder.overrides.version = 5
        builder.overrides.headerByteCount = 4
        builder.overrides.headerChecksum = 1
        builder.overrides.lengthField = 60_000
        let packet = builder.udp(from: 1000, to: 53)
        let header = try IPv4Header(quoted: packet.span)
        #expect(header.headerByteCount == 4)
        #expect(header.source == builder.source)
        #expect(throws: ParseError.truncated(.ipv4, found: 19, needed: 20)) {
            try IPv4Header(quoted: packet.span.extracting(0..<19))
        }
        #expect(throws: ParseError.truncated(.ipv6, found: 28, needed: 40)) {
            try IPv6Header(quoted: packet.span)
        }
    }

    @Test("An emitted IPv4 header reads back equal", arguments: UInt64(0)..<20)
    func ipv4RoundTrip(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        for _ in 0..<100 {
            var header = IPv4Header(
                source: ChecksumTests.address(.ipv4, &dice),
                destination: ChecksumTests.address(.ipv4, &dice),
                protocolNumber: UInt8.random(in: 0...255, using: &dice))
            let options = dice.bytes(4 * dice.below(11))
            let payload = dice.bytes(dice.below(40))
            header.headerByteCount = 20 + options.count
            header.totalByteCount = header.headerByteCount + payload.count
            header.typeOfService = UInt8.random(in: 0...255, using: &dice)
            header.identification = UInt16.random(in: 0...UInt16.max, using: &dice)
            header.reservedFlag = Bool.random(using: &dice)
            header.dontFragment = Bool.random(using: &dice)
            header.moreFragments = Bool.random(using: &dice)
            header.fragmentOffset = dice.below(8192) * 8
            header.timeToLive = UInt8.random(in: 0...255, using: &dice)
            var bytes: [UInt8] = []
            header.append(to: &bytes, options: options)
            IPv4Header.setChecksum(in: &bytes)
            header.checksum = bytes.span.bigEndianUInt16(at: 10)
            #expect(try IPv4Header(parsing: (bytes + payload).span) == header, "seed \(seed)")
        }
    }

    @Test("An emitted IPv6 header reads back equal", arguments: UInt64(0)..<20)
    func ipv6RoundTrip(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        for _ in 0..<100 {
            var header = IPv6Header(
                source: ChecksumTests.address(.ipv6, &dice),
                destination: ChecksumTests.address(.ipv6, &dice),
                nextHeader: UInt8.random(in: 0...255, using: &dice))
            header.trafficClass = UInt8.random(in: 0...255, using: &dice)
            header.flowLabel = UInt32.random(in: 0...0xf_ffff, using: &dice)
            header.payloadByteCount = dice.below(65536)
            header.hopLimit = UInt8.random(in: 0...255, using: &dice)
            var bytes: [UInt8] = []
            header.append(to: &bytes)
            #expect(bytes.count == IPv6Header.byteCount)
            #expect(try IPv6Header(quoted: bytes.span) == header, "seed \(seed)")
        }
    }

    static func error(_ body: () throws(ParseError) -> Void) -> ParseError? {
        do throws(ParseError) {
            try body()
            return nil
        } catch {
            return error
        }
    }
}
