import Testing
import Wire

@Suite("Transport headers")
struct TransportHeaderTests {
    @Test("An emitted TCP header reads back equal", arguments: UInt64(0)..<20)
    func tcpRoundTrip(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        for _ in 0..<100 {
            var header = TCPHeader(
                sourcePort: UInt16.random(in: 0...UInt16.max, using: &dice),
                destinationPort: UInt16.random(in: 0...UInt16.max, using: &dice),
                flags: TCPFlags(rawValue: UInt8.random(in: 0...255, using: &dice)))
            header.sequence = UInt32.random(in: 0...UInt32.max, using: &dice)
            header.acknowledgment = UInt32.random(in: 0...UInt32.max, using: &dice)
            header.headerByteCount = dice.below(16) * 4
            header.reservedBits = UInt8(dice.below(16))
            header.window = UInt16.random(in: 0...UInt16.max, using: &dice)
            header.checksum = UInt16.random(in: 0...UInt16.max, using: &dice)
            header.urgentPointer = UInt16.random(in: 0...UInt16.max, using: &dice)
            var bytes: [UInt8] = []
            header.append(to: &bytes)
            #expect(bytes.count == TCPHeader.minimumByteCount)
            #expect(try TCPHeader(parsing: bytes.span) == header, "seed \(seed)")
        }
    }

    @Test("Emitted UDP, ICMP, SCTP and GRE headers read back equal", arguments: UInt64(0)..<20)
    func otherRoundTrips(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        for _ in 0..<100 {
            let words = (0..<4).map { _ in UInt16.random(in: 0...UInt16.max, using: &dice) }
            var udp = UDPHeader(
                sourcePort: words[0], destinationPort: words[1], lengthField: words[2])
            udp.checksum = words[3]
            var bytes: [UInt8] = []
            udp.append(to: &bytes)
            #expect(try UDPHeader(parsing: bytes.span) == udp, "seed \(seed)")

            var icmp = ICMPHeader(
                type: UInt8(words[0] & 0xff), code: UInt8(words[1] & 0xff), identifier: words[2],
                sequence: words[3])
            icmp.checksum = words[0]
            bytes = []
            icmp.append(to: &bytes)
            #expect(try ICMPHeader(parsing: bytes.span) == icmp, "seed \(seed)")

            var sctp = SCTPHeader(
                sourcePort: words[0], destinationPort: words[1],
                verificationTag: UInt32(truncatingIfNeeded: dice.next()))
            sctp.checksum = UInt32(truncatingIfNeeded: dice.next())
            bytes = []
            sctp.append(to: &bytes)
            #expect(try SCTPHeader(parsing: bytes.span) == sctp, "seed \(seed)")

            var gre = GREHeader(version: UInt8(dice.below(8)), protocolType: words[0])
            gre.flags = words[1] & 0xfff8
            if gre.version == 1 {
                gre.payloadByteCount = words[2]
                gre.callID = words[3]
            }
            bytes = []
            gre.append(to: &bytes)
            #expect(try GREHeader(parsing: bytes.span) == gre, "seed \(seed)")
        }
    }

    @Test("A header that is not all there is refused with both byte counts")
    func truncated() {
        let bytes = [UInt8](repeating: 0, count: 64)
        let error = IPHeaderTests.error
        for (needed, layer) in [(20, Layer.tcp), (8, .udp), (8, .icmp), (12, .sctp), (4, .gre)] {
            for count in 0..<needed {
                let short = ParseError.truncated(layer, found: count, needed: needed)
                let found = error { () throws(ParseError) in
                    let span = bytes.span.extracting(0..<count)
                    switch layer {
                    case .tcp: _ = try TCPHeader(parsing: span)
                    case .udp: _ = try UDPHeader(parsing: span)
                    case .icmp: _ = try ICMPHeader(parsing: span)
                    case .sctp: _ = try SCTPHeader(parsing: span)
                    default: _ = try GREHeader(parsing: span)
                    }
                }
                #expect(found == short)
            }
        }
        #expect(throws: ParseError.truncated(.gre, found: 7, needed: 8)) {
            try GREHeader(parsing: ([0x20, 0x01, 0x88, 0x0b, 0, 0, 0] as [UInt8]).span)
        }
    }

    @Test("Parse errors read as sentences")
    func descriptions() {
        #expect(
            "\(ParseError.truncated(.udp, found: 3, needed: 8))"
                == "UDP header: found 3 bytes, expected at least 8")
        #expect(
            "\(ParseError.badField(.ipv4, .version, found: 5))"
                == "IPv4 version: found 5, expected the number of this protocol")
        for field in HeaderField.allCases {
            #expect(!"\(ParseError.badField(.ipv6, field, found: 0))".hasSuffix("expected "))
        }
    }

    struct OptionRow: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var windowScale: UInt8?
        var permitsSACK = false
        var sackEdge: UInt32 = 1000
        var testDescription: String { name }

        init(
            _ name: String, _ bytes: [UInt8], windowScale: UInt8? = nil, permitsSACK: Bool = false,
            sackEdge: UInt32 = 1000
        ) {
            self.name = name
            self.bytes = bytes
            self.windowScale = windowScale
            self.permitsSACK = permitsSACK
            self.sackEdge = sackEdge
        }
    }

    /// A SACK option whose right edges are these.
    static func sack(_ edges: UInt32...) -> [UInt8] {
        var bytes: [UInt8] = []
        TCPOption.sack(edges.map { TCPOption.SACKBlock(left: 0, right: $0) }).append(to: &bytes)
        return bytes
    }

    static let optionRows = [
        OptionRow("no options", []),
        OptionRow(
            "a SYN's", [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7],
            windowScale: 7, permitsSACK: true),
        OptionRow("scale as sent, beyond 14", [3, 3, 255, 0], windowScale: 255),
        OptionRow("the later scale counts", [3, 3, 2, 3, 3, 9], windowScale: 9),
        OptionRow("scale of wrong length", [3, 4, 2, 0, 3, 2, 3, 3], windowScale: nil),
        OptionRow("SACK-permitted of wrong length", [4, 3, 0, 0]),
        OptionRow("end of list stops", [1, 0, 3, 3, 7, 0]),
        OptionRow(
            "length 1 stops, what was before stays", [4, 2, 9, 1, 3, 3, 7], permitsSACK: true),
        OptionRow("length 0 stops", [9, 0, 3, 3, 7]),
        OptionRow("kind without length stops", [4, 2, 3], permitsSACK: true),
        OptionRow("option beyond the header stops", [4, 2, 3, 3], permitsSACK: true),
        OptionRow("unknown options are skipped", [200, 5, 1, 2, 3, 3, 3, 4], windowScale: 4),
        OptionRow("a SACK edge beyond the acknowledgment", sack(1500), sackEdge: 1500),
        OptionRow("the furthest of several edges", sack(1500, 4000, 2000), sackEdge: 4000),
        OptionRow("of several options", sack(1500) + sack(3000) + sack(2000), sackEdge: 3000),
        OptionRow("an edge behind the acknowledgment", sack(999), sackEdge: 1000),
        OptionRow("serial order: an edge half the space away is behind", sack(0x8000_03e8)),
        OptionRow(
            "serial order: just below half is ahead", sack(0x8000_03e7), sackEdge: 0x8000_03e7),
        OptionRow("SACK without a block", [5, 2, 1, 1]),
        OptionRow("SACK of length 9", [5, 9] + [UInt8](repeating: 9, count: 7)),
        OptionRow("SACK of length 11", [5, 11] + [UInt8](repeating: 9, count: 9)),
        OptionRow("timestamps alone", [1, 1, 8, 10, 5, 10, 0, 0, 0, 0, 255, 255]),
    ]

    @Test("TCP option scan", arguments: optionRows)
    func options(_ row: OptionRow) {
        let options = TCPOptions(scanning: row.bytes.span, acknowledgment: 1000)
        #expect(options.isPresent == !row.bytes.isEmpty)
        #expect(options.windowScale == row.windowScale)
        #expect(options.permitsSACK == row.permitsSACK)
        #expect(options.sackEdge == row.sackEdge)
    }

    @Test("Options are looked for only in a header that fits its segment")
    func optionRange() {
        var header = TCPHeader(sourcePort: 1, destinationPort: 2, flags: .ack)
        #expect(header.optionRange(in: 100).isEmpty)
        header.headerByteCount = 32
        #expect(header.optionRange(in: 32) == 20..<32)
        #expect(header.optionRange(in: 31).isEmpty)
        header.headerByteCount = 16
        #expect(header.optionRange(in: 100).isEmpty)
    }

    @Test("SCTP chunks are walked in steps of four; a chunk of length zero is the last")
    func sctpChunks() throws {
        let packet = IPHeaderTests.four.sctp(
            from: 1, to: 2, tag: 9,
            chunks: [
                .init(type: 1, flags: 3, value: [1, 2, 3, 4, 5]), .init(type: 11),
                .init(type: 0, value: [1], lengthField: 0), .init(type: 6),
            ])
        let segment = packet.span.extracting(20..<packet.count)
        var found: [SCTPChunk] = []
        var next: Int? = SCTPHeader.byteCount
        while let offset = next, let chunk = SCTPChunk(in: segment, at: offset) {
            found.append(chunk)
            next = chunk.nextOffset
        }
        #expect(found.map(\.type) == [1, 11, 0])
        #expect(found.map(\.offset) == [12, 24, 28])
        #expect(found.map(\.byteCount) == [9, 4, 0])
        #expect(found[0].flags == 3)
        #expect(SCTPChunk(in: segment, at: segment.count - 3) == nil)
        #expect(SCTPChunk(in: segment, at: -1) == nil)
    }
}
