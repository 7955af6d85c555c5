internal import Wire

/// The fragments that wait at a node's reassembly station, and which flows they belong to.
struct Reassembly: Sendable {
    private var ipv4: Reassembler
    private var ipv6: Reassembler
    /// Tuples of datagrams whose first fragment came by: what an observer looks a later one up by.
    private var tuples: [FragmentKey: Tuple] = [:]
    private var order: [FragmentKey] = []
    private static let rememberedDatagrams = 256

    init(_ sysctl: Sysctl) {
        ipv4 = Reassembler(timeoutSeconds: sysctl.ipfragTime)
        ipv6 = Reassembler(timeoutSeconds: sysctl.frag6Timeout)
    }

    /// Takes a fragment whose network header has been checked.
    mutating func insert(_ bytes: Span<UInt8>, at now: Instant) -> ReassemblyOutcome {
        if bytes[0] >> 4 == 4 {
            guard let header = try? IPv4Header(parsing: bytes) else { return .discarded }
            return ipv4.insert(ipv4: bytes, header, at: now.nanoseconds)
        }
        guard let header = try? IPv6Header(parsing: bytes) else { return .discarded }
        let packet = bytes.extracting(0..<header.totalByteCount(present: bytes.count))
        guard let fragment = IPv6Chain(walking: packet).fragment else { return .discarded }
        return ipv6.insert(ipv6: packet, header, fragment, at: now.nanoseconds)
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

    private static func key(_ packet: Packet, _ bytes: Span<UInt8>) -> FragmentKey? {
        let identification: UInt32
        if packet.tuple.family == .ipv4 {
            identification = UInt32(bytes.bigEndianUInt16(at: 4))
        } else {
            guard let fragment = IPv6Chain(walking: bytes).fragment else { return nil }
            identification = fragment.identification
        }
        return FragmentKey(
            source: packet.tuple.source, destination: packet.tuple.destination,
            identification: identification, protocolNumber: packet.tuple.protocolNumber,
            family: packet.tuple.family)
    }
}
