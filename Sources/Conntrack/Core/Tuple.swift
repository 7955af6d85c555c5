public import Wire

/// The one-directional key of a connection.
///
/// The two protocol parts hold what the kernel's tuple holds (spec table.md §2): ports; for ICMP
/// and ICMPv6 the identifier in `sourcePart` and `type << 8 | code` in `destinationPart`; GRE keys;
/// zero for protocols without a tracker.
///
/// Kernel: `struct nf_conntrack_tuple`. The direction is not part of it.
public struct Tuple: Hashable, Sendable, BitwiseCopyable {
    public var source: Address
    public var destination: Address
    public var sourcePart: UInt16
    public var destinationPart: UInt16
    public var family: Family
    public var protocolNumber: UInt8

    public init(
        _ family: Family, _ protocolNumber: UInt8, source: Address, _ sourcePart: UInt16,
        destination: Address, _ destinationPart: UInt16
    ) {
        self.family = family
        self.protocolNumber = protocolNumber
        self.source = source
        self.sourcePart = sourcePart
        self.destination = destination
        self.destinationPart = destinationPart
    }

    // Computed, like `Address.zero`: a stored constant is asked whether it has been made yet.
    public static var none: Tuple { Tuple(.ipv4, 0, source: .zero, 0, destination: .zero, 0) }

    public var icmpType: UInt8 { UInt8(truncatingIfNeeded: destinationPart >> 8) }
    public var icmpCode: UInt8 { UInt8(truncatingIfNeeded: destinationPart) }

    /// The tuple an answer to this one has, or `nil` for an ICMP type that has no answer.
    ///
    /// Kernel: `nf_ct_invert_tuple()`; spec table.md §2.2.
    @inline(__always)
    public var inverted: Tuple? {
        if hasIdentifier { return answered }
        return Tuple(
            family, protocolNumber, source: destination, destinationPart,
            destination: source, sourcePart)
    }

    @inline(never)
    private var answered: Tuple? {
        swapped(
            answering: family == .ipv4
                ? Self.icmpAnswer(to: icmpType) : Self.icmpv6Answer(to: icmpType))
    }

    private func swapped(answering type: UInt8?) -> Tuple? {
        guard let type else { return nil }
        return Tuple(
            family, protocolNumber, source: destination, sourcePart,
            destination: source, UInt16(type) << 8 | UInt16(icmpCode))
    }

    private static func icmpAnswer(to type: UInt8) -> UInt8? {
        switch type {
        case 8: 0
        case 0: 8
        case 13: 14
        case 14: 13
        case 15: 16
        case 16: 15
        case 17: 18
        case 18: 17
        default: nil
        }
    }

    private static func icmpv6Answer(to type: UInt8) -> UInt8? {
        switch type {
        case 128: 129
        case 129: 128
        case 139: 140
        case 140: 139
        default: nil
        }
    }
}

/// Which of a connection's two tuples a packet matched.
public enum Direction: UInt8, Sendable, Hashable, BitwiseCopyable {
    case original = 0
    case reply = 1

    public var opposite: Direction { self == .original ? .reply : .original }
}
