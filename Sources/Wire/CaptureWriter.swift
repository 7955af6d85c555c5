/// Writes a capture of raw IP frames (LINKTYPE_RAW) with nanosecond timestamps: pcap, or pcapng where
/// each frame names the interface it was seen at.
///
/// The bytes gather in the writer until `take` hands them over; whoever writes much takes them
/// whenever `byteCount` has grown to a good size for a write.
public struct CaptureWriter: Sendable {
    private var bytes: [UInt8] = []
    private let snapLength: Int
    /// How many interfaces a pcapng stream describes; `nil` for pcap, which knows none.
    private let interfaceCount: Int?

    /// Starts a pcap stream with its file header; frames will be cut to `snapLength` bytes.
    public init(snapLength: Int = 262_144) {
        precondition(snapLength > 0 && snapLength <= Int(UInt32.max), "a 32-bit snap length")
        self.snapLength = snapLength
        interfaceCount = nil
        append([0xa1b2_3c4d, 4 << 16 | 2])  // Version 2.4, in two halves.
        append([0, 0, UInt32(snapLength), UInt32(LinkType.raw.rawValue)])
    }

    /// Starts a pcapng stream of one section with the interfaces it has, numbered from 0.
    public init(interfaces: [String]) {
        snapLength = 262_144
        interfaceCount = interfaces.count
        // Byte order, version 1.0, a section of unknown length.
        append([0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, .max, .max, 28])
        for name in interfaces { describe(name) }
    }

    /// Bytes that wait to be taken.
    public var byteCount: Int { bytes.count }

    /// Appends one packet, which starts with its IP header.
    ///
    /// `timestamp` is in nanoseconds since the epoch; pcap keeps 32 bits of its seconds. `interface`
    /// is one of those a pcapng stream was begun with; pcap keeps none.
    public mutating func append(_ packet: Span<UInt8>, on interface: Int = 0, timestamp: UInt64) {
        let captured = min(packet.count, snapLength)
        guard let interfaceCount else {
            append([
                UInt32(truncatingIfNeeded: timestamp / 1_000_000_000),
                UInt32(timestamp % 1_000_000_000), UInt32(captured), UInt32(packet.count),
            ])
            for index in 0..<captured { bytes.append(packet[index]) }
            return
        }
        precondition(interface < interfaceCount, "a frame is seen at an interface of the stream")
        let length = UInt32(32 + captured + Self.padding(captured))
        append([
            6, length, UInt32(interface), UInt32(truncatingIfNeeded: timestamp >> 32),
            UInt32(truncatingIfNeeded: timestamp), UInt32(captured), UInt32(packet.count),
        ])
        for index in 0..<captured { bytes.append(packet[index]) }
        bytes.append(contentsOf: repeatElement(0, count: Self.padding(captured)))
        append([length])
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

    // MARK: Parts of pcapng

    /// The block of an interface: its name, and that its timestamps count nanoseconds.
    private mutating func describe(_ name: String) {
        let text = Array(name.utf8.prefix(255))
        let length = UInt32(36 + text.count + Self.padding(text.count))
        append([1, length, UInt32(LinkType.raw.rawValue), 0])
        appendOption(2, text)  // if_name
        appendOption(9, [9])  // if_tsresol: a power of ten
        append([0, length])
    }

    private mutating func appendOption(_ code: UInt32, _ value: [UInt8]) {
        append([UInt32(value.count) << 16 | code])
        bytes += value
        bytes.append(contentsOf: repeatElement(0, count: Self.padding(value.count)))
    }

    /// Bytes from `count` up to a whole number of words.
    private static func padding(_ count: Int) -> Int { (4 - count % 4) % 4 }

    /// Little-endian words.
    private mutating func append(_ words: [UInt32]) {
        for word in words { bytes.appendBigEndian(word.byteSwapped) }
    }
}
