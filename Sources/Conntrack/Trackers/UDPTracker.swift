internal import Wire

/// UDP and UDP-Lite: spec protocols.md §3 and §4.
enum UDPTracker {
    /// Follows one datagram.
    ///
    /// `streamStart` is the tick after which a replied flow is a stream; it is set by the first
    /// packet.
    ///
    /// Kernel: `nf_conntrack_udp_packet()`.
    @inline(__always)
    static func update(
        _ streamStart: inout Tick, _ packet: Packet, isNew: Bool, status: Status,
        settings: borrowing TrackerSettings, at now: Tick
    ) -> TrackerResult {
        if let defect = defect(of: packet, settings.verifiesChecksums) { return .invalid(defect) }
        if isNew { streamStart = now + settings.udpStreamDelay }
        guard status.contains(.seenReply) else { return .refresh(settings.udp) }
        guard streamStart.ticks(after: now) < 0 else { return .refresh(settings.udp) }
        return .refresh(settings.udpStream, assured: !status.contains(.natClash))
    }

    @inline(__always)
    private static func defect(
        of packet: Packet, _ verifiesChecksum: Bool
    ) -> TrackerRemark.Text? {
        if packet.transportByteCount < 8 { return .shortPacket }
        if UInt32(packet.lengthField) > packet.transportByteCount || packet.lengthField < 8 {
            return .truncatedMalformedPacket
        }
        if packet.health.contains(.zeroChecksum) { return nil }
        return verifiesChecksum && packet.health.contains(.badChecksum) ? .badChecksum : nil
    }

    /// UDP-Lite has no stream delay, and its checksum may not be zero.
    ///
    /// Kernel: `nf_conntrack_udplite_packet()`.
    static func updateLite(
        _ packet: Packet, status: Status, settings: borrowing TrackerSettings
    ) -> TrackerResult {
        if packet.transportByteCount < 8 { return .invalid(.shortPacket) }
        let coverage = UInt32(packet.lengthField)
        if coverage != 0, coverage < 8 || coverage > packet.transportByteCount {
            return .invalid(.coverage)
        }
        if packet.health.contains(.zeroChecksum) { return .invalid(.checksumMissing) }
        if settings.verifiesChecksums, packet.health.contains(.badChecksum) {
            return .invalid(.badChecksum)
        }
        guard status.contains(.seenReply) else { return .refresh(settings.udp) }
        return .refresh(settings.udpStream, assured: !status.contains(.natClash))
    }
}
