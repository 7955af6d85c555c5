internal import Wire

/// A flow without a state machine worth aiming at: UDP, UDP-Lite, GRE, unknown protocols.
struct DatagramFlow: Sendable {
    let path: FlowPath
    let protocolNumber: UInt8

    /// One packet's transport part, and who sends it.
    func step(_ dice: inout FuzzDice) -> TCPFlow.Segment {
        let fromClient = !dice.oneIn(2)
        let (source, destination) = path.ends(fromClient: fromClient)
        let payload = [UInt8](repeating: 0, count: dice.pick([0, 1, 8, 20, 100, 512, 1400, 2900]))
        let bytes =
            switch protocolNumber {
            case IPProtocol.udp: udp(source, destination, payload, &dice)
            case IPProtocol.udpLite: udpLite(source, destination, payload, &dice)
            case IPProtocol.gre: gre(source, &dice)
            default: payload
            }
        return TCPFlow.Segment(fromClient: fromClient, bytes: bytes)
    }

    private func udp(
        _ source: Endpoint, _ destination: Endpoint, _ payload: [UInt8], _ dice: inout FuzzDice
    ) -> [UInt8] {
        var bytes = PacketMaker.udp(from: source, to: destination, payload: payload)
        switch dice.below(24) {
        case 0: bytes.setBigEndian(UInt16(0), at: 6)  // Not computed.
        case 1: bytes.setBigEndian(UInt16(bytes.count + dice.within(1...200)), at: 4)
        case 2: bytes.setBigEndian(UInt16(dice.below(8)), at: 4)
        case 3:  // Shorter than what is there, which is allowed.
            bytes.setBigEndian(UInt16(8), at: 4)
            bytes.setBigEndian(UInt16(0), at: 6)
        case 4: bytes = Array(bytes.prefix(dice.below(8)))
        default: break
        }
        return bytes
    }

    private func udpLite(
        _ source: Endpoint, _ destination: Endpoint, _ payload: [UInt8], _ dice: inout FuzzDice
    ) -> [UInt8] {
        var bytes = PacketMaker.udp(from: source, to: destination, payload: payload)
        let coverage = dice.pick([0, 8, bytes.count, 7, bytes.count + 1, 12])
        bytes.setBigEndian(UInt16(truncatingIfNeeded: coverage), at: 4)
        // The kernel verifies with UDP's number (protocols.md §4); both are tried.
        let number = dice.oneIn(3) ? IPProtocol.udpLite : IPProtocol.udp
        let covered = coverage == 0 ? bytes.count : min(max(8, coverage), bytes.count)
        var part = Array(bytes.prefix(covered))
        PacketMaker.setChecksum(
            in: &part, at: 6, from: source, to: destination, number, byteCount: bytes.count)
        bytes.replaceSubrange(..<covered, with: part)
        if dice.oneIn(12) { bytes.setBigEndian(UInt16(0), at: 6) }
        return bytes
    }

    private func gre(_ source: Endpoint, _ dice: inout FuzzDice) -> [UInt8] {
        var bytes: [UInt8] = []
        let isCall = dice.oneIn(2)
        let type: UInt16 = dice.oneIn(8) ? 0x0800 : isCall ? 0x880B : 0x0800
        let version = dice.oneIn(20) ? UInt8(dice.below(8)) : isCall ? 1 : 0
        var header = GREHeader(version: version, protocolType: type, callID: source.port)
        // Checksum, key and sequence number: which of them are there.
        if dice.oneIn(3) { header.flags = UInt16(dice.below(16)) << 12 }
        header.append(to: &bytes)
        bytes += [UInt8](repeating: 0, count: dice.pick([0, 4, 40]))
        return dice.oneIn(12) ? Array(bytes.prefix(dice.below(8))) : bytes
    }
}
