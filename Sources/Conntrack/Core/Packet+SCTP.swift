internal import Wire

extension Packet {
    /// Reads tag and chunks of an SCTP packet, and checks its CRC.
    ///
    /// `segment` is the packet from its common header to its end; link padding behind it is
    /// gone. A chunk header cut short, of fewer than four bytes, ends the walk in silence
    /// (observed on 6.18); so does a chunk that claims more than there is, once it was taken.
    ///
    /// Kernel: `sctp_error()`, `for_each_sctp_chunk()`.
    mutating func readSCTP(_ segment: Span<UInt8>, _ verifies: Bool) {
        guard let header = try? SCTPHeader(parsing: segment) else { return }
        var walk = SCTPChunkWalk(verificationTag: header.verificationTag)
        defer { sctp = walk.content }
        if verifies, CRC32C.fieldValue(of: segment) != header.checksum {
            health.insert(.badChecksum)
        }
        var next: Int? = SCTPHeader.byteCount
        while let offset = next, let chunk = SCTPChunk(in: segment, at: offset) {
            walk.append(
                type: chunk.type, flags: chunk.flags,
                lengthField: UInt16(truncatingIfNeeded: chunk.byteCount),
                initiateTag: Self.initiateTag(of: chunk, in: segment))
            guard walk.content.defect == nil else { return }
            next = chunk.nextOffset
        }
    }

    /// Bytes of an INIT or INIT ACK up to its optional parameters (RFC 9260 §3.3.2).
    private static let initiationByteCount = 20

    /// The field behind the chunk header, provided the whole fixed part is there.
    ///
    /// What length the chunk claims does not matter.
    private static func initiateTag(of chunk: SCTPChunk, in segment: Span<UInt8>) -> UInt32? {
        guard chunk.offset + initiationByteCount <= segment.count else { return nil }
        return segment.bigEndianUInt32(at: chunk.offset + SCTPChunk.headerByteCount)
    }
}
