import Testing
import Wire

@testable import Conntrack

// What holds for every mapping, whatever rule made it: spec nat.md §1, §5, §7.

/// Random flows through a gateway with random rules.
///
/// Seeded: the same seed, the same story.
struct RandomFlows {
    var dice: Dice
    let family: Family
    let rules: String
    private var used: Set<String> = []

    init(seed: UInt64) {
        dice = Dice(seed: seed)
        family = dice.chance(of: 1, in: 2) ? .ipv4 : .ipv6
        let destinations = Self.destinations(family)
        let sources = Self.sources(family)
        let word = family == .ipv4 ? "ip" : "ip6"
        rules =
            Chain.prerouting(Self.pick(destinations, &dice), word)
            + Chain.postrouting(Self.pick(sources, &dice), word)
    }

    private static func pick<Item>(_ items: [Item], _ dice: inout Dice) -> Item {
        items[Int(dice.below(UInt32(items.count)))]
    }

    private static func sources(_ family: Family) -> [String] {
        let isIPv4 = family == .ipv4
        let one = isIPv4 ? "10.2.0.10" : "fd02::10"
        let many = isIPv4 ? "10.2.0.10-10.2.0.13" : "fd02::10-fd02::13"
        let ported = isIPv4 ? "10.2.0.10" : "[fd02::10]"
        return [
            "oifname \"srv\" snat to \(one)",
            "oifname \"srv\" snat to \(many)",
            "oifname \"srv\" snat to \(many) persistent",
            "oifname \"srv\" snat to \(one) random",
            "oifname \"srv\" masquerade",
            "oifname \"srv\" masquerade fully-random",
            "meta l4proto { tcp, udp } snat to \(ported):5000-5040",
            "\(isIPv4 ? "ip saddr 10.9.9.9" : "ip6 saddr fd09::9") masquerade",
        ]
    }

    private static func destinations(_ family: Family) -> [String] {
        let isIPv4 = family == .ipv4
        let virtual =
            isIPv4 ? "ip daddr { 10.1.0.50, 10.1.0.51 }" : "ip6 daddr { fd01::50, fd01::51 }"
        let ported = isIPv4 ? "10.2.0.100" : "[fd02::100]"
        let many = isIPv4 ? "10.2.0.100-10.2.0.103" : "fd02::100-fd02::103"
        return [
            "",
            "\(virtual) dnat to \(isIPv4 ? "10.2.0.100" : "fd02::100")",
            "\(virtual) dnat to \(many)",
            "\(virtual) meta l4proto { tcp, udp } dnat to \(ported):8080",
            "\(virtual) meta l4proto { tcp, udp } dnat to \(ported):8080-8090",
            "\(virtual) meta l4proto { tcp, udp } dnat to \(ported):8080-8090 random",
        ]
    }

    /// The first packet of a flow not met before.
    mutating func next() -> [UInt8] {
        while true {
            let client = 2 + dice.below(5)
            let isVirtual = dice.chance(of: 1, in: 2)
            let server = isVirtual ? 50 + dice.below(2) : 100 + dice.below(4)
            let port = Self.pick([300, 700, 1000, 4000, 5005], &dice)
            let service = Self.pick([53, 80, 443, 8080, 8085], &dice)
            let kind = dice.below(4)
            let name = "\(client) \(server) \(port) \(kind == 2 ? port : service) \(kind)"
            let key = kind == 3 ? "\(client) \(server) 3" : name
            guard used.insert(key).inserted else { continue }
            let (source, destination) = ends(client, server, isVirtual)
            let payload = (0..<dice.below(40)).map { _ in UInt8(dice.below(256)) }
            let flow = "\(source):\(port) > \(destination):\(service)"
            switch kind {
            case 0: return Make.udp(flow, payload: payload)
            case 1: return Make.tcp(flow, sequence: UInt32(dice.next() >> 32), payload: payload)
            case 2:
                let bare = Make.Flow(flow).builder { _ in }
                return bare.icmp(
                    type: family == .ipv4 ? 8 : 128, identifier: UInt16(port), payload: payload)
            default: return Make.Flow(flow).builder { _ in }.packet(carrying: payload, as: 200)
            }
        }
    }

    private func ends(_ client: UInt32, _ server: UInt32, _ isVirtual: Bool) -> (String, String) {
        guard family == .ipv6 else {
            return ("10.1.0.\(client)", "10.\(isVirtual ? 1 : 2).0.\(server)")
        }
        return ("[fd01::\(client)]", "[fd0\(isVirtual ? 1 : 2)::\(server)]")
    }

    /// What the one who got this packet answers.
    static func answer(to bytes: [UInt8], payload: [UInt8]) -> [UInt8]? {
        var layout = PacketLayout()
        guard
            let packet = try? Packet(parsing: bytes.span, verifiesChecksum: true, layout: &layout)
        else { return nil }
        let tuple = packet.tuple
        let builder = PacketBuilder(tuple.family, from: tuple.destination, to: tuple.source)
        switch tuple.protocolNumber {
        case IPProtocol.udp:
            return builder.udp(
                from: tuple.destinationPart, to: tuple.sourcePart, payload: payload)
        case IPProtocol.tcp:
            return builder.tcp(
                from: tuple.destinationPart, to: tuple.sourcePart, flags: [.syn, .ack],
                sequence: 77, acknowledgment: packet.tcp.sequence &+ 1)
        case IPProtocol.icmp, IPProtocol.icmpv6:
            return builder.icmp(
                type: tuple.family == .ipv4 ? 0 : 129, identifier: tuple.sourcePart,
                payload: payload)
        default: return builder.packet(carrying: payload, as: tuple.protocolNumber)
        }
    }
}

struct NATPropertyTests {
    private func bench(_ flows: RandomFlows, seed: UInt64) throws -> NATBench {
        try NATBench(flows.rules) {
            $0.seed = seed
            $0.interfaces[1].isDefault = true
            $0.interfaces[1].addresses += NATBench.prefixes(
                "fd02::10/64", "fd02::11/64", "fd02::12/64", "fd02::13/64")
        }
    }

    @Test("What is translated there and back is what it was", arguments: UInt64(0)..<60)
    func comesBack(seed: UInt64) throws {
        var flows = RandomFlows(seed: seed)
        let bench = try bench(flows, seed: seed)
        var forwarded = 0
        for _ in 0..<100 {
            let first = flows.next()
            let sent = bench.pass(first)
            // Refused where a range is used up, local where nothing maps a virtual address.
            guard let bytes = sent.bytes.first else { continue }
            forwarded += 1
            let original = PacketText.of(first)
            let hint: Comment = "seed \(seed): \(original) left as \(PacketText.of(bytes))"
            let payload = (0..<flows.dice.below(40)).map { _ in UInt8(flows.dice.below(256)) }
            let answer = try #require(RandomFlows.answer(to: bytes, payload: payload))
            let expected = try #require(RandomFlows.answer(to: first, payload: payload))
            let back = bench.pass(answer)
            #expect(back.state == "established-reply", hint)
            #expect(back.out == PacketText.of(expected), hint)
            // But for the TTL and the IPv4 header's checksum it is the very packet the one asked
            // would have sent itself.
            if let bytes = back.bytes.first {
                let start = flows.family == .ipv4 ? 12 : 8
                #expect(Array(bytes[start...]) == Array(expected[start...]), hint)
            }
        }
        #expect(forwarded > 10, "seed \(seed)")
    }

    @Test("An ICMP error quotes the packet as its sender knows it", arguments: UInt64(0)..<60)
    func quotesWhatWasSent(seed: UInt64) throws {
        var flows = RandomFlows(seed: seed)
        let bench = try bench(flows, seed: seed)
        let router = flows.family == .ipv4 ? "10.2.0.9" : "fd02::9"
        for _ in 0..<60 {
            let first = flows.next()
            let sent = bench.pass(first)
            guard let bytes = sent.bytes.first, let source = sent.source else { continue }
            let headers = flows.family == .ipv4 ? 20 : 40
            let quoted = headers + 8 + Int(flows.dice.below(60))
            let error = bench.pass(
                Make.error("\(router) > \(source)", about: bytes, quoting: quoted))
            let hint: Comment = "seed \(seed): about \(PacketText.of(bytes)), quoting \(quoted)"
            guard bytes.count >= headers + 8 || PacketText.tuple(bytes)?.hasPorts == false else {
                continue
            }
            let tuple = try #require(PacketText.tuple(first))
            let isMapped = sent.natBits.contains("DST_NAT")
            let from = isMapped ? tuple.destination.text(tuple.family) : router
            let to = tuple.source.text(tuple.family)
            #expect(error.state == "related-reply", hint)
            #expect(error.out == "\(from) > \(to) about [\(PacketText.of(first))]", hint)
        }
    }

    @Test("Two live flows never have a tuple in common", arguments: UInt64(0)..<60)
    func sharesNothing(seed: UInt64) throws {
        var flows = RandomFlows(seed: seed)
        let bench = try bench(flows, seed: seed)
        for _ in 0..<150 {
            bench.pass(flows.next())
            bench.wait(Double(flows.dice.below(1000)) / 1000)
        }
        let entries = bench.node.list(at: bench.now)
        #expect(entries.count > 10)
        let tuples = entries.flatMap { [$0.original, $0.reply] }
        #expect(Set(tuples).count == tuples.count, "seed \(seed)")
    }
}
