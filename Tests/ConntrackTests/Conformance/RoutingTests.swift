import Testing
import Wire

@testable import Conntrack

/// Where packets with addresses of every kind go, as observed on 6.18.
@Suite("Route input")
struct RoutingTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var source: String
        var destination: String
        var ingress: String
        var expected: String
        var testDescription: String { "\(source) > \(destination) from \(ingress): \(expected)" }

        init(_ source: String, _ destination: String, from ingress: String, _ expected: String) {
            self.source = source
            self.destination = destination
            self.ingress = ingress
            self.expected = expected
        }
    }

    static let rows: [Row] = [
        // IPv4.
        Row("10.0.0.2", "198.51.100.7", from: "lan", "wan"),
        Row("198.51.100.7", "10.0.0.2", from: "wan", "lan"),
        Row("10.0.0.2", "10.0.0.1", from: "lan", "local"),
        Row("10.0.0.2", "10.0.255.255", from: "lan", "local"),
        Row("10.0.0.2", "255.255.255.255", from: "lan", "local"),
        Row("10.0.0.2", "10.0.0.0", from: "wan", "lan"),
        Row("10.0.0.2", "224.0.0.1", from: "lan", "local"),
        Row("198.51.100.7", "224.0.0.1", from: "wan", "local"),
        Row("127.0.0.1", "224.0.0.1", from: "lan", "martian"),
        Row("10.0.0.2", "224.0.0.2", from: "lan", "none"),
        Row("10.0.0.2", "239.1.1.1", from: "lan", "none"),
        Row("0.0.0.0", "198.51.100.7", from: "lan", "martian"),
        Row("0.0.0.0", "255.255.255.255", from: "lan", "local"),
        Row("0.0.0.0", "0.0.0.0", from: "lan", "local"),
        Row("0.1.2.3", "198.51.100.7", from: "lan", "wan"),
        Row("10.0.0.2", "0.0.0.0", from: "lan", "martian"),
        Row("10.0.0.2", "0.1.2.3", from: "lan", "wan"),
        Row("10.0.255.255", "198.51.100.7", from: "lan", "wan"),
        Row("127.1.1.1", "198.51.100.7", from: "lan", "martian"),
        Row("10.0.0.2", "127.0.0.1", from: "lan", "martian"),
        Row("224.1.1.1", "198.51.100.7", from: "lan", "martian"),
        Row("255.255.255.255", "198.51.100.7", from: "lan", "martian"),
        // IPv6.
        Row("fd00:1::2", "2001:db8:9::7", from: "lan", "wan"),
        Row("fd00:1::2", "fd00:1::1", from: "lan", "local"),
        Row("fd00:1::2", "ff02::1", from: "lan", "local"),
        Row("fe80::77", "ff02::2", from: "lan", "local"),
        Row("fd00:1::2", "ff02::16", from: "lan", "none"),
        Row("fd00:1::2", "ff05::2", from: "lan", "none"),
        Row("fd00:1::2", "ff01::1", from: "lan", "none"),
        // The anycast address of a subnet's routers; there is none where two addresses are all.
        Row("fd00:1::2", "fd00:1::", from: "lan", "local"),
        Row("fe80::77", "fd00:1::", from: "lan", "local"),
        Row("2001:db8:9::7", "2001:db8:2::", from: "wan", "local"),
        Row("2001:db8:9::7", "fd00:9::4", from: "wan", "lan"),
        // Link-local addresses stay on their link.
        Row("fd00:1::2", "fe80::1", from: "lan", "none"),
        Row("2001:db8:9::7", "fe80::1", from: "wan", "wan"),
        Row("fe80::5", "fe80::6", from: "wan", "wan"),
        Row("fe80::5", "2001:db8:9::7", from: "lan", "martian"),
        Row("fe80::5", "2001:db8:9::7", from: "wan", "wan"),
        Row("::", "2001:db8:9::7", from: "lan", "martian"),
        Row("fd00:1::2", "::", from: "lan", "wan"),
        Row("::1", "2001:db8:9::7", from: "lan", "martian"),
        Row("fd00:1::2", "::1", from: "lan", "martian"),
        Row("ff02::1", "2001:db8:9::7", from: "lan", "martian"),
    ]

    private static let names = ["lan", "wan"]

    private static func prefix(_ text: String) throws -> Prefix {
        let (family, address, length) = try #require(Address.parsePrefix(text))
        return Prefix(family, address, length: length)
    }

    @Test("A packet goes where the kernel's goes", arguments: rows)
    func routes(_ row: Row) throws {
        let routing = Routing([
            Interface(
                name: "lan",
                addresses: try ["10.0.0.1/16", "fd00:1::1/64", "fd00:9::5/127"].map(Self.prefix)),
            Interface(
                name: "wan",
                addresses: try ["203.0.113.1/24", "2001:db8:2::1/64"].map(Self.prefix),
                isDefault: true),
        ])
        let (family, source) = try #require(Address.parse(row.source))
        let (_, destination) = try #require(Address.parse(row.destination))
        let ingress = try #require(Self.names.firstIndex(of: row.ingress))
        let found = routing.destination(
            of: Tuple(family, IPProtocol.udp, source: source, 1, destination: destination, 2),
            from: InterfaceIndex(UInt8(ingress)))
        let text =
            switch found {
            case .local: "local"
            case .interface(let index): Self.names[Int(index.raw)]
            case .martian: "martian"
            case .none: "none"
            }
        #expect(text == row.expected)
    }
}
