import Testing
import Wire

@Suite("Addresses as text")
struct AddressTextTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var high: UInt64
        var low: UInt64
        var text: String
        var testDescription: String { text }
    }

    /// What `inet_ntop` prints, edge by edge.
    static let rows = [
        Row(high: 0, low: 0, text: "::"),
        Row(high: 0, low: 1, text: "::1"),
        Row(high: 0, low: 0x1_0000, text: "::0.1.0.0"),
        Row(high: 0, low: 0x0102_0304, text: "::1.2.3.4"),
        Row(high: 0, low: 0xffff_0a00_0001, text: "::ffff:10.0.0.1"),
        Row(high: 0, low: 0x1_0a00_0001, text: "::1:a00:1"),
        Row(high: 0xfd00_0000_0000_0000, low: 1, text: "fd00::1"),
        Row(high: 0xfd00_0000_0000_0000, low: 0, text: "fd00::"),
        Row(high: 0x2001_0db8_0000_0001, low: 0x0001_0001_0001_0001, text: "2001:db8:0:1:1:1:1:1"),
        Row(high: 0x2001_0000_0000_0001, low: 0x0000_0000_0000_0001, text: "2001:0:0:1::1"),
        Row(high: 0x2001_0000_0000_0001, low: 0x0001_0000_0000_0001, text: "2001::1:1:0:0:1"),
        Row(high: 0x0001_0002_0003_0004, low: 0x0005_0006_0007_0008, text: "1:2:3:4:5:6:7:8"),
        Row(high: 0x0000_0000_0003_0004, low: 0x0005_0006_0007_0008, text: "::3:4:5:6:7:8"),
        Row(high: 0x0001_0002_0003_0004, low: 0x0005_0006_0000_0000, text: "1:2:3:4:5:6::"),
        Row(high: ~0, low: ~0, text: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ]

    @Test("IPv6 is written in the compressed form and read back", arguments: rows)
    func compressedForm(_ row: Row) throws {
        let address = Address(high: row.high, low: row.low)
        #expect(address.text(.ipv6) == row.text)
        let parsed = try #require(Address.parse(row.text))
        #expect(parsed == (.ipv6, address))
    }

    @Test(
        "IPv4 is written as four decimal octets and read back",
        arguments: [
            (UInt32(0), "0.0.0.0"), (0x0a00_0001, "10.0.0.1"), (0xc0a8_64c8, "192.168.100.200"),
            (0xffff_ffff, "255.255.255.255"), (0x6309_6400, "99.9.100.0"),
        ])
    func dottedForm(_ value: UInt32, _ text: String) throws {
        #expect(Address(ipv4: value).text(.ipv4) == text)
        #expect(Address(ipv4: value).fullText(.ipv4) == text)
        let parsed = try #require(Address.parse(text))
        #expect(parsed == (.ipv4, Address(ipv4: value)))
    }

    @Test("The full form has every digit")
    func fullForm() {
        let address = Address(high: 0xfd00_0000_0000_0000, low: 0x12)
        #expect(address.fullText(.ipv6) == "fd00:0000:0000:0000:0000:0000:0000:0012")
    }

    @Test(
        "Other ways of writing the same IPv6 address are read",
        arguments: [
            ("FD00:0:0:0:0:0:0:1", "fd00::1"), ("fd00::0001", "fd00::1"),
            ("0:0:0:0:0:ffff:10.0.0.1", "::ffff:10.0.0.1"),
            ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
        ])
    func otherSpellings(_ spelling: String, _ text: String) throws {
        let (family, address) = try #require(Address.parse(spelling))
        #expect(family == .ipv6)
        #expect(address.text(.ipv6) == text)
    }

    @Test(
        "What is not an address is refused",
        arguments: [
            "", " ", "10.0.0", "10.0.0.0.0", "10.0.0.256", "10.0.0.01", "10.0.0.", ".1.2.3",
            "10.0.0.1 ", "+1.2.3.4", "1.2.3.4/8", "a.b.c.d", ":", ":::", "1::2::3", ":1", "1:",
            "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
            "12345::", "g::", "::1.2.3", "1.2.3.4::", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4",
            "fe80::1%eth0", "[::1]", "0000:0000:0000:0000:0000:ffff:255.255.255.2555",
        ])
    func refused(_ text: String) {
        #expect(Address.parse(text) == nil)
    }

    @Test("A prefix is an address and a length that fits its family")
    func prefixes() throws {
        let four = try #require(Address.parsePrefix("10.1.0.0/16"))
        #expect(four == (.ipv4, Address(ipv4: 0x0a01_0000), 16))
        let six = try #require(Address.parsePrefix("fd00::/64"))
        #expect(six == (.ipv6, Address(high: 0xfd00_0000_0000_0000, low: 0), 64))
        #expect(try #require(Address.parsePrefix("::/128")) == (.ipv6, .zero, 128))
        let refused = [
            "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "/8", "::/08",
        ]
        for text in refused {
            #expect(Address.parsePrefix(text) == nil, "\(text)")
        }
    }

    @Test("Any address survives writing and reading", arguments: UInt64(0)..<64)
    func roundTrip(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        for _ in 0..<200 {
            var address = Address(high: dice.next(), low: dice.next())
            // Zero some groups, because runs of zeros are where the two directions may disagree.
            for group in 0..<4 {
                let mask = ~(UInt64(0xffff) << UInt64(group * 16))
                if dice.below(3) > 0 { address.high &= mask }
                if dice.below(3) > 0 { address.low &= mask }
            }
            let text = address.text(.ipv6)
            #expect(try #require(Address.parse(text)) == (.ipv6, address), "seed \(seed): \(text)")
            let full = address.fullText(.ipv6)
            #expect(full.utf8.count == 39)
            #expect(try #require(Address.parse(full)) == (.ipv6, address), "seed \(seed): \(full)")
        }
    }
}
