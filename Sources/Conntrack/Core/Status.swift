/// A connection's status bits, with the kernel's values (spec table.md §12).
public struct Status: OptionSet, Hashable, Sendable, BitwiseCopyable {
    public let rawValue: UInt16

    @inlinable
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let expected = Status(rawValue: 1 << 0)
    public static let seenReply = Status(rawValue: 1 << 1)
    public static let assured = Status(rawValue: 1 << 2)
    public static let confirmed = Status(rawValue: 1 << 3)
    public static let sourceNAT = Status(rawValue: 1 << 4)
    public static let destinationNAT = Status(rawValue: 1 << 5)
    public static let sequenceAdjust = Status(rawValue: 1 << 6)
    public static let sourceNATDone = Status(rawValue: 1 << 7)
    public static let destinationNATDone = Status(rawValue: 1 << 8)
    public static let dying = Status(rawValue: 1 << 9)
    public static let fixedTimeout = Status(rawValue: 1 << 10)
    public static let template = Status(rawValue: 1 << 11)
    public static let natClash = Status(rawValue: 1 << 12)
    public static let helper = Status(rawValue: 1 << 13)
    public static let offload = Status(rawValue: 1 << 14)
    public static let hardwareOffload = Status(rawValue: 1 << 15)

    /// The kernel's names, lowest bit first.
    public static let names: [(Status, String)] = [
        (.expected, "EXPECTED"), (.seenReply, "SEEN_REPLY"), (.assured, "ASSURED"),
        (.confirmed, "CONFIRMED"), (.sourceNAT, "SRC_NAT"), (.destinationNAT, "DST_NAT"),
        (.sequenceAdjust, "SEQ_ADJUST"), (.sourceNATDone, "SRC_NAT_DONE"),
        (.destinationNATDone, "DST_NAT_DONE"), (.dying, "DYING"),
        (.fixedTimeout, "FIXED_TIMEOUT"), (.template, "TEMPLATE"), (.natClash, "NAT_CLASH"),
        (.helper, "HELPER"), (.offload, "OFFLOAD"), (.hardwareOffload, "HW_OFFLOAD"),
    ]

    /// The names of the bits that are set, lowest bit first.
    public var setNames: [String] { Self.names.filter { contains($0.0) }.map(\.1) }
}
