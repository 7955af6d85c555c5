// Fragments become packets again before anything looks at them, as the kernel does it in front of
// connection tracking (priority −400). The rules are those of a live 6.18 kernel, family by family;
// tests replay sequences recorded from it.

/// A packet put together from fragments.
public struct Reassembled: Sendable, Hashable {
    public var bytes: [UInt8]
    public var origin: FragmentOrigin
}

/// What became of a fragment.
public enum FragmentOutcome: Sendable, Hashable {
    /// It was the one that was missing.
    case whole(Reassembled)
    /// It waits for others.
    case held
    /// It is gone.
    case dropped(FragmentDrop)
    /// It goes on as the fragment it is. IPv6 does that with fragments it can make nothing of; the
    /// tracker finds them INVALID.
    case passedOn
}

/// Why a fragment was dropped.
public enum FragmentDrop: Sendable, Hashable, BitwiseCopyable {
    /// What it brings is there already.
    case duplicate
    /// It overlaps others in part. The datagram is dropped with it.
    case overlap
    /// Its length or its end cannot be. In IPv4 the datagram is dropped with it.
    case malformed
    /// It completed a datagram that is too long, or of which not all fragments have the same idea
    /// of ECN. The datagram is dropped with it.
    case notReassembled
    /// Too much is waiting already.
    case noMemory
}

/// Puts fragments together.
///
/// Memory, time and distance are bounded by `FragmentLimits`, and each is counted when it is met.
/// Time is an argument, in nanoseconds of any origin.
public struct Reassembler: Sendable {
    private var four: FragmentTable
    private var six: FragmentTable

    public init(limits: FragmentLimits = FragmentLimits()) {
        four = FragmentTable(
            timeoutNanoseconds: limits.ipv4TimeoutNanoseconds,
            memoryLimit: limits.ipv4MemoryByteCount, maximumDistance: limits.maximumDistance)
        six = FragmentTable(
            timeoutNanoseconds: limits.ipv6TimeoutNanoseconds,
            memoryLimit: limits.ipv6MemoryByteCount, maximumDistance: 0)
    }

    public var ipv4Counters: FragmentCounters { four.counters }
    public var ipv6Counters: FragmentCounters { six.counters }

    /// Datagrams that wait for fragments.
    public var waitingCount: Int { four.queues.count + six.queues.count }

    /// Gives up what has waited too long; taking a fragment does this too, for its family.
    public mutating func expire(at now: UInt64) {
        four.expire(at: now)
        six.expire(at: now)
    }

    // MARK: IPv4

    /// Takes an IPv4 fragment: `header` was read from `packet`, which is cut to its total length.
    public mutating func take(
        ipv4 packet: Span<UInt8>, _ header: IPv4Header, at now: UInt64
    ) -> FragmentOutcome {
        guard header.isFragment, header.headerByteCount <= packet.count else { return .passedOn }
        four.expire(at: now)
        four.counters.fragments += 1
        guard !four.isFull else {
            four.counters.refused += 1
            return .dropped(.noMemory)
        }
        let key = FragmentKey(
            source: header.source, destination: header.destination,
            identification: UInt32(header.identification), protocolNumber: header.protocolNumber)
        var queue = four.take(key)
        defer { four.settle(key) }
        four.checkDistance(of: &queue, key)

        // What is beyond the last multiple of eight of a fragment with more to follow is cut off.
        var dataByteCount = packet.count - header.headerByteCount
        if header.moreFragments { dataByteCount &= ~7 }
        let end = header.fragmentOffset + dataByteCount
        let isEndPossible: Bool
        if header.moreFragments {
            isEndPossible = end <= queue.length || !queue.hasLast
        } else {
            isEndPossible = end >= queue.length && (!queue.hasLast || end == queue.length)
            queue.hasLast = true
        }
        guard isEndPossible, dataByteCount > 0 else {
            four.counters.malformed += 1
            return .dropped(.malformed)
        }
        queue.length = max(queue.length, end)

        let start = header.headerByteCount
        let fragment = FragmentQueue.Fragment(
            offset: header.fragmentOffset, packetByteCount: start + dataByteCount,
            ecn: header.typeOfService & 3, dontFragment: header.dontFragment)
        let insertion = queue.insert(
            packet.extracting(start..<start + dataByteCount), of: fragment,
            header: packet.extracting(0..<start))
        return four.finish(insertion, queue, key, packet.count, assemble: Self.assembleIPv4)
    }

    private static func assembleIPv4(_ queue: FragmentQueue) -> Reassembled? {
        var bytes = queue.header
        let headerByteCount = bytes.count
        let byteCount = headerByteCount + queue.length
        guard byteCount <= 65_535, let ecn = queue.ecn(ofFirst: bytes[1]) else { return nil }
        let origin = queue.origin(headerByteCount: headerByteCount)
        bytes[1] = bytes[1] & 0xfc | ecn
        bytes.setBigEndian(UInt16(byteCount), at: 2)
        bytes.setBigEndian(UInt16(origin.dontFragment ? 0x4000 : 0), at: 6)
        IPv4Header.setChecksum(in: &bytes)
        bytes.reserveCapacity(byteCount)
        queue.appendData(to: &bytes)
        return Reassembled(bytes: bytes, origin: origin)
    }

    // MARK: IPv6

    /// Takes an IPv6 fragment: `chain` was walked over `packet`, which is cut to its length.
    public mutating func take(
        ipv6 packet: Span<UInt8>, _ chain: IPv6Chain, at now: UInt64
    ) -> FragmentOutcome {
        guard let header = chain.fragment,
            header.position + IPv6FragmentHeader.byteCount <= packet.count
        else { return .passedOn }
        six.expire(at: now)
        six.counters.fragments += 1
        if header.offset == 0, isTransportCut(in: packet, after: header) { return .passedOn }
        guard !six.isFull else {
            six.counters.refused += 1
            return .dropped(.noMemory)
        }
        let start = header.position + IPv6FragmentHeader.byteCount
        let dataByteCount = packet.count - start
        let end = header.offset + dataByteCount
        guard end <= 65_535 else {
            six.counters.malformed += 1
            return .dropped(.malformed)
        }
        let key = FragmentKey(
            source: packet.ipv6Address(at: 8), destination: packet.ipv6Address(at: 24),
            identification: header.identification, protocolNumber: 0)
        var queue = six.take(key)
        defer { six.settle(key) }
        if header.moreFragments, end % 8 != 0 {
            six.counters.malformed += 1
            return .passedOn
        }
        let isEndPossible =
            header.moreFragments
            ? end <= queue.length || !queue.hasLast
            : end >= queue.length && (!queue.hasLast || end == queue.length)
        guard isEndPossible else {
            six.put(queue, key)
            six.counters.malformed += 1
            return .dropped(.malformed)
        }
        queue.hasLast = queue.hasLast || !header.moreFragments
        queue.length = max(queue.length, end)
        guard dataByteCount > 0 else {
            // It brings nothing, but what it says about the end stands.
            six.put(queue, key)
            six.counters.malformed += 1
            return .dropped(.malformed)
        }
        let fragment = FragmentQueue.Fragment(
            offset: header.offset, packetByteCount: packet.count,
            ecn: UInt8(truncatingIfNeeded: packet.bigEndianUInt16(at: 0) >> 4) & 3,
            nextHeader: header.nextHeader, namedAt: header.namedAt)
        let insertion = queue.insert(
            packet.extracting(start..<packet.count), of: fragment,
            header: packet.extracting(0..<header.position))
        return six.finish(insertion, queue, key, packet.count, assemble: Self.assembleIPv6)
    }

    /// Whether a first fragment ends before its transport header does (RFC 7112).
    ///
    /// Observed on 6.18: 20 bytes of TCP, 8 of UDP and ICMPv6, one of anything else. Where the chain
    /// itself cannot be walked to its end, the fragment is taken.
    private func isTransportCut(in packet: Span<UInt8>, after header: IPv6FragmentHeader) -> Bool {
        var number = header.nextHeader
        var offset = header.position + IPv6FragmentHeader.byteCount
        while IPv6Chain.isSkipped(number) {
            guard offset + 2 <= packet.count else { return false }
            let byteCount = IPv6Chain.byteCount(of: number, lengthField: packet[offset + 1])
            number = packet[offset]
            offset += byteCount
        }
        if number == IPv6Extension.noNextHeader { return false }
        let needed =
            switch number {
            case IPProtocol.tcp: TCPHeader.minimumByteCount
            case IPProtocol.udp: UDPHeader.byteCount
            case IPProtocol.icmpv6: ICMPHeader.byteCount
            default: 1
            }
        return offset + needed > packet.count
    }

    private static func assembleIPv6(_ queue: FragmentQueue) -> Reassembled? {
        var bytes = queue.header
        let payloadByteCount = bytes.count - IPv6Header.byteCount + queue.length
        let trafficClass = UInt8(truncatingIfNeeded: bytes.span.bigEndianUInt16(at: 0) >> 4)
        guard payloadByteCount <= 65_535, let ecn = queue.ecn(ofFirst: trafficClass) else {
            return nil
        }
        bytes[1] = bytes[1] & 0xcf | ecn << 4
        bytes.setBigEndian(UInt16(payloadByteCount), at: 4)
        bytes[queue.namedAt] = queue.nextHeader
        let origin = queue.origin(headerByteCount: bytes.count)
        bytes.reserveCapacity(IPv6Header.byteCount + payloadByteCount)
        queue.appendData(to: &bytes)
        return Reassembled(bytes: bytes, origin: origin)
    }
}
