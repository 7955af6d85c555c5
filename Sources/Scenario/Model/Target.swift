public import Wire

// Where packets are sent to: `web:443/tcp`, `198.51.100.7:53/udp`, `peers:1024-65535/udp`.

extension Scenario {
    /// Somebody to talk to.
    public struct Target: Sendable, Hashable {
        public enum Host: Sendable, Hashable {
            /// A node or group, by its addresses.
            case node(String)
            /// A service, by its virtual address and port.
            case service(String)
            /// A service by its node port, on nodes chosen by weight.
            case nodePort(String, weights: [NodeWeight])
            /// Addresses, whoever holds them.
            case addresses(Family, first: Address, count: Int)
        }

        public struct NodeWeight: Sendable, Hashable {
            public var node: String
            /// Relative to the sum of all.
            public var weight: Double

            public init(node: String, weight: Double) {
                self.node = node
                self.weight = weight
            }
        }

        /// Which of several addresses and ports the next flow goes to.
        public enum Spread: String, Sendable, Hashable, CaseIterable {
            /// One after the other; ports of an address before the next address.
            case roundRobin = "round-robin"
            case random
            /// The first alone.
            case first
        }

        public var host: Host
        /// 0...0 for ICMP, and for services, which know their port.
        public var ports: ClosedRange<UInt16>
        public var transport: Transport
        public var spread: Spread = .roundRobin

        public init(_ host: Host, ports: ClosedRange<UInt16>, _ transport: Transport) {
            self.host = host
            self.ports = ports
            self.transport = transport
        }
    }
}
