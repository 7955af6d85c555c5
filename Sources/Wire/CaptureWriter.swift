/// Writes a pcap stream with nanosecond timestamps and raw IP frames (LINKTYPE_RAW).
///
/// The bytes gather in the writer until `take` hands them over; whoever writes much takes them
/// whenever `byteCount` has grown to a good size for a write.
public struct CaptureWriter: Sendable {
    private var bytes: [UInt8] = []
    private let snapLength: Int

    /// Starts with the file header; frames will be cut to `snapLength` bytes.
    public init(snapLength: Int = 262_144) {
        precondition(snapLength > 0 && snapLength <= Int(UInt32.max), "a 32-bit snap length")
        self.snapLength = snapLength
        appendLittleEndian(0xa1b2_3c4d)
        appendLittleEndian(4 << 16 | 2)  // Version 2.4, in two halves.
        appendLittleEndian(0)
        appendLittleEndian(0)
        appendLittleEndian(UInt32(snapLength))
        appendLittleEndian(UInt32(LinkType.raw.rawValue))
    }

    /// Bytes that wait to be taken.
    public var byteCount: Int { bytes.count }

    /// Appends one packet, which starts with its IP header.
    ///
    /// `timestamp` is in nanoseconds since the epoch; its seconds are stored in 32 bits.
    public mutating func append(_ packet: Span<UInt8>, timestamp: UInt64) {
        let captured = min(packet.count, snapLength)
        appendLittleEndian(UInt32(truncatingIfNeeded: timestamp / 1_000_000_000))
        appendLittleEndian(UInt32(timestamp % 1_000_000_000))
        appendLittleEndian(UInt32(captured))
        appendLittleEndian(UInt32(packet.count))
        for index in 0..<captured {
            bytes.append(packet[index])
        }
    }

    /// Hands over what has gathered, and keeps nothing of it.
    public mutating func take() -> [UInt8] {
        let taken = bytes
        bytes = []
        return taken
    }

    /// Passes what has gathered to `sink`; it stays when `sink` throws.
    public mutating func flush<Failure: Error>(
        to sink: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        try sink(bytes)
        bytes.removeAll(keepingCapacity: true)
    }

    private mutating func appendLittleEndian(_ value: UInt32) {
        bytes.appendBigEndian(value.byteSwapped)
    }
}
