import Foundation
import LinuxCalls
import Synchronization
import Testing
import Wire

extension LiveTests {
    /// Races on the live kernel: two threads on two processors send first packets at the same
    /// instant, over the loopback device of a namespace.
    ///
    /// Who meets whom is chance, and where others keep the processors busy nobody may: what is held
    /// is what must be true of every round, raced or not; a test that saw no race says so. The
    /// model's answers to the same races are in ConntrackTests/RaceTests.
    @Suite(
        .enabled(
            if: LiveMachine.isThere && Processor.count > 1,
            "the live kernel is not there, or has one processor for us"))
    struct RaceLiveTests {
        @Test("nat.md case 19, K01, packetdrill.md B2, live: one UDP flow from two threads: merged")
        func mergesTwins() throws {
            try Race(rules: "", Self.twins).run(until: "clash_resolve") { result in
                // One entry a round; each packet was let through.
                #expect(result.moved(besides: "clash_resolve") == [:])
                #expect(result.count == result.rounds)
            }
        }

        @Test("nat.md case 19, K05, live: twins that keep their port through SNAT: merged")
        func mergesMappedTwins() throws {
            try Race(rules: Race.snat(), Self.twins).run(until: "clash_resolve") { result in
                #expect(result.moved(besides: "clash_resolve") == [:])
                #expect(result.count == result.rounds)
            }
        }

        @Test("nat.md case 19, K03, packetdrill.md B2, live: one flow to two backends: both leave")
        func entersRepliesOnly() throws {
            let rules = Race.nat(
                "output",
                """
                udp sport 5000 dnat to numgen random mod 3 map \
                { 0 : 127.0.0.21, 1 : 127.0.0.22, 2 : 127.0.0.23 }
                """)
            try Race(rules: rules, Self.twins).run(until: "clash_resolve") { result in
                #expect(result.moved(besides: "clash_resolve") == [:])
                // Some twins drew one backend and were merged; the others count twice, for a second.
                #expect(result.count >= result.rounds)
                #expect(result.count <= result.rounds + result.counter("clash_resolve"))
            }
        }

        @Test("nat.md §4 (K06), live: two flows that chose one port: the later one is dropped")
        func losesTheRaceForAPort() throws {
            try Race(rules: Race.snat(), Self.rivals).run(until: "insert_failed") { result in
                let lost = result.counter("insert_failed")
                #expect(result.counter("drop") == lost)
                #expect(result.refused == lost, "the sender is told: EPERM")
                #expect(result.count == 2 * result.rounds - lost)
                // Where there was no race, one of the two found its port taken.
                #expect(result.counter("found") >= result.rounds - lost)
                #expect(result.moved(besides: "insert_failed", "drop", "found") == [:])
            }
        }

        @Test("nat.md §4, live: 'fully-random' ends the race for a port")
        func randomAvoidsIt() throws {
            try Race(rules: Race.snat("fully-random"), Self.rivals).run { result in
                // Two of 64 512 ports are equal now and then; a race a round would be some hundred.
                #expect(result.counter("insert_failed") <= 2)
                #expect(result.counter("insert_failed") == result.counter("drop"))
            }
        }

        @Test("nat.md §4, live: a port range used up moves drop and insert_failed, each by one")
        func usesUpAPort() throws {
            try Race(rules: Race.snat(":6000"), Self.rivals).run { result in
                // One flow of all gets the port.
                #expect(result.count == 1)
                #expect(result.refused == 2 * result.rounds - 1)
                #expect(result.counter("insert_failed") == result.refused)
                #expect(result.counter("drop") == result.refused)
            }
        }

        @Test("nat.md case 19, K08, packetdrill.md B1, live: crossing packets keep their ports")
        func crosses() throws {
            let rules = Race.nat("postrouting", "ip saddr 10.9.9.9 masquerade")
            try Race(rules: rules, Self.crossing).run(until: "clash_resolve") { result in
                #expect(result.moved(besides: "clash_resolve", "found") == [:])
                #expect(result.count == result.rounds)
                #expect(result.changedPorts == 0)
            }
        }

        // MARK: Who sends what

        private static func loopback(_ last: UInt32, _ port: Int) -> SocketAddress {
            SocketAddress(
                .ipv4, Address(ipv4: 0x7f00_0000 | last), port: UInt16(truncatingIfNeeded: port))
        }

        /// One socket address, another destination port each round.
        private static func twins(_ thread: Int, _ round: Int) -> Race.Letter {
            Race.Letter(from: loopback(11, 5000), to: loopback(1, 20_000 + round))
        }

        /// Two addresses with one port, another one each round, and one destination.
        private static func rivals(_ thread: Int, _ round: Int) -> Race.Letter {
            Race.Letter(
                from: loopback(11 + UInt32(thread), 5000 + round), to: loopback(1, 53))
        }

        /// Each writes to the other.
        private static func crossing(_ thread: Int, _ round: Int) -> Race.Letter {
            let ends = [loopback(11, 10_000 + round), loopback(12, 30_000 + round)]
            return Race.Letter(from: ends[thread], to: ends[1 - thread])
        }
    }
}

/// Two threads that send the datagrams of a round at once, in a namespace of their own.
private struct Race: Sendable {
    struct Letter: Sendable {
        var from: SocketAddress
        var to: SocketAddress
    }

    struct Result {
        var rounds = 0
        var counters: [String: UInt32] = [:]
        /// Entries after the last round.
        var count = 0
        /// Datagrams whose sender was told EPERM.
        var refused = 0
        /// Listed entries whose answers go to another port than the original's source.
        var changedPorts = 0

        func counter(_ name: String) -> Int { Int(counters[name] ?? 0) }

        func moved(besides names: String...) -> [String: UInt32] {
            counters.filter { !names.contains($0.key) }
        }
    }

    /// What the threads share.
    private final class Meeting: Sendable {
        let rounds = [Counter(), Counter()]
        let refused = Counter()
        let problems = Mutex<[String]>([])
    }

    private final class Counter: Sendable {
        let value = Atomic<Int>(0)
    }

    private static let rounds = 1000
    private static let attempts = 50

    /// What the kernel's table needs to exist, and to stay without answers.
    private static let always = """
        table inet f {
            chain i {
                type filter hook input priority 0;
                meta l4proto udp drop
            }
            chain o {
                type filter hook output priority 0;
                ct state new accept
            }
        }

        """

    let rules: String
    let letter: @Sendable (_ thread: Int, _ round: Int) -> Letter

    init(rules: String, _ letter: @escaping @Sendable (Int, Int) -> Letter) {
        self.rules = rules
        self.letter = letter
    }

    static func nat(_ hook: String, _ rule: String) -> String {
        """
        table ip n {
            chain c {
                type nat hook \(hook) priority \(hook == "output" ? -100 : 100);
                \(rule)
            }
        }

        """
    }

    static func snat(_ suffix: String = "") -> String {
        let target = "127.0.0.99\(suffix.hasPrefix(":") ? "" : " ")\(suffix)"
        return nat(
            "postrouting",
            "ip saddr { 127.0.0.11, 127.0.0.12 } meta l4proto udp snat to \(target)")
    }

    /// Sends in a fresh namespace each time, until `counter` has shown a race; without one, once.
    ///
    /// - Parameter holds: Looks at every result.
    func run(until counter: String? = nil, _ holds: (Result) -> Void) throws {
        // Nobody changes the limits meanwhile.
        let lease = try MachineLease(changing: [])
        for _ in 0..<Self.attempts {
            let namespace = try NetworkNamespace()
            let result = try namespace.enter { () throws -> Result in try runInside() }
            holds(result)
            guard let counter, result.counter(counter) == 0 else { return }
        }
        _ = consume lease
        let text = "NOT SEEN: a race in \(Self.attempts) times \(Self.rounds) rounds"
        FileHandle.standardError.write(Data("\n*** \(text) ***\n\n".utf8))
    }

    private func runInside() throws -> Result {
        try Self.call("ip", ["link", "set", "lo", "up"])
        try Self.call("nft", ["-f", "-"], input: Self.always + rules)
        var statistics = try TrackerStatistics()
        let before = try statistics.read()
        let meeting = Meeting()
        // A thread is born into the namespace of the one that starts it.
        let threads = (0..<2).map { number in
            Thread { [self] in
                Processor.stay(on: number)
                do {
                    try send(as: number, meeting)
                } catch {
                    meeting.problems.withLock { $0.append("\(error)") }
                }
                meeting.rounds[number].value.store(.max, ordering: .releasing)
            }
        }
        for thread in threads { thread.start() }
        while threads.contains(where: { !$0.isFinished }) { Thread.sleep(forTimeInterval: 0.01) }
        #expect(meeting.problems.withLock { $0 } == [])
        let after = try statistics.read()
        var result = Result(rounds: Self.rounds, count: after.count)
        for name in TrackerStatistics.columns where after.value(name) != before.value(name) {
            result.counters[name] = (after.value(name) ?? 0) &- (before.value(name) ?? 0)
        }
        result.refused = meeting.refused.value.load(ordering: .acquiring)
        let listing = try String(
            contentsOfFile: "/proc/thread-self/net/nf_conntrack", encoding: .utf8)
        result.changedPorts = listing.split(separator: "\n").count(where: Self.hasChangedPort)
        return result
    }

    private func send(as thread: Int, _ meeting: Meeting) throws {
        for round in 0..<Self.rounds {
            let letter = letter(thread, round)
            var sockets = DatagramTable()
            try sockets.bind(letter.from, shared: true)
            sockets.add([UInt8(ascii: "x")].span, to: letter.to)
            meeting.rounds[thread].value.store(round + 1, ordering: .releasing)
            var spins = 0
            while meeting.rounds[1 - thread].value.load(ordering: .acquiring) < round + 1 {
                spins += 1
                if spins.isMultiple(of: 20_000) { Thread.sleep(forTimeInterval: 0) }
            }
            _ = sockets.flush(by: 0) { _, failure in
                if failure.code == EPERM {
                    meeting.refused.value.add(1, ordering: .relaxed)
                } else {
                    meeting.problems.withLock { $0.append("\(failure)") }
                }
            }
        }
    }

    private static func hasChangedPort(_ line: Substring) -> Bool {
        let ports = line.split(separator: " ").filter { $0.contains("port=") }
        guard ports.count == 4 else { return false }
        return ports[0].dropFirst("sport=".count) != ports[3].dropFirst("dport=".count)
    }

    private static func call(_ name: String, _ arguments: [String], input: String = "") throws {
        let program = try #require(Program(named: name))
        let outcome = try program.run(arguments, input: input)
        try #require(outcome.exitCode == 0, "\(name): \(outcome.errors)")
    }
}
