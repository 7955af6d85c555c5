internal import Wire

/// One machine as the live kernel is to play it: plain text, handed to the system's own tools.
public struct LiveNode: Sendable, Hashable {
    /// A network device, with what it holds and what lies behind it.
    public struct Interface: Sendable, Hashable {
        /// At most 15 bytes.
        public var name: String
        /// `10.0.0.1/16`, `fd00::1/64`: the device's own addresses.
        public var addresses: [String]
        /// `10.9.0.0/16`: networks behind it.
        public var routes: [String]
        /// Bytes.
        public var mtu: Int
        /// Takes what nothing else holds.
        public var isDefault: Bool

        public init(
            name: String, addresses: [String] = [], routes: [String] = [], mtu: Int = 1500,
            isDefault: Bool = false
        ) {
            self.name = name
            self.addresses = addresses
            self.routes = routes
            self.mtu = mtu
            self.isDefault = isDefault
        }
    }

    /// A kernel setting, as text.
    public struct Setting: Sendable, Hashable {
        /// The kernel's name, with or without `net.netfilter.`.
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// When the machine tracks.
    public enum Tracking: String, Sendable, Hashable {
        /// As the kernel does: where a rule needs it.
        case auto
        case always
    }

    /// At least one.
    public var interfaces: [Interface]
    public var sysctls: [Setting]
    /// nftables text, as `nft -f` reads it.
    public var ruleset: String
    public var tracking: Tracking

    public init(
        interfaces: [Interface] = [Interface(name: "eth0", isDefault: true)],
        sysctls: [Setting] = [], ruleset: String = "", tracking: Tracking = .auto
    ) {
        self.interfaces = interfaces
        self.sysctls = sysctls
        self.ruleset = ruleset
        self.tracking = tracking
    }
}

/// Where a packet of a trace comes in, when the trace does not say (design replay.md): the
/// interface with the longest address or route prefix that holds its source, else the default.
public struct IngressChooser: Sendable {
    private struct Candidate {
        let family: Family
        let network: Address
        let length: Int
        let interface: Int
    }

    private let candidates: [Candidate]
    private let fallback: Int

    public init(_ node: LiveNode) {
        var candidates: [Candidate] = []
        for (index, interface) in node.interfaces.enumerated() {
            for text in interface.addresses + interface.routes {
                guard let (family, address, length) = Address.parsePrefix(text) else { continue }
                let network = address.masked(by: .mask(prefix: length, family))
                candidates.append(
                    Candidate(family: family, network: network, length: length, interface: index))
            }
        }
        self.candidates = candidates
        fallback = node.interfaces.firstIndex { $0.isDefault } ?? 0
    }

    /// The index of the interface `packet` comes in by; the first where no source can be read.
    public func interface(for packet: [UInt8]) -> Int {
        guard let (family, source) = FlowTuple.source(of: packet) else { return 0 }
        var best = (length: -1, interface: fallback)
        for candidate in candidates where candidate.family == family {
            let mask = Address.mask(prefix: candidate.length, family)
            if candidate.length > best.length, source.masked(by: mask) == candidate.network {
                best = (candidate.length, candidate.interface)
            }
        }
        return best.interface
    }
}
