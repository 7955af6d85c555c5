public import Conntrack
public import Wire

// Machines, the links between them, and routes that differ from the shortest path.

extension Scenario {
    /// The machines of a scenario and how they are joined.
    public struct Topology: Sendable, Hashable {
        public var nodes: [Node] = []
        public var links: [Link] = []
        public var routes: [Route] = []

        public init() {}

        public func node(named name: String) -> Node? { nodes.first { $0.name == name } }
    }

    /// What a machine is for, which decides its defaults.
    public enum Role: String, Sendable, Hashable, CaseIterable {
        /// Forwards; nothing listens.
        case router
        /// An end system.
        case host
        /// Forwards for its pods, listens, and carries the rules of services.
        case kubernetesNode = "kubernetes-node"
    }

    /// Whether a node has connection tracking.
    public enum Tracking: String, Sendable, Hashable, CaseIterable {
        /// An end system of which only the sockets matter: the default of hosts without rules,
        /// conntrack settings or a table.
        case none
        /// As the kernel: once a rule needs it.
        case auto
        case always
    }

    /// How arriving packets are spread over a node's CPUs.
    public enum Steering: String, Sendable, Hashable, CaseIterable {
        /// As receive-side scaling: all packets of one direction of a flow meet one CPU.
        case flowHash = "flow-hash"
        /// Packet after packet to the next CPU.
        case roundRobin = "round-robin"
        case random
    }

    /// A machine, or a group of `replicas` equal ones.
    public struct Node: Sendable, Hashable {
        public var name: String
        public var role: Role = .host
        /// Machines in the group; `nil` is one machine that is no group.
        ///
        /// Members are called `name-0`, `name-1`, ….
        public var replicas: Int?
        /// Addresses of the node itself, whatever the interface; of a group, the pool its members
        /// take one each from, first to first.
        public var addresses: [AddressPool] = []
        /// Every member of the group has all `addresses` (tenants with overlapping networks).
        public var sharesAddresses = false
        /// Interfaces the file names; those of the other links follow as eth0, eth1, ….
        public var interfaces: [NodeInterface] = []

        public var profile: KernelProfile = .linux618
        public var tickRate: TickRate = .reference
        public var tracking: Tracking = .auto
        /// `sysctl_file` first, then `sysctl`.
        public var sysctl = Sysctl()
        public var host = HostSettings()
        /// In the order of the file; rules of services come on top.
        public var rules: [RulesText] = []
        /// What the table holds before the first packet, as saved from a real machine.
        public var savedTable: SavedTable?
        /// What the table holds before the first packet, made up.
        public var initialEntries: [InitialEntries] = []
        /// Links of a chain that a new entry may pass before it is refused, drawn evenly; `nil` is
        /// what `profile` does.
        ///
        /// Older kernels had narrower ones.
        public var chainLimit: ClosedRange<UInt32>?
        /// Where a search for a free source port begins.
        ///
        /// Older kernels began at the port found last.
        public var portSearchStart = PortSearchStart.random

        public var cpus = 1
        /// Nanoseconds a packet spends between tracking and the choice of its source.
        public var processing: Distribution = .constant(0)
        /// Nanoseconds it spends from there to confirmation.
        public var confirming: Distribution = .constant(0)
        public var steering: Steering = .flowHash
        public var listeners: [Listener] = []
        /// Connections that may wait for `accept`, as `min(backlog, net.core.somaxconn)`.
        public var backlog = 4096

        public init(name: String) { self.name = name }
    }

    /// A named interface of a node.
    public struct NodeInterface: Sendable, Hashable {
        public var name: String
        public var addresses: [AddressPool] = []
        public var mtu = 1500

        public init(name: String) { self.name = name }
    }

    /// Addresses a node has: one (`10.0.0.1`, `10.0.0.1/24`), or all of a network (`10.0.0.0/24`,
    /// no bits behind the prefix).
    public struct AddressPool: Sendable, Hashable {
        public var family: Family
        /// The address, or the first of the network.
        public var first: Address
        /// Addresses in the pool, 1 to `ScenarioLimits.addressesPerPool`.
        public var count: Int
        /// Bits of the network they are in; what a connected route holds.
        public var prefixLength: Int

        public init(_ family: Family, _ first: Address, count: Int = 1, prefixLength: Int) {
            self.family = family
            self.first = first
            self.count = count
            self.prefixLength = prefixLength
        }

        /// The network as a route has it.
        public var network: Prefix {
            let mask = Address.mask(prefix: prefixLength, family)
            return Prefix(family, first.masked(by: mask), length: prefixLength)
        }

        /// The address at `index`, from 0.
        public subscript(index: Int) -> Address {
            precondition(index >= 0 && index < count, "the pool has \(count) addresses")
            let (low, overflow) = first.low.addingReportingOverflow(UInt64(index))
            return Address(high: first.high &+ (overflow ? 1 : 0), low: low)
        }
    }

    /// Settings of an end system's sockets; written under their sysctl names.
    public struct HostSettings: Sendable, Hashable {
        /// `net.ipv4.tcp_syn_retries`: 6 repeats after 1, 3, 7, 15, 31, 63 s.
        public var synRetries = 6
        /// `net.ipv4.tcp_syn_linear_timeouts`: so many repeats of a SYN follow a second apart
        /// before the pause doubles.
        ///
        /// Linux from 6.5 on has 4 (repeats after 1, 2, 3, 4, 5, 7, 11 s); 0 is what older ones do.
        public var synLinearTimeouts = 0
        /// Whether repeats of a SYN wait for the kernel's timer wheel, at the node's `hz`, which
        /// only rounds up: at 250 Hz those of 32 ms leave together.
        ///
        /// No key of the format: `ctlab compare` asks for it, since a burst at a full table meets
        /// it otherwise than the same SYNs one by one.
        public var roundsTimers = false
        /// `net.ipv4.tcp_synack_retries`.
        public var synAckRetries = 5
        /// `net.ipv4.tcp_retries2`: repeats of a segment before the connection is given up.
        public var dataRetries = 15
        /// `net.ipv4.ip_local_port_range`.
        public var ephemeralPorts: ClosedRange<UInt16> = 32_768...60_999
        /// `net.ipv4.tcp_fin_timeout`: an orphan's stay in FIN-WAIT-2.
        public var finTimeout: Interval = .seconds(60)
        /// `net.ipv4.tcp_tw_reuse`: a port in TIME_WAIT may open a new connection after 1 s;
        /// 2 (the kernel's default) does so on loopback alone, which here is never.
        public var reusesTimeWait = false
        /// Answers RST and ICMP port unreachable where nothing listens; a silent host does not.
        public var rejectsClosedPorts = true

        public init() {}
    }

    /// A ruleset as it was written.
    public struct RulesText: Sendable, Hashable {
        public enum Form: String, Sendable, Hashable {
            case nftables
            case iptablesSave = "iptables_save"
        }

        public var form: Form
        public var text: String
        /// Where it stands, for messages: file and the line of its first line.
        public var file: String
        public var firstLine: Int

        public init(_ form: Form, _ text: String, file: String, firstLine: Int = 1) {
            self.form = form
            self.text = text
            self.file = file
            self.firstLine = firstLine
        }
    }

    /// Entries a table starts with, all alike but for their addresses and ports.
    public struct InitialEntries: Sendable, Hashable {
        public var count: Int
        public var transport: Transport
        /// Of TCP, the kernel's word.
        public var state: TCPState = .established
        /// What is left of their time when the run begins; `nil` is the state's timeout.
        public var timeout: Interval?
        public var isAssured = true
        /// Node whose addresses are the sources.
        public var source: String
        public var target: Target

        public init(count: Int, from source: String, to target: Target) {
            self.count = count
            self.source = source
            self.target = target
            transport = target.transport
        }
    }

    /// A route on one node that wins over the shortest path.
    public struct Route: Sendable, Hashable {
        /// Node or group it is set on.
        public var node: String
        public var destination: Prefix
        /// The neighbour packets are handed to; `nil` removes the route.
        public var via: String?

        public init(on node: String, to destination: Prefix, via: String?) {
            self.node = node
            self.destination = destination
            self.via = via
        }
    }
}
