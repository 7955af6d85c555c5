/// The difference that changed header fields make to a checksum (RFC 1624, equation 3).
///
/// Every old and new value of one rewriting is noted once; the change is then applied to each
/// checksum that covers the fields.
public struct ChecksumChange: Sendable, BitwiseCopyable {
    @usableFromInline var sum = Checksum()

    @inlinable
    public init() {}

    @inlinable
    public mutating func replace(_ old: UInt16, with new: UInt16) {
        sum.add(~old)
        sum.add(new)
    }

    @inlinable
    public mutating func replace(_ old: UInt32, with new: UInt32) {
        sum.add(~old)
        sum.add(new)
    }

    @inlinable
    public mutating func replace(_ old: Address, with new: Address, _ family: Family) {
        let inverted = Address(high: ~old.high, low: ~old.low)
        sum.add(inverted, family)
        sum.add(new, family)
    }

    /// The checksum field after the change; never 0xffff, because zero is written as 0.
    @inlinable
    public func applied(to field: UInt16) -> UInt16 {
        var total = sum
        total.add(~field)
        // One's complement has two zeros; adding the second one keeps the sum from being the first.
        total.add(UInt16.max)
        return total.field
    }

    /// The UDP checksum field after the change: 0 ("none") stays 0, a result of 0 becomes 0xffff.
    @inlinable
    public func appliedToUDP(_ field: UInt16) -> UInt16 {
        field == 0 ? 0 : appliedToUDPLite(field)
    }

    /// The UDP-Lite checksum field after the change: 0 has no meaning of its own, but is never
    /// written.
    @inlinable
    public func appliedToUDPLite(_ field: UInt16) -> UInt16 {
        let result = applied(to: field)
        return result == 0 ? 0xffff : result
    }
}
