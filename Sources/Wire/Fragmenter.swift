// Cutting a packet to an interface's MTU, as the kernel's forwarding does.

/// Splits network-layer packets into fragments.
public enum Fragmenter {
    /// The packet in pieces of at most `limit` bytes each, or alone if it fits.
    ///
    /// `cuts`: a packet that was put together from fragments goes out as the fragments it came in;
    /// these are the ends of their payloads. `identification` is what IPv6 fragments carry.
    public static func split(
        _ packet: [UInt8], limit: Int, cuts: [Int] = [], identification: UInt32 = 0
    ) -> [[UInt8]] {
        guard let first = packet.first, packet.count > limit || cuts.count > 1 else {
            return [packet]
        }
        return first >> 4 == 4
            ? splitIPv4(packet, limit, cuts) : splitIPv6(packet, limit, cuts, identification)
    }

    private static func ends(_ payload: Int, _ room: Int, _ cuts: [Int]) -> [Int] {
        var start = 0
        let fit = cuts.allSatisfy { end in
            defer { start = end }
            return end - start <= room && (end & 7 == 0 || end == payload)
        }
        if fit, cuts.last == payload { return cuts }
        var ends: [Int] = []
        var reached = 0
        while payload - reached > room {
            reached += max(8, room & ~7)
            ends.append(min(reached, payload))
        }
        // The last piece may use all the room.
        if reached < payload { ends.append(payload) }
        return ends
    }

    private static func splitIPv4(_ packet: [UInt8], _ limit: Int, _ cuts: [Int]) -> [[UInt8]] {
        let headerByteCount = Int(packet[0] & 0xf) * 4
        guard headerByteCount >= IPv4Header.minimumByteCount, packet.count > headerByteCount
        else { return [packet] }
        let payload = packet.count - headerByteCount
        let word = packet.span.bigEndianUInt16(at: 6)
        var start = 0
        var fragments: [[UInt8]] = []
        for end in ends(payload, limit - headerByteCount, cuts) {
            var fragment = Array(packet[..<headerByteCount])
            if start > 0 { blankUncopiedOptions(&fragment) }
            fragment += packet[headerByteCount + start..<headerByteCount + end]
            let offset = (word & 0x1fff) &+ UInt16(truncatingIfNeeded: start / 8)
            let more: UInt16 = end < payload ? 0x2000 : word & 0x2000
            fragment.setBigEndian(UInt16(truncatingIfNeeded: fragment.count), at: 2)
            fragment.setBigEndian(word & 0xc000 | more | offset & 0x1fff, at: 6)
            fragment.setBigEndian(UInt16(0), at: 10)
            fragment.setBigEndian(
                Checksum.of(fragment.span.extracting(0..<headerByteCount)), at: 10)
            fragments.append(fragment)
            start = end
        }
        return fragments
    }

    /// Options without the "copied" bit belong to the first fragment only; elsewhere they become
    /// padding.
    private static func blankUncopiedOptions(_ header: inout [UInt8]) {
        var index = IPv4Header.minimumByteCount
        while index < header.count {
            let option = header[index]
            if option == 0 { return }
            if option == 1 {
                index += 1
                continue
            }
            guard index + 1 < header.count else { return }
            let length = Int(header[index + 1])
            guard length >= 2, index + length <= header.count else { return }
            if option & 0x80 == 0 {
                for position in index..<index + length { header[position] = 1 }
            }
            index += length
        }
    }

    private static func splitIPv6(
        _ packet: [UInt8], _ limit: Int, _ cuts: [Int], _ identification: UInt32
    ) -> [[UInt8]] {
        let (prefix, namedAt) = unfragmentablePart(of: packet)
        let payload = packet.count - prefix
        var start = 0
        var fragments: [[UInt8]] = []
        for end in ends(payload, limit - prefix - IPv6FragmentHeader.byteCount, cuts) {
            var fragment = Array(packet[..<prefix])
            let header = IPv6FragmentHeader(
                nextHeader: packet[namedAt], offset: start, moreFragments: end < payload,
                identification: identification)
            fragment[namedAt] = IPv6Extension.fragment
            header.append(to: &fragment)
            fragment += packet[prefix + start..<prefix + end]
            fragment.setBigEndian(
                UInt16(truncatingIfNeeded: fragment.count - IPv6Header.byteCount), at: 4)
            fragments.append(fragment)
            start = end
        }
        return fragments
    }

    /// How many bytes every fragment repeats, and where the next-header byte stands that names what
    /// follows them: hop-by-hop options, and destination options before a routing header.
    private static func unfragmentablePart(of packet: [UInt8]) -> (byteCount: Int, namedAt: Int) {
        var namedAt = 6
        var offset = IPv6Header.byteCount
        var result = (byteCount: offset, namedAt: namedAt)
        while offset + 2 <= packet.count {
            let number = packet[namedAt]
            let isSkipped =
                number == IPv6Extension.hopByHop || number == IPv6Extension.routing
                || number == IPv6Extension.destinationOptions
            let length = (Int(packet[offset + 1]) + 1) * 8
            guard isSkipped, offset + length <= packet.count else { return result }
            namedAt = offset
            offset += length
            if number != IPv6Extension.destinationOptions { result = (offset, namedAt) }
        }
        return result
    }
}
