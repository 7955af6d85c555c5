import Testing
import Wire

@Suite("Checksums")
struct ChecksumTests {
    /// RFC 1071 word by word, with nothing clever in it.
    static func reference(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            let low = index + 1 < bytes.count ? bytes[index + 1] : 0
            sum += UInt32(bytes[index]) << 8 | UInt32(low)
            sum = (sum & 0xffff) + (sum >> 16)
        }
        return ~UInt16(sum)
    }

    @Test("The fast sum equals the plain one at every length")
    func equalsReference() {
        var dice = TestDice(seed: 1)
        for count in 0..<300 {
            let bytes = dice.bytes(count)
            #expect(Checksum.of(bytes.span) == Self.reference(bytes), "\(count) bytes")
        }
        for byte in [UInt8(0), 0xff] {
            for count in 0..<100 {
                let bytes = [UInt8](repeating: byte, count: count)
                #expect(Checksum.of(bytes.span) == Self.reference(bytes), "\(count) × \(byte)")
            }
        }
    }

    @Test("The example of RFC 1071 §3 sums to ddf2")
    func rfcExample() {
        let bytes: [UInt8] = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]
        #expect(Checksum.of(bytes.span) == ~0xddf2)
    }

    @Test("Pseudo headers count as the bytes they stand for", arguments: [Family.ipv4, .ipv6])
    func pseudoHeader(_ family: Family) {
        var dice = TestDice(seed: 7)
        for count in 0..<80 {
            let source = Self.address(family, &dice)
            let destination = Self.address(family, &dice)
            let payload = dice.bytes(count)
            var plain: [UInt8] = []
            plain.append(source, family)
            plain.append(destination, family)
            if family == .ipv4 {
                plain += [0, 17]
                plain.appendBigEndian(UInt16(count))
            } else {
                plain.appendBigEndian(UInt32(count))
                plain += [0, 0, 0, 17]
            }
            plain += payload
            let fast = Checksum.transport(
                payload.span, family, source: source, destination: destination, protocolNumber: 17)
            #expect(fast == Self.reference(plain), "\(count) bytes")
        }
    }

    @Test("A change applied to the field equals a new sum", arguments: UInt64(0)..<50)
    func changeEqualsNewSum(seed: UInt64) {
        var dice = TestDice(seed: seed)
        for _ in 0..<100 {
            // Two checksum bytes, then 16- and 32-bit fields and an IPv4 and an IPv6 address.
            var bytes = [UInt8](repeating: 0, count: 2) + dice.bytes(26)
            if dice.below(4) == 0 { bytes = [UInt8](repeating: 0, count: 28) }
            bytes.setBigEndian(Self.reference(bytes), at: 0)
            let before = bytes
            let field = bytes.span.bigEndianUInt16(at: 0)

            var change = ChecksumChange()
            let short = UInt16(truncatingIfNeeded: dice.next())
            change.replace(before.span.bigEndianUInt16(at: 2), with: short)
            bytes.setBigEndian(short, at: 2)
            let word = UInt32(truncatingIfNeeded: dice.next())
            change.replace(before.span.bigEndianUInt32(at: 4), with: word)
            bytes.setBigEndian(word, at: 4)
            let four = Self.address(.ipv4, &dice)
            change.replace(before.span.ipv4Address(at: 8), with: four, .ipv4)
            bytes.setAddress(four, .ipv4, at: 8)
            let six = Self.address(.ipv6, &dice)
            change.replace(before.span.ipv6Address(at: 12), with: six, .ipv6)
            bytes.setAddress(six, .ipv6, at: 12)

            bytes.setBigEndian(UInt16(0), at: 0)
            #expect(change.applied(to: field) == Self.reference(bytes), "seed \(seed)")
        }
    }

    @Test("Zero: a UDP field of 0 stays, a UDP result of 0 becomes ffff, others become 0")
    func zeros() {
        var change = ChecksumChange()
        change.replace(UInt16(0x0001), with: 0x0002)
        #expect(change.appliedToUDP(0) == 0)
        #expect(change.appliedToUDP(1) == 0xffff)
        #expect(change.applied(to: 1) == 0)
        #expect(change.applied(to: 0) == 0xfffe)
        #expect(change.applied(to: 0xffff) == 0xfffe)
        // The one case in which a plain RFC 1624 sum would be the other zero.
        var unchanged = ChecksumChange()
        unchanged.replace(UInt16(0xffff), with: 0)
        #expect(unchanged.applied(to: 0xffff) == 0)
    }

    @Test("A computed UDP checksum of zero is sent as ffff")
    func udpField() {
        var sum = Checksum()
        sum.add(UInt16(0xffff))
        #expect(sum.field == 0)
        #expect(sum.udpField == 0xffff)
    }

    @Test("CRC32c of the check string and of RFC 3720's examples")
    func crc() {
        #expect(CRC32C.of(Array("123456789".utf8).span) == 0xe306_9283)
        #expect(CRC32C.of([UInt8](repeating: 0, count: 32).span) == 0x8a91_36aa)
        #expect(CRC32C.of([UInt8](repeating: 0xff, count: 32).span) == 0x62a8_ab43)
        #expect(CRC32C.of([UInt8](0..<32).span) == 0x46dd_794e)
    }

    @Test("An SCTP checksum does not depend on what its field holds")
    func sctpField() {
        var packet = TestDice.packetBytes
        let value = CRC32C.fieldValue(of: packet.span)
        packet.setBigEndian(value, at: 8)
        #expect(CRC32C.fieldValue(of: packet.span) == value)
        packet.setBigEndian(UInt32(0), at: 8)
        #expect(CRC32C.of(packet.span).byteSwapped == value)
    }

    static func address(_ family: Family, _ dice: inout TestDice) -> Address {
        switch family {
        case .ipv4: Address(ipv4: UInt32(truncatingIfNeeded: dice.next()))
        case .ipv6: Address(high: dice.next(), low: dice.next())
        }
    }
}

extension TestDice {
    static var packetBytes: [UInt8] {
        var dice = TestDice(seed: 3)
        return dice.bytes(61)
    }
}
