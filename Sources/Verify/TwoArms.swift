internal import Conntrack
public import LiveKernel
public import Report
public import Scenario

/// One machine twice: on the live kernel and on the model.
///
/// The live kernel goes first; the model gets each packet at the moment the kernel really had it,
/// so that neither clock has to be trusted.
public struct TwoArms: ~Copyable {
    /// What both arms did with one packet.
    public struct Step: Sendable {
        public var live: PacketOutcome
        public var model: PacketOutcome
        /// Worst first; empty if the arms agree.
        public var differences: [Difference]
    }

    /// Settings of the node the live kernel was not given.
    public var settingsLeftOut: [String] { live.settingsLeftOut }

    private let interfaces: [String]
    private let chooser: IngressChooser
    private var live: LiveRouter
    private var model: ModelArm
    private var comparison: Comparison
    private var count = 0
    private var start: UInt64?

    /// Makes the machine `node` describes in both arms.
    ///
    /// What is one for the whole live machine (buckets, and the limit unless the node sets it)
    /// holds for the model as well.
    public init(_ node: NodeFile) throws(LiveKernelError) {
        let liveNode = LiveNode(node)
        interfaces = liveNode.interfaces.map(\.name)
        chooser = IngressChooser(liveNode)
        live = try LiveRouter(liveNode)
        var configuration = node.configuration
        configuration.sysctl.buckets = live.bucketCount
        configuration.sysctl.max = live.connectionLimit
        // Limits of the rate go by real time: the live machine has none.
        configuration.sysctl.icmpRateMask = 0
        configuration.sysctl.icmpv6RateLimit = 0
        // The live machine is not the initial namespace; its number is the kernel's to choose.
        configuration.namespaceInode = configuration.namespaceInode ?? 4_026_532_000
        // Without events nothing tells when the live collector is at work.
        let hasEvents = configuration.sysctl.events != 0
        model = ModelArm(configuration, follows: hasEvents)
        comparison = Comparison(ruleset: liveNode.ruleset, hasEvents: hasEvents)
    }

    /// Sends one packet through both arms; gaps to the packet before are slept.
    public mutating func send(_ packet: TracePacket) throws(LiveKernelError) -> Step {
        let number = count
        count += 1
        let named = packet.interface.flatMap { interfaces.firstIndex(of: $0) }
        // Told to both: where a packet comes in is the trace's to say, not the kernel's.
        let interface = named ?? chooser.interface(for: packet.bytes)
        let began = start ?? packet.nanoseconds
        start = began
        let step = try live.send(
            packet.bytes, number: number, on: interface,
            traceTime: packet.nanoseconds > began ? packet.nanoseconds - began : 0)
        model.follow(step.outcome)
        let found = model.send(
            packet.bytes, number: number, on: interfaces[interface], nanoseconds: step.nanoseconds)
        let differences = comparison.differences(
            expected: step.outcome, found: found, uncertainty: step.uncertainty)
        return Step(live: step.outcome, model: found, differences: differences)
    }

    /// Replaces the rules of both arms, as one `nft -f` with `flush ruleset` before it does.
    ///
    /// - Throws: `.refused` with nft's words, or with the model's.
    public mutating func replaceRules(with text: String) throws(LiveKernelError) {
        try live.replaceRules(with: text)
        try model.replaceRules(with: text)
    }

    /// How the tables differ now; expired entries go.
    public mutating func compareTables() throws(LiveKernelError) -> [Difference] {
        let remainder = try live.remainder()
        return comparison.differences(
            expectedTable: remainder.entries, foundTable: model.table())
    }

    /// How early drop went so far.
    public var evictions: EvictionSummary { model.evictions }

    /// What the model wrote into its kernel log, without times.
    public var modelLog: [String] { model.kernelLog }
}
