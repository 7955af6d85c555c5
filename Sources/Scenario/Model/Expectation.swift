public import Conntrack

// What must come out, and what is tried besides.

extension Scenario {
    /// A sentence about recorded series that holds or does not.
    public struct Expectation: Sendable, Hashable {
        public enum Severity: String, Sendable, Hashable, CaseIterable {
            /// Exit code 3.
            case fail
            /// Only tells.
            case warn
        }

        /// As written: `max(gw.conntrack.count) <= 0.75 * gw.conntrack.max`.
        public var that: String
        public var severity: Severity = .fail
        /// The window it looks at; `nil` is the run's end.
        public var from = Instant.start
        public var to: Instant?
        /// Of `~=`: relative (0.05 is 5 %).
        public var tolerance: Double?
        /// What was published, in words: "just over 4 000 conn/s".
        public var published: String?

        public init(that: String) { self.that = that }
    }

    /// `sweep:`: the same scenario with other values, every combination of them.
    public struct Sweep: Sendable, Hashable {
        /// One value of the matrix, as YAML text.
        public struct Axis: Sendable, Hashable {
            /// As `--set` takes it: `gw.sysctl.nf_conntrack_max`, `shoppers.stages[2].rate`.
            public var path: String
            public var values: [String]

            public init(path: String, values: [String]) {
                self.path = path
                self.values = values
            }
        }

        public var matrix: [Axis]
        /// Each point runs once a seed; empty: the scenario's seed.
        public var seeds: [UInt64]

        public init(matrix: [Axis], seeds: [UInt64] = []) {
            self.matrix = matrix
            self.seeds = seeds
        }
    }
}
