// pcap: one header of 24 bytes, then records of 16 bytes and a frame.
// Format: draft-ietf-opsawg-pcap.

extension CaptureReader {
    private static let fileHeaderByteCount = 24
    private static let recordHeaderByteCount = 16

    /// Reads the file header, whose first word in big-endian order is `magic`.
    mutating func startPcap(magic: UInt32) throws(CaptureError) {
        let resolution: UInt8
        switch magic {
        case 0xa1b2_c3d4: (isBigEndian, resolution) = (true, 6)
        case 0xd4c3_b2a1: (isBigEndian, resolution) = (false, 6)
        case 0xa1b2_3c4d: (isBigEndian, resolution) = (true, 9)
        case 0x4d3c_b2a1: (isBigEndian, resolution) = (false, 9)
        default:
            let digits = String(magic, radix: 16)
            let number = String(repeating: "0", count: 8 - digits.count) + digits
            throw CaptureError(
                .notACapture, at: 0, "found '\(number)', expected the magic of pcap or pcapng")
        }
        guard try fill(Self.fileHeaderByteCount) else {
            throw truncated("pcap file header", needed: Self.fileHeaderByteCount)
        }
        let version = uint16(at: 4)
        guard version == 2 else {
            throw CaptureError(.unsupported, at: 0, "found pcap version \(version), expected 2")
        }
        // The upper half of the last word tells about frame check sequences, which end up as padding.
        let number = UInt16(truncatingIfNeeded: uint32(at: 20))
        let interface = CaptureInterface(
            name: nil, linkTypeNumber: number, snapLength: uint32(at: 16),
            clock: CaptureClock(resolution: resolution), linkType: LinkType(rawValue: number))
        guard interface.linkType != nil else { throw unsupportedLinkType(interface) }
        interfaces = [interface]
        position += Self.fileHeaderByteCount
    }

    mutating func nextPcap() throws(CaptureError) -> CaptureRecord? {
        let headerByteCount = Self.recordHeaderByteCount
        guard try fill(headerByteCount) else {
            if available == 0 { return nil }
            throw truncated("pcap record header", needed: headerByteCount)
        }
        let claimed = uint32(at: 8)
        guard claimed <= UInt32(clamping: limits.recordByteCount) else {
            throw tooLarge("pcap record", claimed)
        }
        let byteCount = Int(claimed)
        guard try fill(headerByteCount + byteCount) else {
            throw truncated("pcap record", needed: headerByteCount + byteCount)
        }
        let fraction = UInt64(uint32(at: 4))
        let isNanoseconds = interfaces[0].clock.resolution == 9
        let timestamp =
            UInt64(uint32(at: 0)) * 1_000_000_000 + (isNanoseconds ? fraction : fraction * 1000)
        let record = try record(
            frameAt: headerByteCount, byteCount: byteCount,
            originalByteCount: Int(uint32(at: 12)), timestamp: timestamp, interface: 0)
        position += headerByteCount + byteCount
        return record
    }
}
