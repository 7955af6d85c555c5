import Testing
import Wire

@testable import Conntrack

/// What the language offers besides matches and translations: sets, maps, chance, rates, logs.
///
/// The live kernel is given the same texts in `RulesLiveTests`.
@Suite("Rules: sets, maps, chance, rates and logs")
struct RulesLanguageTests {
    static let dynamic = """
        table ip t {
        set seen { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 10s; size 2; }
        chain c {
        type filter hook forward priority 0
        ip saddr . tcp dport @seen drop
        update @seen { ip saddr . tcp dport timeout 5s } accept
        reject
        }
        }

        """

    static let balancing = """
        table ip t {
        map byNumber { typeof numgen random mod 4 : ip daddr; flags interval; elements = {
        0-1 : 10.0.0.1, 2-3 : 10.0.0.2 } }
        map verdicts { type ipv4_addr . inet_service : verdict; flags interval; elements = {
        10.0.0.0/8 . 80-90 : drop, 192.0.2.1 . 443 : jump other } }
        set allowed { typeof ip saddr; flags interval; auto-merge; elements = { 10.0.0.0/24,
        10.0.0.128/25 } }
        chain other { return; }
        chain nat { type nat hook prerouting priority dstnat
        tcp dport 1 dnat to numgen inc mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 }
        tcp dport 2 dnat to numgen random mod 4 map @byNumber
        tcp dport 3 dnat to jhash ip saddr . tcp sport mod 2 seed 0x7 map { 0 : 10.0.0.3, 1 : 10.0.0.4 }
        tcp dport 4 dnat to numgen inc mod 2 offset 5 map { 5 : 10.0.0.5, 6 : 10.0.0.6 }
        tcp dport 5 redirect to :8080 random
        }
        chain post { type nat hook postrouting priority srcnat
        tcp dport 1 masquerade to :1024-2047 random,persistent
        tcp dport 2 snat to 192.0.2.1-192.0.2.4 persistent
        }
        chain filter { type filter hook forward priority filter
        ip saddr . tcp dport vmap @verdicts
        numgen random mod 2 vmap { 0 : accept, 1 : continue }
        ip saddr @allowed limit rate 5/second burst 10 packets accept
        limit rate over 1/minute log prefix "over: " level info flags tcp sequence,options flags ip options
        fib daddr type local accept
        }
        }

        """

    static let texts = [dynamic, balancing]

    @Test("A dynamic set remembers for its time, and breaks the rule when it is full")
    func dynamicSet() throws {
        var ruleset = try RulesSupport.ruleset(Self.dynamic)
        func ask(_ port: UInt16, at seconds: Int64, _ ruleset: inout Ruleset) -> RuleOutcome {
            var packet = Packet.tcp(to: port)
            return RulesSupport.ask(&ruleset, &packet, at: .start + .seconds(seconds))
        }
        func isDrop(_ outcome: RuleOutcome) -> Bool {
            if case .drop = outcome { true } else { false }
        }
        #expect(ask(1, at: 0, &ruleset) == .accept)
        #expect(isDrop(ask(1, at: 4, &ruleset)))
        #expect(ask(2, at: 4, &ruleset) == .accept)
        guard case .reject = ask(3, at: 4, &ruleset) else {
            Issue.record("a full set takes no third element")
            return
        }
        #expect(ask(1, at: 5, &ruleset) == .accept, "its five seconds are over")
        #expect(isDrop(ask(2, at: 8, &ruleset)))
        #expect(ask(3, at: 9, &ruleset) == .accept, "an expired element makes room")
    }

    /// Where the nat chain sends packets to a port, one after another.
    private func targets(_ port: UInt16, count: Int) throws -> [UInt32] {
        var ruleset = try RulesSupport.ruleset(Self.balancing)
        let chain = try #require(ruleset.baseChains.first { $0.kind == .nat })
        var dice = Dice(seed: 3)
        var effects = RuleEffects()
        return (0..<count).map { _ in
            var packet = Packet.tcp(to: port)
            let outcome = ruleset.evaluate(
                chain.index, &packet, entry: nil, effects: &effects, dice: &dice, at: .start)
            guard case .map(.destination(let range), _) = outcome else { return 0 }
            return range.firstAddress.ipv4
        }
    }

    @Test("`numgen inc` takes turns, with an offset too")
    func turns() throws {
        #expect(try targets(1, count: 4) == [0x0A00_0001, 0x0A00_0002, 0x0A00_0001, 0x0A00_0002])
        #expect(try targets(4, count: 3) == [0x0A00_0005, 0x0A00_0006, 0x0A00_0005])
    }

    @Test("`numgen random` through a named map of intervals hits both halves alike")
    func chance() throws {
        let hits = try targets(2, count: 1000).filter { $0 == 0x0A00_0001 }.count
        #expect((420...580).contains(hits))
    }

    @Test("`jhash` sends one flow to one target, always")
    func hashes() throws {
        let found = Set(try targets(3, count: 20))
        #expect(found.count == 1)
        #expect(found.isSubset(of: [0x0A00_0003, 0x0A00_0004]))
    }

    @Test("A verdict map of concatenations with intervals is asked by both fields")
    func verdicts() throws {
        var ruleset = try RulesSupport.ruleset(Self.balancing)
        let chain = try #require(ruleset.baseChains.first { $0.kind == .filter })
        var dice = Dice(seed: 3)
        var effects = RuleEffects()
        for (port, drops) in [(UInt16(79), false), (80, true), (90, true), (91, false)] {
            var packet = Packet.tcp(to: port)
            let outcome = ruleset.evaluate(
                chain.index, &packet, entry: nil, effects: &effects, dice: &dice, at: .start)
            if case .drop = outcome { #expect(drops) } else { #expect(!drops) }
        }
    }
}
