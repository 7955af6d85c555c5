internal import Wire

// Adversarial traces: a handful of flows, played deep. Everything is drawn from one seed.

/// Makes traces.
public enum FuzzGenerator {
    /// The trace of `seed`: about `packetCount` packets, give or take what fragments add.
    ///
    /// - Parameter hasPauses: Whether the trace stops now and then for longer than its timeouts,
    ///   which are 1–3 s then.
    public static func trace(
        seed: UInt64, kind: FuzzKind, packetCount: Int, hasPauses: Bool = false
    ) -> FuzzCase {
        var dice = FuzzDice(seed: seed)
        let node = NodeMaker.node(kind, hasShortTimeouts: hasPauses, &dice)
        var player = TracePlayer(kind, outside: OutsideView(of: node), dice)
        let packets = player.play(packetCount, hasPauses: hasPauses)
        return FuzzCase(seed: seed, kind: kind, node: node, packets: packets, hasPauses: hasPauses)
    }

    /// The seed of trace number `index` of a run that starts from `seed`.
    public static func seed(_ seed: UInt64, trace index: Int) -> UInt64 {
        var dice = FuzzDice(seed: seed &* 0x1_0000_0001 &+ UInt64(index))
        return dice.next()
    }
}

/// Plays the flows of one trace against the clock.
struct TracePlayer {
    private enum Flow: Sendable {
        case tcp(TCPFlow)
        case sctp(SCTPFlow)
        case datagram(DatagramFlow)
        case icmp(FlowPath)
    }

    private let kind: FuzzKind
    /// What the machine's translation makes of the flows.
    private let outside: OutsideView
    private var dice: FuzzDice
    private var flows: [Flow] = []
    private var time: UInt64 = 0
    private var packets: [FuzzPacket] = []
    private var identification: UInt16
    /// Packets errors can be about.
    private var recent: [(path: FlowPath, number: UInt8, transport: [UInt8], fromClient: Bool)] = []
    /// How often a packet meets with an accident: once in so many.
    private let roughness: Int

    private static let clients = ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    private static let servers = ["198.51.100.7", "198.51.100.8"]
    private static let clients6 = ["fd00::2", "fd00::3"]
    private static let servers6 = ["2001:db8:1::7", "2001:db8:1::8"]

    init(_ kind: FuzzKind, outside: OutsideView, _ dice: FuzzDice) {
        self.kind = kind
        self.outside = outside
        self.dice = dice
        identification = self.dice.uint16()
        roughness = self.dice.pick([15, 40, 200])
        let tameness = self.dice.pick([2, 4, 12])
        for _ in 0..<self.dice.within(2...6) { flows.append(makeFlow(tameness)) }
    }

    mutating func play(_ packetCount: Int, hasPauses: Bool) -> [FuzzPacket] {
        let pauses = hasPauses ? Set((0..<3).map { _ in dice.below(packetCount) }) : []
        while packets.count < packetCount {
            if pauses.contains(packets.count) {
                // Never close to a whole second: which side of it the kernel's tick falls is chance.
                time += dice.pick([1_350, 2_350, 2_650, 3_350]) * 1_000_000
            }
            if dice.oneIn(9), !recent.isEmpty { complain() } else { proceed() }
        }
        return packets
    }

    // MARK: Flows

    private mutating func makeFlow(_ tameness: Int) -> Flow {
        let number: UInt8 =
            switch kind {
            case .tcp: IPProtocol.tcp
            case .udp:
                dice.pick(weighted: [(8, IPProtocol.udp), (1, IPProtocol.udpLite)])
            case .icmp:
                dice.pick(weighted: [(4, 1), (1, IPProtocol.udp), (2, IPProtocol.tcp)])
            case .nat:
                dice.pick(weighted: [(4, IPProtocol.tcp), (3, IPProtocol.udp), (1, 1)])
            case .sctp: IPProtocol.sctp
            case .gre:
                dice.pick(weighted: [(6, IPProtocol.gre), (1, IPProtocol.udp)])
            case .udplite:
                dice.pick(weighted: [(6, IPProtocol.udpLite), (1, IPProtocol.udp)])
            case .mixed:
                dice.pick(weighted: [
                    (4, IPProtocol.tcp), (3, IPProtocol.udp), (2, 1), (1, IPProtocol.gre),
                    (1, IPProtocol.sctp), (1, IPProtocol.udpLite), (1, 50), (1, 200),
                ])
            }
        let path = makePath()
        switch number {
        case IPProtocol.tcp: return .tcp(TCPFlow(path, tameness: tameness))
        case IPProtocol.sctp: return .sctp(SCTPFlow(path, tameness: tameness))
        case IPProtocol.icmp: return .icmp(path)
        default: return .datagram(DatagramFlow(path: path, protocolNumber: number))
        }
    }

    private mutating func makePath() -> FlowPath {
        let some = 20_000 + dice.uint16() % 20
        let clientPort = dice.pick([40_000, 40_001, 1024, 1023, 600, 65_535, some])
        let servicePort: UInt16 = dice.pick([53, 80, 123, 443, 22])
        if dice.oneIn(outside.translates(.ipv6) ? 3 : 5) {
            return translated(
                Endpoint(dice.pick(Self.clients6), clientPort),
                Endpoint(dice.pick(Self.servers6), servicePort))
        }
        let client = Endpoint(dice.pick(Self.clients), clientPort)
        let server = Endpoint(dice.pick(Self.servers), servicePort)
        if dice.oneIn(10) {  // To the machine itself.
            return FlowPath(client, Endpoint(NodeMaker.lanAddress, servicePort))
        }
        if !outside.translates(.ipv4), dice.oneIn(4) {
            return FlowPath(server.with(port: clientPort), client.with(port: servicePort))
        }
        return translated(client, server)
    }

    /// A flow whose answers go where the rules translate to; where others rule, they miss, which is
    /// a case too.
    private mutating func translated(_ client: Endpoint, _ server: Endpoint) -> FlowPath {
        guard outside.translates(client.family), !dice.oneIn(6) else {
            return FlowPath(client, server)
        }
        guard dice.oneIn(3) else {
            return FlowPath(
                client, server, server: server, returnAddress: outside.source(client, &dice))
        }
        let (virtual, backend) = outside.service(client.family, &dice)
        let visitor = server.with(port: client.port)
        return FlowPath(visitor, virtual, server: backend, returnAddress: visitor)
    }

    // MARK: Packets

    private mutating func proceed() {
        let index = dice.below(flows.count)
        let path: FlowPath
        let number: UInt8
        let segment: TCPFlow.Segment
        switch flows[index] {
        case .tcp(var flow):
            segment = flow.step(&dice)
            flows[index] = .tcp(flow)
            (path, number) = (flow.path, IPProtocol.tcp)
        case .sctp(var flow):
            segment = flow.step(&dice)
            flows[index] = .sctp(flow)
            (path, number) = (flow.path, IPProtocol.sctp)
        case .datagram(let flow):
            segment = flow.step(&dice)
            (path, number) = (flow.path, flow.protocolNumber)
        case .icmp(let around):
            segment = ErrorMaker.query(around, &dice)
            path = around
            number = path.family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6
        }
        recent.append((path, number, segment.bytes, segment.fromClient))
        if recent.count > 12 { recent.removeFirst() }
        let (source, destination) = path.ends(fromClient: segment.fromClient)
        send(source, destination, number, segment.bytes)
    }

    /// An error about one of the recent packets.
    private mutating func complain() {
        let about = dice.pick(recent)
        let router =
            about.path.family == .ipv4
            ? Endpoint(about.fromClient ? "198.51.100.1" : "10.0.0.9", 0)
            : Endpoint(about.fromClient ? "2001:db8:1::1" : "fd00::9", 0)
        let (source, destination, bytes) = ErrorMaker.error(
            about: about.path, about.number, about.transport, fromClient: about.fromClient,
            router: router, &dice)
        let number = about.path.family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6
        send(source, destination, number, bytes)
    }

    private mutating func send(
        _ source: Endpoint, _ destination: Endpoint, _ number: UInt8, _ transport: [UInt8]
    ) {
        identification &+= 1
        var part = NetworkPart()
        part.identification = identification
        part.timeToLive = dice.oneIn(60) ? 1 : 64
        part.dontFragment = dice.oneIn(4)
        part.typeOfService = dice.oneIn(10) ? 0x10 : 0
        if dice.oneIn(80) {
            part.options = dice.pick([
                [1, 1, 1, 0], [7, 7, 4, 0, 0, 0, 0, 0],
                [131, 7, 4, 10, 0, 0, 9, 0], [148, 4, 0, 0], [1, 1, 9, 200],
            ])
        }
        if dice.oneIn(40) { part.hasExtension = true }
        let packet = PacketMaker.packet(from: source, to: destination, number, transport, part)
        if dice.oneIn(roughness) {
            append(Mutations.damage(packet, &dice))
        } else if dice.oneIn(25) {
            for piece in Mutations.fragments(of: packet, &dice) { append(piece) }
        } else {
            append(packet)
        }
        if dice.oneIn(50), let last = packets.last { append(last.bytes) }  // Duplicated underway.
    }

    private mutating func append(_ bytes: [UInt8]) {
        time += UInt64(dice.within(1...30)) * 1_000
        packets.append(FuzzPacket(time: time, bytes: bytes))
    }
}
