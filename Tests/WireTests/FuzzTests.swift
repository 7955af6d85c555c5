import Testing
import Wire

@Suite("Damaged input")
struct FuzzTests {
    static let seeds: [UInt64] = [1, 2, 3]

    // MARK: Canaries

    @Test("Canary: the fuzzer notices a parser that believes the length field")
    func canary() throws {
        // What a UDP parser must not do: hand out the length as claimed.
        let finding = Fuzzer(seed: 1).firstFinding(in: [Self.packets[0]]) { bytes in
            guard bytes.count >= 28 else { return nil }
            let end = 20 + Int(bytes[24]) << 8 + Int(bytes[25])
            return end <= bytes.count ? nil : "the payload ends at \(end) of \(bytes.count)"
        }
        #expect(try #require(finding).complaint.hasPrefix("the payload ends at"))
    }

    @Test("Canary: the fuzzer notices a parser that reads beyond short input")
    func trapCanary() async {
        await #expect(processExitsWith: .failure) {
            _ = Fuzzer(seed: 1).firstFinding(in: [[1, 2, 3, 4]]) { bytes in
                bytes[3] == 0 ? "zero" : nil
            }
        }
    }

    @Test("The same seed damages alike, another differently")
    func seeded() {
        func inputs(_ seed: UInt64) -> [[UInt8]] {
            var seen: [[UInt8]] = []
            _ = Fuzzer(seed: seed, changesPerInput: 50).firstFinding(in: [Self.packets[0]]) {
                seen.append($0)
                return nil
            }
            return seen
        }
        #expect(inputs(1) == inputs(1))
        #expect(inputs(1) != inputs(2))
    }

    // MARK: Packets

    /// One packet of every kind.
    static let packets: [[UInt8]] = {
        var four = IPHeaderTests.four
        var six = IPHeaderTests.six
        four.options = [0x94, 4, 0, 0]
        six.extensions = [
            .hopByHop(options: [5, 2, 0, 0]), .routing(type: 0), .destinationOptions(),
        ]
        let tcpOptions: [TCPOption] = [
            .maximumSegmentSize(1460), .sackPermitted, .windowScale(7),
            .sack([.init(left: 1, right: 9)]), .timestamps(value: 1, echo: 2),
        ]
        return [four, six].flatMap { builder in
            let quoted = builder.reversed.udp(from: 53, to: 1000, payload: [1, 2, 3])
            return [
                builder.udp(from: 1000, to: 53, payload: [1, 2, 3]),
                builder.tcp(from: 1, to: 2, flags: [.ack], options: tcpOptions, payload: [1]),
                builder.icmp(type: 8, identifier: 3, sequence: 4, payload: [1, 2]),
                builder.icmpError(type: builder.family == .ipv4 ? 3 : 1, about: quoted),
                builder.sctp(
                    from: 1, to: 2, tag: 3,
                    chunks: [.init(type: 1, value: [1, 2, 3, 4, 5]), .init(type: 11)]),
                builder.gre(GREHeader(version: 1, protocolType: 0x880b, callID: 5), payload: [1]),
                builder.udpLite(from: 1, to: 2, coverage: 8, payload: [1, 2, 3]),
            ]
        } + [
            ReassemblyTests.fragment(0, 16, more: true),
            ReassemblyTests.fragment(16, 9, more: false),
            ReassemblyTests.fragment(0, 16, more: true, of: .ipv6),
            ReassemblyTests.fragment(16, 9, more: false, of: .ipv6),
        ]
    }()

    @Test("Header parsers stay within their input", arguments: seeds)
    func headers(seed: UInt64) {
        let finding = Fuzzer(seed: seed, changesPerInput: 1000).firstFinding(in: Self.packets) {
            bytes in
            Self.complaint(about: bytes.span)
        }
        #expect(finding == nil)
    }

    /// What is wrong with what the parsers made of `bytes`.
    static func complaint(about bytes: Span<UInt8>) -> String? {
        if let header = try? IPv4Header(parsing: bytes) {
            guard (20...60).contains(header.headerByteCount),
                (header.headerByteCount...bytes.count).contains(header.totalByteCount)
            else { return "IPv4 lengths \(header)" }
            let transport = bytes.extracting(header.headerByteCount..<header.totalByteCount)
            if let complaint = self.complaint(aboutTransport: transport) { return complaint }
        }
        if let header = try? IPv6Header(parsing: bytes) {
            guard (40...bytes.count).contains(header.totalByteCount(present: bytes.count)) else {
                return "IPv6 length \(header)"
            }
        }
        let chain = IPv6Chain(walking: bytes)
        guard chain.transportOffset <= bytes.count else { return "transport at \(chain)" }
        if let fragment = chain.fragment {
            guard fragment.position + 8 <= bytes.count, fragment.namedAt < fragment.position else {
                return "fragment header at \(fragment)"
            }
        }
        return complaint(
            aboutTransport: bytes.extracting(min(chain.transportOffset, bytes.count)..<bytes.count))
    }

    static func complaint(aboutTransport bytes: Span<UInt8>) -> String? {
        if let header = try? TCPHeader(parsing: bytes) {
            let range = header.optionRange(in: bytes.count)
            guard range.upperBound <= bytes.count else { return "TCP options at \(range)" }
            let options = TCPOptions(scanning: bytes.extracting(range), acknowledgment: 7)
            guard options.isPresent == !range.isEmpty else { return "\(options)" }
        }
        _ = TCPOptions(scanning: bytes, acknowledgment: 7)
        _ = try? UDPHeader(parsing: bytes)
        _ = try? GREHeader(parsing: bytes)
        if (try? ICMPHeader(parsing: bytes)) != nil {
            _ = try? IPv4Header(quoted: bytes.extracting(8..<bytes.count))
            _ = try? IPv6Header(quoted: bytes.extracting(8..<bytes.count))
        }
        guard (try? SCTPHeader(parsing: bytes)) != nil else { return nil }
        _ = CRC32C.fieldValue(of: bytes)
        var next: Int? = SCTPHeader.byteCount
        var chunkCount = 0
        while let offset = next, let chunk = SCTPChunk(in: bytes, at: offset) {
            chunkCount += 1
            guard chunkCount <= bytes.count / 4 else { return "SCTP chunks without end" }
            next = chunk.nextOffset
        }
        return nil
    }

    @Test("Reassembly and fragmenting survive damaged packets", arguments: seeds)
    func fragments(seed: UInt64) {
        var reassembler = Reassembler()
        var now: UInt64 = 0
        let corpus = Array(Self.packets.suffix(4)) + Self.packets
        let finding = Fuzzer(seed: seed, changesPerInput: 500).firstFinding(in: corpus) { bytes in
            now += 1_000_000
            let span = bytes.span
            var whole: Reassembled?
            var family = Family.ipv4
            if let header = try? IPv4Header(parsing: span) {
                let outcome = reassembler.take(
                    ipv4: span.extracting(0..<header.totalByteCount), header, at: now)
                if case .whole(let found) = outcome { whole = found }
            } else {
                family = .ipv6
                let outcome = reassembler.take(ipv6: span, IPv6Chain(walking: span), at: now)
                if case .whole(let found) = outcome { whole = found }
            }
            for mtu in [0, 68, 1280] {
                for family in Family.allCases {
                    let split = Fragmenter.split(
                        span, family, mtu: mtu, origin: nil, identification: 0)
                    if let complaint = Self.complaint(about: split, mtu: mtu) { return complaint }
                }
            }
            guard let whole else { return nil }
            guard whole.origin.pieceEnds.last == whole.bytes.count else { return "\(whole.origin)" }
            let split = Fragmenter.split(
                whole.bytes.span, family, mtu: 1280, origin: whole.origin, identification: 0)
            return Self.complaint(about: split, mtu: 1280)
        }
        #expect(finding == nil)
    }

    static func complaint(about outcome: FragmenterOutcome, mtu: Int) -> String? {
        guard case .fragments(let fragments) = outcome else { return nil }
        return fragments.allSatisfy { $0.count <= mtu } ? nil : "a fragment beyond \(mtu) bytes"
    }

    // MARK: Captures

    @Test(
        "Damaged captures end, in an error or not, and never lie about their bytes",
        arguments: seeds)
    func captures(seed: UInt64) {
        let corpus = CaptureForge.all.map(\.1.bytes)
        let finding = Fuzzer(seed: seed).firstFinding(in: corpus) { bytes in
            do throws(CaptureError) {
                var reader = try CaptureReader(ByteArraySource(bytes))
                var recordCount = 0
                while let record = try reader.next() {
                    recordCount += 1
                    guard recordCount <= bytes.count / 16 else { return "records without end" }
                    guard record.range.upperBound <= reader.buffer.count,
                        record.range.count <= record.capturedByteCount,
                        Int(record.offset) + record.capturedByteCount <= bytes.count,
                        reader.interfaces.indices.contains(record.interface)
                    else { return "\(record)" }
                }
            } catch {
                guard error.offset <= UInt64(bytes.count), !"\(error)".isEmpty else {
                    return "an error at byte \(error.offset) of \(bytes.count)"
                }
            }
            return nil
        }
        #expect(finding == nil)
    }

    @Test("Damaged frames of every link type stay within themselves", arguments: LinkType.allCases)
    func links(_ linkType: LinkType) {
        let corpus = CaptureTests.linkRows.map { $0.header + CaptureForge.packets[0] }
        let finding = Fuzzer(seed: 1, changesPerInput: 200).firstFinding(in: corpus) { bytes in
            let offset = linkType.locate(in: bytes.span).offset
            return (0...bytes.count).contains(offset) ? nil : "offset \(offset) of \(bytes.count)"
        }
        #expect(finding == nil)
    }

    // MARK: Text

    @Test("Damaged address text is refused or read, and what is read reads back", arguments: seeds)
    func text(seed: UInt64) {
        let corpus = AddressTextTests.rows.map { Array($0.text.utf8) } + [Array("10.200.3.44".utf8)]
        let finding = Fuzzer(seed: seed, changesPerInput: 500).firstFinding(in: corpus) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            _ = Address.parsePrefix(text + "/8")
            guard let (family, address) = Address.parse(text) else { return nil }
            guard let again = Address.parse(address.text(family)), again == (family, address) else {
                return "\(text) became \(address.text(family))"
            }
            return nil
        }
        #expect(finding == nil)
    }
}
