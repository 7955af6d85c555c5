public import Wire

// A service as Kubernetes means it: one virtual address and port in front of some endpoints.

/// One port of a service.
///
/// `ServiceRules` writes the rules for it.
public struct ServiceDescription: Sendable, Hashable {
    public enum Transport: String, Sendable, Hashable, CaseIterable {
        case tcp, udp, sctp
    }

    public struct Endpoint: Sendable, Hashable {
        public var address: Address
        public var port: UInt16

        public init(_ address: Address, port: UInt16) {
            self.address = address
            self.port = port
        }
    }

    /// Whether a client keeps its endpoint over connections.
    public enum Affinity: Sendable, Hashable {
        case none
        /// For so long after its last new connection; Kubernetes' default is three hours.
        case clientIP(timeoutSeconds: UInt32 = 10_800)
    }

    /// As in `kube-system/kube-dns:dns`.
    ///
    /// A name without `/` is in namespace `default`; the port's name behind the colon may be left
    /// out. Chains are named after it.
    public var name: String
    public var family: Family
    /// The virtual address: the cluster IP.
    public var address: Address
    public var port: UInt16
    public var transport: Transport
    /// Also reached on this port of every address of the node.
    public var nodePort: UInt16?
    /// All of the service's family; where there are none, new connections are refused.
    public var endpoints: [Endpoint]
    public var affinity: Affinity

    public init(
        name: String, family: Family = .ipv4, address: Address, port: UInt16,
        transport: Transport = .tcp, nodePort: UInt16? = nil, endpoints: [Endpoint] = [],
        affinity: Affinity = .none
    ) {
        self.name = name
        self.family = family
        self.address = address
        self.port = port
        self.transport = transport
        self.nodePort = nodePort
        self.endpoints = endpoints
        self.affinity = affinity
    }
}

extension ServiceDescription {
    /// Namespace and name, without the port's name.
    private var parts: (namespaced: Substring, port: Substring) {
        let colon = name.firstIndex(of: ":")
        return (name[..<(colon ?? name.endIndex)], colon.map { name[$0...].dropFirst() } ?? "")
    }

    private var namespaced: String {
        let name = parts.namespaced
        return name.contains("/") ? String(name) : "default/\(name)"
    }

    /// `ns/svc:port`, or `ns/svc` where the port has no name: what comments say.
    var title: String {
        parts.port.isEmpty ? namespaced : "\(namespaced):\(parts.port)"
    }

    /// `ns/svc/tcp/port`: what names in nftables are made of.
    var path: String { "\(namespaced)/\(transport.rawValue)/\(parts.port)" }

    /// `10.0.0.1:80`, `[fd00::1]:80`.
    func text(_ endpoint: Endpoint) -> String {
        let address = endpoint.address.text(family)
        return family == .ipv4
            ? "\(address):\(endpoint.port)" : "[\(address)]:\(endpoint.port)"
    }
}
