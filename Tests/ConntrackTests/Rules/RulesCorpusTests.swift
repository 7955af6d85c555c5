import Testing
import Wire

@testable import Conntrack

/// The rulesets of the recorded traces: a gateway with masquerade and port forwards.
struct RulesCorpusTests {
    static let gateway = """
          table ip nat {
           chain pre { type nat hook prerouting priority -100; iifname "wan" ip daddr 203.0.113.1 \
        tcp dport 8080 dnat to 10.0.0.80:80; iifname "wan" ip daddr 203.0.113.1 tcp dport 8443 \
        dnat to 10.0.0.80:443; iifname "wan" ip daddr 203.0.113.1 udp dport 5353 dnat to \
        10.0.0.80:53; }
           chain post { type nat hook postrouting priority 100; oifname "wan" ip saddr \
        10.0.0.0/16 masquerade; }
          }
          table ip flt {
           chain f { type filter hook forward priority 0; ct state invalid drop; }
          }
          table inet silent {
           chain o { type filter hook output priority -400; policy drop; }
          }
        """

    @Test("Base chains come in order of priority, with their hooks and families")
    func baseChains() throws {
        let ruleset = try RulesSupport.ruleset(Self.gateway)
        #expect(ruleset.baseChains.map(\.hook) == [.output, .prerouting, .forward, .postrouting])
        #expect(ruleset.baseChains.map(\.priority) == [-400, -100, 0, 100])
        #expect(ruleset.baseChains.map(\.kind) == [.filter, .nat, .filter, .nat])
        #expect(ruleset.baseChains[0].families == [.ipv4, .ipv6])
        #expect(ruleset.baseChains[1].families == [.ipv4])
        #expect(ruleset.baseChains.allSatisfy { !$0.readsEntry })
        #expect(ruleset.needsTracking(.ipv4) && !ruleset.needsTracking(.ipv6))
        #expect(ruleset.needsNAT(.ipv4) && !ruleset.needsNAT(.ipv6))
    }

    @Test("The port forward maps what arrives for it, and nothing else")
    func portForward() throws {
        var ruleset = try RulesSupport.ruleset(Self.gateway)
        let chain = ruleset.baseChains[1].index
        var effects = RuleEffects()
        var dice = Dice(seed: 1)
        var packet = Packet.ipv4(IPProtocol.tcp, 0xC633_6401, 5000, 0xCB00_7101, 8080)
        packet.inInterface = RulesSupport.wan
        var range = NATRange()
        range.firstAddress = Address(ipv4: 0x0A00_0050)
        range.lastAddress = range.firstAddress
        range.firstPort = 80
        range.lastPort = 80
        range.flags = [.addresses, .ports]
        let mapped = ruleset.evaluate(
            chain, &packet, entry: nil, effects: &effects, dice: &dice, at: .start)
        #expect(mapped == .map(.destination(range), RuleReference(rule: 0, chain: 0)))
        packet.inInterface = RulesSupport.lan
        let other = ruleset.evaluate(
            chain, &packet, entry: nil, effects: &effects, dice: &dice, at: .start)
        #expect(other == .accept)
    }

    @Test("INVALID packets are dropped by a rule that can be named")
    func invalid() throws {
        var ruleset = try RulesSupport.ruleset(Self.gateway)
        let chain = ruleset.baseChains[2].index
        var effects = RuleEffects()
        var dice = Dice(seed: 1)
        var packet = Packet.tcp(to: 80, .ack, .invalid)
        let outcome = ruleset.evaluate(
            chain, &packet, entry: nil, effects: &effects, dice: &dice, at: .start)
        guard case .drop(let reference) = outcome else {
            Issue.record("found \(outcome), expected a drop")
            return
        }
        let name = "forward: ip flt f line 6: \"ct state invalid drop\""
        #expect(ruleset.describe(reference) == name)
    }
}
