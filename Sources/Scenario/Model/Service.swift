public import Conntrack
public import Wire

// Kubernetes services: a virtual address and its endpoints. The nodes' rules are made from these.

extension Scenario {
    /// A service as kube-proxy sees it: one port of one virtual address.
    public struct Service: Sendable, Hashable {
        public enum Mode: String, Sendable, Hashable, CaseIterable {
            case nftables, iptables
            /// No rules; the node balances before its own tracking.
            case ipvs
        }

        /// Who deletes UDP entries of endpoints that have gone.
        public enum CleanUp: String, Sendable, Hashable, CaseIterable {
            case kubeProxy = "kube-proxy"
            case none
        }

        public var name: String
        public var family: Family
        public var virtualAddress: Address
        public var port: UInt16
        public var transport: Transport
        /// The endpoints' port.
        public var targetPort: UInt16
        public var nodePort: UInt16?
        /// The group whose members answer; rollouts and scaling change who they are.
        public var endpoints: String
        public var mode: Mode = .nftables
        /// How long a client keeps its endpoint (`affinity: client-ip`); `nil` is no affinity.
        public var clientAffinity: Interval?
        public var cleanUp: CleanUp = .kubeProxy
        /// Nodes that carry the rules; empty is every `kubernetes-node`.
        public var nodes: [String] = []
        /// `externalTrafficPolicy: Local`: node-port traffic stays on its node and keeps its source.
        public var isExternalTrafficLocal = false
        /// ipvs: what a SYN on an entry in TIME_WAIT does.
        ///
        /// `true`: the entry is expired and the SYN dropped (`conn_reuse_mode` 1 of older kernels);
        /// `false`: it goes its way.
        public var dropsReusedPorts = false

        public init(
            name: String, _ family: Family, _ virtualAddress: Address, port: UInt16,
            _ transport: Transport, endpoints: String
        ) {
            self.name = name
            self.family = family
            self.virtualAddress = virtualAddress
            self.port = port
            self.transport = transport
            targetPort = port
            self.endpoints = endpoints
        }
    }
}
