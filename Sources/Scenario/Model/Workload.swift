public import Conntrack

// Load: flows between hosts, and raw packets no host answers for.

extension Scenario {
    /// Something that makes traffic.
    public struct Workload: Sendable, Hashable {
        public enum Kind: Sendable, Hashable {
            /// Flows with hosts at both ends.
            case flows(Flow)
            /// Packets without a socket behind them: floods.
            case flood(Flood)
            case scan(Scan)
            /// Packets of a capture, put on the wire of a node.
            case replay(CaptureReplay)
        }

        public var name: String
        /// Node or group whose addresses are the sources.
        ///
        /// Of a replay: where packets come from.
        public var source: String
        /// `nil` for a replay alone.
        public var target: Target?
        public var kind: Kind
        public var load: Load
        /// When the workload begins; its stages count from here.
        public var start = Instant.start
        /// Flows, or packets of a raw kind, after which the workload ends; `nil` is no end.
        public var total: Int?
        /// Waits for `workload: { name: start }` of the timeline.
        public var isStopped = false

        public init(
            name: String, from source: String, to target: Target?, _ kind: Kind, _ load: Load
        ) {
            self.name = name
            self.source = source
            self.target = target
            self.kind = kind
            self.load = load
        }
    }

    /// How much, and when.
    public struct Load: Sendable, Hashable {
        public enum Model: String, Sendable, Hashable, CaseIterable {
            /// Arrivals per second, whatever becomes of them.
            case open
            /// A number of flows that is kept: one that ends is followed by the next.
            case closed
        }

        public enum Arrivals: Sendable, Hashable {
            case poisson
            /// Evenly spaced.
            case uniform
            /// `size` at once, again and again after `every`; stages then have no rate.
            case bursts(size: Int, every: Interval)
            /// At these times after the workload's start, ascending; stages then have no rate.
            case trace([Interval])
        }

        public var model: Model
        public var arrivals: Arrivals = .poisson
        /// Closed: the node whose `nf_conntrack_max` the stages are shares of, from 0 to 1; `nil`:
        /// they are counts.
        public var shareOf: String?
        /// At least one.
        ///
        /// After the last the workload starts nothing more.
        public var stages: [Stage]

        public init(_ model: Model, stages: [Stage]) {
            self.model = model
            self.stages = stages
        }
    }

    /// A stretch of a workload.
    public struct Stage: Sendable, Hashable {
        public var duration: Interval
        /// Open: arrivals per second; closed: flows held, or a share of a table.
        ///
        /// Changes evenly from `from` to `to`.
        public var from: Double
        public var to: Double

        public init(_ duration: Interval, from: Double, to: Double) {
            self.duration = duration
            self.from = from
            self.to = to
        }
    }

    /// Packets of a raw kind.
    public struct Flood: Sendable, Hashable {
        public enum Packet: String, Sendable, Hashable, CaseIterable {
            case syn = "syn-flood"
            case udp = "udp-flood"
        }

        public var packet: Packet
        /// Sources are drawn evenly from these; empty: the source node's own addresses.
        public var spoofed: [AddressPool] = []
        public var sourcePorts: ClosedRange<UInt16> = 1024...65_535
        /// UDP payload bytes.
        public var size: Distribution = .constant(64)

        public init(_ packet: Packet) { self.packet = packet }
    }

    /// Probes of ports, one packet each.
    public struct Scan: Sendable, Hashable {
        public enum Order: String, Sendable, Hashable, CaseIterable { case sequential, random }

        public var order: Order = .random
        public var sourcePorts: ClosedRange<UInt16> = 40_000...60_000

        public init() {}
    }

    /// A capture as load.
    public struct CaptureReplay: Sendable, Hashable {
        /// Path, relative to the scenario's folder resolved by the reader.
        public var path: String
        /// The node its packets arrive at, by the link from the workload's source.
        public var node: String
        /// Times the capture is played; 0 is without end.
        public var loops = 1
        /// 2 plays it in half its time.
        public var speed = 1.0

        public init(path: String, at node: String) {
            self.path = path
            self.node = node
        }
    }
}
