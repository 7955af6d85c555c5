public import Conntrack

/// What a scenario file may ask for at most; messages name these figures.
public enum ScenarioLimits {
    public static let nodes = 1000
    /// Machines in all, members of groups counted.
    public static let members = 10_000
    public static let linksPerNode = 250
    public static let links = 20_000
    public static let routes = 10_000
    public static let services = 5000
    public static let workloads = 500
    public static let stages = 1000
    public static let timelineEvents = 10_000
    public static let expectations = 1000
    public static let sweepPoints = 1_000_000
    public static let addressesPerPool = 1 << 24
    public static let cpus = 1024
    public static let duration: Interval = .seconds(366 * 86_400)
    public static let samples = 1_000_000
    public static let ratePerSecond = 10_000_000.0
    public static let heldFlows = 10_000_000.0
    public static let byteCount = 1e12
    public static let arrivalsPerTrace = 1_000_000
    public static let initialEntries = 10_000_000
    /// Bytes of a saved table: some 150 an entry.
    public static let tableFileByteCount = 512 << 20
    public static let requestsPerFlow = 1_000_000.0
}
