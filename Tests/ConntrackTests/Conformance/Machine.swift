import Testing
import Wire

@testable import Conntrack

/// One tracked machine with a clock of ticks, for the cases of table.md, gc.md and policy.md.
///
/// Every packet is tracked and forwarded: there are no rules. The collector runs only where a test
/// lets it, so that what else evicts an expired connection can be seen.
struct Machine: ~Copyable {
    var node: Node
    var ticks: UInt64 = 0
    let rate: TickRate
    private var nextCandidate: UInt32 = 0

    /// - Parameters:
    ///   - buckets: a multiple of 512.
    ///   - max: `nf_conntrack_max`; 0 is no limit.
    ///   - change: further settings.
    init(
        buckets: UInt32 = 1024, max: UInt32 = 0, seed: UInt64 = 1, rate: TickRate = .reference,
        inode: UInt32? = nil, _ change: (inout Sysctl) -> Void = { _ in }
    ) {
        var configuration = NodeConfiguration()
        configuration.tracking = .always
        configuration.seed = seed
        configuration.tickRate = rate
        configuration.namespaceInode = inode
        configuration.sysctl.buckets = buckets
        configuration.sysctl.max = max
        configuration.sysctl.events = 1
        change(&configuration.sysctl)
        node = Node(configuration)
        node.isListening = true
        self.rate = rate
    }

    // MARK: Time

    var instant: Instant { rate.instant(ofTick: ticks) }
    var now: Moment { Moment(instant, rate) }

    mutating func pass(ticks more: UInt64) { ticks += more }
    mutating func pass(seconds: Double) { ticks += UInt64(seconds * Double(rate.hertz)) }

    /// Lets every run of the collector happen that is due by now.
    mutating func collectWhatIsDue() { node.advance(to: instant) }

    // MARK: Packets

    /// Sends a packet through the whole path.
    @discardableResult
    mutating func send(_ packet: Packet) -> PathEnd {
        var packet = packet
        return node.receive(&packet, at: instant)
    }

    /// Sends a one-byte datagram with this tuple.
    @discardableResult
    mutating func send(_ tuple: Tuple) -> PathEnd { send(.datagram(tuple)) }

    /// Sends it and tells which class it was given.
    mutating func classify(_ packet: Packet) -> ConntrackInfo {
        var packet = packet
        _ = node.receive(&packet, at: instant)
        return packet.info
    }

    /// Takes a packet through the tracker only: the first half of the path.
    mutating func track(_ packet: inout Packet) -> DropReason? {
        node.track(&packet, at: now)
    }

    /// The last step of the path, for a packet that has been tracked.
    mutating func confirm(_ packet: inout Packet) -> DropReason? {
        let reason = node.confirm(&packet, at: now)
        node.letGo(&packet)
        return reason
    }

    // MARK: Connections

    /// The connection a tuple finds; evicts nothing.
    func connection(_ tuple: Tuple, _ zones: ZonePair = .none) -> Slot? {
        node.table.peek(tuple, zones, .initial, at: now)?.slot
    }

    func entry(_ tuple: Tuple, _ zones: ZonePair = .none) -> Entry? {
        connection(tuple, zones).map { node.table.entry($0, at: now) }
    }

    /// Marks the connection of a tuple as assured.
    mutating func assure(_ tuple: Tuple) {
        if let slot = connection(tuple) { node.table.assure(slot) }
    }

    /// Enters a connection directly: no packet, no lookup, a life in ticks.
    @discardableResult
    mutating func enter(
        _ tuple: Tuple, life: UInt32, _ namespace: NamespaceIndex = .initial,
        assured: Bool = false
    ) -> Slot? {
        guard let reply = tuple.inverted else { return nil }
        let hash = node.table.hash(tuple, zone: 0, namespace)
        let made = node.table.create(
            tuple, reply: reply, hash: hash, .none, namespace, at: now)
        guard let made else { return nil }
        node.table.refresh(made, life, at: now)
        let outcome = node.table.confirm(made, allowsClash: true, at: now)
        if assured { node.table.assure(made) }
        node.table.deliverEvents(made, at: now)
        node.table.release(made)
        return outcome == .inserted ? made : nil
    }

    /// Enters `count` connections with tuples of their own.
    mutating func enter(_ count: Int, life: UInt32, assured: Bool = false) {
        for _ in 0..<count { enter(freshTuple(), life: life, assured: assured) }
    }

    // MARK: Tuples by place

    /// A tuple nobody has had yet.
    mutating func freshTuple(_ protocolNumber: UInt8 = IPProtocol.udp) -> Tuple {
        nextCandidate += 1
        return .flow(nextCandidate, protocolNumber)
    }

    func bucket(_ tuple: Tuple, zone: UInt16 = 0, _ namespace: NamespaceIndex = .initial)
        -> UInt32
    {
        node.table.buckets.bucket(of: node.table.hash(tuple, zone: zone, namespace))
    }

    /// A fresh tuple whose original link falls into `bucket` and whose reply link into none of
    /// `avoided`.
    mutating func tuple(
        in bucket: UInt32, avoiding avoided: [UInt32] = [], _ namespace: NamespaceIndex = .initial,
        _ protocolNumber: UInt8 = IPProtocol.udp
    ) -> Tuple {
        while true {
            let tuple = freshTuple(protocolNumber)
            guard self.bucket(tuple, namespace) == bucket, let reply = tuple.inverted else {
                continue
            }
            if !avoided.contains(self.bucket(reply, namespace)) { return tuple }
        }
    }

    /// A fresh tuple with neither link in `avoided`.
    mutating func tuple(
        outside avoided: [UInt32], _ namespace: NamespaceIndex = .initial
    ) -> Tuple {
        while true {
            let tuple = freshTuple()
            guard let reply = tuple.inverted else { continue }
            let isClear =
                !avoided.contains(bucket(tuple, namespace))
                && !avoided.contains(bucket(reply, namespace))
            if isClear { return tuple }
        }
    }

    /// The buckets early drop looks through for a newcomer in `bucket`.
    func range(from bucket: UInt32) -> [UInt32] {
        (0..<8).map { (bucket + $0) % node.table.buckets.count }
    }

    private func bucket(_ tuple: Tuple, _ namespace: NamespaceIndex) -> UInt32 {
        bucket(tuple, zone: 0, namespace)
    }

    // MARK: What can be seen

    var count: UInt32 { node.count }
    var counters: Counters { node.counters }
    var logLines: [String] { node.kernelLog.lines.map(\.text) }
    var eventNames: [String] { node.journal.events.map(\.kind.name) }
    var collector: Collector { node.table.collector }
}

extension Tuple {
    /// The tuple of flow number `number`: another address and port for each.
    static func flow(_ number: UInt32, _ protocolNumber: UInt8 = IPProtocol.udp) -> Tuple {
        Tuple(
            .ipv4, protocolNumber, source: Address(ipv4: 0x0a01_0001 + (number >> 15)),
            UInt16(1024 + (number & 0x7fff)), destination: Address(ipv4: 0x0a02_0002), 53)
    }
}

extension Packet {
    /// A datagram with one byte of payload.
    static func datagram(_ tuple: Tuple) -> Packet {
        var packet = Packet(tuple: tuple, networkByteCount: 29, transportByteCount: 9)
        packet.lengthField = 9
        return packet
    }

    /// A segment without payload and with a window of 65535.
    static func segment(
        _ tuple: Tuple, _ flags: TCPFlags, sequence: UInt32, acknowledgment: UInt32 = 0
    ) -> Packet {
        var packet = Packet(tuple: tuple, networkByteCount: 40, transportByteCount: 20)
        packet.tcp.flags = flags
        packet.tcp.sequence = sequence
        packet.tcp.acknowledgment = acknowledgment
        packet.tcp.sackEdge = acknowledgment
        packet.tcp.window = 65535
        return packet
    }
}
