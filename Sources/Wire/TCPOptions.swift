/// What tracking wants to know of a TCP header's options, from one scan over them.
///
/// The scan stops at end-of-list, at a length below 2, and at an option that runs past the header;
/// what was read before that stays. Of an option that comes twice the later one counts.
///
/// Source: spec/tcp.md §6 and §6.1.
public struct TCPOptions: Sendable, Hashable, BitwiseCopyable {
    /// Option kinds (IANA).
    public enum Kind {
        public static let endOfList: UInt8 = 0
        public static let noOperation: UInt8 = 1
        public static let maximumSegmentSize: UInt8 = 2
        public static let windowScale: UInt8 = 3
        public static let sackPermitted: UInt8 = 4
        public static let sack: UInt8 = 5
        public static let timestamps: UInt8 = 8
    }

    /// There are option bytes at all.
    public var isPresent: Bool
    /// The shift of a window-scale option (length 3) as sent: 0...255.
    public var windowScale: UInt8?
    /// A SACK-permitted option (length 2).
    public var permitsSACK: Bool
    /// The furthest right edge of any SACK block beyond the acknowledgment the scan started from,
    /// in serial order; the acknowledgment itself when there is none.
    public var sackEdge: UInt32

    /// Scans the option bytes of one header: those after the 20 fixed bytes.
    ///
    /// SACK options count when their length is 2 + 8k with k ≥ 1.
    public init(scanning bytes: Span<UInt8>, acknowledgment: UInt32) {
        isPresent = !bytes.isEmpty
        windowScale = nil
        permitsSACK = false
        sackEdge = acknowledgment
        guard !Self.areTimestampsAlone(bytes) else { return }

        var index = 0
        while index < bytes.count {
            let kind = bytes[index]
            if kind == Kind.endOfList { return }
            if kind == Kind.noOperation {
                index += 1
                continue
            }
            guard index + 1 < bytes.count else { return }
            let byteCount = Int(bytes[index + 1])
            guard byteCount >= 2, index + byteCount <= bytes.count else { return }
            switch (kind, byteCount) {
            case (Kind.windowScale, 3):
                windowScale = bytes[index + 2]
            case (Kind.sackPermitted, 2):
                permitsSACK = true
            case (Kind.sack, 10...) where (byteCount - 2) % 8 == 0:
                takeEdges(of: bytes.extracting(index + 2..<index + byteCount))
            default:
                break
            }
            index += byteCount
        }
    }

    /// NOP, NOP, Timestamps, as most segments of most connections have it: not scanned.
    private static func areTimestampsAlone(_ bytes: Span<UInt8>) -> Bool {
        bytes.count == 12 && bytes.bigEndianUInt32(at: 0) == 0x0101_080a
    }

    private mutating func takeEdges(of blocks: Span<UInt8>) {
        var offset = 4
        while offset + 4 <= blocks.count {
            let edge = blocks.bigEndianUInt32(at: offset)
            if Int32(bitPattern: edge &- sackEdge) > 0 { sackEdge = edge }
            offset += 8
        }
    }
}
