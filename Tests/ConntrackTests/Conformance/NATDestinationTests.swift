import Testing
import Wire

@testable import Conntrack

// Destination NAT, redirect, hairpin, and what the gateway's own sockets see of it: spec nat.md §10
// cases 9, 10, 13, 17, 25-27, 30, 32, 33. The gateway's sockets are silent: their packets and
// answers are put in by the test.

struct NATDestinationTests {
    static let virtual = "ip daddr 10.1.0.50 tcp dport 80"

    @Test("nat.md case 9: DNAT: the destination, the way back, the bits")
    func mapsTheDestination() throws {
        let bench = try NATBench(Chain.prerouting("\(Self.virtual) dnat to 10.2.0.2"))
        let sent = bench.pass(Make.tcp("10.1.0.2:1000 > 10.1.0.50:80"))
        #expect(sent.out == "10.1.0.2:1000 > 10.2.0.2:80")
        #expect(sent.by == "srv")
        #expect(sent.reply == "10.2.0.2:80 > 10.1.0.2:1000")
        #expect(sent.natBits == ["DST_NAT", "SRC_NAT_DONE", "DST_NAT_DONE"])
        let answer = bench.pass(Make.tcp("10.2.0.2:80 > 10.1.0.2:1000", [.syn, .ack], ack: 1))
        #expect(answer.out == "10.1.0.50:80 > 10.1.0.2:1000")
        #expect(answer.state == "established-reply")
    }

    @Test("nat.md case 9b: DNAT to a port")
    func mapsThePort() throws {
        let bench = try NATBench(Chain.prerouting("\(Self.virtual) dnat to 10.2.0.2:8080"))
        let sent = bench.pass(Make.tcp("10.1.0.2:1000 > 10.1.0.50:80"))
        #expect(sent.out == "10.1.0.2:1000 > 10.2.0.2:8080")
        let answer = bench.pass(Make.tcp("10.2.0.2:8080 > 10.1.0.2:1000", [.syn, .ack], ack: 1))
        #expect(answer.out == "10.1.0.50:80 > 10.1.0.2:1000")
    }

    @Test("nat.md case 9c: DNAT to a port alone keeps the address")
    func mapsThePortAlone() throws {
        let bench = try NATBench(Chain.prerouting("ip daddr 10.2.0.2 tcp dport 80 dnat to :8080"))
        let sent = bench.pass(Make.tcp("10.1.0.2:1000 > 10.2.0.2:80"))
        #expect(sent.out == "10.1.0.2:1000 > 10.2.0.2:8080")
    }

    @Test("nat.md case 9d: a port range: the lowest free port, or the own one where it lies inside")
    func takesTheLowestPort() throws {
        let bench = try NATBench(
            Chain.prerouting("ip daddr 10.1.0.50 meta l4proto tcp dnat to 10.2.0.2:5000-5010"))
        #expect(bench.pass(Make.tcp("10.1.0.2:1000 > 10.1.0.50:80")).destinationPort == 5000)
        #expect(bench.pass(Make.tcp("10.1.0.3:1000 > 10.1.0.50:80")).destinationPort == 5000)
        #expect(bench.pass(Make.tcp("10.1.0.2:1001 > 10.1.0.50:5007")).destinationPort == 5007)
        // The same client socket to another virtual port: 5000 would answer to it twice.
        #expect(bench.pass(Make.tcp("10.1.0.2:1000 > 10.1.0.50:81")).destinationPort == 5001)
        #expect(bench.pass(Make.tcp("10.1.0.2:1000 > 10.1.0.50:82")).destinationPort == 5002)
    }

    @Test("nat.md case 9e: random spreads over the port range")
    func spreads() throws {
        let bench = try NATBench(
            Chain.prerouting(
                "ip daddr 10.1.0.50 meta l4proto tcp dnat to 10.2.0.2:5000-5010 random"))
        let ports = (0..<60).compactMap {
            bench.pass(Make.tcp("10.1.0.2:\(1000 + $0) > 10.1.0.50:80")).destinationPort
        }
        #expect(ports.count == 60 && ports.allSatisfy { (5000...5010).contains($0) })
        #expect(Set(ports).count > 6)
    }

    @Test("nat.md case 9f: an address range is no load balancer: one client, one backend")
    func choosesByHash() throws {
        let bench = try NATBench(
            Chain.prerouting("ip daddr 10.1.0.60 dnat to 10.2.0.20-10.2.0.23"))
        let backends = (0..<20).map {
            bench.pass(Make.tcp("10.1.0.2:\(1000 + $0) > 10.1.0.60:80")).destination
        }
        #expect(Set(backends).count == 1)
    }

    // MARK: Redirect

    @Test("nat.md case 10: REDIRECT to a closed port: the RST comes from the original destination")
    func redirectsToNobody() throws {
        let bench = try NATBench(Chain.prerouting("tcp dport 80 redirect to :81"))
        let heard = try bench.hear(Make.tcp("10.1.0.2:1000 > 10.2.0.2:80"))
        #expect(heard == "10.1.0.2:1000 > 10.1.0.1:81")
        let reset = bench.emit(Make.tcp("10.1.0.1:81 > 10.1.0.2:1000", [.rst, .ack], ack: 1))
        #expect(reset.out == "10.2.0.2:80 > 10.1.0.2:1000")
        #expect(reset.state == "established-reply")
        #expect(bench.table == [])
    }

    @Test("nat.md case 33: REDIRECT of UDP port 53, answer restored")
    func redirectsDNS() throws {
        let bench = try NATBench(Chain.prerouting("udp dport 53 redirect to :5353"))
        let heard = try bench.hear(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        #expect(heard == "10.1.0.2:1000 > 10.1.0.1:5353")
        let answer = bench.emit(Make.udp("10.1.0.1:5353 > 10.1.0.2:1000"))
        #expect(answer.out == "10.2.0.2:53 > 10.1.0.2:1000")
    }

    @Test("nat.md §2: redirect on an interface without address: dropped, nothing counted")
    func redirectsNowhere() throws {
        let bench = try NATBench(Chain.prerouting("udp dport 53 redirect to :5353")) {
            $0.interfaces[0].addresses = []
            $0.interfaces[0].routes = NATBench.prefixes("10.1.0.0/24")
        }
        let (sent, counters) = bench.counting {
            bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:53"))
        }
        #expect(sent.reason == .nat && counters.isEmpty && bench.node.count == 0)
    }

    // MARK: Both ends

    @Test("nat.md case 13: hairpin: client and backend in one subnet")
    func hairpins() throws {
        let bench = try NATBench(
            Chain.prerouting("\(Self.virtual) dnat to 10.1.0.3:8080")
                + Chain.postrouting("oifname \"cli\" ct status dnat masquerade"))
        let sent = bench.pass(Make.tcp("10.1.0.2:1000 > 10.1.0.50:80"))
        #expect(sent.out == "10.1.0.1:1000 > 10.1.0.3:8080")
        #expect(sent.by == "cli")
        #expect(sent.natBits == ["SRC_NAT", "DST_NAT", "SRC_NAT_DONE", "DST_NAT_DONE"])
        let answer = bench.pass(Make.tcp("10.1.0.3:8080 > 10.1.0.1:1000", [.syn, .ack], ack: 1))
        #expect(answer.out == "10.1.0.50:80 > 10.1.0.2:1000")
        let ack = bench.pass(Make.tcp("10.1.0.2:1000 > 10.1.0.50:80", .ack, sequence: 1, ack: 1))
        #expect(ack.out == "10.1.0.1:1000 > 10.1.0.3:8080")
    }

    @Test("nat.md case 32: two virtual addresses, one backend, one client port")
    func shiftsTheSecond() throws {
        let bench = try NATBench(
            Chain.prerouting("ip daddr { 10.1.0.50, 10.1.0.51 } tcp dport 80 dnat to 10.2.0.2:8080")
        )
        let first = bench.pass(Make.tcp("10.1.0.2:4000 > 10.1.0.50:80"))
        #expect(first.out == "10.1.0.2:4000 > 10.2.0.2:8080")
        let second = bench.pass(Make.tcp("10.1.0.2:4000 > 10.1.0.51:80"))
        #expect(second.source == "10.1.0.2" && second.destination == "10.2.0.2")
        let port = try #require(second.sourcePort)
        #expect(port != 4000 && port >= 1024)
        #expect(second.natBits == ["SRC_NAT", "DST_NAT", "SRC_NAT_DONE", "DST_NAT_DONE"])
        let answer = bench.pass(Make.tcp("10.2.0.2:8080 > 10.1.0.2:\(port)", [.syn, .ack], ack: 1))
        #expect(answer.out == "10.1.0.51:80 > 10.1.0.2:4000")
        let other = bench.pass(Make.tcp("10.2.0.2:8080 > 10.1.0.2:4000", [.syn, .ack], ack: 1))
        #expect(other.out == "10.1.0.50:80 > 10.1.0.2:4000")
    }

    @Test(
        "nat.md case 17: numgen over three backends: drawn once a flow",
        arguments: ["random", "inc"])
    func drawsOnce(_ kind: String) throws {
        let bench = try NATBench(
            Chain.prerouting(
                """
                \(Self.virtual) dnat to numgen \(kind) mod 3 map \
                { 0 : 10.2.0.2, 1 : 10.2.0.3, 2 : 10.2.0.4 }
                """))
        var backends: Set<String> = []
        for port in 1000..<1030 {
            let flow = "10.1.0.2:\(port) > 10.1.0.50:80"
            let backend = try #require(bench.pass(Make.tcp(flow)).destination)
            backends.insert(backend)
            for _ in 0..<3 { #expect(bench.pass(Make.tcp(flow)).destination == backend) }
            bench.pass(Make.tcp("\(backend):80 > 10.1.0.2:\(port)", [.syn, .ack], ack: 1))
            let ack = bench.pass(Make.tcp(flow, .ack, sequence: 1, ack: 1))
            #expect(ack.destination == backend)
        }
        #expect(backends == ["10.2.0.2", "10.2.0.3", "10.2.0.4"])
    }

    @Test("nat.md case 27: a shifted range: port 80 + i becomes 5000 + i mod 11")
    func shifts() {
        for step in UInt16(0)..<30 {
            var table = ConnectionTable(
                limits: Limits(connections: 16, buckets: 512), seed: 1, tickRate: .reference)
            let now = Moment(.start, .reference)
            let slot = table.make(
                "10.1.0.2:1000 > 10.1.0.50:\(80 + step)", IPProtocol.tcp, at: now)
            var range = NATRange()
            range.flags = [.addresses, .ports, .shifted]
            range.firstAddress = Make.Flow("10.2.0.2 > 10.2.0.2").source
            range.lastAddress = range.firstAddress
            range.firstPort = 5000
            range.lastPort = 5010
            range.basePort = 80
            NAT.setUp(slot, range, .destination, in: &table, at: now)
            #expect(table.tuple(of: slot, .reply).sourcePart == 5000 + step % 11)
        }
    }

    // MARK: The gateway's own sockets

    @Test("nat.md case 25: OUTPUT DNAT with port: the socket sees the virtual address")
    func mapsWhatTheNodeSends() throws {
        let bench = try NATBench(Chain.output("\(Self.virtual) dnat to 10.2.0.2:8080"))
        let sent = bench.emit(Make.tcp("10.2.0.1:4000 > 10.1.0.50:80"))
        #expect(sent.out == "10.2.0.1:4000 > 10.2.0.2:8080")
        #expect(sent.by == "srv")
        #expect(sent.state == "new")
        #expect(sent.natBits == ["DST_NAT", "SRC_NAT_DONE", "DST_NAT_DONE"])
        let heard = try bench.hear(
            Make.tcp("10.2.0.2:8080 > 10.2.0.1:4000", [.syn, .ack], ack: 1))
        #expect(heard == "10.1.0.50:80 > 10.2.0.1:4000")
        let ack = bench.emit(Make.tcp("10.2.0.1:4000 > 10.1.0.50:80", .ack, sequence: 1, ack: 1))
        #expect(ack.out == "10.2.0.1:4000 > 10.2.0.2:8080")
        #expect(ack.state == "established")
    }

    @Test("nat.md case 26: OUTPUT REDIRECT: received on loopback, answer translated")
    func redirectsWhatTheNodeSends() throws {
        let bench = try NATBench(Chain.output("tcp dport 80 redirect to :8080"))
        let heard = try bench.hear(Make.tcp("10.2.0.1:4000 > 10.2.0.2:80"), fromNode: true)
        #expect(heard == "10.2.0.1:4000 > 127.0.0.1:8080")
        let answer = try bench.hear(
            Make.tcp("127.0.0.1:8080 > 10.2.0.1:4000", [.syn, .ack], ack: 1), fromNode: true)
        #expect(answer == "10.2.0.2:80 > 10.2.0.1:4000")
        #expect(bench.table == ["10.2.0.1:4000 > 10.2.0.2:80 | 127.0.0.1:8080 > 10.2.0.1:4000"])
    }

    @Test("policy.md §1: rules at OUTPUT see the interface of the first routing decision")
    func routesBehindTheHook() throws {
        // Recorded on 6.18.44: "cli" at OUTPUT, "srv" at POSTROUTING.
        let bench = try NATBench(
            Chain.output("ip daddr 10.1.0.60 udp dport 80 dnat to 10.2.0.2:8080")
                + Chain.filter(
                    "output", 0, "oifname \"cli\" counter; oifname \"srv\" counter")
                + Chain.filter(
                    "postrouting", 0, "oifname \"cli\" counter; oifname \"srv\" counter"))
        #expect(
            bench.emit(Make.udp("10.1.0.1:4000 > 10.1.0.60:80")).out
                == "10.1.0.1:4000 > 10.2.0.2:8080")
        #expect(bench.ruleCounters == [1, 0, 0, 1])
    }

    @Test("nat.md case 30: INPUT SNAT: the service sees the mapped source, the answer is restored")
    func mapsAtInput() throws {
        let bench = try NATBench(Chain.input("tcp dport 80 snat to 10.1.0.99"))
        let heard = try bench.hear(Make.tcp("10.1.0.2:1000 > 10.1.0.1:80"))
        #expect(heard == "10.1.0.99:1000 > 10.1.0.1:80")
        let answer = bench.emit(Make.tcp("10.1.0.1:80 > 10.1.0.99:1000", [.syn, .ack], ack: 1))
        #expect(answer.out == "10.1.0.1:80 > 10.1.0.2:1000")
        #expect(answer.state == "established-reply")
    }
}
