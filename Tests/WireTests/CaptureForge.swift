import Wire

/// Writes captures of every form, independent of `CaptureWriter`.
struct CaptureForge {
    var isBigEndian = false
    var bytes: [UInt8] = []
    /// Where each record or block ends, the file header included.
    var ends: [Int] = []

    mutating func word(_ value: UInt32) {
        bytes.appendBigEndian(isBigEndian ? value : value.byteSwapped)
    }

    mutating func half(_ value: UInt16) {
        bytes.appendBigEndian(isBigEndian ? value : value.byteSwapped)
    }

    // MARK: pcap

    static func pcap(
        isBigEndian: Bool, nanoseconds: Bool, linkType: UInt16 = 101, snapLength: UInt32 = 65535
    ) -> CaptureForge {
        var forge = CaptureForge(isBigEndian: isBigEndian)
        forge.word(nanoseconds ? 0xa1b2_3c4d : 0xa1b2_c3d4)
        forge.half(2)
        forge.half(4)
        forge.word(0)
        forge.word(0)
        forge.word(snapLength)
        forge.word(UInt32(linkType))
        forge.ends.append(forge.bytes.count)
        return forge
    }

    mutating func record(
        seconds: UInt32, fraction: UInt32, _ frame: [UInt8], originalByteCount: Int? = nil
    ) {
        word(seconds)
        word(fraction)
        word(UInt32(frame.count))
        word(UInt32(originalByteCount ?? frame.count))
        bytes += frame
        ends.append(bytes.count)
    }

    // MARK: pcapng

    mutating func block(_ type: UInt32, _ body: (inout CaptureForge) -> Void) {
        var inner = CaptureForge(isBigEndian: isBigEndian)
        body(&inner)
        while inner.bytes.count % 4 != 0 { inner.bytes.append(0) }
        word(type)
        word(UInt32(inner.bytes.count + 12))
        bytes += inner.bytes
        word(UInt32(inner.bytes.count + 12))
        ends.append(bytes.count)
    }

    mutating func section() {
        block(0x0a0d_0d0a) {
            $0.word(0x1a2b_3c4d)
            $0.half(1)
            $0.half(0)
            $0.word(0xffff_ffff)
            $0.word(0xffff_ffff)
            $0.option(4, Array("forge".utf8))
            $0.option(0, [])
        }
    }

    mutating func option(_ code: UInt16, _ value: [UInt8]) {
        half(code)
        half(UInt16(value.count))
        bytes += value
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    mutating func interface(
        linkType: UInt16 = 101, snapLength: UInt32 = 0, name: String? = nil,
        resolution: UInt8? = nil, offsetSeconds: Int64? = nil
    ) {
        let isBigEndian = isBigEndian
        block(1) {
            $0.half(linkType)
            $0.half(0)
            $0.word(snapLength)
            if let name { $0.option(2, Array(name.utf8)) }
            if let resolution { $0.option(9, [resolution]) }
            if let offsetSeconds {
                var value: [UInt8] = []
                let bits = UInt64(bitPattern: offsetSeconds)
                value.appendBigEndian(isBigEndian ? bits : bits.byteSwapped)
                $0.option(14, value)
            }
            $0.option(0, [])
        }
    }

    mutating func enhanced(
        _ frame: [UInt8], units: UInt64, interface: UInt32 = 0, originalByteCount: Int? = nil
    ) {
        block(6) {
            $0.word(interface)
            $0.word(UInt32(truncatingIfNeeded: units >> 32))
            $0.word(UInt32(truncatingIfNeeded: units))
            $0.word(UInt32(frame.count))
            $0.word(UInt32(originalByteCount ?? frame.count))
            $0.bytes += frame
            while $0.bytes.count % 4 != 0 { $0.bytes.append(0) }
            $0.option(2, [0, 0, 0, 1])
            $0.option(0, [])
        }
    }

    mutating func simple(_ frame: [UInt8], originalByteCount: Int? = nil) {
        block(3) {
            $0.word(UInt32(originalByteCount ?? frame.count))
            $0.bytes += frame
        }
    }

    mutating func obsolete(_ frame: [UInt8], units: UInt64, interface: UInt16 = 0) {
        block(2) {
            $0.half(interface)
            $0.half(0xffff)
            $0.word(UInt32(truncatingIfNeeded: units >> 32))
            $0.word(UInt32(truncatingIfNeeded: units))
            $0.word(UInt32(frame.count))
            $0.word(UInt32(frame.count))
            $0.bytes += frame
        }
    }

    // MARK: Ready-made

    /// Small packets of both families.
    static let packets: [[UInt8]] = [
        IPHeaderTests.four.udp(from: 1000, to: 53, payload: [1, 2, 3]),
        IPHeaderTests.six.tcp(from: 40_000, to: 80, flags: .syn, options: [.sackPermitted]),
        IPHeaderTests.four.icmp(type: 8, identifier: 7),
    ]

    static func smallPcap(isBigEndian: Bool, nanoseconds: Bool) -> CaptureForge {
        var forge = pcap(isBigEndian: isBigEndian, nanoseconds: nanoseconds)
        for (index, packet) in packets.enumerated() {
            forge.record(seconds: 1_700_000_000, fraction: UInt32(index) * 1000 + 1, packet)
        }
        return forge
    }

    /// Two sections in different byte orders, with every kind of block.
    static func smallPcapng() -> CaptureForge {
        var forge = CaptureForge(isBigEndian: true)
        forge.section()
        forge.interface(name: "lan")
        forge.interface(linkType: 1, name: "wan", resolution: 9)
        forge.enhanced(packets[0], units: 1_700_000_000_000_001)
        forge.block(4) { $0.word(0) }
        forge.enhanced(
            ethernet(packets[1], type: 0x86dd), units: 1_700_000_000_000_000_002, interface: 1)
        forge.isBigEndian = false
        forge.section()
        forge.interface()
        forge.simple(packets[2])
        forge.block(0x0bad_cafe) { $0.bytes += [1, 2, 3, 4, 5] }
        forge.obsolete(packets[0], units: 1_700_000_000_000_003)
        return forge
    }

    static func ethernet(_ packet: [UInt8], type: UInt16) -> [UInt8] {
        var frame: [UInt8] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]
        frame.appendBigEndian(type)
        return frame + packet
    }

    static let all: [(String, CaptureForge)] = [
        ("pcap, little-endian, µs", smallPcap(isBigEndian: false, nanoseconds: false)),
        ("pcap, big-endian, µs", smallPcap(isBigEndian: true, nanoseconds: false)),
        ("pcap, little-endian, ns", smallPcap(isBigEndian: false, nanoseconds: true)),
        ("pcap, big-endian, ns", smallPcap(isBigEndian: true, nanoseconds: true)),
        ("pcapng", smallPcapng()),
    ]
}

/// What a reader made of a whole capture.
struct CaptureContents {
    struct Packet: Equatable {
        var record: CaptureRecord
        var bytes: [UInt8]
        var interfaceName: String?
    }

    var packets: [Packet] = []
    var error: CaptureError?

    init(_ bytes: [UInt8], readByteCount: Int = .max, limits: CaptureLimits = CaptureLimits()) {
        do throws(CaptureError) {
            let source = ByteArraySource(bytes, maximumReadByteCount: readByteCount)
            var reader = try CaptureReader(source, limits: limits)
            while let record = try reader.next() {
                packets.append(
                    Packet(
                        record: record, bytes: Array(reader.buffer[record.range]),
                        interfaceName: reader.interfaces[record.interface].name))
            }
        } catch {
            self.error = error
        }
    }
}
