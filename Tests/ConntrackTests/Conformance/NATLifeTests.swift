import Testing
import Wire

@testable import Conntrack

// What becomes of mappings while rules, tables and routes change around them: spec nat.md §9, §10
// cases 16, 18, 23, 24, 28, 29.

struct NATLifeTests {
    static func balanced(to backend: String) -> String {
        Chain.prerouting("ip daddr 10.1.0.50 tcp dport 80 dnat to \(backend)")
    }

    static let flow = Handshake(
        client: "10.1.0.2:1000", asked: "10.1.0.50:80", server: "10.2.0.2:8080")

    /// A handshake through DNAT, after which the table is emptied.
    private func flushed(
        _ configure: (inout NodeConfiguration) -> Void = { _ in }
    ) throws -> NATBench {
        let bench = try NATBench(Self.balanced(to: "10.2.0.2:8080"), configure: configure)
        Self.flow.run(bench)
        bench.flush()
        return bench
    }

    // MARK: Flush under DNAT

    @Test("nat.md case 16: after a flush the client's ACK is NEW and asks the rules again")
    func asksAgain() throws {
        let bench = try flushed()
        try bench.replaceRules(Self.balanced(to: "10.2.0.3:8080"))
        let ack = bench.pass(Make.tcp(Self.flow.forth, .ack, sequence: 1, ack: 1))
        #expect(ack.state == "new")
        #expect(ack.out == "10.1.0.2:1000 > 10.2.0.3:8080")
    }

    @Test("nat.md case 16b: after a flush the backend's packet is a NEW flow, left untranslated")
    func startsFromBehind() throws {
        let bench = try flushed()
        let data = bench.pass(Make.tcp(Self.flow.back, .ack, sequence: 1, ack: 1, payload: [1]))
        #expect(data.state == "new")
        #expect(data.out == "10.2.0.2:8080 > 10.1.0.2:1000")
        #expect(data.natBits == ["SRC_NAT_DONE", "DST_NAT_DONE"])
    }

    @Test("nat.md case 16c: and then the client's packet finds its reply tuple taken")
    func clashesWithItself() throws {
        let bench = try flushed()
        bench.pass(Make.tcp(Self.flow.back, .ack, sequence: 1, ack: 1, payload: [1]))
        let ack = bench.pass(Make.tcp(Self.flow.forth, .ack, sequence: 1, ack: 1))
        #expect(ack.state == "new" && ack.destination == "10.2.0.2")
        let port = try #require(ack.sourcePort)
        #expect(port != 1000 && (600...1023).contains(port))
        #expect(ack.natBits == ["SRC_NAT", "DST_NAT", "SRC_NAT_DONE", "DST_NAT_DONE"])
    }

    @Test("nat.md case 16d: with tcp_loose=0 it is INVALID and goes to the virtual address itself")
    func isNotPickedUp() throws {
        let bench = try flushed { $0.sysctl.tcpLoose = false }
        let ack = bench.pass(Make.tcp(Self.flow.forth, .ack, sequence: 1, ack: 1))
        #expect(ack.state == "invalid" && ack.verdict == .local)
    }

    // MARK: Stale mappings

    /// One datagram every 1.5 s with a timeout of 3 s.
    private func stale() throws -> NATBench {
        let bench = try NATBench(
            Chain.prerouting("ip daddr 10.1.0.50 udp dport 53 dnat to 10.2.0.2")
        ) { $0.sysctl.udpTimeout = 3 }
        bench.pass(Make.udp("10.1.0.2:1000 > 10.1.0.50:53"))
        try bench.replaceRules(
            Chain.prerouting("ip daddr 10.1.0.50 udp dport 53 dnat to 10.2.0.3"))
        return bench
    }

    @Test("nat.md case 18: a client that keeps sending keeps the removed backend")
    func keepsTheOldBackend() throws {
        let bench = try stale()
        for _ in 0..<40 {
            bench.wait(1.5)
            #expect(
                bench.pass(Make.udp("10.1.0.2:1000 > 10.1.0.50:53")).destination == "10.2.0.2")
        }
        // A new socket gets the new one, and so does the old one after a pause.
        #expect(bench.pass(Make.udp("10.1.0.2:1001 > 10.1.0.50:53")).destination == "10.2.0.3")
        bench.wait(3)
        #expect(bench.pass(Make.udp("10.1.0.2:1000 > 10.1.0.50:53")).destination == "10.2.0.3")
    }

    @Test("nat.md case 18b: port unreachable from the old backend does not help")
    func ignoresUnreachable() throws {
        let bench = try stale()
        for _ in 0..<4 {
            bench.wait(1.5)
            let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.1.0.50:53"))
            #expect(sent.destination == "10.2.0.2")
            let error = bench.pass(Make.error("10.2.0.2 > 10.1.0.2", about: sent.bytes[0]))
            #expect(error.out == "10.1.0.50 > 10.1.0.2 about [10.1.0.2:1000 > 10.1.0.50:53]")
        }
    }

    @Test("nat.md case 18c: deleting the entry does")
    func forgets() throws {
        let bench = try stale()
        bench.flush()
        #expect(bench.pass(Make.udp("10.1.0.2:1000 > 10.1.0.50:53")).destination == "10.2.0.3")
    }

    @Test("nat.md case 18d: an entry made before the rule stays unmapped")
    func staysUnmapped() throws {
        let bench = try NATBench(Chain.filter("forward", 0, "ct state new accept"))
        bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        try bench.replaceRules(
            Chain.postrouting("masquerade") + Chain.filter("forward", 0, "ct state new accept"))
        bench.wait(1)
        let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        #expect(sent.state == "new" && sent.out == "10.1.0.2:1000 > 10.2.0.2:53")
        #expect(sent.natBits.isEmpty)
        let other = bench.pass(Make.udp("10.1.0.2:1001 > 10.2.0.2:53"))
        #expect(other.out == "10.2.0.1:1001 > 10.2.0.2:53")
    }

    @Test("nat.md case 23: rules flushed: an existing mapping stays, a new flow is untranslated")
    func outlivesItsRule() throws {
        let bench = try NATBench(NATSourceTests.toTen)
        bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        try bench.replaceRules(Chain.postrouting("ip saddr 10.9.9.9 masquerade"))
        #expect(
            bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53")).out
                == "10.2.0.10:1000 > 10.2.0.2:53")
        #expect(
            bench.pass(Make.udp("10.2.0.2:53 > 10.2.0.10:1000")).out
                == "10.2.0.2:53 > 10.1.0.2:1000")
        #expect(
            bench.pass(Make.udp("10.1.0.2:1001 > 10.2.0.2:53")).out
                == "10.1.0.2:1001 > 10.2.0.2:53")
    }

    @Test("nat.md case 24: a packet dropped after SNAT leaves nothing behind")
    func leavesNothing() throws {
        let bench = try NATBench(
            Chain.postrouting("oifname \"srv\" snat to 10.2.0.10-10.2.0.13")
                + Chain.filter("postrouting", 200, "udp dport 53 drop"))
        let (sent, counters) = bench.counting {
            bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.100:53"))
        }
        #expect(sent.reason == .rule && counters.isEmpty)
        #expect(bench.node.count == 0 && bench.events.isEmpty && bench.table == [])
        // Destination 100 hashes to .12 and 103 to .10: a mapping left in the index would be used.
        #expect(bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.103:54")).source == "10.2.0.10")
    }

    // MARK: Answers that go astray

    @Test("nat.md case 28: asymmetric return: the gateway's entry dies unanswered after 120 s")
    func hearsNoAnswer() throws {
        // The client's own answer, a RST to the backend, is its host stack's affair and does not
        // pass here either.
        let bench = try NATBench(Self.balanced(to: "10.2.0.2:8080"))
        let syn = Make.tcp(Self.flow.forth)
        bench.pass(syn)
        for second in [1.0, 2, 4, 8, 16, 32] {
            bench.wait(second)
            #expect(bench.pass(syn).out == "10.1.0.2:1000 > 10.2.0.2:8080")
        }
        bench.wait(56.5)
        #expect(bench.table.count == 1)
        bench.wait(0.6)
        #expect(bench.table == [])
    }

    @Test("nat.md case 29: late data to a NAT address: the gateway's RST leaves no entry")
    func resetsLateData() throws {
        let bench = try NATBench(NATMasqueradeTests.out)
        let data = Make.tcp("10.2.0.2:80 > 10.2.0.1:1000", .ack, sequence: 77, ack: 99)
        let late = bench.pass(data)
        #expect(late.verdict == .local && late.state == "new")
        #expect(bench.table.count == 1)
        let reset = bench.emit(Make.tcp("10.2.0.1:1000 > 10.2.0.2:80", .rst, sequence: 99))
        #expect(reset.out == "10.2.0.1:1000 > 10.2.0.2:80" && reset.state == "established-reply")
        #expect(bench.table == [] && bench.node.count == 0)
    }

    @Test("nat.md case 29b: a late SYN-ACK is INVALID, and so is the RST that answers it")
    func resetsLateSynAck() throws {
        let bench = try NATBench(NATMasqueradeTests.out)
        let late = bench.pass(
            Make.tcp("10.2.0.2:80 > 10.2.0.1:1000", [.syn, .ack], sequence: 77, ack: 99))
        #expect(late.verdict == .local && late.state == "invalid")
        let reset = bench.emit(Make.tcp("10.2.0.1:1000 > 10.2.0.2:80", .rst, sequence: 99))
        #expect(reset.out == "10.2.0.1:1000 > 10.2.0.2:80" && reset.state == "invalid")
        #expect(bench.node.count == 0)
    }

    // MARK: Failure stories

    @Test("nat.md §9.1: SYN retransmissions do not refresh an unanswered mapping, datagrams do")
    func refreshes() throws {
        let bench = try NATBench(NATMasqueradeTests.out)
        let syn = Make.tcp("10.1.0.2:1000 > 10.2.0.2:80")
        let datagram = Make.udp("10.1.0.2:1000 > 10.2.0.2:53")
        bench.pass(syn)
        bench.pass(datagram)
        bench.wait(20)
        #expect(bench.pass(syn).entry?.remainingTicks == 25000)  // 100 s of 120.
        #expect(bench.pass(datagram).entry?.remainingTicks == 7500)  // 30 s of 30.
    }

    @Test("nat.md §9.7: port shadow: a forwarded flow takes packets meant for a local service")
    func shadows() throws {
        let bench = try NATBench(NATMasqueradeTests.out)
        bench.pass(Make.udp("10.1.0.2:1405 > 10.2.0.2:41404"))
        let meantForMe = Make.udp("10.2.0.2:41404 > 10.2.0.1:1405")
        #expect(bench.pass(meantForMe).out == "10.2.0.2:41404 > 10.1.0.2:1405")
        bench.flush()
        #expect(bench.pass(meantForMe).verdict == .local)
    }
}
