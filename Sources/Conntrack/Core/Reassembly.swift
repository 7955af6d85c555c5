internal import Wire

/// The fragments that wait at a node's reassembly station, and which flows they belong to.
struct Reassembly: Sendable {
    /// Which datagram a fragment belongs to, for an observer.
    private struct Key: Hashable {
        var source: Address
        var destination: Address
        var identification: UInt32
        var protocolNumber: UInt8
        var family: Family
    }

    private var reassembler: Reassembler
    /// Tuples of datagrams whose first fragment came by: what an observer looks a later one up by.
    private var tuples: [Key: Tuple] = [:]
    private var order: [Key] = []
    private static let rememberedDatagrams = 256

    init(_ sysctl: Sysctl) {
        var limits = FragmentLimits()
        limits.ipv4TimeoutNanoseconds = UInt64(sysctl.ipfragTime) * 1_000_000_000
        limits.ipv6TimeoutNanoseconds = UInt64(sysctl.frag6Timeout) * 1_000_000_000
        limits.ipv6MemoryByteCount = Int(sysctl.frag6HighThreshold)
        reassembler = Reassembler(limits: limits)
    }

    /// Takes a fragment whose network header has been checked.
    mutating func take(_ bytes: Span<UInt8>, at now: Instant) -> FragmentOutcome {
        if bytes[0] >> 4 == 4 {
            guard let header = try? IPv4Header(parsing: bytes) else { return .passedOn }
            return reassembler.take(
                ipv4: bytes.extracting(0..<header.totalByteCount), header, at: now.nanoseconds)
        }
        guard let header = try? IPv6Header(parsing: bytes) else { return .passedOn }
        let packet = bytes.extracting(0..<header.totalByteCount(present: bytes.count))
        return reassembler.take(ipv6: packet, IPv6Chain(walking: packet), at: now.nanoseconds)
    }

    /// The tuple of the datagram a fragment belongs to, as far as it is known.
    mutating func tuple(of packet: Packet, _ bytes: Span<UInt8>) -> Tuple? {
        guard let key = Self.key(packet, bytes) else { return nil }
        if packet.health.contains(.laterFragment) { return tuples[key] }
        guard !packet.health.contains(.noTuple) else { return nil }
        if tuples.updateValue(packet.tuple, forKey: key) == nil { order.append(key) }
        if order.count > Self.rememberedDatagrams { tuples[order.removeFirst()] = nil }
        return packet.tuple
    }

    private static func key(_ packet: Packet, _ bytes: Span<UInt8>) -> Key? {
        let identification: UInt32
        if packet.tuple.family == .ipv4 {
            identification = UInt32(bytes.bigEndianUInt16(at: 4))
        } else {
            guard let fragment = IPv6Chain(walking: bytes).fragment else { return nil }
            identification = fragment.identification
        }
        return Key(
            source: packet.tuple.source, destination: packet.tuple.destination,
            identification: identification, protocolNumber: packet.tuple.protocolNumber,
            family: packet.tuple.family)
    }
}
