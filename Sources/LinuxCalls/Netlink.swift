// Netlink's framing, read and written over plain byte arrays: messages with a 16-byte header, and
// attributes (type, length, payload, padded to four) inside them. Headers are in the machine's byte
// order; what payloads are in is their owner's business (netfilter: network order).
//
// Cursors hold offsets, not bytes, and the buffer is handed to them: nothing is copied. Lengths
// come from the buffer and are never trusted beyond its end.

/// One netlink message inside a buffer.
public struct NetlinkMessage: Sendable {
    public let type: UInt16
    public let flags: UInt16
    public let sequence: UInt32
    /// Where its payload lies in the buffer.
    public let payload: Range<Int>

    /// `NLMSG_ERROR`: an acknowledgement, or an error.
    public var isError: Bool { type == 2 }
    /// `NLMSG_DONE`: the end of a dump.
    public var isDone: Bool { type == 3 }

    /// The error number of an error message, or of a dump that broke off; 0 is an acknowledgement,
    /// or a whole dump.
    public func errorCode(in buffer: [UInt8]) -> Int32 {
        guard isError || isDone, payload.count >= 4 else { return 0 }
        return 0 &- Int32(bitPattern: buffer.nativeUInt32(at: payload.lowerBound))
    }
}

/// Walks the messages of a datagram.
public struct NetlinkMessages: Sendable {
    private var position = 0
    private let end: Int

    /// - Parameter byteCount: How much of the buffer the datagram fills.
    public init(byteCount: Int) { end = byteCount }

    public mutating func next(in buffer: [UInt8]) -> NetlinkMessage? {
        let end = min(end, buffer.count)
        guard position + 16 <= end else { return nil }
        let length = Int(buffer.nativeUInt32(at: position))
        guard length >= 16, position + length <= end else { return nil }
        defer { position += (length + 3) & ~3 }
        return NetlinkMessage(
            type: buffer.nativeUInt16(at: position + 4),
            flags: buffer.nativeUInt16(at: position + 6),
            sequence: buffer.nativeUInt32(at: position + 8),
            payload: position + 16..<position + length)
    }
}

/// One attribute inside a message.
public struct NetlinkAttribute: Sendable {
    /// Without the "nested" and "network order" bits.
    public let type: UInt16
    public let payload: Range<Int>
}

/// Walks the attributes of a stretch of a buffer.
public struct NetlinkAttributes: Sendable {
    private var position: Int
    private let end: Int

    public init(_ stretch: Range<Int>) {
        position = stretch.lowerBound
        end = stretch.upperBound
    }

    public mutating func next(in buffer: [UInt8]) -> NetlinkAttribute? {
        guard position + 4 <= end else { return nil }
        let length = Int(buffer.nativeUInt16(at: position))
        guard length >= 4, position + length <= end else { return nil }
        defer { position += (length + 3) & ~3 }
        return NetlinkAttribute(
            type: buffer.nativeUInt16(at: position + 2) & 0x3FFF,
            payload: position + 4..<position + length)
    }
}

extension [UInt8] {
    /// Two bytes in the machine's order.
    public func nativeUInt16(at offset: Int) -> UInt16 {
        (UInt16(self[offset]) | UInt16(self[offset + 1]) << 8).fromNative
    }

    /// Four bytes in the machine's order.
    public func nativeUInt32(at offset: Int) -> UInt32 {
        let low = UInt32(self[offset]) | UInt32(self[offset + 1]) << 8
        let high = UInt32(self[offset + 2]) | UInt32(self[offset + 3]) << 8
        return (low | high << 16).fromNative
    }
}

extension FixedWidthInteger {
    /// A number put together lowest byte first, as the machine would have read it.
    var fromNative: Self {
        #if _endian(little)
            self
        #else
            byteSwapped
        #endif
    }
}

/// Writes one netlink message.
public struct NetlinkWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// Starts over; the memory is kept.
    public mutating func begin(type: UInt16, flags: UInt16, sequence: UInt32) {
        bytes.removeAll(keepingCapacity: true)
        append(UInt32(0))
        append(type)
        append(flags)
        append(sequence)
        append(UInt32(0))
    }

    /// Fills in the length; the message is ready to be sent.
    public mutating func finish() {
        set(UInt32(bytes.count), at: 0)
    }

    /// Bytes in front of the attributes, such as `nfgenmsg`.
    public mutating func appendHeader(_ header: [UInt8]) { bytes.append(contentsOf: header) }

    public mutating func attribute(_ type: UInt16, _ payload: [UInt8]) {
        append(UInt16(4 + payload.count))
        append(type)
        bytes.append(contentsOf: payload)
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    public mutating func attribute(_ type: UInt16, bigEndian value: UInt16) {
        attribute(type, [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)])
    }

    public mutating func attribute(_ type: UInt16, bigEndian value: UInt32) {
        attribute(type, (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) })
    }

    public mutating func attribute(_ type: UInt16, byte value: UInt8) {
        attribute(type, [value])
    }

    /// An attribute made of attributes.
    public mutating func nested(_ type: UInt16, _ content: (inout NetlinkWriter) -> Void) {
        let start = bytes.count
        append(UInt16(0))
        append(type | 0x8000)
        content(&self)
        set(UInt16(bytes.count - start), at: start)
    }

    private mutating func append(_ value: UInt16) {
        let native = value.fromNative
        bytes.append(UInt8(truncatingIfNeeded: native))
        bytes.append(UInt8(truncatingIfNeeded: native >> 8))
    }

    private mutating func append(_ value: UInt32) {
        let native = value.fromNative
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: native >> shift))
        }
    }

    private mutating func set(_ value: UInt16, at offset: Int) {
        let native = value.fromNative
        bytes[offset] = UInt8(truncatingIfNeeded: native)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: native >> 8)
    }

    private mutating func set(_ value: UInt32, at offset: Int) {
        let native = value.fromNative
        for byte in 0..<4 {
            bytes[offset + byte] = UInt8(truncatingIfNeeded: native >> (8 * UInt32(byte)))
        }
    }
}
