import Testing
import Wire

@Suite("Captures")
struct CaptureTests {
    @Test(
        "pcap in both byte orders and both resolutions", arguments: [false, true], [false, true])
    func pcap(isBigEndian: Bool, nanoseconds: Bool) {
        let forge = CaptureForge.smallPcap(isBigEndian: isBigEndian, nanoseconds: nanoseconds)
        let contents = CaptureContents(forge.bytes)
        #expect(contents.error == nil)
        #expect(contents.packets.map(\.bytes) == CaptureForge.packets)
        #expect(contents.packets.map(\.record.content) == [.ipv4, .ipv6, .ipv4])
        let unit: UInt64 = nanoseconds ? 1 : 1000
        #expect(
            contents.packets.map(\.record.timestamp)
                == [1, 1001, 2001].map { 1_700_000_000_000_000_000 + $0 * unit })
        #expect(contents.packets.map(\.record.offset) == forge.ends.dropLast().map(UInt64.init))
        #expect(contents.packets.allSatisfy { $0.interfaceName == nil && !$0.record.isCut })
    }

    @Test("pcapng: sections in both byte orders, every packet block, unknown blocks skipped")
    func pcapng() {
        let contents = CaptureContents(CaptureForge.smallPcapng().bytes)
        #expect(contents.error == nil)
        let packets = CaptureForge.packets
        #expect(contents.packets.map(\.bytes) == [packets[0], packets[1], packets[2], packets[0]])
        #expect(contents.packets.map(\.interfaceName) == ["lan", "wan", nil, nil])
        // The simple packet block has no time of its own and takes the one before it.
        let second: UInt64 = 1_700_000_000_000_000_000
        #expect(
            contents.packets.map(\.record.timestamp)
                == [second + 1000, second + 2, second + 2, second + 3000])
    }

    @Test(
        "A read may bring as little as it likes", arguments: CaptureForge.all.map(\.1.bytes),
        [1, 2, 7, 13])
    func shortReads(bytes: [UInt8], readByteCount: Int) {
        let whole = CaptureContents(bytes)
        let slow = CaptureContents(bytes, readByteCount: readByteCount)
        #expect(slow.error == nil)
        #expect(slow.packets.map(\.bytes) == whole.packets.map(\.bytes))
        #expect(slow.packets.map(\.record.offset) == whole.packets.map(\.record.offset))
    }

    @Test("Cut anywhere, a capture yields what came before, then says where it ends")
    func truncation() throws {
        for (name, forge) in CaptureForge.all {
            let whole = CaptureContents(forge.bytes)
            for count in 0..<forge.bytes.count {
                let contents = CaptureContents(Array(forge.bytes.prefix(count)))
                let lastEnd = forge.ends.last { $0 <= count } ?? 0
                let expected = whole.packets.filter { $0.record.offset < UInt64(lastEnd) }
                #expect(contents.packets.map(\.bytes) == expected.map(\.bytes), "\(name): \(count)")
                if forge.ends.contains(count) {
                    #expect(contents.error == nil, "\(name): \(count)")
                } else {
                    let error = try #require(contents.error, "\(name): \(count)")
                    #expect(error.kind == (count < 4 ? .notACapture : .truncated))
                    #expect(error.offset == UInt64(lastEnd), "\(name): \(count)")
                }
            }
        }
    }

    struct LinkRow: Sendable, CustomTestStringConvertible {
        var name: String
        var linkType: LinkType
        var header: [UInt8]
        var isIPv6 = false
        var content: FrameContent?
        var testDescription: String { name }

        init(
            _ name: String, _ linkType: LinkType, _ header: [UInt8], isIPv6: Bool = false,
            content: FrameContent? = nil
        ) {
            self.name = name
            self.linkType = linkType
            self.header = header
            self.isIPv6 = isIPv6
            self.content = content
        }
    }

    static let macs: [UInt8] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]
    static let cooked: [UInt8] = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]
    static let cooked2Tail = [UInt8](repeating: 0, count: 18)
    static let linkRows = [
        LinkRow("Ethernet, IPv4", .ethernet, macs + [8, 0]),
        LinkRow("Ethernet, IPv6", .ethernet, macs + [0x86, 0xdd], isIPv6: true),
        LinkRow("Ethernet, 802.1Q", .ethernet, macs + [0x81, 0, 0, 5, 8, 0]),
        LinkRow(
            "Ethernet, 802.1ad and 802.1Q", .ethernet,
            macs + [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x86, 0xdd], isIPv6: true),
        LinkRow("Ethernet, ARP", .ethernet, macs + [8, 6], content: .other(0x0806)),
        LinkRow("Ethernet, 802.3 length", .ethernet, macs + [0, 50], content: .other(50)),
        LinkRow("raw, IPv4", .raw, []),
        LinkRow("raw, IPv6", .raw, [], isIPv6: true),
        LinkRow("raw (12)", .rawBSD, []),
        LinkRow("raw (14)", .rawOpenBSD, [], isIPv6: true),
        LinkRow("raw, neither", .raw, [0x50], content: .other(0)),
        LinkRow("IPv4", .ipv4, []),
        LinkRow("IPv6", .ipv6, [], isIPv6: true),
        LinkRow("Linux cooked, IPv4", .linuxCooked, cooked + [8, 0]),
        LinkRow("Linux cooked, IPv6", .linuxCooked, cooked + [0x86, 0xdd], isIPv6: true),
        LinkRow("Linux cooked, 802.1Q", .linuxCooked, cooked + [0x81, 0, 0, 5, 8, 0]),
        LinkRow("Linux cooked, ARP", .linuxCooked, cooked + [8, 6], content: .other(0x0806)),
        LinkRow("Linux cooked 2, IPv4", .linuxCooked2, [8, 0] + cooked2Tail),
        LinkRow("Linux cooked 2, IPv6", .linuxCooked2, [0x86, 0xdd] + cooked2Tail, isIPv6: true),
        LinkRow("null, little-endian host", .null, [2, 0, 0, 0]),
        LinkRow("null, big-endian host", .null, [0, 0, 0, 2]),
        LinkRow("null, IPv6 of Linux", .null, [10, 0, 0, 0], isIPv6: true),
        LinkRow("null, IPv6 of NetBSD and OpenBSD", .null, [24, 0, 0, 0], isIPv6: true),
        LinkRow("null, IPv6 of FreeBSD", .null, [28, 0, 0, 0], isIPv6: true),
        LinkRow("null, IPv6 of Darwin", .null, [30, 0, 0, 0], isIPv6: true),
        LinkRow("null, AppleTalk", .null, [16, 0, 0, 0], content: .other(0)),
        LinkRow("loop, IPv4", .loop, [0, 0, 0, 2]),
        LinkRow("loop, IPv6", .loop, [0, 0, 0, 24], isIPv6: true),
    ]

    @Test("Link layers are skipped", arguments: linkRows)
    func linkLayer(_ row: LinkRow) throws {
        let packet = CaptureForge.packets[row.isIPv6 ? 1 : 0]
        var forge = CaptureForge.pcap(
            isBigEndian: false, nanoseconds: true, linkType: row.linkType.rawValue)
        forge.record(seconds: 1, fraction: 2, row.header + packet)
        let contents = CaptureContents(forge.bytes)
        let found = try #require(contents.packets.first)
        #expect(found.record.content == row.content ?? (row.isIPv6 ? .ipv6 : .ipv4))
        if row.content == nil { #expect(found.bytes == packet) }
        #expect(found.record.capturedByteCount == row.header.count + packet.count)
    }

    @Test(
        "A frame shorter than its link header is malformed and ends nothing",
        arguments: LinkType.allCases)
    func shortFrame(_ linkType: LinkType) {
        let headerByteCounts: [LinkType: Int] = [
            .ethernet: 14, .linuxCooked: 16, .linuxCooked2: 20, .null: 4, .loop: 4, .raw: 1,
            .rawBSD: 1, .rawOpenBSD: 1,
        ]
        for byteCount in 0..<(headerByteCounts[linkType] ?? 0) {
            var forge = CaptureForge.pcap(
                isBigEndian: false, nanoseconds: true, linkType: linkType.rawValue)
            forge.record(seconds: 1, fraction: 2, [UInt8](repeating: 0, count: byteCount))
            forge.record(seconds: 2, fraction: 2, [UInt8](repeating: 0, count: 64))
            let contents = CaptureContents(forge.bytes)
            #expect(contents.error == nil)
            #expect(contents.packets.count == 2)
            #expect(contents.packets.first?.record.content == .malformed)
            #expect(contents.packets.first?.bytes == [])
        }
    }

    @Test("A VLAN tag that is cut off makes the frame malformed")
    func cutTag() {
        let (content, offset) = LinkType.ethernet.locate(in: (Self.macs + [0x81, 0, 0]).span)
        #expect(content == .malformed)
        #expect(offset == 15)
    }

    @Test("A frame the capture cut says so")
    func snapLength() {
        var forge = CaptureForge.pcap(isBigEndian: false, nanoseconds: true)
        forge.record(seconds: 1, fraction: 2, CaptureForge.packets[0], originalByteCount: 1500)
        var ng = CaptureForge()
        ng.section()
        ng.interface(snapLength: 20)
        ng.simple(Array(CaptureForge.packets[0].prefix(20)), originalByteCount: 1500)
        ng.enhanced(CaptureForge.packets[0], units: 1, originalByteCount: 1500)
        let records = (CaptureContents(forge.bytes).packets + CaptureContents(ng.bytes).packets)
            .map(\.record)
        #expect(records.map(\.isCut) == [true, true, true])
        #expect(records.map(\.originalByteCount) == [1500, 1500, 1500])
        #expect(records.map(\.capturedByteCount) == [31, 20, 31])
    }

    /// `if_tsresol`, `if_tsoffset`, timestamp units, and the nanoseconds they mean.
    static let clockRows: [(UInt8, Int64, UInt64, UInt64)] = [
        (6, 0, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (9, 0, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (0, 0, 1_700_000_000, 1_700_000_000_000_000_000),
        (3, 0, 1_700_000_000_123, 1_700_000_000_123_000_000),
        (12, 0, 1_700_000_000_123_456, 1_700_000_000_123),
        (19, 0, 20_000_000_000, 2),
        (60, 0, .max, 0),
        (0x80, 0, 1_700_000_000, 1_700_000_000_000_000_000),
        (0x80 | 10, 0, 1024 * 5 + 512, 5_500_000_000),
        (0x80 | 20, 0, 1_700_000_000 << 20 | 1 << 19, 1_700_000_000_500_000_000),
        (0x80 | 64, 0, 1 << 63, 500_000_000),
        (0x80 | 127, 0, .max, 0),
        (0, 0, .max, .max),
        (0x81, 0, .max, .max),
        (6, 3600, 1_000_000, 3_601_000_000_000),
        (6, -1, 3_000_000, 2_000_000_000),
        (6, -10, 3_000_000, 0),
        (6, .max, 0, .max),
        (6, .min, .max, 0),
    ]

    @Test("Timestamps of every resolution and offset", arguments: clockRows)
    func clock(_ resolution: UInt8, _ offset: Int64, _ units: UInt64, _ nanoseconds: UInt64) throws
    {
        for isBigEndian in [false, true] {
            var forge = CaptureForge(isBigEndian: isBigEndian)
            forge.section()
            forge.interface(resolution: resolution, offsetSeconds: offset)
            forge.enhanced(CaptureForge.packets[0], units: units)
            let packet = try #require(CaptureContents(forge.bytes).packets.first)
            #expect(packet.record.timestamp == nanoseconds)
        }
    }

    @Test("What the writer writes reads back", arguments: UInt64(0)..<10)
    func writer(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        var writer = CaptureWriter(snapLength: 100)
        var stream: [UInt8] = []
        var written: [([UInt8], UInt64)] = []
        for _ in 0..<50 {
            let packet = IPHeaderTests.four.udp(
                from: 1, to: 2, payload: dice.bytes(dice.below(120)))
            let time = dice.next() % (UInt64(1) << 32 * 1_000_000_000)
            writer.append(packet.span, timestamp: time)
            written.append((packet, time))
            if dice.below(3) == 0 { stream += writer.take() }
            if dice.below(3) == 0 { writer.flush { stream += $0 } }
        }
        stream += writer.take()
        #expect(writer.byteCount == 0)
        let contents = CaptureContents(stream)
        #expect(contents.error == nil)
        #expect(
            contents.packets.map(\.bytes) == written.map { Array($0.0.prefix(100)) }, "seed \(seed)"
        )
        #expect(contents.packets.map(\.record.timestamp) == written.map(\.1), "seed \(seed)")
        #expect(contents.packets.map(\.record.originalByteCount) == written.map(\.0.count))
    }

    /// A capture of any length that is never in memory.
    struct EndlessCapture: ByteSource {
        let record: [UInt8]
        var header: ByteArraySource
        var remaining: Int
        var position = 0

        mutating func read(into buffer: inout MutableSpan<UInt8>, at offset: Int) -> Int {
            let count = header.read(into: &buffer, at: offset)
            if count > 0 { return count }
            var index = offset
            while index < buffer.count, remaining > 0 {
                buffer[index] = record[position]
                index += 1
                position += 1
                if position == record.count { (position, remaining) = (0, remaining - 1) }
            }
            return index - offset
        }
    }

    @Test("The buffer does not grow with the capture")
    func memory() throws {
        let header = CaptureForge.pcap(isBigEndian: false, nanoseconds: true)
        var forge = header
        forge.record(seconds: 1, fraction: 2, [UInt8](repeating: 0x45, count: 1500))
        let record = Array(forge.bytes[header.bytes.count...])
        var reader = try CaptureReader(
            EndlessCapture(record: record, header: ByteArraySource(header.bytes), remaining: 3000))
        let byteCount = reader.buffer.count
        var count = 0
        while try reader.next() != nil { count += 1 }
        #expect(count == 3000)
        #expect(reader.buffer.count == byteCount)
    }

    @Test("A record larger than the buffer is read whole")
    func largeRecord() {
        var forge = CaptureForge.pcap(isBigEndian: false, nanoseconds: true)
        forge.record(seconds: 1, fraction: 0, CaptureForge.packets[0])
        forge.record(seconds: 1, fraction: 0, [UInt8](repeating: 0x45, count: 700_000))
        forge.record(seconds: 1, fraction: 0, CaptureForge.packets[2])
        let contents = CaptureContents(forge.bytes, readByteCount: 4096)
        #expect(contents.error == nil)
        #expect(contents.packets.map(\.bytes.count) == [31, 700_000, 28])
        #expect(contents.packets.last?.bytes == CaptureForge.packets[2])
    }
}
