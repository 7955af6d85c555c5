import Foundation
import Testing
import Wire

@testable import Conntrack

/// The rulesets that ship in scenarios/rulesets.
enum RulesExamples {
    static let names = [
        "asymmetric", "commands", "home-router", "kube-proxy", "marks", "notrack",
        "port-forward", "stateful-firewall",
    ]

    static func path(_ name: String) -> String {
        let here = URL(filePath: #filePath)
        let root = here.deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return root.appending(path: "scenarios/rulesets/\(name).nft").path
    }

    static func text(_ name: String) throws -> String {
        try String(contentsOfFile: path(name), encoding: .utf8)
    }

    static func ruleset(_ name: String) throws -> Ruleset {
        try Ruleset(
            nftables: text(name), file: "\(name).nft", interfaces: RulesSupport.interfaces)
    }
}

@Suite("Rules: the shipped rulesets")
struct RulesExamplesTests {
    @Test("Each loads, and every file there is one of them")
    func all() throws {
        let folder = URL(filePath: RulesExamples.path("x")).deletingLastPathComponent()
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(
            files.filter { $0.hasSuffix(".nft") } == RulesExamples.names.map { $0 + ".nft" })
        #expect(
            files.filter { !$0.hasSuffix(".nft") }
                == ["docker.iptables-save", "kube-proxy.iptables-save"])
        for name in RulesExamples.names { _ = try RulesExamples.ruleset(name) }
    }

    /// What the named base chain says.
    private func ask(
        _ ruleset: inout Ruleset, _ chain: String, _ packet: inout Packet, entry: Entry? = nil,
        _ dice: inout Dice, _ effects: inout RuleEffects
    ) throws -> RuleOutcome {
        let base = try #require(
            ruleset.baseChains.first { ruleset.names.chains[$0.index].name == chain })
        return ruleset.evaluate(
            base.index, &packet, entry: entry, effects: &effects, dice: &dice, at: .start)
    }

    @Test("The home router lets the inside out and nothing in")
    func homeRouter() throws {
        var ruleset = try RulesExamples.ruleset("home-router")
        var dice = Dice(seed: 1)
        var effects = RuleEffects()
        var outward = Packet.tcp(to: 443)
        #expect(try ask(&ruleset, "forward", &outward, &dice, &effects) == .accept)
        let mapped = try ask(&ruleset, "postrouting", &outward, &dice, &effects)
        guard case .map(.masquerade, let rule) = mapped else {
            Issue.record("found \(mapped), expected masquerade")
            return
        }
        #expect(
            ruleset.describe(rule)
                == "postrouting: ip nat postrouting line 43: "
                + "\"oifname $wan ip saddr $inside masquerade\"")
        var inward = Packet.tcp(to: 443)
        inward.inInterface = RulesSupport.wan
        inward.outInterface = RulesSupport.lan
        let dropped = try ask(&ruleset, "forward", &inward, &dice, &effects)
        guard case .drop(let policy) = dropped else {
            Issue.record("found \(dropped), expected a drop")
            return
        }
        #expect(ruleset.describe(policy) == "forward: inet filter forward: policy drop")
        inward.info = .establishedReply
        #expect(try ask(&ruleset, "forward", &inward, &dice, &effects) == .accept)
    }

    @Test("kube-proxy's services spread over their backends")
    func kubeProxy() throws {
        var ruleset = try RulesExamples.ruleset("kube-proxy")
        var dice = Dice(seed: 1)
        var effects = RuleEffects()
        var backends: [UInt32: Int] = [:]
        for _ in 0..<1000 {
            var query = Packet.ipv4(IPProtocol.udp, 0x0AF4_0105, 5000, 0x0A60_000A, 53)
            query.info = .new
            let outcome = try ask(&ruleset, "nat-prerouting", &query, &dice, &effects)
            guard case .map(.destination(let range), _) = outcome else {
                Issue.record("found \(outcome), expected a mapping")
                return
            }
            backends[range.firstAddress.ipv4, default: 0] += 1
            #expect(query.mark == 0)
        }
        #expect(Set(backends.keys) == [0x0AF4_0105, 0x0AF4_0207])
        #expect(backends.values.allSatisfy { $0 > 400 })
    }

    @Test("Clients outside the cluster are marked, and masqueraded by their mark")
    func kubeProxyMasquerade() throws {
        var ruleset = try RulesExamples.ruleset("kube-proxy")
        var dice = Dice(seed: 1)
        var effects = RuleEffects()
        var query = Packet.ipv4(IPProtocol.tcp, 0xC0A8_0005, 5000, 0x0A60_000A, 53)
        query.info = .new
        _ = try ask(&ruleset, "nat-prerouting", &query, &dice, &effects)
        #expect(query.mark == 0x4000)
        let mapped = try ask(&ruleset, "nat-postrouting", &query, &dice, &effects)
        guard case .map(.masquerade(let range), _) = mapped else {
            Issue.record("found \(mapped), expected masquerade")
            return
        }
        #expect(range.flags == .random && query.mark == 0)
    }

    @Test("A service without endpoints answers that its port is unreachable")
    func noEndpoints() throws {
        var ruleset = try RulesExamples.ruleset("kube-proxy")
        var dice = Dice(seed: 1)
        var effects = RuleEffects()
        var packet = Packet.ipv4(IPProtocol.tcp, 0x0AF4_0105, 5000, 0x0A60_6363, 443)
        packet.info = .new
        let outcome = try ask(&ruleset, "filter-prerouting", &packet, &dice, &effects)
        guard case .reject(.icmp(code: 3), let rule) = outcome else {
            Issue.record("found \(outcome), expected a reject")
            return
        }
        #expect(
            ruleset.describe(rule)
                == "prerouting: ip kube-proxy reject-chain line 35: \"reject\"")
    }

    @Test("DNS in either direction is untracked, other traffic is not")
    func notrack() throws {
        var ruleset = try RulesExamples.ruleset("notrack")
        var dice = Dice(seed: 1)
        var effects = RuleEffects()
        var query = Packet.udp(to: 53)
        query.info = .none
        _ = try ask(&ruleset, "prerouting", &query, &dice, &effects)
        #expect(query.info == .untracked)
        #expect(try ask(&ruleset, "forward", &query, &dice, &effects) == .accept)
        var other = Packet.udp(to: 123)
        other.info = .none
        _ = try ask(&ruleset, "prerouting", &other, &dice, &effects)
        #expect(other.info == .none)
    }
}
