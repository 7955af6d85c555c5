internal import Wire

// Carries over to a packet's bytes what helpers change: a stretch of the payload, and the numbers
// of a SACK option.

enum PayloadRewriter {
    /// Writes the change into a TCP packet whose header carries everything else already.
    ///
    /// A segment whose payload has changed gets its checksum anew, right even if it came with a
    /// wrong one; otherwise it is updated.
    static func apply(_ payload: PayloadInTransit, to packet: Packet, _ bytes: inout [UInt8]) {
        let header = payload.transportOffset
        guard header + 20 <= bytes.count else { return }
        let optionsEnd = min(header + payload.headerByteCount, bytes.count)
        if !payload.acknowledged.isNone, header + 20 < optionsEnd {
            correctSACK(in: header + 20..<optionsEnd, payload.acknowledged, header, &bytes)
        }
        guard let (place, text) = payload.replacement else { return }
        let start = header + payload.headerByteCount
        guard start + place.upperBound <= bytes.count else { return }
        bytes.replaceSubrange(start + place.lowerBound..<start + place.upperBound, with: text)
        setLength(packet.tuple.family, &bytes)
        bytes.setBigEndian(UInt16(0), at: header + 16)
        let sum = Checksum.transport(
            bytes.span.extracting(header..<bytes.count), packet.tuple.family,
            source: packet.tuple.source, destination: packet.tuple.destination,
            protocolNumber: IPProtocol.tcp)
        bytes.setBigEndian(sum, at: header + 16)
    }

    private static func setLength(_ family: Family, _ bytes: inout [UInt8]) {
        switch family {
        case .ipv4:
            var change = ChecksumChange()
            let old = bytes.span.bigEndianUInt16(at: 2)
            let new = UInt16(truncatingIfNeeded: bytes.count)
            change.replace(old, with: new)
            bytes.setBigEndian(new, at: 2)
            bytes.setBigEndian(change.applied(to: bytes.span.bigEndianUInt16(at: 10)), at: 10)
        case .ipv6:
            bytes.setBigEndian(UInt16(truncatingIfNeeded: bytes.count - 40), at: 4)
        }
    }

    private static func correctSACK(
        in options: Range<Int>, _ shift: SequenceShift, _ header: Int, _ bytes: inout [UInt8]
    ) {
        var change = ChecksumChange()
        var index = options.lowerBound
        while index < options.upperBound {
            let kind = bytes[index]
            if kind == TCPOptions.Kind.endOfList { break }
            if kind == TCPOptions.Kind.noOperation {
                index += 1
                continue
            }
            guard index + 1 < options.upperBound else { break }
            let byteCount = Int(bytes[index + 1])
            guard byteCount >= 2, index + byteCount <= options.upperBound else { break }
            if kind == TCPOptions.Kind.sack, byteCount >= 10, (byteCount - 2) % 8 == 0 {
                for place in stride(from: index + 2, to: index + byteCount, by: 4) {
                    let old = bytes.span.bigEndianUInt32(at: place)
                    let new = shift.original(of: old)
                    change.replace(old, with: new)
                    bytes.setBigEndian(new, at: place)
                }
            }
            index += byteCount
        }
        let sum = bytes.span.bigEndianUInt16(at: header + 16)
        bytes.setBigEndian(change.applied(to: sum), at: header + 16)
    }
}
