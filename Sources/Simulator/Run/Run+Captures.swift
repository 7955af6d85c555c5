import Conntrack
public import Scenario
import Wire

// Captures of a run, and the machine beside them as a node file, for `ctlab replay` and
// `ctlab verify`.

/// A point where packets are written down.
public struct CaptureRequest: Sendable, Hashable {
    public var node: String
    /// The interface whose packets are wanted, in both directions, as tcpdump would see them;
    /// `nil`: all that the node receives, by whatever interface.
    public var interface: String?

    public init(node: String, interface: String? = nil) {
        self.node = node
        self.interface = interface
    }
}

extension Run {
    /// Writes packets down from now on; `sink` gets the bytes of a pcap file, or of a pcapng file
    /// with the names of interfaces where the node's are all watched.
    ///
    /// - Throws: what there is, where there is no such node or interface.
    public mutating func capture(
        _ request: CaptureRequest, epochNanoseconds: UInt64 = 0,
        sink: @escaping ([UInt8]) -> Void
    ) throws(WorldError) {
        let station = try station(named: request.node)
        let interfaces = simulation.names[station].interfaces
        var place: UInt8?
        if let name = request.interface {
            guard let found = interfaces.firstIndex(of: name) else {
                throw WorldError(
                    description: "found no interface '\(name)' on \(request.node), "
                        + "expected one of \(interfaces.joined(separator: ", "))")
            }
            place = UInt8(truncatingIfNeeded: found)
        }
        simulation.captures.append(
            CapturePoint(
                station: station, interface: place,
                writer: place == nil ? CaptureWriter(interfaces: interfaces) : CaptureWriter(),
                epoch: epochNanoseconds, sink: sink))
    }

    /// Hands over what captures have gathered.
    public mutating func finishCaptures() {
        for index in simulation.captures.indices { simulation.flushCapture(index) }
    }

    /// A tracked machine as a node file, as it is now.
    ///
    /// - Throws: what there is, where there is no such machine or where it tracks nothing.
    public func nodeFile(of name: String) throws(WorldError) -> NodeFileText {
        let station = try station(named: name)
        let tracker = Int(simulation.facts[station].tracker)
        guard tracker >= 0, let world = simulation.builder else {
            throw WorldError(
                description: "found '\(name)', which tracks nothing, expected one of "
                    + trackedNames.joined(separator: ", "))
        }
        let sources = world.rules.sources(
            of: station, world, endpoints: world.endpoints(simulation.facts))
        return NodeFileText(
            simulation.trackers[tracker].node.configuration, rules: sources,
            comment: "\(name) of the scenario \(scenario.name), seed \(seed)")
    }

    /// Why the packets that a machine has received so far do not lead another one to the same
    /// table; empty if they do.
    public func replayObstacles(of name: String) throws(WorldError) -> [String] {
        let station = try station(named: name)
        let tracker = Int(simulation.facts[station].tracker)
        guard tracker >= 0 else { return [] }
        let home = simulation.trackers[tracker]
        let node = scenario.topology.nodes[simulation.names[station].node]
        var obstacles: [String] = []
        if node.savedTable != nil || !node.initialEntries.isEmpty {
            obstacles.append("\(name) began with entries in its table")
        }
        let own = simulation.stats[station].sent - simulation.stats[station].answers
        if own > 0 { obstacles.append("\(name) sent \(own) packets of its own") }
        if !home.isInstant { obstacles.append("packets overlapped on \(name)'s CPUs") }
        if node.chainLimit != nil || node.portSearchStart != NodeConfiguration().portSearchStart {
            obstacles.append("\(name) has limits that no node file knows")
        }
        if let change = home.intervention {
            let seconds = Double(change.at / 1_000_000) / 1000
            obstacles.append("\(name) was changed by \(change.what) at \(seconds) s")
        }
        return obstacles
    }

    private func station(named name: String) throws(WorldError) -> Int {
        guard let station = simulation.names.firstIndex(where: { $0.name == name }) else {
            let names = simulation.names.prefix(20).map(\.name).joined(separator: ", ")
            throw WorldError(description: "found no node '\(name)', expected one of \(names)")
        }
        return station
    }

    private var trackedNames: [String] {
        simulation.trackers.prefix(20).map { simulation.names[$0.station].name }
    }
}
