import Foundation
import Testing
import Wire

@testable import Conntrack

@Suite("iptables-save: whole dumps")
struct IptablesDumpTests {
    private static func text(_ name: String) throws -> String {
        let path = RulesExamples.path("x").dropLast("x.nft".count) + "\(name).iptables-save"
        return try String(contentsOfFile: String(path), encoding: .utf8)
    }

    private static func node(_ name: String, _ interfaces: [Interface]) throws -> Node {
        var configuration = NodeConfiguration()
        configuration.interfaces = interfaces
        configuration.ruleset = try Ruleset(
            [RulesetSource(.iptablesSave, text(name), file: name)],
            interfaces: interfaces.map(\.name))
        return Node(configuration)
    }

    private static func prefix(_ address: UInt32, _ length: Int) -> Prefix {
        Prefix(.ipv4, Address(ipv4: address), length: length)
    }

    private static let docker = [
        Interface(name: "eth0", addresses: [prefix(0xC000_0201, 24)], isDefault: true),
        Interface(name: "docker0", addresses: [prefix(0xAC11_0001, 16)]),
        Interface(name: "br-1f2e3d4c5b6a", addresses: [prefix(0xAC12_0001, 16)]),
    ]

    private static func syn(
        _ source: UInt32, _ port: UInt16, _ destination: UInt32, _ toPort: UInt16,
        on interface: UInt8, _ transport: UInt8 = IPProtocol.tcp
    ) -> Packet {
        var packet = Packet.ipv4(transport, source, port, destination, toPort)
        packet.tcp.flags = transport == IPProtocol.tcp ? .syn : []
        packet.inInterface = InterfaceIndex(interface)
        packet.outInterface = .none
        return packet
    }

    @Test("Docker: a published port reaches its container, and the answer comes back")
    func dockerPublished() throws {
        var node = try Self.node("docker", Self.docker)
        var packet = Self.syn(0xCB00_7105, 40_000, 0xC000_0201, 8080, on: 0)
        #expect(node.receive(&packet, at: .start).verdict == .forwarded)
        #expect(packet.tuple.destination.ipv4 == 0xAC11_0002)
        #expect(packet.tuple.destinationPart == 80)
        var answer = Self.syn(0xAC11_0002, 80, 0xCB00_7105, 40_000, on: 1)
        answer.tcp.flags = [.syn, .ack]
        answer.tcp.acknowledgment = 1
        #expect(node.receive(&answer, at: .start).verdict == .forwarded)
        #expect(answer.tuple.source.ipv4 == 0xC000_0201)
        #expect(answer.tuple.sourcePart == 8080)
    }

    @Test("Docker: containers go out masqueraded, other networks' and direct access are dropped")
    func dockerIsolation() throws {
        var node = try Self.node("docker", Self.docker)
        var outward = Self.syn(0xAC11_0002, 40_000, 0xCB00_7105, 443, on: 1)
        #expect(node.receive(&outward, at: .start).verdict == .forwarded)
        #expect(outward.tuple.source.ipv4 == 0xC000_0201)
        var across = Self.syn(0xAC11_0002, 40_001, 0xAC12_0003, 53, on: 1, IPProtocol.udp)
        let dropped = node.receive(&across, at: .start)
        #expect(dropped.reason == .rule)
        #expect(
            dropped.rule.map(node.ruleset.describe)
                == "forward: ip filter DOCKER-ISOLATION-STAGE-2 line 37: "
                + "\"-A DOCKER-ISOLATION-STAGE-2 -o br-1f2e3d4c5b6a -j DROP\"")
        var direct = Self.syn(0xC000_0209, 40_002, 0xAC11_0002, 80, on: 0)
        let raw = node.receive(&direct, at: .start)
        #expect(raw.rule.map(node.ruleset.describe)?.hasPrefix("prerouting: ip raw") == true)
        var unpublished = Self.syn(0xCB00_7105, 40_003, 0xAC12_0003, 54, on: 0, IPProtocol.udp)
        #expect(node.receive(&unpublished, at: .start).reason == .rule)
    }

    private static let kubernetes = [
        Interface(name: "eth0", addresses: [prefix(0xC0A8_0001, 24)], isDefault: true),
        Interface(name: "cni0", addresses: [prefix(0x0AF4_0101, 24)]),
    ]

    @Test("kube-proxy: a pod reaches a service's endpoints, one third each")
    func kubeProxy() throws {
        var node = try Self.node("kube-proxy", Self.kubernetes)
        var hits: [UInt32: Int] = [:]
        for port in UInt16(20_000)..<23_000 {
            var packet = Self.syn(0x0AF4_0132, port, 0x0A60_1414, 80, on: 1)
            #expect(node.receive(&packet, at: .start).verdict == .forwarded)
            hits[packet.tuple.destination.ipv4, default: 0] += 1
            #expect(packet.tuple.source.ipv4 == 0x0AF4_0132)
        }
        for address: UInt32 in [0x0AF4_010A, 0x0AF4_010B, 0x0AF4_010C] {
            #expect((900...1100).contains(hits[address] ?? 0))
        }
    }

    @Test("kube-proxy: node port, refusal, marks and an INVALID packet")
    func kubeProxyEdges() throws {
        var node = try Self.node("kube-proxy", Self.kubernetes)
        var external = Self.syn(0xC0A8_0063, 20_000, 0xC0A8_0001, 30_080, on: 0)
        #expect(node.receive(&external, at: .start).verdict == .forwarded)
        #expect(external.tuple.source.ipv4 == 0x0AF4_0101)
        #expect(external.mark == 0, "the mark is taken off before masquerading")
        var empty = Self.syn(0x0AF4_0132, 20_001, 0x0A60_1E1E, 80, on: 1)
        let refused = node.receive(&empty, at: .start)
        #expect(refused.reason == .rejected)
        var invalid = Self.syn(0x0AF4_0132, 20_002, 0xC0A8_0063, 80, on: 1)
        invalid.tcp.flags = [.syn, .fin]
        let dropped = node.receive(&invalid, at: .start)
        #expect(
            dropped.rule.map(node.ruleset.describe)?.contains("--ctstate INVALID -j DROP") == true)
    }

    @Test("Several texts make one ruleset; findings name their own files")
    func several() throws {
        let table =
            "table ip f { chain c { type filter hook forward priority 0; ct state new drp } }"
        let error = #expect(throws: RulesetError.self) {
            try Ruleset(
                [
                    RulesetSource(.nftables, table, file: "a.nft"),
                    RulesetSource(
                        .iptablesSave, "*filter\n:INPUT ACCEPT\n-A INPUT -j DORP\nCOMMIT\n",
                        file: "b.save", firstLine: 11),
                ], interfaces: [])
        }
        #expect(
            error?.findings.map { "\($0.file):\($0.line):\($0.column)" }
                == ["a.nft:1:74", "b.save:13:13"])
        #expect(error?.findings.last?.suggestion == "DROP")
    }
}
