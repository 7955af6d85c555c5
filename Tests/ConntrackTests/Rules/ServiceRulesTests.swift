import Testing
import Wire

@testable import Conntrack

@Suite("Services: the rules kube-proxy would write")
struct ServiceRulesTests {
    static let modes = ServiceMode.allCases
    private static let virtual = Address(ipv4: 0x0A60_1414)

    static func endpoints(_ count: Int) -> [ServiceDescription.Endpoint] {
        (0..<count).map { .init(Address(ipv4: 0x0AF4_010A + UInt32($0)), port: 8080) }
    }

    static func service(
        _ count: Int, nodePort: UInt16? = nil, affinity: ServiceDescription.Affinity = .none
    ) -> ServiceDescription {
        ServiceDescription(
            name: "shop/web:http", address: virtual, port: 80, nodePort: nodePort,
            endpoints: endpoints(count), affinity: affinity)
    }

    /// A node whose pods are behind `lan` and whose clients come in by `wan`.
    static func node(_ rules: ServiceRules, _ mode: ServiceMode) throws -> Node {
        var configuration = NodeConfiguration()
        configuration.interfaces = [
            Interface(
                name: "lan", addresses: [Prefix(.ipv4, Address(ipv4: 0x0AF4_0101), length: 16)]),
            Interface(
                name: "wan", addresses: [Prefix(.ipv4, Address(ipv4: 0xC0A8_0001), length: 24)],
                isDefault: true),
        ]
        configuration.ruleset = try Ruleset(
            [rules.source(mode)], interfaces: configuration.interfaces.map(\.name))
        return Node(configuration)
    }

    static func rules(_ services: ServiceDescription...) -> ServiceRules {
        var rules = ServiceRules(services)
        rules.clusterPrefixes = [Prefix(.ipv4, Address(ipv4: 0x0AF4_0000), length: 16)]
        rules.nodeAddresses = [(.ipv4, Address(ipv4: 0xC0A8_0001))]
        return rules
    }

    static func packet(from source: UInt32, _ port: UInt16, to: UInt32, _ toPort: UInt16) -> Packet
    {
        var packet = Packet.ipv4(IPProtocol.tcp, source, port, to, toPort)
        packet.tcp.flags = .syn
        packet.inInterface = InterfaceIndex(source >> 24 == 10 ? 0 : 1)
        packet.outInterface = .none
        return packet
    }

    @Test(
        "Names are those of a real node",
        arguments: [
            ("default/kubernetes:httpstcp", "NPX46M4PTMTKRN6Y"),
            ("kube-system/kube-dns:dnsudp", "TCOU7JCQXEZGVUNU"),
            ("ns1/svc1:p80tcp10.180.0.1:80", "SXIVWICOYRO3J4NJ"),
            ("ns1/svc1/tcp/p80", "ULMVA6XWAQVMFYLB"),
        ])
    func names(text: String, hash: String) {
        #expect(ServiceRules.hash(text, letters: 8) == hash.prefix(8))
        if text.count > 16, hash != "ULMVA6XWAQVMFYLB" {
            #expect(ServiceRules.hash(text, letters: 16) == hash)
        }
    }

    @Test(
        "Probabilities are printed as iptables-save prints them",
        arguments: [
            (2, "0.50000000000"), (3, "0.33333333349"), (4, "0.25000000000"),
            (5, "0.20000000019"), (7, "0.14285714272"),
        ])
    func probability(count: Int, text: String) {
        #expect(ServiceRules.probability(of: count) == text)
    }

    @Test("Connections spread evenly over the endpoints", arguments: modes)
    func spread(mode: ServiceMode) throws {
        var node = try Self.node(Self.rules(Self.service(3)), mode)
        var hits: [UInt32: Int] = [:]
        for port in UInt16(20_000)..<23_000 {
            var packet = Self.packet(from: 0x0AF4_0202, port, to: 0x0A60_1414, 80)
            #expect(node.receive(&packet, at: .start).verdict == .forwarded)
            hits[packet.tuple.destination.ipv4, default: 0] += 1
            #expect(packet.tuple.destinationPart == 8080)
            #expect(packet.tuple.source.ipv4 == 0x0AF4_0202, "a pod's address stays")
        }
        #expect(hits.count == 3)
        for count in hits.values { #expect((900...1100).contains(count)) }
    }

    @Test("Clients from outside and a pod that reaches itself are masqueraded", arguments: modes)
    func masquerades(mode: ServiceMode) throws {
        var node = try Self.node(Self.rules(Self.service(1)), mode)
        var outside = Self.packet(from: 0xC0A8_0063, 20_000, to: 0x0A60_1414, 80)
        #expect(node.receive(&outside, at: .start).verdict == .forwarded)
        #expect(outside.tuple.source.ipv4 == 0x0AF4_0101)
        var hairpin = Self.packet(from: 0x0AF4_010A, 20_000, to: 0x0A60_1414, 80)
        #expect(node.receive(&hairpin, at: .start).verdict == .forwarded)
        #expect(hairpin.tuple.source.ipv4 == 0x0AF4_0101)
    }

    @Test("A node port leads to the service, masqueraded", arguments: modes)
    func nodePort(mode: ServiceMode) throws {
        var node = try Self.node(Self.rules(Self.service(2, nodePort: 30_080)), mode)
        var packet = Self.packet(from: 0xC0A8_0063, 20_000, to: 0xC0A8_0001, 30_080)
        #expect(node.receive(&packet, at: .start).verdict == .forwarded)
        #expect(Self.endpoints(2).map(\.address).contains(packet.tuple.destination))
        #expect(packet.tuple.source.ipv4 == 0x0AF4_0101)
        var other = Self.packet(from: 0xC0A8_0063, 20_000, to: 0xC0A8_0001, 30_081)
        #expect(node.receive(&other, at: .start).verdict == .local)
    }

    @Test("A service without endpoints is refused, by node port too", arguments: modes)
    func refused(mode: ServiceMode) throws {
        var node = try Self.node(
            Self.rules(Self.service(0, nodePort: 30_080)), mode)
        // The virtual address must have a way to go, as behind a default route.
        var packet = Self.packet(from: 0x0AF4_0202, 20_000, to: 0x0A60_1414, 80)
        #expect(node.receive(&packet, at: .start).reason == .rejected)
        var external = Self.packet(from: 0xC0A8_0063, 20_000, to: 0xC0A8_0001, 30_080)
        #expect(node.receive(&external, at: .start).reason == .rejected)
    }

    @Test("A client keeps its endpoint until its affinity has run out", arguments: modes)
    func affinity(mode: ServiceMode) throws {
        let service = Self.service(8, affinity: .clientIP(timeoutSeconds: 100))
        var node = try Self.node(Self.rules(service), mode)
        var chosen: Set<UInt32> = []
        func ask(_ port: UInt16, at seconds: Int64, _ node: inout Node) -> UInt32 {
            var packet = Self.packet(from: 0x0AF4_0202, port, to: 0x0A60_1414, 80)
            _ = node.receive(&packet, at: .start + .seconds(seconds))
            return packet.tuple.destination.ipv4
        }
        // Each new connection renews it: 90 seconds apart, it never runs out.
        for index in 0..<20 {
            chosen.insert(ask(20_000 + UInt16(index), at: 90 * Int64(index), &node))
        }
        #expect(chosen.count == 1)
        for index in 20..<60 {
            chosen.insert(ask(20_000 + UInt16(index), at: 101 * Int64(index), &node))
        }
        #expect(chosen.count > 4)
    }

    @Test("Both families come in one text that loads", arguments: modes)
    func bothFamilies(mode: ServiceMode) throws {
        let six = ServiceDescription(
            name: "six", family: .ipv6, address: Address(high: 0xfd00 << 48, low: 1), port: 443,
            transport: .udp, nodePort: 30_443,
            endpoints: [.init(Address(high: 0xfd00 << 48, low: 0x10), port: 8443)],
            affinity: .clientIP())
        var rules = Self.rules(Self.service(2, nodePort: 30_080, affinity: .clientIP()), six)
        rules.clusterPrefixes.append(Prefix(.ipv6, Address(high: 0xfd00 << 48, low: 0), length: 64))
        rules.nodeAddresses.append((.ipv6, Address(high: 0xfd01 << 48, low: 1)))
        let ruleset = try Ruleset([rules.source(mode)], interfaces: ["lan"])
        for family in Family.allCases {
            #expect(ruleset.needsNAT(family))
            #expect(ruleset.needsTracking(family))
        }
        #expect(ServiceRules([]).text(mode) == "")
    }
}
