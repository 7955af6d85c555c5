import Testing
import Wire

@testable import Conntrack

/// What rules read where the tracker sees no transport header: cut short, or in the middle of a
/// datagram.
///
/// Observed on 6.18.
@Suite("Rules on parts of headers")
struct RulesPartialHeaderTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let rule: String
        let number: UInt8
        /// From how many transport bytes on the rule matches.
        let least: Int
        var family = Family.ipv4

        var testDescription: String { "\(rule) from \(least) bytes on" }
    }

    static let rows: [Row] = [
        Row(rule: "tcp sport 443", number: IPProtocol.tcp, least: 2),
        Row(rule: "tcp dport 80", number: IPProtocol.tcp, least: 4),
        Row(rule: "tcp dport != 81", number: IPProtocol.tcp, least: 4),
        Row(rule: "tcp flags syn", number: IPProtocol.tcp, least: 14),
        Row(rule: "meta l4proto tcp", number: IPProtocol.tcp, least: 0),
        Row(rule: "udp sport 443", number: IPProtocol.udp, least: 2),
        Row(rule: "sctp dport 80", number: IPProtocol.sctp, least: 4),
        Row(rule: "udplite dport 80", number: IPProtocol.udpLite, least: 4),
        Row(rule: "icmp type 1", number: IPProtocol.icmp, least: 1),
        Row(rule: "icmp code 187", number: IPProtocol.icmp, least: 2),
        Row(rule: "tcp flags syn", number: IPProtocol.tcp, least: 14, family: .ipv6),
        Row(rule: "icmpv6 type 1", number: IPProtocol.icmpv6, least: 1, family: .ipv6),
    ]

    /// Port 443 to port 80, a SYN; or type 1, code 187.
    private static let header: [UInt8] =
        [1, 187, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 1, 0, 0, 0, 0, 9, 9, 9, 9]

    private static func packet(_ row: Row, _ byteCount: Int, isLater: Bool) -> [UInt8] {
        let ends = row.family == .ipv4 ? ("10.0.0.2", "10.0.0.3") : ("fd00::2", "fd00::3")
        var bytes = PacketBuilder(
            row.family, from: Address.parse(ends.0)?.1 ?? .zero,
            to: Address.parse(ends.1)?.1 ?? .zero
        ).packet(carrying: Array(header.prefix(byteCount)), as: row.number)
        if isLater {
            bytes.setBigEndian(UInt16(3), at: 6)
            IPv4Header.setChecksum(in: &bytes)
        }
        return bytes
    }

    private static func matches(_ rule: String, _ bytes: [UInt8]) throws -> Bool {
        var ruleset = try RulesSupport.ruleset(RulesSupport.forward(rule + " drop"))
        var layout = PacketLayout()
        var packet = try Packet(parsing: bytes.span, verifiesChecksum: false, layout: &layout)
        return RulesSupport.ask(&ruleset, &packet) != .accept
    }

    @Test("A rule matches as soon as the bytes it compares are there", arguments: rows)
    func readsShortHeaders(_ row: Row) throws {
        for byteCount in 0...Self.header.count {
            let bytes = Self.packet(row, byteCount, isLater: false)
            #expect(try Self.matches(row.rule, bytes) == (byteCount >= row.least), "\(byteCount)")
        }
    }

    @Test(
        "A later IPv4 fragment's payload is read as if the header stood there",
        arguments: rows.filter { $0.family == .ipv4 })
    func readsLaterFragments(_ row: Row) throws {
        for byteCount in 0...Self.header.count {
            let bytes = Self.packet(row, byteCount, isLater: true)
            #expect(try Self.matches(row.rule, bytes) == (byteCount >= row.least), "\(byteCount)")
        }
    }

    @Test(
        "Of a later IPv6 fragment the packet's own beginning is read as the header",
        arguments: [
            ("tcp sport 0x6000", IPProtocol.tcp, true), ("tcp sport 443", IPProtocol.tcp, false),
            ("udp sport 0x6000", IPProtocol.udp, true),
            ("tcp flags & 255 == 0", IPProtocol.tcp, true),
            ("icmpv6 type 0x60", IPProtocol.icmpv6, true),
            ("meta l4proto 59", IPv6Extension.noNextHeader, true),
            ("meta l4proto 60", IPv6Extension.destinationOptions, false),
            ("meta l4proto 51", IPv6Extension.authentication, false),
        ])
    func readsLaterIPv6Fragments(rule: String, number: UInt8, isMatching: Bool) throws {
        let source = try #require(Address.parse("fd00::2")).1
        var builder = PacketBuilder(.ipv6, from: source, to: source)
        builder.extensions = [.raw(number: IPv6Extension.fragment, rest: [0, 0, 25, 0, 0, 0, 7])]
        for byteCount in [0, 8, 24] {
            let bytes = builder.packet(carrying: Array(Self.header.prefix(byteCount)), as: number)
            #expect(try Self.matches(rule, bytes) == isMatching, "\(byteCount)")
        }
    }

    @Test("A chain of IPv6 headers that is cut off has no transport protocol")
    func findsNoTransport() throws {
        let source = try #require(Address.parse("fd00::2")).1
        let bytes = PacketBuilder(.ipv6, from: source, to: source)
            .packet(carrying: [6], as: IPv6Extension.destinationOptions)
        #expect(try !Self.matches("meta l4proto 60", bytes))
        #expect(try !Self.matches("meta l4proto != 6", bytes))
    }
}
