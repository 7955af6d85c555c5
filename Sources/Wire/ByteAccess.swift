// Network byte order over a span of bytes. Every access is bounds-checked by `Span` itself;
// parsers check the length once and then read.

extension Span<UInt8> {
    @inlinable @inline(__always)
    public func bigEndianUInt16(at offset: Int) -> UInt16 {
        UInt16(self[offset]) << 8 | UInt16(self[offset + 1])
    }

    @inlinable @inline(__always)
    public func bigEndianUInt32(at offset: Int) -> UInt32 {
        UInt32(bigEndianUInt16(at: offset)) << 16 | UInt32(bigEndianUInt16(at: offset + 2))
    }

    @inlinable @inline(__always)
    public func bigEndianUInt64(at offset: Int) -> UInt64 {
        UInt64(bigEndianUInt32(at: offset)) << 32 | UInt64(bigEndianUInt32(at: offset + 4))
    }

    /// The IPv4 address at `offset`.
    @inlinable @inline(__always)
    public func ipv4Address(at offset: Int) -> Address {
        Address(ipv4: bigEndianUInt32(at: offset))
    }

    /// The IPv6 address at `offset`.
    @inlinable @inline(__always)
    public func ipv6Address(at offset: Int) -> Address {
        Address(high: bigEndianUInt64(at: offset), low: bigEndianUInt64(at: offset + 8))
    }
}

extension [UInt8] {
    @inlinable
    public mutating func setBigEndian(_ value: UInt16, at offset: Int) {
        self[offset] = UInt8(truncatingIfNeeded: value >> 8)
        self[offset + 1] = UInt8(truncatingIfNeeded: value)
    }

    @inlinable
    public mutating func setBigEndian(_ value: UInt32, at offset: Int) {
        setBigEndian(UInt16(truncatingIfNeeded: value >> 16), at: offset)
        setBigEndian(UInt16(truncatingIfNeeded: value), at: offset + 2)
    }

    @inlinable
    public mutating func setBigEndian(_ value: UInt64, at offset: Int) {
        setBigEndian(UInt32(truncatingIfNeeded: value >> 32), at: offset)
        setBigEndian(UInt32(truncatingIfNeeded: value), at: offset + 4)
    }

    @inlinable
    public mutating func setAddress(_ address: Address, _ family: Family, at offset: Int) {
        switch family {
        case .ipv4:
            setBigEndian(address.ipv4, at: offset)
        case .ipv6:
            setBigEndian(address.high, at: offset)
            setBigEndian(address.low, at: offset + 8)
        }
    }
}

extension [UInt8] {
    @inlinable
    public mutating func appendBigEndian(_ value: UInt16) {
        append(UInt8(truncatingIfNeeded: value >> 8))
        append(UInt8(truncatingIfNeeded: value))
    }

    @inlinable
    public mutating func appendBigEndian(_ value: UInt32) {
        appendBigEndian(UInt16(truncatingIfNeeded: value >> 16))
        appendBigEndian(UInt16(truncatingIfNeeded: value))
    }

    @inlinable
    public mutating func appendBigEndian(_ value: UInt64) {
        appendBigEndian(UInt32(truncatingIfNeeded: value >> 32))
        appendBigEndian(UInt32(truncatingIfNeeded: value))
    }

    /// Appends the 4 or 16 bytes of an address in network order.
    @inlinable
    public mutating func append(_ address: Address, _ family: Family) {
        switch family {
        case .ipv4:
            appendBigEndian(address.ipv4)
        case .ipv6:
            appendBigEndian(address.high)
            appendBigEndian(address.low)
        }
    }
}

extension [UInt8] {
    /// The bytes of a span as an array.
    @inlinable
    public init(copying bytes: Span<UInt8>) {
        self.init()
        reserveCapacity(bytes.count)
        for index in bytes.indices { append(bytes[index]) }
    }
}
