public import Wire

/// Which end of the original direction a mapping changes.
public enum NATKind: UInt8, Sendable, Hashable, BitwiseCopyable {
    case source, destination
}

/// Where a mapping may map to: addresses, ports (or ICMP ids), and how to choose.
///
/// Kernel: `struct nf_nat_range2`; spec nat.md §2 and §3.
public struct NATRange: Sendable, Hashable, BitwiseCopyable {
    /// Smallest and largest address; meaningful with `.addresses`.
    public var firstAddress: Address
    public var lastAddress: Address
    /// Smallest and largest port or id; meaningful with `.ports`.
    public var firstPort: UInt16
    public var lastPort: UInt16
    /// Shifted mapping: port - base is the offset into the range; meaningful with `.shifted`.
    public var basePort: UInt16
    public var flags: Flags

    public struct Flags: OptionSet, Sendable, Hashable, BitwiseCopyable {
        public let rawValue: UInt8

        @inlinable
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let addresses = Flags(rawValue: 1)
        public static let ports = Flags(rawValue: 2)
        /// `random` and `fully-random`: one thing in these kernels.
        public static let random = Flags(rawValue: 4)
        public static let persistent = Flags(rawValue: 8)
        public static let shifted = Flags(rawValue: 16)
    }

    public init() {
        firstAddress = .zero
        lastAddress = .zero
        firstPort = 0
        lastPort = 0
        basePort = 0
        flags = []
    }

    /// Exactly one address.
    init(to address: Address) {
        self.init()
        flags = .addresses
        firstAddress = address
        lastAddress = address
    }
}

/// What a nat rule asks for.
public enum NATTarget: Sendable, Hashable, BitwiseCopyable {
    case source(NATRange)
    case destination(NATRange)
    /// Source NAT to the egress interface's address, which the node looks up.
    case masquerade(NATRange)
    /// Destination NAT to the ingress interface's address (prerouting) or loopback (output).
    case redirect(NATRange)
}
