// pcapng: blocks with their length before and after, in sections that each have their own byte
// order and interfaces. Blocks that are not known are skipped.
// Format: draft-ietf-opsawg-pcapng.

extension CaptureReader {
    /// Reads the same in both byte orders.
    static let sectionHeaderType: UInt32 = 0x0a0d_0d0a

    private enum BlockType {
        static let interface: UInt32 = 1
        static let obsoletePacket: UInt32 = 2
        static let simplePacket: UInt32 = 3
        static let enhancedPacket: UInt32 = 6
    }

    private enum OptionCode {
        static let endOfOptions: UInt16 = 0
        static let interfaceName: UInt16 = 2
        static let timestampResolution: UInt16 = 9
        static let timestampOffset: UInt16 = 14
    }

    /// Type, length, and the length again.
    private static let frameByteCount = 12

    mutating func nextPcapng() throws(CaptureError) -> CaptureRecord? {
        // Every turn moves on by at least a block's twelve bytes.
        while true {
            guard try fill(8) else {
                if available == 0 { return nil }
                throw truncated("pcapng block header", needed: 8)
            }
            let type = uint32(at: 0)
            if type == Self.sectionHeaderType {
                try startSection()
                continue
            }
            let byteCount = try fillBlock()
            var found: CaptureRecord?
            switch type {
            case BlockType.interface: try addInterface(byteCount)
            case BlockType.enhancedPacket: found = try packet(byteCount, isObsolete: false)
            case BlockType.obsoletePacket: found = try packet(byteCount, isObsolete: true)
            case BlockType.simplePacket: found = try simplePacket(byteCount)
            default: break
            }
            position += byteCount
            if let found { return found }
        }
    }

    /// Reads a section header: the byte order comes from it, and the interfaces start anew.
    mutating func startSection() throws(CaptureError) {
        guard try fill(12) else { throw truncated("pcapng section header", needed: 12) }
        switch buffer.span.bigEndianUInt32(at: position + 8) {
        case 0x1a2b_3c4d: isBigEndian = true
        case 0x4d3c_2b1a: isBigEndian = false
        default:
            throw malformed("no byte-order magic", "1a2b3c4d in one order or the other")
        }
        let byteCount = try fillBlock()
        guard byteCount >= 28 else {
            throw malformed("a section header of \(byteCount) bytes", "at least 28")
        }
        let version = uint16(at: 12)
        guard version == 1 else {
            throw CaptureError(
                .unsupported, at: offset, "found pcapng version \(version), expected 1")
        }
        interfaces = []
        position += byteCount
    }

    /// Brings the whole block at `position` into the buffer, and checks both its lengths.
    private mutating func fillBlock() throws(CaptureError) -> Int {
        let length = uint32(at: 4)
        guard length <= UInt32(clamping: limits.recordByteCount) else {
            throw tooLarge("pcapng block", length)
        }
        let byteCount = Int(length)
        guard byteCount >= Self.frameByteCount, byteCount % 4 == 0 else {
            throw malformed("a block length of \(byteCount)", "a multiple of 4 from 12 on")
        }
        guard try fill(byteCount) else { throw truncated("pcapng block", needed: byteCount) }
        let trailer = uint32(at: byteCount - 4)
        guard trailer == length else {
            throw malformed("a block with lengths \(length) and \(trailer)", "the same twice")
        }
        return byteCount
    }

    // MARK: Interfaces

    private mutating func addInterface(_ byteCount: Int) throws(CaptureError) {
        guard byteCount >= Self.frameByteCount + 8 else {
            throw malformed("an interface block of \(byteCount) bytes", "at least 20")
        }
        guard interfaces.count < limits.interfaces else {
            throw CaptureError(
                .limit, at: offset,
                "found more interfaces in a section, expected at most \(limits.interfaces) "
                    + "(CaptureLimits.interfaces)")
        }
        let number = uint16(at: 8)
        var interface = CaptureInterface(
            name: nil, linkTypeNumber: number, snapLength: uint32(at: 12), clock: CaptureClock(),
            linkType: LinkType(rawValue: number))
        readOptions(of: &interface, from: 16, to: byteCount - 4)
        interfaces.append(interface)
    }

    /// Reads the options at these offsets after `position`; they end at the first that does not fit.
    private func readOptions(of interface: inout CaptureInterface, from start: Int, to end: Int) {
        var at = start
        while at + 4 <= end {
            let code = uint16(at: at)
            let byteCount = Int(uint16(at: at + 2))
            let value = at + 4
            guard code != OptionCode.endOfOptions, value + byteCount <= end else { return }
            switch (code, byteCount) {
            case (OptionCode.interfaceName, 1...):
                let bytes = buffer[position + value..<position + value + byteCount]
                interface.name = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            case (OptionCode.timestampResolution, 1):
                interface.clock.resolution = buffer[position + value]
            case (OptionCode.timestampOffset, 8):
                interface.clock.offsetSeconds = Int64(bitPattern: uint64(at: value))
            default:
                break
            }
            at = value + (byteCount + 3) / 4 * 4
        }
    }

    /// The 64-bit number `offset` bytes after `position`, in the section's byte order.
    private func uint64(at offset: Int) -> UInt64 {
        let (first, second) = (UInt64(uint32(at: offset)), UInt64(uint32(at: offset + 4)))
        return isBigEndian ? first << 32 | second : second << 32 | first
    }

    // MARK: Packets

    /// An enhanced packet block, or the obsolete one, whose interface number has two bytes only.
    private mutating func packet(
        _ byteCount: Int, isObsolete: Bool
    ) throws(CaptureError) -> CaptureRecord {
        let start = 28
        guard byteCount >= start + 4 else {
            throw malformed("a packet block of \(byteCount) bytes", "at least 32")
        }
        let interface = isObsolete ? Int(uint16(at: 8)) : Int(uint32(at: 8))
        try checkInterface(interface)
        let captured = Int(uint32(at: 20))
        guard captured <= byteCount - start - 4 else {
            throw malformed(
                "a packet of \(captured) bytes in a block of \(byteCount)", "one that fits")
        }
        // The upper half comes first in either byte order.
        let units = UInt64(uint32(at: 12)) << 32 | UInt64(uint32(at: 16))
        return try record(
            frameAt: start, byteCount: captured, originalByteCount: Int(uint32(at: 24)),
            timestamp: interfaces[interface].clock.nanoseconds(units: units), interface: interface)
    }

    /// A simple packet block: of the first interface, without a time, so it gets the latest one.
    private mutating func simplePacket(_ byteCount: Int) throws(CaptureError) -> CaptureRecord {
        let start = 12
        guard byteCount >= start + 4 else {
            throw malformed("a simple packet block of \(byteCount) bytes", "at least 16")
        }
        try checkInterface(0)
        let original = Int(uint32(at: 8))
        let snapLength = Int(interfaces[0].snapLength)
        let captured = min(
            original, byteCount - start - 4, snapLength == 0 ? Int.max : snapLength)
        return try record(
            frameAt: start, byteCount: captured, originalByteCount: original,
            timestamp: latestTimestamp, interface: 0)
    }

    private func checkInterface(_ number: Int) throws(CaptureError) {
        guard number < interfaces.count else {
            throw malformed(
                "a packet of interface \(number)",
                "one of the \(interfaces.count) the section has described")
        }
    }

    private func malformed(_ found: String, _ expected: String) -> CaptureError {
        CaptureError(.malformed, at: offset, "found \(found), expected \(expected)")
    }
}
