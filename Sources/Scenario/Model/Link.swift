// Links carry packets between two interfaces, each way with its own delay, loss and rate.

extension Scenario {
    /// One end of a link.
    public struct LinkEnd: Sendable, Hashable {
        public var node: String
        /// The interface's name on that node; `nil` takes the next free ethN.
        public var interface: String?

        public init(_ node: String, interface: String? = nil) {
            self.node = node
            self.interface = interface
        }
    }

    /// How two groups are joined; a group and a single node are joined member by member.
    public enum Pairing: String, Sendable, Hashable, CaseIterable {
        /// Member i of the larger group with member i mod n of the smaller.
        case spread
        /// Every member with every member.
        case mesh
    }

    /// A link, or as many as its groups have members.
    public struct Link: Sendable, Hashable {
        /// From the first end to the second is `forward`.
        public var ends: [LinkEnd]
        public var forward = LinkQuality()
        public var backward = LinkQuality()
        public var pairing: Pairing = .spread

        public init(_ first: LinkEnd, _ second: LinkEnd) { ends = [first, second] }
    }

    /// What a link does to packets in one direction.
    public struct LinkQuality: Sendable, Hashable {
        /// Nanoseconds.
        public var delay: Distribution = .constant(0)
        /// Nanoseconds added to `delay`; packets still arrive in the order they were sent.
        public var jitter: Distribution = .constant(0)
        /// Share of packets that never arrive, 0...1.
        public var loss = 0.0
        /// Share of packets that arrive twice, 0...1.
        public var duplicates = 0.0
        /// Share of packets that are overtaken, 0...1: each arrives `lateness` after its time.
        public var late = 0.0
        /// Nanoseconds.
        public var lateness: Distribution = .constant(0)
        /// Bits per second; `nil` is no limit.
        public var bitsPerSecond: Double?
        /// Bytes that may wait for their turn; what does not fit is lost.
        ///
        /// Counts with a rate only.
        public var queueByteCount = 1_000_000
        public var isDown = false

        public init() {}
    }
}
