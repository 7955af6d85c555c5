public import Conntrack

// What happens at a moment of the run, whatever the load does.

extension Scenario {
    /// One thing at one time.
    public struct TimelineEvent: Sendable, Hashable {
        public var time: Instant
        public var verb: Verb

        public init(at time: Instant, _ verb: Verb) {
            self.time = time
            self.verb = verb
        }
    }

    /// What can happen.
    ///
    /// Nodes are named as in the topology; a group's name means all its members, `group-3` one of
    /// them.
    public enum Verb: Sendable, Hashable {
        case sysctl([SettingChange])
        /// Replaces the node's own rules; the table stays.
        case rules(node: String, RulesText)
        case rollout(Rollout)
        /// Changes how many members of a group, or endpoints of a service, there are.
        case scale(of: String, to: Int)
        /// Hosts go, silently: packets to them get no answer. They return after `for`, or never.
        case kill(of: String, for: Interval?)
        case failover(Failover)
        case route(Route)
        /// Changes the links between two nodes.
        case link(LinkChange)
        case workload(name: String, WorkloadChange)
        /// `conntrack -F`.
        case flush(node: String)
        /// `conntrack -D` with filters.
        case delete(node: String, EntryFilter)
        /// A mark on the charts.
        case note(String)
    }

    public struct SettingChange: Sendable, Hashable {
        public var node: String
        /// The kernel's name as written, checked.
        public var name: String
        public var value: String

        public init(node: String, name: String, value: String) {
            self.node = node
            self.name = name
            self.value = value
        }
    }

    /// Members of a group are replaced by new ones with new addresses, batch by batch.
    public struct Rollout: Sendable, Hashable {
        /// What an endpoint that goes does with its connections.
        public enum Closing: String, Sendable, Hashable, CaseIterable { case fin, rst, abandon }

        /// A group, or a service whose endpoints are one.
        public var of: String
        public var batch = 1
        public var every: Interval = .seconds(10)
        /// From leaving the service to the end of the process.
        public var drain: Interval = .seconds(30)
        public var closing: Closing = .fin
        /// New members that are there before old ones go.
        public var surge = 1

        public init(of: String) { self.of = of }
    }

    /// One router takes over from another: whatever was routed via `from` goes via `to`.
    public struct Failover: Sendable, Hashable {
        public var from: String
        public var to: String
        /// From the failure until routes have changed; packets in between are lost.
        public var detection: Interval
        /// The table has been mirrored (conntrackd).
        public var keepsTable = false

        public init(from: String, to: String, detection: Interval) {
            self.from = from
            self.to = to
            self.detection = detection
        }
    }

    public struct LinkChange: Sendable, Hashable {
        /// Two neighbours; the first to the second is `forward`.
        public var ends: [LinkEnd]
        /// `nil` leaves as it is.
        public var isDown: Bool?
        public var forward: LinkQualityChange
        public var backward: LinkQualityChange

        public init(
            _ first: LinkEnd, _ second: LinkEnd, isDown: Bool? = nil,
            forward: LinkQualityChange = .init(), backward: LinkQualityChange = .init()
        ) {
            ends = [first, second]
            self.isDown = isDown
            self.forward = forward
            self.backward = backward
        }
    }

    /// Values that replace those of a `LinkQuality`; `nil` leaves as it is.
    public struct LinkQualityChange: Sendable, Hashable {
        public var delay: Distribution?
        public var jitter: Distribution?
        public var loss: Double?
        public var duplicates: Double?
        public var late: Double?
        public var lateness: Distribution?
        public var bitsPerSecond: Double?
        public var queueByteCount: Int?

        public init() {}
    }

    public enum WorkloadChange: Sendable, Hashable {
        case start
        case stop
        /// Open: arrivals per second, closed: flows, from now on, whatever the stages say.
        case rate(Double)
    }

    /// Which entries `conntrack -D` takes; every filter that is set has to hold.
    public struct EntryFilter: Sendable, Hashable {
        public var transport: Transport?
        public var source: Prefix?
        public var destination: Prefix?
        public var replySource: Prefix?
        public var replyDestination: Prefix?
        public var sourcePort: UInt16?
        public var destinationPort: UInt16?
        public var state: TCPState?
        public var zone: UInt16?
        public var mark: UInt32?

        public init() {}
    }
}
