import Testing
import Wire

@testable import Conntrack

// Policies and what they do to real exchanges: spec policy.md §7, §9, §12 cases 7, 9-11.

struct PolicyExampleTests {
    static let dropInvalid = Chain.filter("forward", 0, "ct state invalid drop")
    static let shake = Handshake(client: "10.1.0.2:1000", asked: "10.2.0.2:80")

    /// A data segment of 500 bytes.
    private func data(_ sequence: UInt32, ack: UInt32 = 1, window: UInt16 = 1000) -> [UInt8] {
        Make.tcp(
            Self.shake.forth, .ack, sequence: sequence, ack: ack, window: window,
            payload: Array(repeating: 0, count: 500))
    }

    // MARK: Asymmetric paths

    @Test("policy.md case 9: only the client's half: NEW, then INVALID, SYN_SENT unreplied")
    func seesTheClientOnly() throws {
        let bench = try NATBench(Self.dropInvalid)
        #expect(bench.pass(Make.tcp(Self.shake.forth)).state == "new")
        let ack = bench.pass(Make.tcp(Self.shake.forth, .ack, sequence: 1, ack: 1))
        #expect(ack.state == "invalid" && ack.reason == .rule)
        let sent = bench.pass(data(1))
        #expect(sent.state == "invalid" && sent.reason == .rule)
        #expect(sent.entry?.protocolState == TCPState.synSent.rawValue)
        #expect(sent.entry?.remainingTicks == 30000)
        #expect(sent.entry?.status.contains(.seenReply) == false)
    }

    @Test("policy.md case 9b: only the server's half: SYN-ACK INVALID, its ACK a pickup")
    func seesTheServerOnly() throws {
        let bench = try NATBench(Self.dropInvalid)
        let answer = bench.pass(Make.tcp(Self.shake.back, [.syn, .ack], ack: 1))
        #expect(answer.state == "invalid" && answer.reason == .rule)
        let ack = bench.pass(Make.tcp(Self.shake.back, .ack, sequence: 1, ack: 1, payload: [1]))
        #expect(ack.state == "new" && ack.verdict == .forwarded)
        #expect(bench.table == ["\(Self.shake.back) | \(Self.shake.forth)"])
        #expect(ack.entry?.protocolState == TCPState.established.rawValue)
        #expect(ack.entry?.remainingTicks == 75000)  // 300 s: nobody has answered.
        #expect(ack.entry?.status.contains(.seenReply) == false)
    }

    @Test("policy.md §9.1: the client's half heals after two minutes; be_liberal does not help")
    func healsByPickup() throws {
        for isLiberal in [false, true] {
            let bench = try NATBench(Self.dropInvalid) { $0.sysctl.tcpBeLiberal = isLiberal }
            bench.pass(Make.tcp(Self.shake.forth))
            for _ in 0..<11 {
                bench.wait(10)
                #expect(bench.pass(data(1)).reason == .rule)
            }
            bench.wait(10)
            let healed = bench.pass(data(1))
            #expect(healed.state == "new" && healed.verdict == .forwarded)
        }
    }

    /// A handshake with windows of 1000 bytes, through which both halves passed.
    private func halfSeen(
        _ configure: (inout NodeConfiguration) -> Void = { _ in }
    ) throws -> NATBench {
        let bench = try NATBench(PolicyHookTests.stateful, configure: configure)
        bench.pass(Make.tcp(Self.shake.forth, window: 1000))
        bench.pass(Make.tcp(Self.shake.back, [.syn, .ack], ack: 1, window: 1000))
        bench.pass(Make.tcp(Self.shake.forth, .ack, sequence: 1, ack: 1, window: 1000))
        return bench
    }

    @Test("policy.md case 10: handshake, then one half: an ACK of unseen data is INVALID")
    func refusesAcksOfUnseenData() throws {
        let bench = try halfSeen()
        let ack = bench.pass(
            Make.tcp(Self.shake.forth, .ack, sequence: 1, ack: 501, window: 1000))
        #expect(ack.state == "invalid")
    }

    @Test("policy.md case 10b: handshake, then one half: one window of tolerance, then INVALID")
    func runsOffTheWindow() throws {
        let bench = try halfSeen()
        // The figures of the specification count from 1000: 1001, 1501, 2001, 2501, 3001, 3501.
        let states = stride(from: UInt32(1), through: 2501, by: 500).map {
            bench.pass(data($0)).state
        }
        #expect(states == Array(repeating: "established", count: 4) + ["invalid", "invalid"])
    }

    @Test("policy.md case 10c: be_liberal cures both")
    func toleratesAll() throws {
        let bench = try halfSeen { $0.sysctl.tcpBeLiberal = true }
        for sequence in stride(from: UInt32(1), through: 2501, by: 500) {
            #expect(bench.pass(data(sequence)).state == "established")
        }
        let ack = bench.pass(
            Make.tcp(Self.shake.forth, .ack, sequence: 3001, ack: 501, window: 1000))
        #expect(ack.state == "established")
    }

    // MARK: Policies that forget something

    @Test(
        "policy.md case 11: accept only NEW: SYN_RECV, nothing more passes, after 60 s it begins anew"
    )
    func acceptsOnlyNew() throws {
        let bench = try NATBench(
            Chain.filter("forward", 0, "ct state new accept\ncounter drop"))
        let syn = Make.tcp(Self.shake.forth)
        #expect(bench.pass(syn).verdict == .forwarded)
        let answer = bench.pass(Make.tcp(Self.shake.back, [.syn, .ack], ack: 1))
        #expect(answer.reason == .rule)
        #expect(answer.entry?.protocolState == TCPState.synReceived.rawValue)
        #expect(answer.entry?.remainingTicks == 15000)
        let again = bench.pass(syn)
        #expect(again.state == "established" && again.reason == .rule)
        bench.wait(60)
        let anew = bench.pass(syn)
        #expect(anew.state == "new" && anew.verdict == .forwarded)
    }

    @Test("policy.md §9.5: accept NEW and ESTABLISHED without RELATED: errors are lost")
    func losesErrors() throws {
        let policy = "ct state new,established accept\ndrop"
        let bench = try NATBench(Chain.filter("forward", 0, policy))
        let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        let tooBig = Make.error(
            "10.2.0.9 > 10.1.0.2", about: sent.bytes[0], type: 3, code: 4, mtu: 1280)
        let lost = bench.pass(tooBig)
        #expect(lost.state == "related-reply" && lost.reason == .rule)
        try bench.replaceRules(Chain.filter("forward", 0, "ct state related accept\n" + policy))
        #expect(bench.pass(tooBig).verdict == .forwarded)
    }

    @Test("policy.md §9.6: NEW without SYN: dropped by rule, or INVALID with tcp_loose=0")
    func refusesPickups() throws {
        let rule = "tcp flags & (fin | syn | rst | ack) != syn ct state new drop"
        let strict = try NATBench(Chain.filter("forward", 0, rule))
        let pickup = strict.pass(data(1))
        #expect(pickup.state == "new" && pickup.reason == .rule && strict.node.count == 0)
        #expect(strict.pass(Make.tcp(Self.shake.forth)).verdict == .forwarded)
        let tight = try NATBench(Self.dropInvalid) { $0.sysctl.tcpLoose = false }
        let refused = tight.pass(data(1))
        #expect(refused.state == "invalid" && refused.reason == .rule)
    }

    @Test("policy.md §9.7: dropping INVALID keeps a backend's address from leaking")
    func protectsNAT() throws {
        let dnat = Chain.prerouting("ip daddr 10.1.0.50 tcp dport 80 dnat to 10.2.0.2:8080")
        let shake = Handshake(
            client: "10.1.0.2:1000", asked: "10.1.0.50:80", server: "10.2.0.2:8080")
        let stray = Make.tcp(shake.back, .ack, sequence: 5_000_000, ack: 1)
        let open = try NATBench(dnat)
        shake.run(open)
        #expect(open.pass(stray).out == shake.back)
        let guarded = try NATBench(dnat + Self.dropInvalid)
        shake.run(guarded)
        #expect(guarded.pass(stray).reason == .rule)
    }

    // MARK: Full table (§7)

    /// A table of three entries, all of them assured.
    private func full() throws -> NATBench {
        let bench = try NATBench(PolicyHookTests.stateful) { $0.sysctl.max = 3 }
        for client in 2..<5 {
            Handshake(client: "10.1.0.\(client):1000", asked: "10.2.0.2:80").run(bench)
        }
        return bench
    }

    @Test("policy.md case 7: full of ASSURED: NEW is dropped, known flows are not")
    func refusesTheNew() throws {
        let bench = try full()
        let (sent, counters) = bench.counting {
            bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        }
        #expect(sent.verdict == .dropped && sent.reason == .tableFull)
        #expect(counters == ["drop": 1])
        #expect(bench.node.kernelLog.lines.count == 1)
        #expect(bench.node.count == 3 && bench.node.table.collector.shouldDropEarly)
        #expect(bench.pass(data(1)).state == "established")
        #expect(bench.counters { bench.pass(data(1)) }.isEmpty)
    }

    @Test("policy.md case 7b: packets that would be INVALID are dropped too; ICMP errors are not")
    func refusesTheInvalid() throws {
        let bench = try full()
        let flow = "10.1.0.9:1 > 10.2.0.2:80"
        for packet in [
            Make.tcp(flow, .ack, sequence: 1, ack: 1), Make.tcp(flow, [.fin, .ack]),
            Make.tcp(flow) { $0.overrides.transportChecksum = 0x1234 },
        ] {
            let (sent, counters) = bench.counting { bench.pass(packet) }
            #expect(sent.reason == .tableFull && counters == ["drop": 1])
        }
        let (error, counters) = bench.counting {
            bench.pass(Make.error("10.2.0.9 > 10.1.0.9", about: Make.tcp(flow)))
        }
        #expect(error.verdict == .forwarded && counters == ["error": 1])
    }

    @Test("policy.md case 7c: one deletion makes room at once")
    func makesRoom() throws {
        let bench = try full()
        let client = Make.Flow(Self.shake.forth).source.ipv4
        let removed = bench.node.table.delete(
            where: { $0.originalSource == client }, at: bench.node.moment(bench.now))
        #expect(removed == 1)
        let sent = bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        #expect(sent.verdict == .forwarded && bench.node.count == 3)
    }

    @Test("policy.md case 7d: early drop evicts unassured entries near the newcomer")
    func evictsTheUnassured() throws {
        // 16 * 2000 / 512 links a range of buckets: one without a victim does not occur.
        let bench = try NATBench(PolicyHookTests.stateful) {
            $0.sysctl.max = 2000
            $0.sysctl.buckets = 512
        }
        for port in 1...2000 { bench.pass(Make.udp("10.1.0.2:\(port) > 10.2.0.2:53")) }
        let (sent, counters) = bench.counting {
            bench.pass(Make.udp("10.1.0.3:1000 > 10.2.0.2:53"))
        }
        #expect(sent.verdict == .forwarded)
        let evicted = counters["early_drop"] ?? 0
        #expect(evicted >= 1 && counters == ["early_drop": evicted])
        #expect(bench.events == Array(repeating: "DESTROY", count: evicted) + ["NEW"])
        #expect(Int(bench.node.count) == 2001 - evicted)
    }
}
