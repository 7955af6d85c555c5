import Testing
import Wire

@testable import Conntrack

// Expectations and the FTP helper: spec protocols.md §13, formats.md §2 and §3; what is not there
// was observed on 6.18.

@Suite("FTP: expectations and translation")
struct FTPTests {
    static let rules = """
        table inet t {
            ct helper ftp-std {
                type "ftp" protocol tcp;
            }
            chain p {
                type filter hook prerouting priority mangle
                tcp dport 21 ct helper set "ftp-std" ct mark set 5
            }
        }

        """
    static let masquerade = rules + Chain.postrouting("oifname \"srv\" masquerade", "inet")

    /// A control connection of 10.1.0.2 to 10.2.0.2, both sides greeted.
    struct Control {
        let bench: NATBench
        let client: String
        let server: String
        let seenClient: String
        let port: UInt16
        var clientNext: UInt32 = 1
        var serverNext: UInt32 = 1
        /// What the gateway has added to the client's stream.
        var growth: UInt32 = 0

        init(
            _ bench: NATBench, from client: String = "10.1.0.2", seenAs: String? = nil,
            to server: String = "10.2.0.2", port: UInt16 = 4000
        ) {
            self.bench = bench
            (self.client, self.server, seenClient) = (client, server, seenAs ?? client)
            self.port = port
            bench.pass(Make.tcp(forth))
            bench.pass(Make.tcp(back, [.syn, .ack], ack: 1))
            bench.pass(Make.tcp(forth, .ack, sequence: 1, ack: 1))
            answer("220 ready\r\n")
            say("USER x\r\n")
        }

        private func end(_ host: String, _ port: UInt16) -> String {
            host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }

        var forth: String { "\(end(client, port)) > \(end(server, 21))" }
        var back: String { "\(end(server, 21)) > \(end(seenClient, port))" }

        @discardableResult
        mutating func say(_ line: String, at sequence: UInt32? = nil) -> Passage {
            let bytes = Array(line.utf8)
            let start = sequence ?? clientNext
            if sequence == nil { clientNext &+= UInt32(bytes.count) }
            return bench.pass(
                Make.tcp(
                    forth, [.psh, .ack], sequence: start, ack: serverNext, payload: bytes))
        }

        @discardableResult
        mutating func answer(_ line: String) -> Passage {
            let bytes = Array(line.utf8)
            defer { serverNext &+= UInt32(bytes.count) }
            return bench.pass(
                Make.tcp(
                    back, [.psh, .ack], sequence: serverNext, ack: clientNext &+ growth,
                    payload: bytes))
        }
    }

    private func listing(_ bench: NATBench) -> Listing {
        Listing(TimeBase(tickRate: .reference, epochNanoseconds: 0))
    }

    private func expected(_ bench: NATBench) -> [String] {
        bench.node.listExpectations(at: bench.now).map { listing(bench).line($0) }
    }

    static let mask = "mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535"

    @Test("protocols.md §13: passive: 227, data SYN related, established from the SYN-ACK on")
    func followsPassive() throws {
        let bench = try NATBench(Self.rules)
        var control = Control(bench)
        let announced = bench.counters { control.answer("227 ok (10,2,0,2,78,32)\r\n") }
        #expect(announced == ["expect_create": 1])
        let line =
            "300 proto=6 src=10.1.0.2 dst=10.2.0.2 sport=0 dport=20000 \(Self.mask) "
            + "master-src=10.1.0.2 master-dst=10.2.0.2 sport=4000 dport=21 class=0 helper=ftp"
        #expect(expected(bench) == [line])
        let event = try #require(bench.node.journal.expectationEvents.first)
        #expect(listing(bench).eventLine(event) == "    [NEW] " + line)

        let syn = Make.tcp("10.1.0.2:41000 > 10.2.0.2:20000")
        let (first, counters) = bench.counting { bench.pass(syn) }
        #expect(first.state == "related" && bench.events == ["NEW"])
        #expect(counters == ["expect_new": 1, "expect_delete": 1])
        #expect(first.entry?.status.contains(.expected) == true)
        #expect(first.entry?.mark == 5 && first.entry?.helper == nil)
        #expect(expected(bench).isEmpty)
        #expect(bench.pass(syn).state == "related")
        let answer = Make.tcp("10.2.0.2:20000 > 10.1.0.2:41000", [.syn, .ack], ack: 1)
        #expect(bench.pass(answer).state == "established-reply")
        #expect(
            bench.pass(Make.tcp("10.1.0.2:41000 > 10.2.0.2:20000", .ack, sequence: 1, ack: 1)).state
                == "established")
    }

    @Test("protocols.md §13: active: the server's connection to the announced port is related")
    func followsActive() throws {
        let bench = try NATBench(Self.rules)
        var control = Control(bench)
        control.say("PORT 10,1,0,2,19,137\r\n")
        #expect(bench.pass(Make.tcp("10.2.0.9:20 > 10.1.0.2:5001")).state == "new")
        #expect(bench.pass(Make.tcp("10.2.0.2:20 > 10.1.0.2:5001")).state == "related")
        #expect(bench.pass(Make.tcp("10.2.0.2:21000 > 10.1.0.2:5001")).state == "new")
    }

    @Test("protocols.md §13: EPRT and EPSV over IPv6")
    func followsIPv6() throws {
        let bench = try NATBench(Self.rules)
        var control = Control(bench, from: "fd01::2", to: "fd02::2")
        control.say("EPRT |2|fd01::2|5002|\r\n")
        #expect(bench.pass(Make.tcp("[fd02::2]:20 > [fd01::2]:5002")).state == "related")
        control.answer("229 ok (|||20001|)\r\n")
        #expect(bench.pass(Make.tcp("[fd01::2]:41000 > [fd02::2]:20001")).state == "related")
        control.say("PORT 10,1,0,2,1,1\r\n")  // Not of this family: passed, and nothing expected.
        #expect(expected(bench).isEmpty)
    }

    @Test("only a line that is known to begin is read")
    func readsLineBeginnings() throws {
        let bench = try NATBench(Self.rules)
        var control = Control(bench)
        control.say("NOOP")
        control.say("PORT 10,1,0,2,19,137\r\n")
        #expect(expected(bench).isEmpty)
        control.say("PORT 10,1,0,2,19,138\r\n")
        #expect(expected(bench).count == 1)
    }

    @Test("a line that cannot be read is dropped and said; the next in its place is read")
    func dropsHalfLines() throws {
        let bench = try NATBench(Self.rules)
        bench.node.journal.wantsRemarks = true
        var control = Control(bench)
        let start = control.clientNext
        let cut = control.say("PORT 10,1\r\n")
        #expect(cut.verdict == .dropped && cut.reason == .helper && cut.state == "established")
        let remark = "nf_ct_ftp: dropping packet: partial matching of `PORT'"
        #expect(bench.node.journal.remarks.map(\.line) == [remark])
        #expect(bench.node.kernelLog.lines.last?.text.hasPrefix("\(remark) IN= OUT= SRC=") == true)
        #expect(control.say("PORT 10,1,0,2,19,137\r\n", at: start).verdict == .forwarded)
        #expect(expected(bench).count == 1)
    }

    @Test("somebody else's address is passed on and not expected")
    func mistrustsAddresses() throws {
        let bench = try NATBench(Self.rules)
        var control = Control(bench)
        #expect(control.say("PORT 10,1,0,9,19,137\r\n").verdict == .forwarded)
        control.answer("227 ok (10,2,0,9,78,32)\r\n")
        #expect(expected(bench).isEmpty)
    }

    @Test("a control connection waits for one data connection: a new line replaces the old")
    func waitsForOne() throws {
        let bench = try NATBench(Self.rules)
        var control = Control(bench)
        control.answer("229 ok (|||20001|)\r\n")
        for port in [20002, 20002] {
            let change = bench.counters { control.answer("229 ok (|||\(port)|)\r\n") }
            #expect(change == ["expect_create": 1, "expect_delete": 1])
        }
        #expect(bench.pass(Make.tcp("10.1.0.2:41000 > 10.2.0.2:20001")).state == "new")
    }

    @Test("two control connections cannot wait for the same packet: the second line is dropped")
    func refusesClashes() throws {
        let bench = try NATBench(Self.rules)
        var first = Control(bench)
        var second = Control(bench, port: 4001)
        first.answer("229 ok (|||20001|)\r\n")
        let change = bench.counters {
            #expect(second.answer("229 ok (|||20001|)\r\n").reason == .helper)
        }
        #expect(change.isEmpty && expected(bench).count == 1)
        second.answer("229 ok (|||20002|)\r\n")
        #expect(expected(bench).count == 2)
    }

    @Test("protocols.md §13: beyond expect_max an expectation is refused, and the log says so")
    func isBounded() throws {
        let bench = try NATBench(Self.rules) { $0.sysctl.expectMax = 1 }
        var first = Control(bench)
        var second = Control(bench, port: 4001)
        first.answer("229 ok (|||20001|)\r\n")
        #expect(second.answer("229 ok (|||20002|)\r\n").verdict == .dropped)
        let text = "nf_conntrack: nf_conntrack: expectation table full"
        #expect(bench.node.kernelLog.lines.contains { $0.text == text })
    }

    @Test(
        "protocols.md §13: an expectation ends after 300 s: at that time, in 6.12 when it is met",
        arguments: [KernelProfile.linux618, .linux612])
    func expires(_ profile: KernelProfile) throws {
        let bench = try NATBench(Self.rules) { $0.profile = profile }
        var control = Control(bench)
        control.answer("229 ok (|||20001|)\r\n")
        bench.wait(299)
        #expect(expected(bench).count == 1)
        let due = bench.counters { bench.wait(1) }
        #expect(due == (profile == .linux618 ? ["expect_delete": 1] : [:]))
        #expect(expected(bench).isEmpty)
        let met = bench.counters {
            #expect(bench.pass(Make.tcp("10.1.0.2:41000 > 10.2.0.2:20001")).state == "new")
        }
        #expect(met == (profile == .linux618 ? [:] : ["expect_delete": 1]))
    }

    @Test("protocols.md §13: what is expected goes with the master, a child stays and holds it")
    func outlivesItsMaster() throws {
        let bench = try NATBench(Self.rules)
        var control = Control(bench)
        for port: UInt16 in [20_001, 20_002] {
            control.answer("229 ok (|||\(port)|)\r\n")
            bench.pass(Make.tcp("10.1.0.2:41000 > 10.2.0.2:\(port)"))
        }
        control.answer("229 ok (|||20003|)\r\n")
        let line = bench.node.list(at: bench.now).map { listing(bench).line($0, at: bench.now) }
            .first { $0.contains("dport=21 ") }
        #expect(line?.hasSuffix("mark=5 helper=ftp use=3") == true)

        let now = bench.node.moment(bench.now)
        let tuple = Make.Flow(control.forth).tuple(IPProtocol.tcp)
        let master = bench.node.table.peek(tuple, .none, .initial, at: now)
        bench.node.table.delete(try #require(master).slot, at: now)
        #expect(expected(bench).isEmpty && bench.node.counters.expectDelete == 3)
        #expect(bench.node.list(at: bench.now).count == 2 && bench.node.count == 3)
        bench.flush()
        #expect(bench.node.count == 0)
    }

    @Test("'ct helper' reads the helper of the connection that announced this one")
    func matchesTheMastersHelper() throws {
        let watch = Chain.filter(
            "forward", 0,
            "ct helper \"ftp\" counter\nct helper != \"ftp\" counter\n"
                + "ct state related counter")
        let bench = try NATBench(Self.rules + watch)
        var control = Control(bench)
        control.answer("229 ok (|||20001|)\r\n")
        bench.pass(Make.tcp("10.1.0.2:41000 > 10.2.0.2:20001"))
        #expect(bench.ruleCounters == [1, 0, 1])
    }

    @Test("formats.md §2: /proc/net/nf_conntrack_expect, IPv4 and IPv6")
    func printsProc() throws {
        let bench = try NATBench(Self.rules)
        var control = Control(bench)
        control.answer("227 ok (10,2,0,2,19,136)\r\n")
        let line = bench.node.listExpectations(at: bench.now).map { listing(bench).procLine($0) }
        #expect(
            line == ["300 l3proto = 2 proto=6 src=10.1.0.2 dst=10.2.0.2 sport=0 dport=5000 ftp"])
        bench.flush()
        var other = Control(bench, from: "fd01::2", to: "fd02::2")
        other.answer("229 ok (|||5000|)\r\n")
        let long = bench.node.listExpectations(at: bench.now).map { listing(bench).procLine($0) }
        #expect(long.first?.contains("dst=fd02:0000:0000:0000:0000:0000:0000:0002 sport=0") == true)
    }

    // MARK: Translation

    private func payload(_ passage: Passage) throws -> String {
        let bytes = try #require(passage.bytes.first)
        let header = bytes[0] >> 4 == 6 ? 40 : 20
        return String(decoding: bytes[(header + 20)...], as: UTF8.self)
    }

    private func sequence(_ passage: Passage) throws -> UInt32 {
        let bytes = try #require(passage.bytes.first)
        return bytes.span.bigEndianUInt32(at: 24)
    }

    private func acknowledgment(_ passage: Passage) throws -> UInt32 {
        let bytes = try #require(passage.bytes.first)
        return bytes.span.bigEndianUInt32(at: 28)
    }

    @Test("masquerade: PORT carries the gateway's address, and all that follows is shifted")
    func translatesPort() throws {
        let bench = try NATBench(Self.masquerade)
        var control = Control(bench, seenAs: "10.2.0.1")
        let line = "PORT 10,1,0,2,19,137\r\n"
        #expect(try payload(control.say(line)) == "PORT 10,2,0,1,19,137\r\n")
        // The same length: nothing to shift.
        let entry = bench.node.list(at: bench.now).first
        #expect(entry?.status.contains(.sequenceAdjust) == false)
        #expect(try sequence(control.say("NOOP\r\n")) == control.clientNext - 6)
        let data = bench.pass(Make.tcp("10.2.0.2:20 > 10.2.0.1:5001"))
        #expect(data.state == "related" && data.out == "10.2.0.2:20 > 10.1.0.2:5001")
    }

    @Test("a longer line shifts sequence numbers, acknowledgments and SACK; retransmissions too")
    func shiftsNumbers() throws {
        let rules = Self.rules + Chain.postrouting("oifname \"srv\" snat to 10.2.0.13", "ip")
        let bench = try NATBench(rules)
        var control = Control(bench, seenAs: "10.2.0.13")
        let line = "PORT 10,1,0,2,19,137\r\n"
        let start = control.clientNext
        let sent = control.say(line)
        control.growth = 1
        #expect(try payload(sent) == "PORT 10,2,0,13,19,137\r\n")
        #expect(try sequence(sent) == start)
        #expect(sent.entry?.status.contains(.sequenceAdjust) == true)
        let again = control.say(line, at: start)
        #expect(try payload(again) == "PORT 10,2,0,13,19,137\r\n")
        #expect(try sequence(again) == start)
        let answer = control.answer("200 ok\r\n")
        #expect(answer.state == "established-reply")
        #expect(try acknowledgment(answer) == control.clientNext)
        let next = control.say("NOOP\r\n")
        #expect(try sequence(next) == control.clientNext - 6 + 1)

        let flow = Make.Flow(control.back)
        let builder = PacketBuilder(.ipv4, from: flow.source, to: flow.destination)
        let edge = control.clientNext + control.growth
        let selective = builder.tcp(
            from: 21, to: control.port, flags: .ack, sequence: control.serverNext,
            acknowledgment: start,
            options: [
                .noOperation, .noOperation,
                .sack([TCPOption.SACKBlock(left: edge - 6, right: edge)]),
            ])
        let passed = bench.pass(selective)
        let bytes = try #require(passed.bytes.first)
        #expect(try acknowledgment(passed) == start)
        #expect(bytes.span.bigEndianUInt32(at: 44) == control.clientNext - 6)
        #expect(bytes.span.bigEndianUInt32(at: 48) == control.clientNext)
        #expect(bench.node.counters.invalid == 0)
    }

    @Test("a port somebody else waits at gives way to one drawn above it")
    func choosesAnotherPort() throws {
        let bench = try NATBench(Self.masquerade)
        var first = Control(bench, seenAs: "10.2.0.1")
        var second = Control(bench, from: "10.1.0.3", seenAs: "10.2.0.1", port: 4001)
        #expect(try payload(first.say("EPRT |1|10.1.0.2|60000|\r\n")).contains("|60000|"))
        let text = try payload(second.say("EPRT |1|10.1.0.3|60000|\r\n"))
        let port = text.split(separator: "|").dropFirst(3).first.flatMap { UInt16($0) }
        let chosen = try #require(port)
        #expect(chosen > 60_000)
        let data = bench.pass(Make.tcp("10.2.0.2:20 > 10.2.0.1:\(chosen)"))
        #expect(data.out == "10.2.0.2:20 > 10.1.0.3:60000")
        // Above the last port there is none.
        first.say("EPRT |1|10.1.0.2|65535|\r\n")
        #expect(second.say("EPRT |1|10.1.0.3|65535|\r\n").reason == .helper)
    }

    @Test("DNAT: a 227 names the virtual address, and the data connection goes inside")
    func translatesAnswers() throws {
        let rules =
            Self.rules + Chain.prerouting("ip daddr 10.1.0.50 tcp dport 21 dnat to 10.2.0.2")
        let bench = try NATBench(rules)
        let forth = "10.1.0.2:4000 > 10.1.0.50:21"
        let back = "10.2.0.2:21 > 10.1.0.2:4000"
        bench.pass(Make.tcp(forth))
        bench.pass(Make.tcp(back, [.syn, .ack], ack: 1))
        bench.pass(Make.tcp(forth, .ack, sequence: 1, ack: 1))
        let hello = Array("220\r\n".utf8)
        bench.pass(Make.tcp(back, [.psh, .ack], sequence: 1, ack: 1, payload: hello))
        let line = Array("227 (10,2,0,2,78,32)\r\n".utf8)
        let told = bench.pass(Make.tcp(back, [.psh, .ack], sequence: 6, ack: 1, payload: line))
        #expect(try payload(told) == "227 (10,1,0,50,78,32)\r\n")
        let data = bench.pass(Make.tcp("10.1.0.2:41000 > 10.1.0.50:20000"))
        #expect(data.state == "related" && data.out == "10.1.0.2:41000 > 10.2.0.2:20000")
    }

    @Test("IPv6: an address is written in full")
    func translatesIPv6() throws {
        let bench = try NATBench(Self.masquerade)
        var control = Control(bench, from: "fd01::2", seenAs: "fd02::1", to: "fd02::2")
        #expect(
            try payload(control.say("EPRT |2|fd01::2|5002|\r\n"))
                == "EPRT |2|fd02:0000:0000:0000:0000:0000:0000:0001|5002|\r\n")
    }
}
