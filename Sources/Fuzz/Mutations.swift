internal import Wire

/// What happens to packets on a bad road.
enum Mutations {
    /// Damages one packet in one way; most of these make the kernel drop it or call it invalid.
    static func damage(_ packet: [UInt8], _ dice: inout FuzzDice) -> [UInt8] {
        var bytes = packet
        let isIPv4 = bytes[0] >> 4 == 4
        let header = isIPv4 ? Int(bytes[0] & 15) * 4 : 40
        switch dice.below(9) {
        case 0 where bytes.count > header:  // Some transport byte: a checksum is wrong now.
            bytes[header + dice.below(bytes.count - header)] ^= UInt8(1 << dice.below(8))
        case 1 where isIPv4: bytes[10] ^= 1
        case 2 where isIPv4: bytes[0] = bytes[0] & 0xF0 | UInt8(dice.below(5))
        case 3: bytes[0] = UInt8(dice.below(16)) << 4 | bytes[0] & 0x0F
        case 4:  // Cut off: the length field claims more.
            bytes = Array(bytes.prefix(max(1, dice.below(bytes.count))))
        case 5 where bytes.count > header:  // Cut off, and the header agrees.
            bytes = Array(bytes.prefix(header + dice.below(bytes.count - header)))
            setLength(of: &bytes)
        case 6:  // Bytes behind the packet, as Ethernet pads.
            bytes += [UInt8](repeating: 0xAA, count: dice.within(1...20))
        case 7 where isIPv4:  // A header longer than it was, over the transport's bytes.
            bytes[0] = 0x46
            IPv4Header.setChecksum(in: &bytes)
        default:
            break
        }
        return bytes
    }

    /// Makes the length field of a packet fit its bytes.
    static func setLength(of bytes: inout [UInt8]) {
        if bytes[0] >> 4 == 4 {
            bytes.setBigEndian(UInt16(truncatingIfNeeded: bytes.count), at: 2)
            IPv4Header.setChecksum(in: &bytes)
        } else if bytes.count >= 40 {
            bytes.setBigEndian(UInt16(truncatingIfNeeded: bytes.count - 40), at: 4)
        }
    }

    /// The packet in two or three pieces, in order or not; now and then one is missing.
    ///
    /// A packet that does not divide comes back whole.
    static func fragments(of packet: [UInt8], _ dice: inout FuzzDice) -> [[UInt8]] {
        let isIPv4 = packet[0] >> 4 == 4
        let headerByteCount = isIPv4 ? Int(packet[0] & 15) * 4 : 40
        let payload = Array(packet.dropFirst(headerByteCount))
        guard payload.count > 8, !isIPv4 || packet[6] & 0x40 == 0 else { return [packet] }
        let cut = 8 * dice.within(1...max(1, (payload.count - 1) / 8))
        var cuts = [0, min(cut, (payload.count - 1) / 8 * 8)]
        if payload.count - cuts[1] > 8, dice.oneIn(3) { cuts.append(cuts[1] + 8) }
        let identification = dice.uint32()
        var pieces: [[UInt8]] = []
        for (index, start) in cuts.enumerated() {
            let end = index + 1 < cuts.count ? cuts[index + 1] : payload.count
            let part = Array(payload[start..<end])
            let isLast = end == payload.count
            let header = Array(packet.prefix(headerByteCount))
            pieces.append(
                isIPv4
                    ? piece(header, part, start, isLast, identification)
                    : pieceIPv6(header, part, start, isLast, identification))
        }
        if dice.oneIn(2) { pieces.reverse() }
        if dice.oneIn(8) { pieces.remove(at: dice.below(pieces.count)) }
        return pieces
    }

    private static func piece(
        _ header: [UInt8], _ part: [UInt8], _ offset: Int, _ isLast: Bool, _ identification: UInt32
    ) -> [UInt8] {
        var bytes = header + part
        bytes.setBigEndian(UInt16(truncatingIfNeeded: identification), at: 4)
        bytes.setBigEndian(UInt16(offset / 8) | (isLast ? 0 : 0x2000), at: 6)
        setLength(of: &bytes)
        return bytes
    }

    private static func pieceIPv6(
        _ header: [UInt8], _ part: [UInt8], _ offset: Int, _ isLast: Bool, _ identification: UInt32
    ) -> [UInt8] {
        var bytes = header
        let next = header[6]
        bytes[6] = 44
        bytes += [next, 0] + (UInt16(offset) | (isLast ? 0 : 1)).bytes + identification.bytes
        bytes += part
        setLength(of: &bytes)
        return bytes
    }
}
