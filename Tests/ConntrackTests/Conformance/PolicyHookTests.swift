import Testing
import Wire

@testable import Conntrack

// Where rules stand among tracking, NAT and confirmation, and when tracking is on at all: spec
// policy.md §1, §2, §5, §6 and §12 cases 1-6, 13-16.

struct PolicyHookTests {
    static let stateful = Chain.filter("forward", 0, "ct state new accept")
    static let datagram = Make.udp("10.1.0.2:1000 > 10.2.0.2:53")

    // MARK: When tracking is on (§2)

    @Test("policy.md case 1: without a ct rule there is no entry; one rule turns tracking on")
    func turnsOn() throws {
        let bench = try NATBench(Chain.filter("forward", 0, "udp dport 53 accept"))
        let before = bench.pass(Self.datagram)
        #expect(before.state == "none" && before.verdict == .forwarded && bench.node.count == 0)
        try bench.replaceRules(Self.stateful)
        let after = bench.pass(Self.datagram)
        #expect(after.state == "new" && bench.table.count == 1)
    }

    struct Activation: CustomTestStringConvertible, Sendable {
        let rules: String
        let tracks: Bool

        var testDescription: String { "\(rules.split(separator: "\n")[3]) \(tracks)" }
    }

    @Test(
        "policy.md §2, M5-M5d: which rules turn tracking on",
        arguments: [
            Activation(rules: Chain.filter("prerouting", -300, "notrack"), tracks: false),
            Activation(
                rules: Chain.filter("output", -300, "ip daddr 10.9.9.9 notrack"), tracks: false),
            Activation(rules: Chain.postrouting("ip saddr 10.9.9.9 accept"), tracks: false),
            Activation(rules: Chain.postrouting("ip saddr 10.9.9.9 masquerade"), tracks: true),
            Activation(rules: Chain.prerouting("ip saddr 10.9.9.9 dnat to 10.2.0.9"), tracks: true),
            Activation(rules: Chain.output("ip daddr 10.9.9.9 redirect"), tracks: true),
            Activation(rules: Chain.filter("output", 0, "ct state new"), tracks: true),
            Activation(rules: Chain.filter("input", 0, "ct mark 1 drop"), tracks: true),
            Activation(rules: Chain.filter("forward", 0, "ct mark set 1"), tracks: true),
            Activation(rules: Chain.filter("forward", 0, "meta mark set 1"), tracks: false),
        ])
    func activates(_ row: Activation) throws {
        let bench = try NATBench(row.rules)
        let packet = Make.udp("10.1.0.2:1000 > 10.1.0.1:53")
        let state = bench.pass(packet).state
        let expected = row.rules.contains("prerouting") && row.rules.contains("notrack")
        #expect(state == (row.tracks ? "new" : expected ? "untracked" : "none"))
        #expect(bench.node.count == (row.tracks ? 1 : 0))
    }

    @Test("policy.md §2: each family is tracked for itself")
    func activatesByFamily() throws {
        let bench = try NATBench(Chain.filter("forward", 0, "ct state new accept", family: "ip6"))
        #expect(bench.pass(Self.datagram).state == "none")
        #expect(bench.pass(Make.udp("[fd01::2]:1000 > [fd02::2]:53")).state == "new")
    }

    @Test("policy.md §2: the last such rule gone, entries stay and age; back again, they go on")
    func turnsOff() throws {
        let bench = try NATBench(Self.stateful)
        let shake = Handshake(client: "10.1.0.2:1000", asked: "10.2.0.2:80")
        shake.run(bench)
        bench.pass(Self.datagram)
        try bench.replaceRules("")
        let data = Make.tcp(shake.forth, .ack, sequence: 1, ack: 1)
        #expect(bench.pass(data).state == "none")
        #expect(bench.table.count == 2)
        bench.wait(31)
        #expect(bench.table == ["\(shake.forth) | \(shake.back)"])
        // Windows are forgotten: what would be far outside is where they begin anew.
        try bench.replaceRules(Self.stateful)
        let far = bench.pass(Make.tcp(shake.forth, .ack, sequence: 5_000_000, ack: 1))
        #expect(far.state == "established")
    }

    @Test("policy.md §2: without tracking fragments go by themselves")
    func leavesFragmentsAlone() throws {
        let bench = try NATBench(Chain.filter("forward", 0, "counter"))
        for fragment in Fragments.two { #expect(bench.pass(fragment).bytes == [ttlDown(fragment)]) }
        #expect(bench.ruleCounters == [2])
    }

    /// The same with the TTL one lower.
    private func ttlDown(_ packet: [UInt8]) -> [UInt8] {
        var packet = packet
        packet[8] -= 1
        packet[10] = 0
        packet[11] = 0
        let sum = 0xffff - PacketCheck.sum(packet[..<20])
        packet[10] = UInt8(sum >> 8)
        packet[11] = UInt8(sum & 0xff)
        return packet
    }

    // MARK: Notrack (§5)

    static let raw = "ip saddr 10.1.0.2 notrack"

    @Test("policy.md case 2: notrack at raw: UNTRACKED, no entry, nothing counted")
    func leavesUntracked() throws {
        let bench = try NATBench(Chain.filter("prerouting", -300, Self.raw) + Self.stateful)
        let (sent, counters) = bench.counting {
            bench.pass(Make.tcp("10.1.0.2:1000 > 10.2.0.2:80"))
        }
        #expect(sent.state == "untracked" && sent.verdict == .forwarded)
        #expect(counters.isEmpty && bench.node.count == 0)
    }

    @Test("policy.md case 2b: the other direction looks like a start: SYN-ACK INVALID, ACK NEW")
    func seesHalf() throws {
        let bench = try NATBench(Chain.filter("prerouting", -300, Self.raw) + Self.stateful)
        bench.pass(Make.tcp("10.1.0.2:1000 > 10.2.0.2:80"))
        let answer = Make.tcp("10.2.0.2:80 > 10.1.0.2:1000", [.syn, .ack], ack: 1)
        #expect(bench.pass(answer).state == "invalid")
        let ack = Make.tcp("10.2.0.2:80 > 10.1.0.2:1000", .ack, sequence: 1, ack: 1)
        #expect(bench.pass(ack).state == "new")
    }

    @Test(
        "policy.md case 2c: notrack behind the tracker has no effect", arguments: [-199, -150, 0])
    func comesTooLate(_ priority: Int) throws {
        let bench = try NATBench(
            Chain.filter("prerouting", Int32(priority), Self.raw) + Self.stateful)
        #expect(bench.pass(Self.datagram).state == "new")
        #expect(bench.node.count == 1)
    }

    @Test("policy.md case 2d: untracked packets are not translated")
    func isNotTranslated() throws {
        let bench = try NATBench(
            Chain.filter("prerouting", -300, Self.raw) + NATSourceTests.toTen)
        #expect(bench.pass(Self.datagram).out == "10.1.0.2:1000 > 10.2.0.2:53")
        #expect(
            bench.pass(Make.udp("10.1.0.3:1000 > 10.2.0.2:53")).out
                == "10.2.0.10:1000 > 10.2.0.2:53")
    }

    @Test("policy.md §5: notrack in OUTPUT")
    func leavesOwnPacketsUntracked() throws {
        let bench = try NATBench(
            Chain.filter("output", -300, "udp dport 53 notrack") + Self.stateful)
        #expect(bench.emit(Make.udp("10.2.0.1:1000 > 10.2.0.2:53")).state == "untracked")
        #expect(bench.emit(Make.udp("10.2.0.1:1000 > 10.2.0.2:54")).state == "new")
    }

    // MARK: Dropped packets (§1.1)

    struct Place: CustomTestStringConvertible, Sendable {
        let hook: String
        let priority: Int32

        var testDescription: String { "\(hook) \(priority)" }
    }

    @Test(
        "policy.md case 3: a first packet dropped anywhere leaves nothing",
        arguments: [
            Place(hook: "prerouting", priority: -199), Place(hook: "prerouting", priority: -101),
            Place(hook: "forward", priority: 0), Place(hook: "forward", priority: 999),
            Place(hook: "postrouting", priority: 99),
            Place(hook: "postrouting", priority: Int32.max - 1),
        ])
    func leavesNothing(_ place: Place) throws {
        let bench = try NATBench(
            Chain.filter(place.hook, place.priority, "udp dport 53 drop") + Self.stateful
                + NATClashTests.idle)
        let (sent, counters) = bench.counting { bench.pass(Self.datagram) }
        #expect(sent.reason == .rule)
        #expect(counters.isEmpty && bench.events.isEmpty && bench.table == [])
        #expect(bench.node.count == 0)
    }

    @Test("policy.md case 4: a dropped FIN leaves FIN_WAIT")
    func remembersADroppedFIN() throws {
        let bench = try NATBench(
            Chain.filter("forward", 0, "tcp flags & fin == fin drop") + Self.stateful)
        let shake = Handshake(client: "10.1.0.2:1000", asked: "10.2.0.2:80")
        shake.run(bench)
        let fin = bench.pass(Make.tcp(shake.forth, [.fin, .ack], sequence: 1, ack: 1))
        #expect(fin.reason == .rule)
        #expect(fin.entry?.protocolState == TCPState.finWait.rawValue)
        #expect(fin.entry?.remainingTicks == 30000)  // 120 s.
        #expect(fin.entry?.status.contains(.assured) == true)
    }

    @Test("policy.md case 5: a dropped SYN-ACK leaves SYN_RECV, replied")
    func remembersADroppedSynAck() throws {
        let bench = try NATBench(
            Chain.filter("forward", 0, "tcp flags & (syn | ack) == (syn | ack) drop")
                + Self.stateful)
        bench.pass(Make.tcp("10.1.0.2:1000 > 10.2.0.2:80"))
        let answer = bench.pass(Make.tcp("10.2.0.2:80 > 10.1.0.2:1000", [.syn, .ack], ack: 1))
        #expect(answer.reason == .rule)
        #expect(answer.entry?.protocolState == TCPState.synReceived.rawValue)
        #expect(answer.entry?.remainingTicks == 15000)  // 60 s.
        #expect(answer.entry?.status.contains(.seenReply) == true)
    }

    @Test("policy.md §1.1: a flow is kept alive by its own dropped packets")
    func keepsABlackholedFlow() throws {
        let bench = try NATBench(Self.stateful)
        bench.pass(Self.datagram)
        try bench.replaceRules(
            Chain.filter("forward", 0, "udp dport 53 counter drop") + Self.stateful)
        for _ in 0..<4 {
            bench.wait(20)
            #expect(bench.pass(Self.datagram).reason == .rule)
        }
        #expect(bench.table.count == 1)
    }

    @Test("policy.md case 6: a rejected first packet leaves no entry and no event")
    func rejects() throws {
        // What goes back, and what a reset does to a known flow, comes with issue C.
        let bench = try NATBench(
            Chain.filter(
                "forward", 0, "tcp dport 80 reject with tcp reset; udp dport 53 reject")
                + Self.stateful)
        for packet in [Make.tcp("10.1.0.2:1000 > 10.2.0.2:80"), Self.datagram] {
            let (sent, counters) = bench.counting { bench.pass(packet) }
            #expect(sent.reason == .rejected && sent.state == "new")
            #expect(counters.isEmpty && bench.events.isEmpty && bench.node.count == 0)
        }
    }

    @Test("policy.md §1.1: the class is fixed at the tracker: a first reply is ESTABLISHED")
    func fixesTheClass() throws {
        let bench = try NATBench(
            Chain.filter("forward", 0, "ct state established ct status ! seen-reply counter")
                + Chain.filter("forward", 1, "ct state established ct status seen-reply counter"))
        bench.pass(Self.datagram)
        bench.pass(Make.udp("10.2.0.2:53 > 10.1.0.2:1000"))
        #expect(bench.ruleCounters == [0, 1])
    }

    // MARK: Loopback, fragments, deletion

    @Test("policy.md case 13: over loopback a datagram is tracked and counted once")
    func loops() throws {
        let bench = try NATBench(
            Chain.filter("output", 0, "ct state new counter")
                + Chain.filter("input", 0, "iifname \"lo\" ct state new counter")
        ) { $0.sysctl.accounting = true }
        let sent = bench.emit(Make.udp("127.0.0.1:1000 > 127.0.0.1:53"))
        #expect(sent.verdict == .local && sent.state == "new")
        #expect(bench.ruleCounters == [1, 1])
        #expect(bench.events == ["NEW"])
        #expect(bench.table == ["127.0.0.1:1000 > 127.0.0.1:53 | 127.0.0.1:53 > 127.0.0.1:1000"])
        #expect(sent.entry?.packetsOriginal == 1 && sent.entry?.packetsReply == 0)
        let answer = bench.emit(Make.udp("127.0.0.1:53 > 127.0.0.1:1000"))
        #expect(answer.state == "established-reply" && answer.entry?.packetsReply == 1)
    }

    @Test("policy.md §1: what the node sends passes OUTPUT and POSTROUTING, in order of priority")
    func passesOutput() throws {
        let bench = try NATBench(
            Chain.filter("postrouting", 0, "counter") + Chain.filter("output", 0, "counter")
                + Chain.filter("output", -300, "counter") + Chain.filter("prerouting", 0, "counter")
                + Chain.filter("forward", 0, "counter") + Chain.filter("input", 0, "counter")
                + Self.stateful)
        let sent = bench.emit(Make.udp("10.2.0.1:1000 > 10.2.0.2:53"))
        #expect(sent.out == "10.2.0.1:1000 > 10.2.0.2:53" && sent.by == "srv")
        #expect(sent.bytes[0][8] == 64)  // Nobody forwarded it.
        #expect(bench.ruleCounters == [1, 1, 1, 0, 0, 0])
        let dropping = try NATBench(Chain.filter("output", 0, "drop") + Self.stateful)
        #expect(dropping.emit(Make.udp("10.2.0.1:1000 > 10.2.0.2:53")).reason == .rule)
        #expect(dropping.node.count == 0)
    }

    @Test("policy.md case 15: only the whole of a fragmented datagram is tracked, and counted once")
    func tracksTheWhole() throws {
        let bench = try NATBench(Chain.filter("forward", 0, "ct state new counter")) {
            $0.sysctl.accounting = true
        }
        let first = bench.pass(Fragments.two[0])
        #expect(first.reason == .fragmentPending && bench.node.count == 0)
        let second = bench.pass(Fragments.two[1])
        #expect(second.state == "new" && second.bytes.count == 2)
        #expect(second.bytes == Fragments.two.map(ttlDown))
        #expect(bench.ruleCounters == [1])
        #expect(second.entry?.packetsOriginal == 1 && second.entry?.bytesOriginal == 1528)
    }

    @Test("nat.md §5: a fragmented datagram is translated as a whole and leaves in pieces")
    func translatesTheWhole() throws {
        let bench = try NATBench(NATSourceTests.toTen)
        bench.pass(Fragments.two[0])
        let sent = bench.pass(Fragments.two[1])
        #expect(sent.bytes.count == 2)
        var whole = Make.udp("10.2.0.10:1000 > 10.2.0.2:53", payload: Fragments.payload)[...]
        whole = whole.dropFirst(20)
        #expect(sent.bytes.flatMap { $0[20...] } == Array(whole))
        for piece in sent.bytes {
            #expect(PacketCheck.sum(piece[..<20]) == 0xffff)
            #expect(Array(piece[12..<16]) == [10, 2, 0, 10])
        }
    }

    @Test("policy.md case 16: a deletion is one DESTROY")
    func deletes() throws {
        let bench = try NATBench(Self.stateful)
        bench.pass(Self.datagram)
        #expect(bench.events == ["NEW"])
        bench.node.journal.clear()
        bench.flush()
        bench.flush()
        #expect(bench.events == ["DESTROY"] && bench.node.count == 0)
    }

    @Test("policy.md case 14: a zone is part of the key: in another zone there is no such flow")
    func separatesZones() {
        // What rules do to zones is in ZoneRuleTests; this is the table's part.
        var table = ConnectionTable(
            limits: Limits(connections: 16, buckets: 512), seed: 1, tickRate: .reference)
        let now = Moment(.start, .reference)
        let five = ZonePair(original: 5, reply: 5)
        let tuple = Make.Flow("10.1.0.2:1000 > 10.2.0.2:80").tuple(IPProtocol.tcp)
        let answer = Make.Flow("10.2.0.2:80 > 10.1.0.2:1000").tuple(IPProtocol.tcp)
        let hash = table.hash(tuple, zone: 5, .initial)
        let made = table.create(tuple, reply: answer, hash: hash, five, .initial, at: now)
        guard let made else {
            Issue.record("no connection")
            return
        }
        table.refresh(made, 250, at: now)
        let outcome = table.confirm(made, allowsClash: false, at: now)
        #expect(outcome == .inserted)
        let inZone = table.find(answer, five, .initial, at: now).found
        #expect(inZone?.slot == made && inZone?.direction == .reply)
        for zones in [ZonePair.none, ZonePair(original: 6, reply: 6)] {
            let elsewhere = table.find(answer, zones, .initial, at: now).found
            #expect(elsewhere == nil)
        }
    }
}

/// A datagram of 1500 payload bytes in two fragments.
enum Fragments {
    static let payload = (0..<1500).map { UInt8($0 % 251) }

    static let two: [[UInt8]] = {
        let whole = Make.udp("10.1.0.2:1000 > 10.2.0.2:53", payload: payload)
        let body = Array(whole[20...])
        return [
            piece(body[..<1000], at: 0, isLast: false), piece(body[1000...], at: 125, isLast: true),
        ]
    }()

    /// `offset` counts units of eight bytes.
    private static func piece(_ body: ArraySlice<UInt8>, at offset: UInt16, isLast: Bool) -> [UInt8]
    {
        let flow = Make.Flow("10.1.0.2:1000 > 10.2.0.2:53")
        var builder = PacketBuilder(.ipv4, from: flow.source, to: flow.destination)
        builder.identification = 77
        var bytes = builder.packet(carrying: Array(body), as: IPProtocol.udp)
        bytes[6] = UInt8(offset >> 8) | (isLast ? 0 : 0x20)
        bytes[7] = UInt8(offset & 0xff)
        bytes[10] = 0
        bytes[11] = 0
        let sum = 0xffff - PacketCheck.sum(bytes[..<20])
        bytes[10] = UInt8(sum >> 8)
        bytes[11] = UInt8(sum & 0xff)
        return bytes
    }
}
