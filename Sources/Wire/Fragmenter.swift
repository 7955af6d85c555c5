// Packets become fragments on the way out, as the kernel forwards them: a packet that came in
// fragments goes out in the same ones if they fit, and a packet that came whole is cut to the MTU
// where its family and its flags allow that. The rules are those of a live 6.18 kernel.

/// What the way out made of a packet.
public enum FragmenterOutcome: Sendable, Hashable {
    /// It goes out as it is.
    case whole
    /// It goes out as these, in this order.
    case fragments([[UInt8]])
    /// It does not go out: the sender is to be told this MTU.
    case tooBig(mtu: Int)
}

/// Splits packets.
public enum Fragmenter {
    /// Splits a packet for a link of `mtu` bytes.
    ///
    /// `origin` is what the reassembler said of it, `nil` for a packet that came whole.
    /// `identification` goes into IPv6 fragment headers, for which the kernel draws a number of its
    /// own; IPv4 fragments carry the packet's. A packet that is not one goes out as it is.
    public static func split(
        _ packet: Span<UInt8>, _ family: Family, mtu: Int, origin: FragmentOrigin?,
        identification: UInt32
    ) -> FragmenterOutcome {
        switch family {
        case .ipv4: splitIPv4(packet, mtu: mtu, origin: origin)
        case .ipv6:
            splitIPv6(packet, mtu: mtu, origin: origin, identification: identification)
        }
    }

    /// Where the data of each fragment lies in the packet.
    ///
    /// The pieces of `origin` if each fits with `headerByteCount` bytes before it and all but the
    /// last are whole units of eight; `nil` if not.
    private static func originalCuts(
        _ origin: FragmentOrigin, of packetByteCount: Int, dataAt start: Int,
        headerByteCount: Int, mtu: Int
    ) -> [Range<Int>]? {
        guard origin.pieceEnds.last == packetByteCount else { return nil }
        var cuts: [Range<Int>] = []
        var lower = start
        for upper in origin.pieceEnds {
            guard upper > lower, headerByteCount + upper - lower <= mtu else { return nil }
            guard upper == packetByteCount || (upper - lower) % 8 == 0 else { return nil }
            cuts.append(lower..<upper)
            lower = upper
        }
        return cuts
    }

    /// Equal pieces as large as the MTU allows; `nil` when it leaves no room for any.
    private static func evenCuts(
        of packetByteCount: Int, dataAt start: Int, headerByteCount: Int, mtu: Int
    ) -> [Range<Int>]? {
        let room = mtu - headerByteCount
        guard room >= 8 else { return nil }
        var cuts: [Range<Int>] = []
        var lower = start
        while packetByteCount - lower > room {
            cuts.append(lower..<lower + room / 8 * 8)
            lower += room / 8 * 8
        }
        cuts.append(lower..<packetByteCount)
        return cuts
    }

    // MARK: IPv4

    private static func splitIPv4(
        _ packet: Span<UInt8>, mtu: Int, origin: FragmentOrigin?
    ) -> FragmenterOutcome {
        guard let header = try? IPv4Header(quoted: packet),
            header.headerByteCount >= IPv4Header.minimumByteCount,
            header.headerByteCount < packet.count
        else { return .whole }
        let start = header.headerByteCount
        var limit = mtu
        if let origin {
            if origin.dontFragment, origin.largestByteCount > mtu { return .tooBig(mtu: mtu) }
            limit = min(mtu, origin.largestByteCount)
            if let cuts = originalCuts(
                origin, of: packet.count, dataAt: start, headerByteCount: start, mtu: limit)
            {
                return .fragments(ipv4Fragments(packet, header, cuts, dontFragment: false))
            }
        } else {
            if packet.count <= mtu { return .whole }
            if header.dontFragment { return .tooBig(mtu: mtu) }
        }
        guard
            let cuts = evenCuts(
                of: packet.count, dataAt: start, headerByteCount: start, mtu: limit)
        else { return .tooBig(mtu: mtu) }
        return .fragments(
            ipv4Fragments(packet, header, cuts, dontFragment: origin?.dontFragment ?? false))
    }

    private static func ipv4Fragments(
        _ packet: Span<UInt8>, _ header: IPv4Header, _ cuts: [Range<Int>], dontFragment: Bool
    ) -> [[UInt8]] {
        let start = header.headerByteCount
        let optionRange = IPv4Header.minimumByteCount..<start
        let options = [UInt8](copying: packet.extracting(optionRange))
        let laterOptions = optionsOfLaterFragments(options)
        // What is cut may be a fragment itself, where nothing put it together.
        let (offset, isFollowed) = (header.fragmentOffset, header.moreFragments)
        return cuts.map { cut in
            var header = header
            header.totalByteCount = start + cut.count
            header.fragmentOffset = offset + cut.lowerBound - start
            header.moreFragments = cut.upperBound < packet.count || isFollowed
            header.dontFragment = dontFragment
            header.reservedFlag = false
            var bytes: [UInt8] = []
            bytes.reserveCapacity(start + cut.count)
            header.append(to: &bytes, options: cut.lowerBound == start ? options : laterOptions)
            IPv4Header.setChecksum(in: &bytes)
            bytes += [UInt8](copying: packet.extracting(cut))
            return bytes
        }
    }

    /// Options that are not to be copied into every fragment become no-operations, which keeps the
    /// header's length.
    private static func optionsOfLaterFragments(_ options: [UInt8]) -> [UInt8] {
        var later = options
        var index = 0
        while index < later.count {
            let type = later[index]
            if type == 0 { break }
            if type == 1 {
                index += 1
                continue
            }
            guard index + 1 < later.count else { break }
            let byteCount = Int(later[index + 1])
            guard byteCount >= 2, index + byteCount <= later.count else { break }
            if type & 0x80 == 0 {
                for offset in index..<index + byteCount { later[offset] = 1 }
            }
            index += byteCount
        }
        return later
    }

    // MARK: IPv6

    /// The least MTU of IPv6; fragments are not cut smaller than this on account of the size they
    /// came in.
    private static let leastIPv6MTU = 1280

    private static func splitIPv6(
        _ packet: Span<UInt8>, mtu: Int, origin: FragmentOrigin?, identification: UInt32
    ) -> FragmenterOutcome {
        guard packet.count > IPv6Header.byteCount else { return .whole }
        let largest = origin?.largestByteCount ?? packet.count
        if largest > mtu { return .tooBig(mtu: mtu) }
        guard let origin, packet.count > largest else {
            return packet.count > mtu ? .tooBig(mtu: mtu) : .whole
        }
        let limit = min(mtu, max(leastIPv6MTU, largest))
        let (start, namedAt) = unfragmentablePart(of: packet)
        let headerByteCount = start + IPv6FragmentHeader.byteCount
        guard
            let cuts = originalCuts(
                origin, of: packet.count, dataAt: start, headerByteCount: headerByteCount,
                mtu: limit)
                ?? evenCuts(
                    of: packet.count, dataAt: start, headerByteCount: headerByteCount, mtu: limit)
        else { return .tooBig(mtu: mtu) }

        var head = [UInt8](copying: packet.extracting(0..<start))
        let number = head[namedAt]
        head[namedAt] = IPv6Extension.fragment
        return .fragments(
            cuts.map { cut in
                var bytes = head
                bytes.reserveCapacity(headerByteCount + cut.count)
                bytes.setBigEndian(
                    UInt16(truncatingIfNeeded: headerByteCount - IPv6Header.byteCount + cut.count),
                    at: 4)
                IPv6FragmentHeader(
                    nextHeader: number, offset: cut.lowerBound - start,
                    moreFragments: cut.upperBound < packet.count, identification: identification
                ).append(to: &bytes)
                bytes += [UInt8](copying: packet.extracting(cut))
                return bytes
            })
    }

    /// How many bytes are repeated before every fragment header, and where in them the next header
    /// is named.
    ///
    /// Hop-by-hop options, routing headers, and destination options up to the first routing header.
    private static func unfragmentablePart(
        of packet: Span<UInt8>
    ) -> (byteCount: Int, namedAt: Int) {
        var offset = IPv6Header.byteCount
        var namedAt = 6
        var hasRouting = false
        while offset + 8 <= packet.count {
            switch packet[namedAt] {
            case IPv6Extension.hopByHop: break
            case IPv6Extension.routing: hasRouting = true
            case IPv6Extension.destinationOptions where !hasRouting: break
            default: return (offset, namedAt)
            }
            let byteCount = IPv6Chain.byteCount(
                of: packet[namedAt], lengthField: packet[offset + 1])
            guard offset + byteCount < packet.count else { break }
            namedAt = offset
            offset += byteCount
        }
        return (offset, namedAt)
    }
}
