import Foundation
import Testing
import Wire

@testable import Conntrack

/// Texts nobody would write: every one ends as a ruleset or as findings, and never as a trap.
@Suite("Rules: hostile texts")
struct RulesHostileTests {
    /// Loads the text; a ruleset that loads is asked about a few packets.
    private func survive(_ text: String) {
        guard var ruleset = try? RulesSupport.ruleset(text) else { return }
        var dice = Dice(seed: 1)
        for packet in [Packet.tcp(to: 80), .tcp6(to: 22), .udp()] {
            let families = [packet.tuple.family]
            for chain in ruleset.baseChains where !chain.families.isDisjoint(with: families) {
                var effects = RuleEffects()
                var asked = packet
                _ = ruleset.evaluate(
                    chain.index, &asked, entry: nil, effects: &effects, dice: &dice, at: .start)
            }
        }
    }

    @Test("Every beginning of an example", arguments: RulesExamples.names)
    func truncation(name: String) throws {
        let bytes = Array(try RulesExamples.text(name).utf8)
        for count in 0..<bytes.count {
            survive(String(decoding: bytes[..<count], as: UTF8.self))
        }
    }

    @Test("Flipped bytes", arguments: RulesExamples.names)
    func flips(name: String) throws {
        let bytes = Array(try RulesExamples.text(name).utf8)
        for seed in UInt64(0)..<300 {
            var dice = Dice(seed: seed)
            var changed = bytes
            for _ in 0...dice.below(4) {
                changed[Int(dice.below(UInt32(bytes.count)))] ^= 1 << UInt8(dice.below(8))
            }
            survive(String(decoding: changed, as: UTF8.self))
        }
    }

    @Test("Words in any order", arguments: RulesExamples.names)
    func shuffled(name: String) throws {
        let lines = try RulesExamples.text(name).split(separator: "\n").map(String.init)
        var words = lines.flatMap { $0.split(separator: " ").map(String.init) }
        words += ["{", "}", ";", ",", ".", "$x", "@y", "vmap", "map", "!=", "&", "(", ")", "-"]
        for seed in UInt64(0)..<200 {
            var dice = Dice(seed: seed)
            var text = "table ip t {\nchain c {\ntype filter hook input priority 0\n"
            for _ in 0..<60 {
                text += words[Int(dice.below(UInt32(words.count)))]
                text += dice.chance(of: 1, in: 6) ? "\n" : " "
            }
            survive(text)
        }
    }

    struct Limit: Sendable, CustomTestStringConvertible {
        var name: String
        var text: String
        var finding: String

        var testDescription: String { name }

        init(_ name: String, _ finding: String, _ text: String) {
            self.name = name
            self.finding = finding
            self.text = text
        }
    }

    private static func repeated(_ text: String, _ count: Int) -> String {
        String(repeating: text, count: count)
    }

    static let limits: [Limit] = [
        Limit(
            "text", "found a text of 8388609 bytes, expected at most 8388608 bytes",
            repeated(" ", RulesetLimits.textByteCount + 1)),
        Limit(
            "words", "found a word of 256 bytes, expected at most 255 bytes",
            "table ip " + repeated("t", 256)),
        Limit(
            "quotations", "found a word of 1002 bytes, expected at most 255 bytes",
            RulesSupport.forward("log prefix \"" + repeated("t", 1000) + "\"")),
        Limit(
            "tables", "expected at most 256 tables",
            (0...256).map { "table ip t\($0)\n" }.joined()),
        Limit(
            "chains", "expected at most 65536 chains",
            "table ip t {\n" + (0...65_536).map { "chain c\($0) { }\n" }.joined() + "}\n"),
        Limit(
            "rules", "expected at most 131072 rules",
            "table ip t {\nchain c {\n" + repeated("drop\n", 131_073) + "}\n}\n"),
        Limit(
            "statements", "expected at most 64 statements in a rule",
            RulesSupport.forward(repeated("counter ", 65))),
        Limit(
            "elements", "expected at most 1048576 elements in all sets",
            "define a = { " + repeated("1,", 65_535) + "1 }\n"
                + "table ip t { set s { type inet_service; } }\n"
                + repeated("add element ip t s $a\n", 16)),
        Limit(
            "concatenation", "expected at most 8 parts in a concatenation",
            RulesSupport.forward(repeated("ip saddr . ", 8) + "ip saddr { }")),
        Limit(
            "list", "expected at most 64 values in a list",
            RulesSupport.forward("ct state new" + repeated(",new", 64))),
        Limit(
            "parentheses", "expected at most 16 nested parentheses, sets or hashes",
            RulesSupport.forward("meta mark " + repeated("(", 1000))),
        Limit(
            "sets in sets", "expected at most 16 nested parentheses, sets or hashes",
            RulesSupport.forward("tcp dport " + repeated("{ ", 1000))),
        Limit(
            "hashes of hashes", "expected at most 16 nested parentheses, sets or hashes",
            RulesSupport.forward(repeated("jhash ", 10_000))),
        Limit(
            "operators", "expected at most 16 operators in a row",
            RulesSupport.forward("meta mark 1" + repeated(" | 1", 1000))),
        Limit(
            "defines", "expected at most 4096 defines",
            (0...4096).map { "define d\($0) = 1\n" }.joined()),
        Limit(
            "what a define spells out to", "expected a value of at most 65536 parts",
            "define a = { 1, 2 }\n"
                + repeated("redefine a = { $a, $a }\n", 17)),
        Limit(
            "how deep defines nest", "nested at most 16 deep",
            "define a = 1\n" + repeated("redefine a = ($a | 1)\n", 17)),
        Limit(
            "chains within chains", "found a jump that nests 17 chains, expected at most 16",
            "table ip t {\n"
                + (0..<16).map { "chain c\($0) {\n\($0 < 15 ? "jump c\($0 + 1)" : "drop")\n}\n" }
                .joined() + "chain b {\ntype filter hook input priority 0\njump c0\n}\n}\n"),
        Limit(
            "concatenations with intervals",
            "found 4097 concatenations with intervals among them, expected at most 4096",
            RulesSupport.forward(
                "ip saddr . tcp dport { "
                    + (0...4096).map { "10.0.0.0/8 . \($0)" }.joined(separator: ", ") + " }")),
    ]

    @Test("Limits have names", arguments: limits)
    func limit(_ row: Limit) throws {
        let error = #expect(throws: RulesetError.self) { try RulesSupport.ruleset(row.text) }
        let found = try #require(error?.description)
        #expect(found.contains(row.finding))
    }

    @Test("Interfaces have a limit too")
    func interfaces() {
        let error = #expect(throws: RulesetError.self) {
            try Ruleset(
                nftables: "table ip t { }", file: "t.nft",
                interfaces: (0..<256).map { "eth\($0)" })
        }
        #expect(error?.description == "t.nft:1:1: found 256 interfaces, expected at most 255")
    }

    @Test("The widest node's interfaces are told apart")
    func manyInterfaces() throws {
        var ruleset = try Ruleset(
            nftables: RulesSupport.forward("iifname { \"eth254\", \"eth6*\" } drop"),
            file: "t.nft", interfaces: (0..<255).map { "eth\($0)" })
        var dropped: [UInt8] = []
        for index in UInt8(0)...254 {
            var packet = Packet.tcp()
            packet.inInterface = InterfaceIndex(index)
            if RulesSupport.ask(&ruleset, &packet) != .accept { dropped.append(index) }
        }
        #expect(dropped == [6] + Array(60...69) + [254])
    }

    @Test("Large rulesets load in proportion to their size")
    func large() throws {
        let rules = (0..<20_000).map {
            "ip saddr 10.\($0 >> 8 & 255).\($0 & 255).0/24 tcp dport \($0 & 0xFFFF) counter drop"
        }
        var ruleset = try RulesSupport.ruleset(
            RulesSupport.forward(rules.joined(separator: "\n")))
        var packet = Packet.tcp(to: 19_999, from: 0x0A4E_1F05)
        let last = RuleReference(rule: 19_999, chain: 0)
        #expect(RulesSupport.ask(&ruleset, &packet) == .drop(last))
    }
}
