import Testing
import Wire

@testable import Conntrack

/// What happens around the matches: order, jumps, policies, and statements that act.
@Suite("Rules: the way through the chains")
struct RulesFlowTests {
    /// The text of the rule that dropped, rejected or mapped; `accept` or `policy` otherwise.
    private func decision(
        _ text: String, _ packet: Packet = .tcp(to: 80)
    ) throws -> String {
        var ruleset = try RulesSupport.ruleset(text)
        var packet = packet
        switch RulesSupport.ask(&ruleset, &packet) {
        case .accept: return "accept"
        case .drop(let reference), .reject(_, let reference), .map(_, let reference):
            return reference.rule < 0 ? "policy" : ruleset.names.rules[Int(reference.rule)].text
        }
    }

    /// A base chain with these rules, and chains beside it.
    private func chains(_ base: String, policy: String = "accept", _ others: [String]) -> String {
        var text = "table ip t {\n"
        for (index, rules) in others.enumerated() { text += "chain c\(index) {\n\(rules)\n}\n" }
        return text
            + "chain b {\ntype filter hook forward priority 0; policy \(policy)\n\(base)\n}\n}\n"
    }

    @Test("The end of a base chain is its policy")
    func policy() throws {
        #expect(try decision(chains("tcp dport 81 accept", policy: "drop", [])) == "policy")
        #expect(try decision(chains("tcp dport 81 drop", [])) == "accept")
        #expect(try decision(chains("return\ndrop", policy: "drop", [])) == "policy")
    }

    @Test("A jump comes back behind its rule, and the end of a chain is a return")
    func jump() throws {
        #expect(try decision(chains("jump c0\ndrop", ["tcp dport 81 accept"])) == "drop")
        #expect(try decision(chains("jump c0\ndrop", ["return\naccept"])) == "drop")
        #expect(try decision(chains("jump c0\ndrop", ["tcp dport 80 accept"])) == "accept")
        #expect(try decision(chains("jump c0\naccept", ["jump c1\nreject", "return"])) == "reject")
    }

    @Test("A goto comes back to where the last jump stood, or ends at the policy")
    func goTo() throws {
        #expect(try decision(chains("goto c0\naccept", policy: "drop", ["return"])) == "policy")
        #expect(
            try decision(chains("jump c0\nreject", ["goto c1\ndrop", "tcp dport 81 drop"]))
                == "reject")
    }

    @Test("Fifteen chains can be jumped through")
    func deep() throws {
        let others = (0..<15).map { $0 < 14 ? "jump c\($0 + 1)\nreturn" : "tcp dport 80 drop" }
        #expect(try decision(chains("jump c0", others)) == "tcp dport 80 drop")
    }

    @Test("A verdict map decides by key; without its key the rule breaks")
    func verdictMap() throws {
        let map = "tcp dport vmap { 80 : jump c0, 81 : drop, 82-90 : accept, 91 : continue }"
        let text = chains(map + "\nreject", policy: "drop", ["return"])
        #expect(try decision(text, .tcp(to: 80)) == "reject")
        #expect(try decision(text, .tcp(to: 81)) == map)
        #expect(try decision(text, .tcp(to: 85)) == "accept")
        #expect(try decision(text, .tcp(to: 91)) == "reject")
        #expect(try decision(text, .tcp(to: 92)) == "reject")
    }

    @Test("continue goes on within its rule")
    func continues() throws {
        let rule = "tcp dport vmap { 80 : continue, 81 : accept } ip ttl 64 drop"
        #expect(try decision(chains(rule, [])) == rule)
        #expect(try decision(chains("continue drop", [])) == "continue drop")
    }

    @Test("Chains of a hook come in order of priority, last registered first among equals")
    func order() throws {
        let ruleset = try RulesSupport.ruleset(
            """
            table ip a { chain x { type filter hook forward priority filter + 5; }; \
            chain y { type filter hook input priority 0; }; }
            table inet b { chain z { type filter hook forward priority 0; }
                chain w { type filter hook forward priority mangle - 1; } }
            """)
        let names = ruleset.baseChains.map { ruleset.names.chains[$0.index].name }
        #expect(names == ["w", "z", "y", "x"])
        #expect(ruleset.baseChains.map(\.priority) == [-151, 0, 0, 5])
    }

    @Test("What stands before the match that breaks a rule has acted")
    func leftToRight() throws {
        var ruleset = try RulesSupport.ruleset(
            RulesSupport.forward(
                """
                counter meta mark set 7 log prefix "seen: " level info tcp dport 81 counter drop
                meta mark 7 counter
                """))
        var effects = RuleEffects()
        var dice = Dice(seed: 1)
        var packet = Packet.tcp(to: 80)
        let outcome = ruleset.evaluate(
            0, &packet, entry: nil, effects: &effects, dice: &dice, at: .start)
        #expect(outcome == .accept)
        #expect(packet.mark == 7)
        #expect(effects.logs == [RuleLog(prefix: "seen: ", level: .info)])
        #expect(
            ruleset.counterLines().map { $0.split(separator: ":")[1] } == [
                " packets 1 bytes 60", " packets 0 bytes 0", " packets 1 bytes 60",
            ])
    }

    @Test("Counters go on from what the text gave them")
    func counters() throws {
        var ruleset = try RulesSupport.ruleset(
            RulesSupport.forward("counter packets 5 bytes 1000 comment \"x\""))
        var packet = Packet.tcp()
        _ = RulesSupport.ask(&ruleset, &packet)
        #expect(
            ruleset.counterLines() == [
                "inet t c line 4: packets 6 bytes 1060: "
                    + "\"counter packets 5 bytes 1000 comment \"x\"\""
            ])
    }

    @Test("A connection's mark is read back before the node has set it")
    func connectionMark() throws {
        var ruleset = try RulesSupport.ruleset(
            RulesSupport.forward(
                "ct mark set meta mark and 0xf or 0x10\nct mark 0x15 meta mark set ct mark drop"))
        var effects = RuleEffects()
        var dice = Dice(seed: 1)
        var packet = Packet.tcp()
        packet.mark = 0x35
        let entry = Entry(original: packet.tuple, reply: packet.tuple)
        let outcome = ruleset.evaluate(
            0, &packet, entry: entry, effects: &effects, dice: &dice, at: .start)
        #expect(outcome == .drop(RuleReference(rule: 1, chain: 0)))
        #expect(effects.connectionMark == 0x15 && packet.mark == 0x15)
    }

    @Test(
        "Of several marks the last counts, and another one before it is a change",
        arguments: [
            ("ct mark set 3 ct mark set 7", 7, true), ("ct mark set 3 ct mark set 3", 3, false),
            ("ct mark set 3 ct mark set 7 ct mark set 7", 7, true), ("ct mark set 3", 3, false),
        ] as [(String, UInt32, Bool)])
    func connectionMarks(rule: String, last: UInt32, hasChanged: Bool) throws {
        var ruleset = try RulesSupport.ruleset(RulesSupport.forward(rule))
        var effects = RuleEffects()
        var dice = Dice(seed: 1)
        var packet = Packet.tcp()
        let entry = Entry(original: packet.tuple, reply: packet.tuple)
        _ = ruleset.evaluate(
            0, &packet, entry: entry, effects: &effects, dice: &dice, at: .start)
        #expect(effects.connectionMark == last && effects.hasChangedMark == hasChanged)
    }

    @Test("Without a connection there is no mark to set")
    func noConnectionMark() throws {
        var ruleset = try RulesSupport.ruleset(RulesSupport.forward("ct mark set 5 counter drop"))
        var effects = RuleEffects()
        var dice = Dice(seed: 1)
        var packet = Packet.tcp(to: 80, .ack, .invalid)
        let outcome = ruleset.evaluate(
            0, &packet, entry: nil, effects: &effects, dice: &dice, at: .start)
        #expect(outcome == .drop(RuleReference(rule: 0, chain: 0)))
        #expect(effects.connectionMark == nil)
    }

    @Test(
        "notrack is for packets without connection",
        arguments: [
            (ConntrackInfo.none, ConntrackInfo.untracked), (.invalid, .untracked), (.new, .new),
            (.establishedReply, .establishedReply), (.untracked, .untracked),
        ])
    func notrack(before: ConntrackInfo, after: ConntrackInfo) throws {
        var ruleset = try RulesSupport.ruleset(RulesSupport.forward("notrack"))
        var packet = Packet.tcp(to: 80, .syn, before)
        _ = RulesSupport.ask(&ruleset, &packet)
        #expect(packet.info == after)
    }

    @Test("numgen inc counts from its offset and begins again")
    func numbers() throws {
        var ruleset = try RulesSupport.ruleset(
            RulesSupport.forward("meta mark set numgen inc mod 3 offset 10"))
        var packet = Packet.tcp()
        var marks: [UInt32] = []
        for _ in 0..<7 {
            _ = RulesSupport.ask(&ruleset, &packet)
            marks.append(packet.mark)
        }
        #expect(marks == [10, 11, 12, 10, 11, 12, 10])
    }

    @Test("numgen random stays in its range and is the dice's", arguments: UInt64(1)...20)
    func random(seed: UInt64) throws {
        var ruleset = try RulesSupport.ruleset(
            RulesSupport.forward("meta mark set numgen random mod 3 offset 10"))
        var dice = Dice(seed: seed)
        var same = Dice(seed: seed)
        var effects = RuleEffects()
        var packet = Packet.tcp()
        for _ in 0..<20 {
            _ = ruleset.evaluate(
                0, &packet, entry: nil, effects: &effects, dice: &dice, at: .start)
            #expect(packet.mark == same.below(3) + 10, "seed \(seed)")
        }
    }

    @Test("A rate limit lets its burst through, and then what has trickled in")
    func limit() throws {
        var ruleset = try RulesSupport.ruleset(
            RulesSupport.forward("limit rate 10/second burst 3 packets accept\ndrop"))
        var packet = Packet.tcp()
        var accepted: [Int] = []
        for millisecond in [0, 0, 1, 2, 50, 99, 100, 101, 250, 260, 300, 10_000, 10_000] {
            let now = Instant.start + .milliseconds(Int64(millisecond))
            if RulesSupport.ask(&ruleset, &packet, at: now) == .accept {
                accepted.append(millisecond)
            }
        }
        // At 100 ms the three of the burst have left 100 ms of credit; the rest follows at 10/s.
        #expect(accepted == [0, 0, 1, 100, 250, 300, 10_000, 10_000])
    }

    @Test("`over` turns a limit round")
    func over() throws {
        var ruleset = try RulesSupport.ruleset(
            RulesSupport.forward("limit rate over 1/hour burst 2 packets drop"))
        var packet = Packet.tcp()
        let outcomes = (0..<4).map { _ in RulesSupport.ask(&ruleset, &packet) == .accept }
        #expect(outcomes == [true, true, false, false])
    }

    @Test(
        "What a reject answers",
        arguments: [
            ("reject", RejectAnswer.icmp(code: 3), RejectAnswer.icmpv6(code: 4)),
            ("reject with icmpx no-route", .icmp(code: 0), .icmpv6(code: 0)),
            ("reject with icmpx host-unreachable", .icmp(code: 1), .icmpv6(code: 3)),
            ("reject with icmpx type admin-prohibited", .icmp(code: 13), .icmpv6(code: 1)),
            ("reject with tcp reset", .tcpReset, .tcpReset),
        ])
    func reject(rule: String, four: RejectAnswer, six: RejectAnswer) throws {
        var ruleset = try RulesSupport.ruleset(RulesSupport.forward(rule))
        let reference = RuleReference(rule: 0, chain: 0)
        var packet = Packet.tcp()
        #expect(RulesSupport.ask(&ruleset, &packet) == .reject(four, reference))
        var other = Packet.tcp6()
        #expect(RulesSupport.ask(&ruleset, &other) == .reject(six, reference))
        var udp = Packet.udp()
        let isReset = four == .tcpReset
        #expect((RulesSupport.ask(&ruleset, &udp) == .accept) == isReset)
    }
}
