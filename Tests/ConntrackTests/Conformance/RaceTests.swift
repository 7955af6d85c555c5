import Testing
import Wire

@testable import Conntrack

// Several packets between tracking and confirmation, as on a machine with several CPUs: spec nat.md §4,
// table.md §11. What a rule can hold back is shown in NATClashTests; here packets stand behind source
// translation too, where no rule of a kernel can hold one.

struct RaceTests {
    private static let one = "10.1.0.2:4000 > 10.2.0.2:80"
    private static let other = "10.1.0.3:4000 > 10.2.0.2:80"

    /// Lets all packets in up to `place`, then out again in the same order.
    private static func race(
        _ bench: NATBench, _ packets: [[UInt8]],
        _ place: NATBench.Place = .beforeConfirmation
    ) throws -> (out: [String], counters: [String: Int]) {
        try bench.counting {
            let held = try packets.map { try bench.hold($0, place) }
            return held.map { bench.release($0) }
        }
    }

    // MARK: Every variant of the clash

    /// Two packets, and what becomes of them.
    struct Variant: CustomTestStringConvertible, Sendable {
        var name: String
        var rules: String
        var packets: [[UInt8]]
        /// What stands in each packet's place: as it leaves, or why it does not.
        var out: [String]
        var counters: [String: Int]
        /// Entries afterwards, and how many of them a listing shows.
        var count: UInt32
        var listed: Int

        var testDescription: String { name }
    }

    private static let lost = ["drop": 1, "insert_failed": 1]
    private static let twin = "10.1.0.2:4000 > 10.2.0.2:53"
    private static let virtual = "10.1.0.2:4000 > 10.1.0.50:53"
    private static let snat = Chain.postrouting("oifname \"srv\" snat to 10.2.0.10")
    private static let balanced = Chain.prerouting(
        """
        ip daddr 10.1.0.50 dnat to numgen inc mod 3 map \
        { 0 : 10.2.0.2, 1 : 10.2.0.3, 2 : 10.2.0.4 }
        """)
    private static let mappedTwin = "10.2.0.10:4000 > 10.2.0.2:53"

    static let variants: [Variant] = [
        Variant(
            name: "K01: one UDP flow, no translation: merged", rules: "",
            packets: [Make.udp(twin), Make.udp(twin)], out: [twin, twin],
            counters: ["clash_resolve": 1], count: 1, listed: 1),
        Variant(
            name: "K02: one SYN twice: the second is dropped", rules: NATClashTests.idle,
            packets: [Make.tcp(twin), Make.tcp(twin)], out: [twin, "insert_failed"],
            counters: lost, count: 1, listed: 1),
        Variant(
            name: "K02, translated: the second SYN is dropped all the same", rules: snat,
            packets: [Make.tcp(twin), Make.tcp(twin)], out: [mappedTwin, "insert_failed"],
            counters: lost, count: 1, listed: 1),
        Variant(
            name: "K03: one UDP flow to two backends: the second for its answers alone",
            rules: balanced, packets: [Make.udp(virtual), Make.udp(virtual)],
            out: ["10.1.0.2:4000 > 10.2.0.2:53", "10.1.0.2:4000 > 10.2.0.3:53"],
            counters: ["clash_resolve": 1], count: 2, listed: 1),
        Variant(
            name: "K03 with three: the second and the third", rules: balanced,
            packets: [Make.udp(virtual), Make.udp(virtual), Make.udp(virtual)],
            out: (2...4).map { "10.1.0.2:4000 > 10.2.0.\($0):53" },
            counters: ["clash_resolve": 2], count: 3, listed: 1),
        Variant(
            name: "K03 with TCP: the second SYN is dropped", rules: balanced,
            packets: [Make.tcp(virtual), Make.tcp(virtual)],
            out: ["10.1.0.2:4000 > 10.2.0.2:53", "insert_failed"],
            counters: lost, count: 1, listed: 1),
        Variant(
            name: "K03 behind masquerade: both queries leave, to different backends",
            rules: balanced + snat, packets: [Make.udp(virtual), Make.udp(virtual)],
            out: ["10.2.0.10:4000 > 10.2.0.2:53", "10.2.0.10:4000 > 10.2.0.3:53"],
            counters: ["clash_resolve": 1], count: 2, listed: 1),
        Variant(
            name: "K04: one echo request twice: the second is dropped", rules: NATClashTests.idle,
            packets: [
                Make.echo("10.1.0.2 > 10.2.0.2", id: 77), Make.echo("10.1.0.2 > 10.2.0.2", id: 77),
            ],
            out: ["10.1.0.2 > 10.2.0.2 id 77", "insert_failed"],
            counters: lost, count: 1, listed: 1),
        Variant(
            name: "K05: one UDP flow, translated: one mapping, merged", rules: snat,
            packets: [Make.udp(twin), Make.udp(twin)], out: [mappedTwin, mappedTwin],
            counters: ["clash_resolve": 1], count: 1, listed: 1),
        Variant(
            name: "K06: two TCP flows that chose one port: the second is dropped", rules: snat,
            packets: [Make.tcp(one), Make.tcp(other)],
            out: ["10.2.0.10:4000 > 10.2.0.2:80", "insert_failed"],
            counters: lost, count: 1, listed: 1),
        Variant(
            name: "K06 with UDP: two flows are no merger: dropped", rules: snat,
            packets: [Make.udp(one), Make.udp(other)],
            out: ["10.2.0.10:4000 > 10.2.0.2:80", "insert_failed"],
            counters: lost, count: 1, listed: 1),
        Variant(
            name: "K06 with echo requests: one id for two clients: the second is dropped",
            rules: snat,
            packets: [
                Make.echo("10.1.0.2 > 10.2.0.2", id: 77), Make.echo("10.1.0.3 > 10.2.0.2", id: 77),
            ],
            out: ["10.2.0.10 > 10.2.0.2 id 77", "insert_failed"],
            counters: lost, count: 1, listed: 1),
        Variant(
            name: "K06 at INPUT: sources of a local service's clients clash as well",
            rules: Chain.input("snat to 10.2.0.13"),
            packets: [
                Make.udp("10.1.0.2:4000 > 10.1.0.1:53"), Make.udp("10.1.0.3:4000 > 10.1.0.1:53"),
            ],
            out: ["10.2.0.13:4000 > 10.1.0.1:53", "insert_failed"],
            counters: lost, count: 1, listed: 1),
        Variant(
            name: "K07: first packets of both ends cross: merged as mirror images", rules: "",
            packets: [Make.udp(NATClashTests.forth), Make.udp(NATClashTests.back)],
            out: [NATClashTests.forth, NATClashTests.back],
            counters: ["clash_resolve": 1], count: 1, listed: 1),
        // Neither is in the table when sources are chosen, so there is nothing to be lenient about.
        Variant(
            name: "K08: the same with idle nat rules: ports are kept", rules: NATClashTests.idle,
            packets: [Make.udp(NATClashTests.forth), Make.udp(NATClashTests.back)],
            out: [NATClashTests.forth, NATClashTests.back],
            counters: ["clash_resolve": 1], count: 1, listed: 1),
        Variant(
            name: "crossing SYNs: the second is dropped", rules: NATClashTests.idle,
            packets: [Make.tcp(NATClashTests.forth), Make.tcp(NATClashTests.back)],
            out: [NATClashTests.forth, "insert_failed"],
            counters: lost, count: 1, listed: 1),
        Variant(
            name: "different destinations: one port serves both", rules: snat,
            packets: [Make.tcp(one), Make.tcp("10.1.0.3:4000 > 10.2.0.3:80")],
            out: ["10.2.0.10:4000 > 10.2.0.2:80", "10.2.0.10:4000 > 10.2.0.3:80"],
            counters: [:], count: 2, listed: 2),
    ]

    @Test(
        "nat.md case 19, §4: packets between their translation and their confirmation",
        arguments: variants)
    func resolves(_ variant: Variant) throws {
        let bench = try NATBench(variant.rules) { $0.tracking = .always }
        let end = try Self.race(bench, variant.packets)
        #expect(end.out == variant.out)
        #expect(end.counters == variant.counters)
        #expect(bench.node.count == variant.count)
        #expect(bench.table.count == variant.listed)
        #expect(bench.node.kernelLog.lines.isEmpty)
        // Nothing is held by a packet that has gone.
        bench.flush()
        bench.wait(200)
        #expect(bench.node.count == 0)
    }

    @Test(
        "table.md §11, §15: whatever clashes: a packet is entered, merged, or counted as dropped",
        arguments: UInt64(0)..<40)
    func accountsForEveryPacket(seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let rules = ["", NATClashTests.idle, Self.snat, Self.balanced, Self.balanced + Self.snat]
        let bench = try NATBench(rules[Int(seed) % rules.count]) {
            $0.tracking = .always
            $0.seed = seed
        }
        var waiting: [NATBench.Held] = []
        var (released, dropped) = (0, 0)
        let counters = try bench.counters {
            for _ in 0..<400 {
                if dice.below(2) == 0, waiting.count < 8 {
                    let server = dice.below(2) == 0 ? "10.1.0.50" : "10.2.0.\(2 + dice.below(2))"
                    let flow = "10.1.0.\(2 + dice.below(3)):\(4000 + dice.below(3)) > \(server):53"
                    let packet = dice.below(2) == 0 ? Make.udp(flow) : Make.tcp(flow)
                    // Without rules for it the address is this machine's own.
                    let place = NATBench.Place.allCases[Int(dice.below(2))]
                    waiting.append(try bench.hold(packet, place))
                } else if !waiting.isEmpty {
                    let place = Int(dice.below(UInt32(waiting.count)))
                    released += 1
                    if bench.release(waiting.remove(at: place)) == "insert_failed" { dropped += 1 }
                }
                let packets = waiting.map(\.packet)
                #expect(bench.node.audit(holding: packets, at: bench.now) == [], "seed \(seed)")
            }
            for held in waiting where bench.release(held) == "insert_failed" { dropped += 1 }
        }
        released += waiting.count
        #expect(released > 150, "seed \(seed)")
        #expect(counters["insert_failed"] ?? 0 == dropped, "seed \(seed)")
        #expect(counters["drop"] ?? 0 == dropped, "seed \(seed)")
        #expect(bench.node.audit(at: bench.now) == [], "seed \(seed)")
        bench.flush()
        bench.wait(200)
        #expect(bench.node.count == 0, "seed \(seed)")
    }

    // MARK: The race for a port

    @Test("nat.md §4 (K06): the SYN that lost gets a port of its own when it is sent again")
    func recovers() throws {
        let bench = try NATBench(Self.snat)
        _ = try Self.race(bench, [Make.tcp(Self.one), Make.tcp(Self.other)])
        let (again, counters) = bench.counting { bench.pass(Make.tcp(Self.other)) }
        #expect(again.state == "new" && again.verdict == .forwarded)
        #expect(again.sourcePort.map { $0 >= 1024 && $0 != 4000 } == true)
        // The kept port is taken now, and the search finds another at once.
        #expect(counters == ["found": 1])
    }

    @Test("nat.md §4 (K06): whoever is confirmed first wins, not whoever chose first")
    func losesByConfirmation() throws {
        let bench = try NATBench(Self.snat)
        let first = try bench.hold(Make.tcp(Self.one), .beforeConfirmation)
        let second = try bench.hold(Make.tcp(Self.other), .beforeConfirmation)
        #expect(bench.release(second) == "10.2.0.10:4000 > 10.2.0.2:80")
        #expect(bench.release(first) == "insert_failed")
    }

    @Test("nat.md §3, §4: no race where the one is confirmed before the other chooses")
    func noRaceBehindConfirmation() throws {
        let bench = try NATBench(Self.snat)
        let end = try Self.race(
            bench, [Make.tcp(Self.one), Make.tcp(Self.other)], .beforeLastHook)
        #expect(end.out[0] == "10.2.0.10:4000 > 10.2.0.2:80")
        #expect(end.out[1] != end.out[0] && end.out[1].hasPrefix("10.2.0.10:"))
        #expect(end.counters == ["found": 1])
    }

    @Test("nat.md case 8, §4: 'random' draws apart what the kept port makes equal")
    func randomAvoidsIt() throws {
        for flag in ["random", "fully-random"] {
            var ports: Set<String> = []
            for seed in UInt64(0)..<40 {
                let bench = try NATBench(
                    Chain.postrouting("oifname \"srv\" snat to 10.2.0.10 \(flag)")
                ) { $0.seed = seed }
                let end = try Self.race(bench, [Make.tcp(Self.one), Make.tcp(Self.other)])
                #expect(end.counters == [:], "seed \(seed)")
                ports.formUnion(end.out)
            }
            #expect(ports.count == 80)
        }
    }

    @Test("nat.md §3.2, §4: from four ports two flows draw one in a quarter of all cases")
    func fewPortsRaceOften() throws {
        let trials = 800
        var lost = 0
        for seed in 0..<UInt64(trials) {
            let bench = try NATBench(
                Chain.postrouting("oifname \"srv\" ip protocol tcp snat to 10.2.0.10:5000-5003")
            ) { $0.seed = seed }
            let end = try Self.race(bench, [Make.tcp(Self.one), Make.tcp(Self.other)])
            let isLost = end.out[1] == "insert_failed"
            #expect(end.counters == (isLost ? Self.lost : [:]), "seed \(seed)")
            if isLost { lost += 1 }
        }
        // Four standard deviations.
        #expect(abs(lost - trials / 4) < 49, "\(lost) of \(trials)")
    }

    @Test("a search that begins at the port found last finds one port twice, unless 'random'")
    func olderSearches() throws {
        func gateway(_ flags: String, _ seed: UInt64 = 1) throws -> NATBench {
            let bench = try NATBench(
                Chain.postrouting("oifname \"srv\" snat to 10.2.0.10 \(flags)")
            ) {
                $0.portSearchStart = .last
                $0.seed = seed
            }
            // So that the port wanted is taken, and there is a port found last.
            for client in 7..<9 { bench.pass(Make.tcp("10.1.0.\(client):4000 > 10.2.0.2:80")) }
            return bench
        }
        for seed in UInt64(0)..<20 {
            let others = [5, 6].map { Make.tcp("10.1.0.\($0):4000 > 10.2.0.2:80") }
            let plain = try Self.race(try gateway("", seed), others)
            #expect(plain.out[1] == "insert_failed")
            #expect(plain.counters["insert_failed"] == 1 && plain.counters["drop"] == 1)
            let random = try Self.race(try gateway("random", seed), others)
            #expect(random.counters["insert_failed"] == nil, "seed \(seed)")
        }
        let bench = try gateway("")
        let ports = [5, 6].map { client in
            bench.pass(Make.tcp("10.1.0.\(client):4000 > 10.2.0.2:80")).sourcePort ?? 0
        }
        #expect(ports[1] == ports[0] + 1)
    }

    // MARK: One flow, one port

    @Test(
        "nat.md §3 step 2, §4: twins share a mapping although neither is in the table: merged",
        arguments: NATBench.Place.allCases)
    func twinsShareAPort(_ place: NATBench.Place) throws {
        for seed in UInt64(0)..<20 {
            let bench = try NATBench(Self.snat) { $0.seed = seed }
            // Somebody else has the port they would keep.
            bench.pass(Make.udp("10.1.0.3:4000 > 10.2.0.2:53"))
            let end = try Self.race(bench, [Make.udp(Self.twin), Make.udp(Self.twin)], place)
            #expect(end.out[0] == end.out[1] && end.out[0] != Self.mappedTwin)
            // A mapping is found by its source from the moment it is chosen, so that the second does
            // not search.
            #expect(end.counters == ["clash_resolve": 1, "found": 1], "seed \(seed)")
            #expect(bench.node.count == 2 && bench.table.count == 2)
        }
    }

    @Test("nat.md §4: twins that draw two ports: both leave, both get their answers")
    func twinsDrawTwoPorts() throws {
        let bench = try NATBench(Chain.postrouting("oifname \"srv\" snat to 10.2.0.10 random"))
        let end = try Self.race(bench, [Make.udp(Self.twin), Make.udp(Self.twin)])
        #expect(Set(end.out).count == 2)
        #expect(end.counters == ["clash_resolve": 1])
        #expect(bench.node.count == 2 && bench.table.count == 1)
        for out in end.out {
            let ends = out.split(separator: " > ")
            let answer = bench.pass(Make.udp("\(ends[1]) > \(ends[0])"))
            #expect(answer.out == "10.2.0.2:53 > 10.1.0.2:4000")
        }
    }

    @Test("table.md §11 step 3: where the reply tuple belongs to a third flow, nothing helps")
    func replyTakenByAThird() throws {
        let bench = try NATBench(Self.balanced)
        let held = try (0..<2).map { _ in try bench.hold(Make.udp(Self.virtual)) }
        // The second query's backend is asked directly meanwhile, from the same port.
        bench.pass(Make.udp("10.1.0.2:4000 > 10.2.0.3:53"))
        let counters = bench.counters {
            #expect(bench.release(held[0]) == "10.1.0.2:4000 > 10.2.0.2:53")
            // Its port is changed for that, and the reply tuple is unique again.
            #expect(bench.release(held[1]).hasSuffix(" > 10.2.0.3:53"))
        }
        #expect(counters == ["clash_resolve": 1, "found": 2])

        let late = try NATBench(Self.balanced)
        let chosen = try (0..<2).map { _ in
            try late.hold(Make.udp(Self.virtual), .beforeConfirmation)
        }
        late.pass(Make.udp("10.1.0.2:4000 > 10.2.0.3:53"))
        let end = late.counting { chosen.map { late.release($0) } }
        #expect(end.0[1] == "insert_failed")
        #expect(end.1 == Self.lost)
    }

    // MARK: Bookkeeping

    @Test("table.md §11 step 2: what a merged packet was is added to the winner's account")
    func accountsMergedPackets() throws {
        for place in NATBench.Place.allCases {
            let bench = try NATBench(Self.snat) { $0.sysctl.accounting = true }
            _ = try Self.race(bench, [Make.udp(Self.twin), Make.udp(Self.twin)], place)
            let third = bench.pass(Make.udp(Self.twin))
            #expect(third.state == "new")
            #expect(third.entry?.packetsOriginal == 3 && third.entry?.bytesOriginal == 3 * 29)
        }
    }

    @Test("table.md §8, §10: a packet that is given up in between leaves nothing behind")
    func discards() throws {
        let bench = try NATBench(Self.snat)
        for place in NATBench.Place.allCases {
            var held = try bench.hold(Make.tcp(Self.one), place)
            #expect(bench.node.count == 1)
            bench.node.discard(&held.packet)
            #expect(bench.node.count == 0)
        }
        // Its port neither: the next one gets it.
        #expect(bench.pass(Make.tcp(Self.other)).sourcePort == 4000)
    }

    @Test("nat.md §4: a port range used up counts like a lost race, and is told from it")
    func exhaustionIsNoRace() throws {
        let bench = try NATBench(Chain.postrouting("meta l4proto udp snat to 10.2.0.10:5000-5003"))
        let clients = (2..<6).map { Make.udp("10.1.0.\($0):1000 > 10.2.0.2:53") }
        for client in clients { bench.pass(client) }
        let fifth = bench.counters { bench.pass(Make.udp("10.1.0.6:1000 > 10.2.0.2:53")) }
        #expect(fifth == ["drop": 1, "insert_failed": 1, "found": 4])
        #expect(bench.node.table.searches.failures == 1)
        #expect(bench.node.table.searches.refusals == 1)

        let racing = try NATBench(Self.snat)
        let end = try Self.race(racing, [Make.tcp(Self.one), Make.tcp(Self.other)])
        #expect(end.counters == Self.lost)
        #expect(racing.node.table.searches.refusals == 0)
    }

    @Test("nat.md case 7b, §4: one port, taken: no search, but no race either")
    func onePortIsNoRace() throws {
        let rules = Chain.postrouting("meta l4proto tcp snat to 10.2.0.10:4000")
        let bench = try NATBench(rules)
        bench.pass(Make.tcp(Self.one))
        #expect(bench.pass(Make.tcp(Self.other)).reason == .insertFailed)
        #expect(bench.node.table.searches.refusals == 1)
        let racing = try NATBench(rules)
        _ = try Self.race(racing, [Make.tcp(Self.one), Make.tcp(Self.other)])
        #expect(racing.node.table.searches.refusals == 0)
        #expect(racing.node.counters.insertFailed == 1)
    }
}
