/// A TCP option to compose.
public enum TCPOption: Sendable, Hashable {
    case endOfList
    case noOperation
    case maximumSegmentSize(UInt16)
    case windowScale(UInt8)
    case sackPermitted
    case sack([SACKBlock])
    case timestamps(value: UInt32, echo: UInt32)
    /// Bytes as they are, for options that are unknown or wrong.
    case raw([UInt8])

    /// The sequence numbers from `left` up to, not including, `right`.
    public struct SACKBlock: Sendable, Hashable {
        public var left: UInt32
        public var right: UInt32

        public init(left: UInt32, right: UInt32) {
            self.left = left
            self.right = right
        }
    }

    /// Appends the option as on the wire.
    public func append(to bytes: inout [UInt8]) {
        switch self {
        case .endOfList:
            bytes.append(TCPOptions.Kind.endOfList)
        case .noOperation:
            bytes.append(TCPOptions.Kind.noOperation)
        case .maximumSegmentSize(let size):
            bytes += [TCPOptions.Kind.maximumSegmentSize, 4]
            bytes.appendBigEndian(size)
        case .windowScale(let shift):
            bytes += [TCPOptions.Kind.windowScale, 3, shift]
        case .sackPermitted:
            bytes += [TCPOptions.Kind.sackPermitted, 2]
        case .sack(let blocks):
            bytes += [TCPOptions.Kind.sack, UInt8(truncatingIfNeeded: 2 + 8 * blocks.count)]
            for block in blocks {
                bytes.appendBigEndian(block.left)
                bytes.appendBigEndian(block.right)
            }
        case .timestamps(let value, let echo):
            bytes += [TCPOptions.Kind.timestamps, 10]
            bytes.appendBigEndian(value)
            bytes.appendBigEndian(echo)
        case .raw(let raw):
            bytes += raw
        }
    }

    /// The options one after the other, filled up with end-of-list to whole words.
    public static func bytes(of options: [TCPOption]) -> [UInt8] {
        var bytes: [UInt8] = []
        for option in options { option.append(to: &bytes) }
        bytes += [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
        precondition(bytes.count <= 40, "TCP options take at most 40 bytes")
        return bytes
    }
}
