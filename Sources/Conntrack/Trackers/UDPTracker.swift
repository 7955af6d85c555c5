internal import Wire

/// UDP and UDP-Lite: spec protocols.md §3 and §4.
enum UDPTracker {
    /// What a datagram is in the life of its flow.
    enum Phase {
        /// The tracker refuses it.
        case defective
        /// A question or an answer.
        case exchange
        /// One of many, both ways.
        case stream
    }

    /// Follows one datagram.
    ///
    /// Kernel: `nf_conntrack_udp_packet()`.
    @inline(__always)
    static func update(
        _ state: inout ConnectionState, _ packet: Packet, isNew: Bool, status: Status,
        settings: borrowing TrackerSettings, at now: Tick
    ) -> TrackerResult {
        let phase = phase(
            &state, packet, isNew: isNew, status: status, settings: settings, at: now)
        switch phase {
        case .defective: return .invalid(defect(of: packet, settings.verifiesChecksums))
        case .exchange: return .refresh(settings.udp)
        case .stream: return .refresh(settings.udpStream, assured: !status.contains(.natClash))
        }
    }

    /// A replied flow is a stream after `ConnectionState.streamStart`, which the first packet sets.
    ///
    /// Only streams are assured: one that is needs no look at that part of its memory.
    @inline(__always)
    static func phase(
        _ state: inout ConnectionState, _ packet: Packet, isNew: Bool, status: Status,
        settings: borrowing TrackerSettings, at now: Tick
    ) -> Phase {
        guard defect(of: packet, settings.verifiesChecksums) == nil else { return .defective }
        if isNew { state.streamStart = now + settings.udpStreamDelay }
        guard status.contains(.seenReply) else { return .exchange }
        if status.contains(.assured) { return .stream }
        return state.streamStart.ticks(after: now) < 0 ? .stream : .exchange
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
