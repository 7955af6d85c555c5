internal import Wire

// What rules read of a transport header that is no tuple for the tracker. nft loads the bytes it
// compares and no more, so that a rule matches where the tracker sees a header cut short. All of
// this was observed on 6.18.

extension Packet {
    /// Fills in the parts of `segment` that rules read, as far as they are there.
    ///
    /// How many bytes there are is in `transportByteCount`: a rule that wants more breaks. The
    /// beginning of a later fragment's payload is read as if the header stood there.
    mutating func readForRules(_ segment: Span<UInt8>) {
        if tuple.hasIdentifier {
            // An id is what an observer looks the flow up by; a rule reads type and code only.
            if segment.count >= 6 { tuple.sourcePart = segment.bigEndianUInt16(at: 4) }
            if segment.count >= 1 { tuple.destinationPart = UInt16(segment[0]) << 8 }
            if segment.count >= 2 { tuple.destinationPart |= UInt16(segment[1]) }
        } else if tuple.hasPorts {
            if segment.count >= 2 { tuple.sourcePart = segment.bigEndianUInt16(at: 0) }
            if segment.count >= 4 { tuple.destinationPart = segment.bigEndianUInt16(at: 2) }
        }
        guard tuple.protocolNumber == IPProtocol.tcp, segment.count > 13 else { return }
        tcp.flags = TCPFlags(rawValue: segment[13])
    }

    /// The same for a later fragment of IPv6, where the kernel takes the packet's own beginning
    /// for the transport header, and finds no transport at all where the payload is said to begin
    /// with an extension header.
    mutating func readLaterFragment(_ packet: Span<UInt8>, _ chain: IPv6Chain) {
        guard !IPv6Chain.isSkipped(chain.protocolNumber) else {
            health.insert(.noTransport)
            return
        }
        transportByteCount = networkByteCount
        readForRules(packet)
    }
}

extension IPv6Chain {
    /// Whether the packet ends in the middle of the chain, so that its protocol is not known.
    var isCut: Bool { isUnskippable && Self.isSkipped(protocolNumber) }
}
