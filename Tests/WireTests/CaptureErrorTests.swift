import Testing
import Wire

@Suite("Captures that cannot be read")
struct CaptureErrorTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var kind: CaptureError.Kind
        var text: String
        var testDescription: String { name }

        init(
            _ name: String, _ kind: CaptureError.Kind, _ text: String,
            _ forge: (inout CaptureForge) -> Void
        ) {
            var capture = CaptureForge()
            forge(&capture)
            self.name = name
            self.bytes = capture.bytes
            self.kind = kind
            self.text = text
        }
    }

    static let rows = [
        Row("nothing", .notACapture, "byte 0: found 0 bytes in all, expected pcap or pcapng") { _ in
        },
        Row(
            "text", .notACapture,
            "byte 0: found '68656c6c', expected the magic of pcap or pcapng"
        ) { $0.bytes = Array("hello world".utf8) },
        Row(
            "a small magic number", .notACapture,
            "byte 0: found '00000001', expected the magic of pcap or pcapng"
        ) { $0.bytes = [0, 0, 0, 1, 0, 0, 0, 0] },
        Row("pcap version 3", .unsupported, "byte 0: found pcap version 3, expected 2") {
            $0 = .pcap(isBigEndian: true, nanoseconds: true)
            $0.bytes[5] = 3
        },
        Row(
            "link type 147", .unsupported,
            "byte 0: found link type 147, "
                + "expected one of 0, 1, 12, 14, 101, 108, 113, 228, 229, 276"
        ) { $0 = .pcap(isBigEndian: true, nanoseconds: true, linkType: 147) },
        Row(
            "a pcap record beyond the limit", .limit,
            "byte 24: found a pcap record of 16777217 bytes, expected at most 16777216 "
                + "(CaptureLimits.recordByteCount)"
        ) {
            $0 = .pcap(isBigEndian: false, nanoseconds: true)
            $0.word(0)
            $0.word(0)
            $0.word(16 << 20 | 1)
            $0.word(0)
        },
        Row(
            "half a record", .truncated,
            "byte 24: found the end of the capture after 20 bytes, "
                + "expected a pcap record of 47 bytes"
        ) {
            $0 = .pcap(isBigEndian: false, nanoseconds: true)
            $0.record(seconds: 0, fraction: 0, CaptureForge.packets[0])
            $0.bytes.removeLast(27)
        },
        Row(
            "no byte-order magic", .malformed,
            "byte 0: found no byte-order magic, expected 1a2b3c4d in one order or the other"
        ) {
            $0.section()
            $0.bytes[8] = 0
        },
        Row("pcapng version 2", .unsupported, "byte 0: found pcapng version 2, expected 1") {
            $0.section()
            $0.bytes[12] = 2
        },
        Row(
            "a block length that is no multiple of four", .malformed,
            "byte 44: found a block length of 34, expected a multiple of 4 from 12 on"
        ) {
            $0.section()
            $0.interface(name: "lan")
            $0.bytes[48] = 34
        },
        Row(
            "a block length of zero", .malformed,
            "byte 44: found a block length of 0, expected a multiple of 4 from 12 on"
        ) {
            $0.section()
            $0.interface(name: "lan")
            $0.bytes[48] = 0
        },
        Row(
            "two different lengths", .malformed,
            "byte 44: found a block with lengths 32 and 36, expected the same twice"
        ) {
            $0.section()
            $0.interface(name: "lan")
            $0.bytes[72] = 36
        },
        Row(
            "a block beyond the limit", .limit,
            "byte 44: found a pcapng block of 4294967292 bytes, expected at most 16777216 "
                + "(CaptureLimits.recordByteCount)"
        ) {
            $0.section()
            $0.word(77)
            $0.word(0xffff_fffc)
        },
        Row(
            "a packet of an interface that was not described", .malformed,
            "byte 68: found a packet of interface 5, expected one of the 1 the section has described"
        ) {
            $0.section()
            $0.interface()
            $0.enhanced(CaptureForge.packets[0], units: 0, interface: 5)
        },
        Row(
            "a simple packet before any interface", .malformed,
            "byte 44: found a packet of interface 0, expected one of the 0 the section has described"
        ) {
            $0.section()
            $0.simple(CaptureForge.packets[0])
        },
        Row(
            "a packet larger than its block", .malformed,
            "byte 68: found a packet of 255 bytes in a block of 76, expected one that fits"
        ) {
            $0.section()
            $0.interface()
            $0.enhanced(CaptureForge.packets[0], units: 0)
            $0.bytes[68 + 20] = 255
        },
        Row(
            "a packet of a link type that is not read", .unsupported,
            "byte 76: found link type 220 of interface 'usb', "
                + "expected one of 0, 1, 12, 14, 101, 108, 113, 228, 229, 276"
        ) {
            $0.section()
            $0.interface(linkType: 220, name: "usb")
            $0.enhanced(CaptureForge.packets[0], units: 0)
        },
    ]

    @Test("The error says where, what was found and what was expected", arguments: rows)
    func message(_ row: Row) throws {
        let contents = CaptureContents(row.bytes)
        let error = try #require(contents.error)
        #expect(error.kind == row.kind)
        #expect("\(error)" == row.text)
        #expect(contents.packets.isEmpty)
    }

    @Test("An interface of another link type is in the way only once a packet comes from it")
    func otherLinkType() {
        var forge = CaptureForge()
        forge.section()
        forge.interface(linkType: 220, name: "usb")
        forge.interface(name: "lan")
        forge.enhanced(CaptureForge.packets[0], units: 0, interface: 1)
        let contents = CaptureContents(forge.bytes)
        #expect(contents.error == nil)
        #expect(contents.packets.map(\.interfaceName) == ["lan"])
    }

    @Test("A section may have as many interfaces as the limit says")
    func interfaceLimit() throws {
        var limits = CaptureLimits()
        limits.interfaces = 3
        var forge = CaptureForge()
        forge.section()
        for _ in 0..<3 { forge.interface() }
        #expect(CaptureContents(forge.bytes, limits: limits).error == nil)
        forge.section()
        for _ in 0..<4 { forge.interface() }
        let error = try #require(CaptureContents(forge.bytes, limits: limits).error)
        #expect(error.kind == .limit)
        #expect("\(error)".contains("CaptureLimits.interfaces"))
    }

    struct Broken: Error {}

    /// Fails after some bytes.
    struct BrokenSource: ByteSource {
        var good: ByteArraySource

        mutating func read(into buffer: inout MutableSpan<UInt8>, at offset: Int) throws -> Int {
            let count = good.read(into: &buffer, at: offset)
            if count == 0 { throw Broken() }
            return count
        }
    }

    @Test("An error of the source comes with its offset, after the packets before it")
    func sourceError() throws {
        let forge = CaptureForge.smallPcap(isBigEndian: false, nanoseconds: true)
        var reader = try CaptureReader(BrokenSource(good: ByteArraySource(forge.bytes)))
        for _ in CaptureForge.packets { #expect(try reader.next() != nil) }
        for _ in 0..<2 {  // The error stays.
            do {
                _ = try reader.next()
                Issue.record("the error of the source was lost")
            } catch {
                #expect(error.kind == .source)
                #expect(error.offset == UInt64(forge.bytes.count))
                #expect(error.underlying is Broken)
            }
        }
    }
}
