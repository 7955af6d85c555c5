// Network addresses as numbers, so that prefixes, ranges and masks are arithmetic.

/// The layer-3 family, with the kernel's own numbers (`AF_INET`, `AF_INET6`).
public enum Family: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case ipv4 = 2
    case ipv6 = 10

    /// Bits of an address of this family: 32 or 128.
    public var addressBits: Int { self == .ipv4 ? 32 : 128 }
}

/// An IPv4 or IPv6 address as a 128-bit number in host order.
///
/// An IPv4 address fills the low 32 bits; the family is not part of the value, because whoever
/// holds an address also holds the packet or tuple whose family it is.
public struct Address: Hashable, Sendable, BitwiseCopyable {
    public var high: UInt64
    public var low: UInt64

    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The IPv4 address whose first byte is the highest byte of `value`.
    @inlinable
    public init(ipv4 value: UInt32) {
        self.init(high: 0, low: UInt64(value))
    }

    /// The low 32 bits: the whole of an IPv4 address.
    @inlinable public var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }

    @inlinable public static var zero: Address { Address(high: 0, low: 0) }

    /// The four 32-bit words of an IPv6 address, first word first, in host order.
    @inlinable public var words: (UInt32, UInt32, UInt32, UInt32) {
        (
            UInt32(truncatingIfNeeded: high >> 32), UInt32(truncatingIfNeeded: high),
            UInt32(truncatingIfNeeded: low >> 32), UInt32(truncatingIfNeeded: low)
        )
    }

    @inlinable
    public func masked(by mask: Address) -> Address {
        Address(high: high & mask.high, low: low & mask.low)
    }

    /// The mask of a prefix of `length` bits in `family`: `length` ones, then zeros.
    public static func mask(prefix length: Int, _ family: Family) -> Address {
        switch family {
        case .ipv4:
            return Address(ipv4: length == 0 ? 0 : ~UInt32(0) << UInt32(32 - length))
        case .ipv6:
            let high = length == 0 ? 0 : ~UInt64(0) << UInt64(max(0, 64 - length))
            let low = length <= 64 ? 0 : ~UInt64(0) << UInt64(128 - length)
            return Address(high: high, low: low)
        }
    }
}

extension Address: Comparable {
    @inlinable
    public static func < (left: Address, right: Address) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }
}
