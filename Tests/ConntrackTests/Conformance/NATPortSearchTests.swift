import Testing
import Wire

@testable import Conntrack

// The search for a free port: how many probes, and who has to make room. Spec nat.md §3.2, §3.3,
// §10 cases 20, 21, 31.

struct NATPortSearchTests {
    struct Probes: CustomTestStringConvertible, Sendable {
        let ports: UInt16
        let found: Int

        init(_ ports: UInt16, _ found: Int) {
            self.ports = ports
            self.found = found
        }

        var testDescription: String { "\(ports) ports, all taken: found +\(found)" }
    }

    /// A gateway whose range of ports is taken to the last one.
    private func full(
        _ ports: UInt16, seed: UInt64, _ make: (String) -> [UInt8]
    ) throws -> NATBench {
        let last = 10_000 + ports - 1
        let bench = try NATBench(
            Chain.postrouting(
                "meta l4proto { tcp, udp } snat to 10.2.0.10:10000-\(last)")
        ) { $0.seed = seed }
        // An own port inside the range is kept.
        for port in 10_000...last {
            #expect(bench.pass(make("10.1.0.3:\(port) > 10.2.0.2:80")).sourcePort == port)
        }
        return bench
    }

    @Test(
        "nat.md case 21: probes of a UDP search",
        arguments: [
            Probes(10, 10), Probes(100, 100), Probes(128, 128), Probes(129, 248),
            Probes(300, 248), Probes(2000, 248),
        ])
    func countsProbes(_ row: Probes) throws {
        for seed in UInt64(1)...5 {
            let bench = try full(row.ports, seed: seed) { Make.udp($0) }
            let (sent, counters) = bench.counting {
                bench.pass(Make.udp("10.1.0.2:1000 > 10.2.0.2:80"))
            }
            #expect(sent.reason == .insertFailed)
            #expect(
                counters == ["found": row.found, "drop": 1, "insert_failed": 1], "seed \(seed)")
        }
    }

    @Test(
        "nat.md case 31: probes of a TCP SYN: those that may evict do not count",
        arguments: [Probes(40, 8), Probes(300, 128), Probes(32, 0), Probes(128, 96)])
    func countsSYNProbes(_ row: Probes) throws {
        for seed in UInt64(1)...5 {
            let bench = try full(row.ports, seed: seed) { Make.tcp($0) }
            let (sent, counters) = bench.counting {
                bench.pass(Make.tcp("10.1.0.2:1000 > 10.2.0.2:80"))
            }
            #expect(sent.reason == .insertFailed)
            var expected = ["found": row.found, "drop": 1, "insert_failed": 1]
            if row.found == 0 { expected["found"] = nil }
            #expect(counters == expected, "seed \(seed)")
        }
    }

    @Test("nat.md §4: a retransmitted SYN tries again with a new offset, and may succeed")
    func triesAgain() throws {
        // 1000 ports, one of them free: 248 probes of consecutive ports find it sooner or later.
        var failures = 0
        for seed in UInt64(1)...5 {
            let bench = try full(1000, seed: seed) { Make.tcp($0) }
            bench.pass(Make.tcp("10.2.0.2:80 > 10.2.0.10:10500", [.rst, .ack], ack: 1))
            let syn = Make.tcp("10.1.0.2:1000 > 10.2.0.2:80")
            var attempts = 1
            while bench.pass(syn).sourcePort != 10_500, attempts < 100 { attempts += 1 }
            #expect(attempts < 100, "seed \(seed)")
            failures += attempts - 1
            #expect(bench.pass(syn).sourcePort == 10_500, "seed \(seed)")
        }
        #expect(failures > 0)
    }

    // MARK: Eviction of closed flows

    /// A connection of 10.1.0.2 through the only port, in TIME_WAIT.
    ///
    /// It ended at sequence 1002.
    private func timeWait() throws -> NATBench {
        let bench = try NATBench(Chain.postrouting("meta l4proto tcp snat to 10.2.0.10:5000"))
        let forth = "10.1.0.2:1000 > 10.2.0.2:80"
        let back = "10.2.0.2:80 > 10.2.0.10:5000"
        bench.pass(Make.tcp(forth, sequence: 1000))
        bench.pass(Make.tcp(back, [.syn, .ack], sequence: 1, ack: 1001))
        bench.pass(Make.tcp(forth, .ack, sequence: 1001, ack: 2))
        bench.pass(Make.tcp(forth, [.fin, .ack], sequence: 1001, ack: 2))
        bench.pass(Make.tcp(back, [.fin, .ack], sequence: 2, ack: 1002))
        let last = bench.pass(Make.tcp(forth, .ack, sequence: 1002, ack: 3))
        #expect(last.entry?.protocolState == TCPState.timeWait.rawValue)
        return bench
    }

    @Test("nat.md case 20: a TIME_WAIT entry makes room for a SYN beyond its stream, and only that")
    func evicts() throws {
        let bench = try timeWait()
        for sequence in [UInt32(500), 1001, 1001 &- 0x8000_0000 &+ 2] {
            let (lower, counters) = bench.counting {
                bench.pass(Make.tcp("10.1.0.3:1000 > 10.2.0.2:80", sequence: sequence))
            }
            #expect(lower.reason == .insertFailed, "sequence \(sequence)")
            #expect(counters == ["drop": 1, "insert_failed": 1])
        }
        let higher = bench.pass(Make.tcp("10.1.0.3:1000 > 10.2.0.2:80", sequence: 1002))
        #expect(higher.out == "10.2.0.10:5000 > 10.2.0.2:80")
        #expect(bench.events == ["DESTROY", "NEW"])
        #expect(bench.node.count == 1)
        // The port's new owner is in SYN_SENT: it does not make room.
        let third = bench.pass(Make.tcp("10.1.0.4:1000 > 10.2.0.2:80", sequence: 900_000))
        #expect(third.reason == .insertFailed)
    }

    @Test("nat.md §3.3: a packet that is no SYN evicts nobody")
    func evictsForSYNsAlone() throws {
        let bench = try timeWait()
        let pickup = bench.pass(Make.tcp("10.1.0.3:1000 > 10.2.0.2:80", .ack, sequence: 9000))
        #expect(pickup.state == "new" && pickup.reason == .insertFailed)
    }

    @Test("nat.md §3.3: an entry without SRC_NAT, or found by its original tuple, stays")
    func sparesUnmappedEntries() throws {
        // The server's own connection to the gateway's address and port: its original tuple is the
        // reply tuple that the mapping needs.
        let bench = try NATBench(Chain.postrouting("meta l4proto tcp snat to 10.2.0.10:5000"))
        bench.pass(Make.tcp("10.2.0.2:80 > 10.2.0.10:5000", .syn, sequence: 1000))
        bench.emit(Make.tcp("10.2.0.10:5000 > 10.2.0.2:80", [.rst, .ack], ack: 1001))
        bench.pass(Make.tcp("10.2.0.2:80 > 10.2.0.10:5000", .syn, sequence: 2000))
        let blocked = bench.pass(Make.tcp("10.1.0.3:1000 > 10.2.0.2:80", sequence: 900_000))
        #expect(blocked.reason == .insertFailed)
    }
}
