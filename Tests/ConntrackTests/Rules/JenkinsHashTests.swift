import Testing
import Wire

@testable import Conntrack

/// lookup3, against its author's published values and against what the kernel's nft computed.
@Suite("Jenkins hash")
struct JenkinsHashTests {
    @Test("lookup3's published values")
    func published() {
        let text = Array("Four score and seven years ago".utf8)
        var words = JenkinsHash.InlineWords()
        for (index, byte) in text.enumerated() {
            words[index / 4] |= UInt32(byte) << UInt32(index % 4 * 8)
        }
        #expect(JenkinsHash.bytes(words, byteCount: 30, initial: 0) == 0x1777_0551)
        #expect(JenkinsHash.bytes(words, byteCount: 30, initial: 1) == 0xCD62_8161)
        #expect(JenkinsHash.bytes(words, byteCount: 0, initial: 0) == 0xDEAD_BEEF)
    }

    @Test("Words and bytes agree on whole words", arguments: UInt64(0)..<50)
    func agree(seed: UInt64) {
        var dice = Dice(seed: seed)
        let (first, second) = (dice.next(), dice.next())
        var words = JenkinsHash.InlineWords()
        words[0] = UInt32(truncatingIfNeeded: first)
        words[1] = UInt32(truncatingIfNeeded: first >> 32)
        words[2] = UInt32(truncatingIfNeeded: second)
        words[3] = UInt32(truncatingIfNeeded: second >> 32)
        let initial = UInt32(truncatingIfNeeded: dice.next())
        let whole = JenkinsHash.words4(
            words[0], words[1], words[2], words[3], initial: initial)
        let bytes = JenkinsHash.bytes(words, byteCount: 16, initial: initial)
        #expect(whole == bytes, "seed \(seed)")
    }

    struct Observed: Sendable, CustomTestStringConvertible {
        var key: String
        var seed: UInt32
        var modulus: UInt32
        var value: UInt32

        init(_ key: String, _ seed: UInt32, _ modulus: UInt32, _ value: UInt32) {
            self.key = key
            self.seed = seed
            self.modulus = modulus
            self.value = value
        }

        var testDescription: String { "jhash \(key) mod \(modulus) seed \(seed) is \(value)" }
    }

    /// Connection marks that 6.18 set for one UDP packet of 40 bytes with TTL 64 from
    /// 10.0.0.3:20001 to 198.51.100.7:53.
    static let observed: [Observed] = [
        Observed("ip saddr", 0, .max, 1_530_784_840),
        Observed("ip saddr", 1, 1000, 95),
        Observed("ip saddr", 0xDEAD_BEEF, .max, 279_414_973),
        Observed("ip ttl", 0, .max, 4_224_436_845),
        Observed("ip ttl", 1, 1000, 618),
        Observed("udp dport", 0, .max, 1_018_000_869),
        Observed("udp dport", 1, 1000, 115),
        Observed("udp sport . udp dport", 0, .max, 190_337_511),
        Observed("udp sport . udp dport", 1, 1000, 759),
        Observed("ip saddr . udp dport", 0xDEAD_BEEF, .max, 1_341_786_927),
        Observed("ip ttl . ip saddr", 1, .max, 1_653_091_074),
        Observed("ip saddr . ip daddr . udp sport . udp dport", 0, .max, 2_795_258_507),
        Observed("ip saddr . ip daddr . udp sport . udp dport", 1, 1000, 624),
        Observed("meta length", 1, .max, 2_997_755_710),
        Observed("meta mark", 0, 1000, 17),
    ]

    @Test("The kernel's values", arguments: observed)
    func kernel(_ row: Observed) throws {
        var ruleset = try RulesSupport.ruleset(
            RulesSupport.forward(
                "ct mark set jhash \(row.key) mod \(row.modulus) seed \(row.seed)"))
        var packet = Packet.ipv4(
            IPProtocol.udp, 0x0A00_0003, 20_001, 0xC633_6407, 53, byteCount: 40)
        packet.info = .new
        var effects = RuleEffects()
        var dice = Dice(seed: 1)
        _ = ruleset.evaluate(0, &packet, entry: nil, effects: &effects, dice: &dice, at: .start)
        #expect(effects.connectionMark == row.value)
    }

    @Test("Without a seed in the rule the run's dice choose one, once")
    func drawnSeed() throws {
        var ruleset = try RulesSupport.ruleset(
            RulesSupport.forward("meta mark set jhash ip saddr mod 4294967295"))
        var packet = Packet.udp()
        var effects = RuleEffects()
        var dice = Dice(seed: 1)
        var marks: Set<UInt32> = []
        for _ in 0..<5 {
            _ = ruleset.evaluate(
                0, &packet, entry: nil, effects: &effects, dice: &dice, at: .start)
            marks.insert(packet.mark)
        }
        var expected = Dice(seed: 1)
        _ = expected.next()
        #expect(marks.count == 1)
        #expect(dice.next() == expected.next())
    }
}
