public import Conntrack

// What listens on a host's ports, and what it does with a caller.

extension Scenario {
    /// Protocols that workloads and listeners speak.
    public enum Transport: String, Sendable, Hashable, CaseIterable {
        case tcp, udp
        /// Echo request and reply; has no ports.
        case icmp
    }

    /// Ports of a host that do the same.
    public struct Listener: Sendable, Hashable {
        public enum Behaviour: Sendable, Hashable {
            /// Answers as the caller's flow says.
            case serve
            /// Takes everything, answers nothing: an accepted connection on which nobody writes, a
            /// datagram nobody replies to.
            case silent
            /// RST or ICMP port unreachable, as if nothing listened.
            case refuse
            /// Opens a connection of its own for each caller and passes on what both say.
            case proxy(Proxy)
        }

        public var ports: ClosedRange<UInt16>
        public var transport: Transport
        public var behaviour: Behaviour = .serve
        /// Nanoseconds from a request's last byte to the answer's first.
        public var processing: Distribution = .constant(0)
        /// Requests in work at once; more wait.
        ///
        /// `nil` is no limit.
        public var workers: Int?

        public init(_ ports: ClosedRange<UInt16>, _ transport: Transport) {
            self.ports = ports
            self.transport = transport
        }
    }

    /// The back of a proxy.
    public struct Proxy: Sendable, Hashable {
        public var target: Target
        public var connectTimeout: Interval = .seconds(5)
        /// Connections to the back are kept and used again, at most so many; `nil`: a new one for
        /// every request.
        public var pool: ConnectionPool?

        public init(to target: Target) { self.target = target }
    }

    /// Connections that are kept open and used again.
    public struct ConnectionPool: Sendable, Hashable {
        /// Connections at most; requests wait for a free one.
        public var size: Int
        /// A connection nobody uses is closed after this.
        public var idle: Interval

        public init(size: Int, idle: Interval = .seconds(60)) {
            self.size = size
            self.idle = idle
        }
    }
}
