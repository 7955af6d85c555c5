import Testing
import Wire

@testable import Conntrack

// The kernel's shell selftests about NAT as sequences on one gateway: spec packetdrill.md part B.
// What their hosts' own stacks did, the test does: it sends their packets and answers.

struct PacketdrillNATTests {
    // MARK: B3

    @Test(
        "packetdrill.md B3: SYNs do not extend an unanswered entry; the rule acts on the fresh one")
    func outlivesUnansweredEntries() throws {
        let counting = Chain.filter("input", 0, "ct state new ct status dnat counter")
        let bench = try NATBench(counting) {
            $0.interfaces[1].isDefault = true
            $0.sysctl.tcpTimeouts[0] = 3
            $0.sysctl.accounting = true
        }
        let syn = Make.Flow("10.1.0.2:1000 > 10.99.99.99:80").builder { _ in }.tcp(
            from: 1000, to: 80, flags: .syn,
            options: [
                .maximumSegmentSize(1460), .sackPermitted, .timestamps(value: 1, echo: 0),
                .noOperation, .windowScale(7),
            ])
        #expect(syn.count == 60)
        #expect(bench.pass(syn).out == "10.1.0.2:1000 > 10.99.99.99:80")
        try bench.replaceRules(counting + Chain.prerouting("tcp dport 80 redirect to :8080"))
        for _ in 0..<4 {
            bench.wait(0.7)
            let sent = bench.pass(syn)
            #expect(sent.out == "10.1.0.2:1000 > 10.99.99.99:80")
        }
        bench.wait(0.7)
        let redirected = bench.pass(syn)
        #expect(redirected.verdict == .local && redirected.state == "new")
        #expect(redirected.reply == "10.1.0.1:8080 > 10.1.0.2:1000")
        #expect(redirected.entry?.packetsOriginal == 1 && redirected.entry?.bytesOriginal == 60)
        let answer = bench.emit(Make.tcp("10.1.0.1:8080 > 10.1.0.2:1000", [.syn, .ack], ack: 1))
        #expect(answer.out == "10.99.99.99:80 > 10.1.0.2:1000")
        #expect(bench.pass(syn).state == "established")
        #expect(bench.ruleCounters == [1])
    }

    // MARK: B4

    /// Router 1: masquerade for echoes, and a counter of RELATED packets.
    private func router1() throws -> NATBench {
        try NATBench(
            Chain.filter(
                "forward", 0,
                """
                ct state related counter accept
                ct state new,established,untracked accept
                counter drop
                """, family: "inet")
                + Chain.postrouting(
                    """
                    oifname "srv" icmp type echo-request masquerade
                    oifname "srv" icmpv6 type echo-request masquerade
                    """, "inet")
        ) {
            $0.interfaces[1].isDefault = true
            $0.sysctl.accounting = true
        }
    }

    /// What the last router sends about a packet that does not fit: 576 bytes at most over IPv4,
    /// 1280 over IPv6.
    private func tooBig(about packet: [UInt8], _ isIPv4: Bool) -> [UInt8] {
        isIPv4
            ? Make.error(
                "10.2.0.9 > 10.2.0.1", about: packet, type: 3, code: 4, mtu: 1280, quoting: 548)
            : Make.error(
                "[fd02::9] > [fd02::1]", about: packet, type: 2, code: 0, mtu: 1280,
                quoting: 1280 - 48)
    }

    @Test("packetdrill.md B4: (a) a ping that fits: nothing is RELATED")
    func pings() throws {
        let bench = try router1()
        let payload = [UInt8](repeating: 7, count: 1000)
        let sent = bench.pass(Make.echo("10.1.0.2 > 10.3.0.2", id: 5, payload: payload))
        #expect(sent.out == "10.2.0.1 > 10.3.0.2 id 5")
        let answer = bench.pass(
            Make.echo("10.3.0.2 > 10.2.0.1", id: 5, isReply: true, payload: payload))
        #expect(answer.out == "10.3.0.2 > 10.1.0.2 id 5")
        #expect(bench.ruleCounters == [0, 0])
    }

    @Test("packetdrill.md B4: (b, c) one that does not: the error comes back, translated inside")
    func relatesTooBig() throws {
        let bench = try router1()
        let payload = [UInt8](repeating: 7, count: 1300)
        let ping = Make.echo("10.1.0.2 > 10.3.0.2", id: 5, payload: payload) {
            $0.dontFragment = true
        }
        let sent = bench.pass(ping)
        let error = bench.pass(tooBig(about: sent.bytes[0], true))
        #expect(error.state == "related-reply")
        #expect(error.out == "10.2.0.9 > 10.1.0.2 about [10.1.0.2 > 10.3.0.2 id 5]")
        #expect(error.bytes[0].count == 576)
        let ping6 = Make.echo("[fd01::2] > [fd03::2]", id: 5, payload: payload)
        let sent6 = bench.pass(ping6)
        #expect(sent6.out == "fd02::1 > fd03::2 id 5")
        let error6 = bench.pass(tooBig(about: sent6.bytes[0], false))
        #expect(error6.out == "fd02::9 > fd01::2 about [fd01::2 > fd03::2 id 5]")
        #expect(error6.bytes[0].count == 1280)
        #expect(bench.ruleCounters == [2, 0])
        #expect(bench.node.ruleset.state.counters[0].bytes == 1856)
    }

    @Test("packetdrill.md B4: (b) router 2 drops what does not fit before its rules see it")
    func dropsTooBig() throws {
        // Its own error is its host stack's affair: the model's is silent.
        let bench = try NATBench(Chain.filter("forward", 0, "ct state new counter")) {
            $0.interfaces[1].mtu = 1280
        }
        let sent = bench.pass(
            Make.echo("10.1.0.2 > 10.2.0.2", id: 5, payload: [UInt8](repeating: 7, count: 1300)) {
                $0.dontFragment = true
            })
        #expect(sent.reason == .tooBig && bench.ruleCounters == [0] && bench.node.count == 0)
    }

    // MARK: B7

    struct Setting: CustomTestStringConvertible, Sendable {
        let table: String
        let isIPv4: Bool

        var testDescription: String { "table \(table), \(isIPv4 ? "IPv4" : "IPv6")" }
        var ns1: String { isIPv4 ? "10.0.1.99" : "dead:1::99" }
        var ns2: String { isIPv4 ? "10.0.2.99" : "dead:2::99" }
        var router1: String { isIPv4 ? "10.0.1.1" : "dead:1::1" }
        var router2: String { isIPv4 ? "10.0.2.1" : "dead:2::1" }
        /// The family word a nat statement of the table needs.
        var word: String { table == "inet" ? (isIPv4 ? "ip " : "ip6 ") : "" }
        var daddr: String { isIPv4 ? "ip daddr" : "ip6 daddr" }
        var echo: String { isIPv4 ? "icmp type echo-request" : "icmpv6 type echo-request" }

        func end(_ address: String, _ port: Int) -> String {
            isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
        }
    }

    static let settings = [
        Setting(table: "ip", isIPv4: true), Setting(table: "ip6", isIPv4: false),
        Setting(table: "inet", isIPv4: true), Setting(table: "inet", isIPv4: false),
    ]

    /// The router of the selftest between ns1 and ns2.
    private func router(_ rules: String) throws -> NATBench {
        try NATBench(rules) {
            $0.interfaces[0] = Interface(
                name: "cli", addresses: NATBench.prefixes("10.0.1.1/24", "dead:1::1/64"))
            $0.interfaces[1] = Interface(
                name: "srv", addresses: NATBench.prefixes("10.0.2.1/24", "dead:2::1/64"))
        }
    }

    @Test(
        "packetdrill.md B7.1: OUTPUT DNAT; the chain flushed, a new ping goes to ns1",
        arguments: settings)
    func mapsAtOutput(_ s: Setting) throws {
        let rule = "\(s.daddr) \(s.ns1) dnat \(s.word)to \(s.ns2)"
        let bench = try router(Chain.output(rule, s.table))
        let ping = Make.echo("\(s.router1) > \(s.ns1)", id: 1)
        let sent = bench.emit(ping)
        #expect(sent.destination == s.ns2 && sent.by == "srv")
        let heard = try bench.hear(Make.echo("\(s.ns2) > \(s.router1)", id: 1, isReply: true))
        #expect(heard == "\(s.ns1) > \(s.router1) id 1")
        try bench.replaceRules(Chain.output("\(s.daddr) \(s.ns2) accept", s.table))
        let again = bench.emit(Make.echo("\(s.router1) > \(s.ns1)", id: 2))
        #expect(again.destination == s.ns1 && again.by == "cli")
    }

    @Test("packetdrill.md B7.2: OUTPUT DNAT of the port alone", arguments: settings)
    func mapsPortsAtOutput(_ s: Setting) throws {
        let bench = try router(Chain.output("tcp dport 80 dnat to :2000", s.table))
        let sent = bench.emit(Make.tcp("\(s.end(s.router1, 4000)) > \(s.end(s.ns1, 80))"))
        #expect(sent.out == "\(s.end(s.router1, 4000)) > \(s.end(s.ns1, 2000))")
        let heard = try bench.hear(
            Make.tcp("\(s.end(s.ns1, 2000)) > \(s.end(s.router1, 4000))", [.syn, .ack], ack: 1))
        #expect(heard == "\(s.end(s.ns1, 80)) > \(s.end(s.router1, 4000))")
    }

    @Test(
        "packetdrill.md B7.3: masquerade, plain and fully-random: ns1 sees the router",
        arguments: settings)
    func masquerades(_ s: Setting) throws {
        for flag in ["", " fully-random"] {
            let bench = try router(Chain.postrouting("oifname \"cli\" masquerade\(flag)", s.table))
            for id in UInt16(1)...2 {
                let sent = bench.pass(Make.echo("\(s.ns2) > \(s.ns1)", id: id))
                #expect(sent.source == s.router1 && sent.destination == s.ns1)
                let mapped = try #require(sent.sourcePort)
                let answer = bench.pass(
                    Make.echo("\(s.ns1) > \(s.router1)", id: mapped, isReply: true))
                #expect(answer.out == "\(s.ns1) > \(s.ns2) id \(id)")
            }
        }
    }

    @Test("packetdrill.md B7.4: redirect: the router answers in ns1's name", arguments: settings)
    func redirects(_ s: Setting) throws {
        let bench = try router(Chain.prerouting("iifname \"srv\" \(s.echo) redirect", s.table))
        let ping = Make.echo("\(s.ns2) > \(s.ns1)", id: 1)
        #expect(try bench.hear(ping) == "\(s.ns2) > \(s.router2) id 1")
        let answer = bench.emit(Make.echo("\(s.router2) > \(s.ns2)", id: 1, isReply: true))
        #expect(answer.out == "\(s.ns1) > \(s.ns2) id 1" && answer.by == "srv")
    }

    struct Cure: CustomTestStringConvertible, Sendable {
        let name: String
        let rules: String
        let isShadowed: Bool

        var testDescription: String { name }
    }

    @Test(
        "packetdrill.md B7.5: port shadow, and what cures it",
        arguments: [
            Cure(name: "no cure", rules: "", isShadowed: true),
            Cure(
                name: "filter", rules: Chain.filter("forward", 0, "udp sport 1405 drop"),
                isShadowed: false),
            Cure(
                name: "notrack",
                rules: Chain.filter("prerouting", -300, "ip daddr 10.0.1.1 udp dport 1405 notrack")
                    + Chain.filter("output", -300, "ip saddr 10.0.1.1 udp sport 1405 notrack"),
                isShadowed: false),
            Cure(
                name: "another port range",
                rules: Chain.postrouting(
                    "oifname \"cli\" udp sport <= 1405 masquerade to :1406-65535 random"),
                isShadowed: false),
        ])
    func shadowsPorts(_ cure: Cure) throws {
        let bench = try router(cure.rules + Chain.postrouting("oifname \"cli\" masquerade"))
        bench.pass(Make.udp("10.0.2.99:1405 > 10.0.1.99:41404"))
        let query = bench.pass(Make.udp("10.0.1.99:41404 > 10.0.1.1:1405"))
        guard cure.isShadowed else {
            #expect(query.verdict == .local)
            let answer = bench.emit(Make.udp("10.0.1.1:1405 > 10.0.1.99:41404"))
            #expect(answer.out == "10.0.1.1:1405 > 10.0.1.99:41404")
            return
        }
        #expect(query.out == "10.0.1.99:41404 > 10.0.2.99:1405" && query.by == "srv")
    }
}
