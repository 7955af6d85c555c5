public import Conntrack

// What one flow does between its first packet and its last.

extension Scenario {
    /// A flow's life, TCP, UDP or ICMP.
    ///
    /// TCP: connect, `requests` times a request and its response with `think` between them, hold,
    /// close. UDP and ICMP: the same without connect and close; a response of 0 bytes is no
    /// response at all.
    public struct Flow: Sendable, Hashable {
        /// Who ends it, and how.
        public enum Closing: String, Sendable, Hashable, CaseIterable {
            case clientFIN = "client-fin"
            case serverFIN = "server-fin"
            case rst
            case serverRST = "server-rst"
            /// Both go silent without a word.
            case abandon
            /// The client sends FIN behind its request, the server answers, then closes.
            case halfClose = "half-close"
            /// The client sends FIN, the server acknowledges it and never closes.
            case ignoredFIN = "ignored-fin"
        }

        /// Where the next flow's source port comes from.
        public enum SourcePort: Sendable, Hashable {
            /// As Linux chooses: from the ephemeral range, scattered.
            case ephemeral
            /// From the ephemeral range, one after the other.
            case sequential
            /// The same for every flow. UDP: all flows are one socket's.
            case fixed(UInt16)
            /// UDP: every packet from a new port.
            case perPacket
        }

        /// Bytes.
        public var request: Distribution = .constant(100)
        /// Bytes.
        public var response: Distribution = .constant(1000)
        /// Requests in one flow, rounded, at least 1.
        public var requests: Distribution = .constant(1)
        /// Nanoseconds from a response (UDP without one: a request) to the next request.
        public var think: Distribution = .constant(0)
        /// Nanoseconds the flow stays open after its last response.
        public var hold: Distribution = .constant(0)
        public var closing: Closing = .clientFIN
        /// TCP keep-alive probes after this much silence.
        public var keepAlive: Interval?
        /// Words of the server nobody asked for.
        public var push: Push?
        public var sourcePort: SourcePort = .ephemeral
        /// Source addresses in use: the first so many of the source's; `nil` is all.
        public var sourceAddresses: Int?
        /// Names looked up before the flow, each from a socket of its own.
        public var resolver: Resolver?
        /// Requests share connections instead of opening one each.
        public var pool: ConnectionPool?
        public var retry = Retry()

        public init() {}
    }

    /// Messages of the server without a request, after the last response.
    public struct Push: Sendable, Hashable {
        public var count: Int
        /// Nanoseconds between two, and before the first.
        public var every: Distribution
        /// Bytes.
        public var size: Distribution

        public init(count: Int, every: Distribution, size: Distribution) {
            self.count = count
            self.every = every
            self.size = size
        }
    }

    /// What is tried again.
    public struct Retry: Sendable, Hashable {
        public enum Segments: String, Sendable, Hashable, CaseIterable {
            /// SYN and data are sent again as Linux does.
            case linux
            case none
        }

        public var syn: Segments = .linux
        /// The application: whole flows.
        ///
        /// Of UDP: a request without its response.
        public var attempts = 1
        /// Nanoseconds between an attempt's failure and the next.
        public var backoff: Distribution = .constant(1_000_000_000)
        /// Each backoff is so many times the one before.
        public var backoffFactor = 1.0
        /// How long an attempt may take from its start to its last response.
        public var timeout: Interval?
        /// An attempt that has taken too long ends with a reset instead of an orderly close.
        ///
        /// No key of the format: it is what the load generator does, and `ctlab compare` asks for
        /// it. An orderly close goes on sending what was never acknowledged.
        public var givesUpWithReset = false
        /// How long `connect` may take; `nil`: until SYN retries are used up.
        public var connectTimeout: Interval?

        public init() {}
    }

    /// A stub resolver as glibc's.
    public struct Resolver: Sendable, Hashable {
        /// Where queries go: UDP, port 53.
        public var target: Target
        public var records: [Record] = [.a, .aaaa]
        /// A and AAAA leave from one socket, one right behind the other; otherwise each has its
        /// own (`single-request-reopen`).
        public var sharesSocket = true
        /// Dots in the name looked up.
        public var dots = 1
        /// Names with fewer dots are tried in every search domain first.
        public var ndots = 1
        /// Search domains, none of which has the name.
        public var searchDomains = 0
        public var timeout: Interval = .seconds(5)
        public var attempts = 2

        public enum Record: String, Sendable, Hashable, CaseIterable {
            case a = "A"
            case aaaa = "AAAA"
        }

        public init(asking target: Target) { self.target = target }

        /// Names asked for in one lookup: the search list and the name itself.
        public var candidates: Int { dots < ndots ? searchDomains + 1 : 1 }
    }
}
