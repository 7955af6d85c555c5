import Testing
import Wire

@testable import Conntrack

// What the tests of the rules share: packets in one line, and a ruleset asked about one.

enum RulesSupport {
    static let interfaces = ["lan", "wan", "wan2"]
    static let lan = InterfaceIndex(0)
    static let wan = InterfaceIndex(1)

    static func ruleset(_ text: String) throws -> Ruleset {
        try Ruleset(nftables: text, file: "t.nft", interfaces: interfaces)
    }

    /// A ruleset of one table with one base chain of type filter at forward.
    static func forward(_ rules: String, table: String = "inet t") -> String {
        "table \(table) {\n chain c {\n type filter hook forward priority 0\n\(rules)\n}\n}\n"
    }

    /// What the first base chain says.
    static func ask(
        _ ruleset: inout Ruleset, _ packet: inout Packet, entry: Entry? = nil,
        at now: Instant = .start
    ) -> RuleOutcome {
        var effects = RuleEffects()
        var dice = Dice(seed: 1)
        return ruleset.evaluate(
            ruleset.baseChains[0].index, &packet, entry: entry, effects: &effects, dice: &dice,
            at: now)
    }
}

extension Packet {
    static func ipv4(
        _ protocolNumber: UInt8, _ source: UInt32, _ sourcePart: UInt16, _ destination: UInt32,
        _ destinationPart: UInt16, byteCount: UInt32 = 60
    ) -> Packet {
        var packet = Packet(
            tuple: Tuple(
                .ipv4, protocolNumber, source: Address(ipv4: source), sourcePart,
                destination: Address(ipv4: destination), destinationPart),
            networkByteCount: byteCount, transportByteCount: byteCount - 20)
        packet.inInterface = RulesSupport.lan
        packet.outInterface = RulesSupport.wan
        return packet
    }

    /// 10.0.0.2:40000 to 198.51.100.7, unless said otherwise.
    static func tcp(
        to port: UInt16 = 80, from source: UInt32 = 0x0A00_0002, _ flags: TCPFlags = .syn,
        _ info: ConntrackInfo = .new
    ) -> Packet {
        var packet = ipv4(IPProtocol.tcp, source, 40_000, 0xC633_6407, port)
        packet.tcp.flags = flags
        packet.info = info
        return packet
    }

    static func udp(to port: UInt16 = 53, from source: UInt32 = 0x0A00_0002) -> Packet {
        var packet = ipv4(IPProtocol.udp, source, 40_000, 0xC633_6407, port)
        packet.info = .new
        return packet
    }

    /// 2001:db8::2 to 2001:db8:1::7.
    static func tcp6(to port: UInt16 = 80) -> Packet {
        var packet = Packet(
            tuple: Tuple(
                .ipv6, IPProtocol.tcp, source: Address(high: 0x2001_0db8_0000_0000, low: 2),
                40_000, destination: Address(high: 0x2001_0db8_0001_0000, low: 7), port),
            networkByteCount: 80, transportByteCount: 40)
        packet.inInterface = RulesSupport.lan
        packet.outInterface = RulesSupport.wan
        packet.tcp.flags = .syn
        packet.info = .new
        return packet
    }
}
