internal import Wire

// Lines about single packets: those of `log` rules and of `nf_conntrack_log_invalid`. Both quote
// the packet as it is at that point of its way, as the answers of `reject` do, so the bytes are kept
// at hand, but only while something may want them.

/// The bytes of the packet on its way.
struct PacketInTransit: Sendable {
    var bytes: [UInt8] = []
    var arrived = Packet(tuple: .none, networkByteCount: 0, transportByteCount: 0)
    var layout = PacketLayout()

    mutating func forget() {
        if !bytes.isEmpty { bytes.removeAll(keepingCapacity: true) }
    }
}

extension Node {
    /// Whether a line about a packet, or an answer to it, may have to be written.
    var quotesPackets: Bool {
        configuration.sysctl.logInvalid != 0 || ruleset.logsPackets || ruleset.rejectsPackets
    }

    mutating func keep(
        _ bytes: Span<UInt8>, _ arrived: Packet, _ layout: PacketLayout, isWanted: Bool = false
    ) {
        guard isWanted || quotesPackets else { return }
        transit.bytes = [UInt8](copying: bytes.extracting(0..<Int(arrived.networkByteCount)))
        transit.arrived = arrived
        transit.layout = layout
    }

    /// Writes the lines that `log` rules asked for.
    mutating func writeRuleLogs(_ packet: Packet, _ hook: Hook, at now: Moment) {
        let logs = effects.logs
        effects.logs.removeAll(keepingCapacity: true)
        for log in logs where log.group == nil {
            kernelLog.append(
                log.prefix + dump(packet, hook, details: log.details), at: now.instant,
                level: log.level)
        }
    }

    /// Writes down what a tracker said about a packet, wherever somebody wants to know.
    mutating func remark(_ packet: Packet, _ text: TrackerRemark.Text, at now: Moment) {
        let remark = TrackerRemark(packet.tuple.protocolNumber, text)
        if table.journal.wantsRemarks { table.journal.remarks.append(remark) }
        let wanted = configuration.sysctl.logInvalid
        guard wanted == 255 || (wanted != 0 && wanted == packet.tuple.protocolNumber) else {
            return
        }
        let hook: Hook = packet.health.contains(.local) ? .output : .prerouting
        let line = remark.logLine(dump: dump(packet, hook, details: .all))
        kernelLog.append(line, at: now.instant, level: .notice)
    }

    /// Writes down why a helper drops a packet, whatever `nf_conntrack_log_invalid` says.
    mutating func remark(byHelper packet: Packet, _ text: TrackerRemark.Text, at now: Moment) {
        let remark = TrackerRemark(packet.tuple.protocolNumber, text)
        if table.journal.wantsRemarks { table.journal.remarks.append(remark) }
        let line = remark.logLine(dump: dump(packet, nil, details: .all))
        kernelLog.append(line, at: now.instant, level: .notice)
    }

    /// The packet as the kernel log quotes it; without a hook it names no interface.
    private func dump(_ packet: Packet, _ hook: Hook?, details: PacketDump.Details) -> String {
        let bytes = bytesInTransit(of: packet)
        // A forwarded packet's ingress interface is named to the end.
        let showsInput = hook != nil
        let showsOutput = hook != nil && hook != .prerouting && hook != .input
        return PacketDump.text(
            of: bytes.span, from: showsInput ? name(of: packet.inInterface) : "",
            to: showsOutput ? name(of: packet.outInterface) : "", mark: packet.mark,
            details: details)
    }

    /// The packet's bytes as they are at this point of its way; empty where it has none.
    func bytesInTransit(of packet: Packet) -> [UInt8] {
        var bytes = transit.bytes
        if !bytes.isEmpty {
            PacketRewriter.apply(
                from: transit.arrived, to: packet, transit.layout, bytes: &bytes)
        }
        return bytes
    }

    private func name(of interface: InterfaceIndex) -> String {
        interface == .none ? "" : configuration.interfaces[Int(interface.raw)].name
    }
}
