public import Wire

/// The documented kernel behaviours the model can follow.
public enum KernelProfile: String, Sendable, Hashable, CaseIterable {
    case linux618 = "6.18"
    case linux612 = "6.12"
}

/// When a node tracks (spec policy.md §2).
public enum TrackingMode: String, Sendable, Hashable, CaseIterable {
    /// As the kernel: a family is tracked once a rule of it needs the tracker.
    case auto
    case always
}

/// An address with its prefix length; also a route to a network.
public struct Prefix: Sendable, Hashable, BitwiseCopyable {
    public var family: Family
    public var address: Address
    public var length: Int

    public init(_ family: Family, _ address: Address, length: Int) {
        self.family = family
        self.address = address
        self.length = length
    }

    public func contains(_ other: Address, _ otherFamily: Family) -> Bool {
        let mask = Address.mask(prefix: length, family)
        return family == otherFamily && address.masked(by: mask) == other.masked(by: mask)
    }
}

/// One interface of a node: what it is called, what it holds, what lies behind it.
public struct Interface: Sendable, Hashable {
    public var name: String
    /// The first IPv4 and the first IPv6 address are the primary ones.
    public var addresses: [Prefix]
    public var routes: [Prefix]
    public var mtu: Int
    /// Takes what no address or route of any interface holds.
    public var isDefault: Bool

    public init(
        name: String, addresses: [Prefix] = [], routes: [Prefix] = [], mtu: Int = 1500,
        isDefault: Bool = false
    ) {
        self.name = name
        self.addresses = addresses
        self.routes = routes
        self.mtu = mtu
        self.isDefault = isDefault
    }
}

/// Everything that makes a node what it is before its first packet.
public struct NodeConfiguration: Sendable {
    public var profile: KernelProfile = .linux618
    public var tickRate: TickRate = .reference
    public var seed: UInt64 = 1
    /// At least one.
    public var interfaces: [Interface] = [Interface(name: "eth0", isDefault: true)]
    public var sysctl = Sysctl()
    public var ruleset = Ruleset.empty
    public var tracking: TrackingMode = .auto
    /// The inode number kernel-log lines name where the node is a child namespace; `nil`: initial.
    public var namespaceInode: UInt32? = nil
    /// Wall-clock time of the run's first instant, Unix nanoseconds: what timestamps print.
    public var epochNanoseconds: UInt64 = 0

    /// Links of a chain a new connection may pass before it is refused, drawn evenly; `nil`: what
    /// the profile does.
    public var chainLimit: ClosedRange<UInt32>? = nil
    /// Older kernels began elsewhere than `profile` does.
    public var portSearchStart = PortSearchStart.random

    public init() {}
}
