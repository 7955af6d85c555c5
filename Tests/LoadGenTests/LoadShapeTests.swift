import Conntrack
import LinuxCalls
import Scenario
import Testing
import Wire

@testable import LoadGen

/// The shapes a load has beyond so many a second: shares of a table, lookups, five-tuples that are
/// used again.
@Suite struct LoadShapeTests {
    static let pool = AddressPool(.ipv4, first: Address(ipv4: 0x7F00_0001))

    static func scenario(_ workloads: String) throws -> Scenario {
        try ScenarioFile.parse(
            """
            version: 1
            name: shapes
            about: A test.
            duration: 60s
            topology:
              nodes:
                clients: { addresses: [198.18.0.0/24] }
                gw: { role: router, sysctl: { nf_conntrack_max: 4000 } }
                web: { addresses: [198.18.128.10], listen: [443/tcp, 53/udp] }
              links:
                - { endpoints: [clients, gw] }
                - { endpoints: [gw, web] }
            workloads:
            \(workloads)
            """, file: "shapes.yaml"
        ).scenario
    }

    static func plan(_ scenario: Scenario, maximum: Int? = nil) throws -> ScenarioPlan {
        try ScenarioPlan(
            scenario, target: pool, port: 9000, sources: nil, tableMaximum: maximum)
    }

    // MARK: Totals and workloads that are stopped

    @Test("flows of a workload end at its total, over all processes, predicted as well")
    func endsAtTheTotal() throws {
        let scenario = try Self.scenario(
            "  w: { from: clients, to: web:443/tcp, rate: 100/s, arrivals: uniform, total: 23 }")
        let plan = try Self.plan(scenario).plan
        for processes in [1, 2, 5, 30] {
            var begun = 0
            for part in 0..<processes {
                var lane = Lane(plan.part(part, of: processes).workloads[0], seed: 1, origin: 1)
                while let due = lane.nextStart {
                    begun += 1
                    lane.advance(now: due)
                }
            }
            #expect(begun == 23, "\(processes) processes")
            #expect(plan.arrivals(of: 0, processes: processes).count == 23)
        }
    }

    @Test("a stopped workload is left out, and that is said")
    func leavesOutWhatIsStopped() throws {
        let made = try Self.plan(
            Self.scenario("  w: { from: clients, to: web:443/tcp, rate: 100/s, stopped: true }"))
        #expect(made.plan.arrivals(of: 0, processes: 1).isEmpty)
        #expect(
            made.notes == [
                "w: left out: it is stopped, and the timeline that starts it is not run"
            ])
    }

    @Test("of a population that shrinks, flows that end by themselves are let alone")
    func letsFlowsEnd() throws {
        let scenario = try Self.scenario(
            "  w: { from: clients, to: web:443/tcp, model: closed, "
                + "stages: [{ for: 1s, flows: 5 }, { for: 9s, flows: 1 }], flow: { hold: 7s } }")
        var workload = try Self.plan(scenario).plan.workloads[0]
        for (hold, isCut) in [(workload.hold, false), (.forever, true)] {
            workload.hold = hold
            var lane = Lane(workload, seed: 1, origin: 0)
            lane.flows.active = 5
            let before = lane.follow(now: 500_000_000)
            #expect(!before)
            let after = lane.follow(now: 1_500_000_000)
            #expect(after == isCut)
            #expect(lane.wanted == 1)
            #expect(!lane.isDue(at: 1_500_000_000))
        }
    }

    @Test("what of a datagram's size is left out is said")
    func saysWhatDatagramsLack() throws {
        let made = try Self.plan(
            Self.scenario(
                "  w: { from: clients, to: web:53/udp, rate: 100/s, "
                    + "flow: { request: 4kB, response: 64B } }"))
        #expect(made.notes.contains("w: datagrams have at most 64 bytes"), "\(made.notes)")
    }

    @Test("every port of the target is one of a scenario's")
    func takesAllPorts() throws {
        let made = try ScenarioPlan(
            Self.scenario("  w: { from: clients, to: web:443/tcp, rate: 100/s }"),
            target: Self.pool, port: 9000, portCount: 4, sources: nil)
        #expect(made.plan.workloads[0].target.count == 4)
    }

    // MARK: Shares

    static let held =
        "  held: { from: clients, to: web:443/tcp, stages: [{ for: 9s, flows: 0%..50% }], "
        + "model: closed, flow: { hold: 1h, request: 0B, response: 0B } }"

    @Test("a share is of the table observed, or of the file's where none is; it is said of which")
    func countsShares() throws {
        let scenario = try Self.scenario(Self.held)
        let observed = try Self.plan(scenario, maximum: 10_000)
        #expect(
            observed.plan.workloads[0].model
                == .population(stages: [Arrivals.Stage(seconds: 9, from: 0, to: 5000)]))
        #expect(
            observed.notes == [
                "held: shares are of 10000 entries, nf_conntrack_max of the table observed"
            ])
        let alone = try Self.plan(scenario)
        #expect(alone.plan.expectedFlows == 2000)
        #expect(
            alone.notes == [
                "held: shares are of 4000 entries, which the file gives 'gw': no table is observed"
            ])
        #expect(throws: ScenarioPlanError.self) { try Self.plan(scenario, maximum: 0) }
    }

    @Test("a prediction holds as many as the plan, whatever was in the table before")
    func predictsShares() throws {
        let scenario = try Self.scenario(Self.held)
        let settings = TargetSettings(
            tracker: [.init("net.netfilter.nf_conntrack_max", "10000")], hertz: 1000,
            release: "6.18")
        let predicted = try PredictedScenario(
            scenario, plan: Self.plan(scenario, maximum: 10_000).plan, processes: 1, node: nil,
            settings: settings, client: TargetSettings(), background: 3000)
        #expect(predicted.scenario.topology.node(named: "gw")?.sysctl.max == 7000)
        let load = predicted.scenario.workloads[0].load
        #expect(load.shareOf == nil)
        #expect(load.stages == [.init(.seconds(9), from: 0, to: 5000)])
    }

    @Test("closed workloads share their starts: many of them are no breach of the bounds")
    func sharesStarts() throws {
        let many = (0..<100).map {
            "  w\($0): { from: clients, to: web:443/tcp, flows: 10, flow: { hold: 60s } }"
        }
        let plan = try Self.plan(Self.scenario(many.joined(separator: "\n"))).plan
        #expect(LoadLimits().breaches(of: plan).isEmpty)
        #expect(plan.workloads[0].populationStartsPerSecond == 2000)
        let one = try Self.plan(Self.scenario(many[0])).plan
        #expect(one.workloads[0].populationStartsPerSecond == 50_000)
    }

    // MARK: Lookups

    @Test(
        "a resolver asks over real sockets as it does in the simulator",
        arguments: [
            ("", 2, 1), (", one_socket: false", 1, 2), (", records: [A]", 1, 1),
            (", dots: 1, ndots: 5, search: 3", 2, 4),
        ])
    func looksUp(_ words: String, _ queries: Int, _ sockets: Int) throws {
        let scenario = try Self.scenario(
            "  w: { from: clients, to: web:443/tcp, rate: 5/s, "
                + "resolver: { ask: web:53/udp, timeout: 3s\(words) } }")
        let made = try Self.plan(scenario)
        let lookup = try #require(made.plan.workloads[0].lookup)
        #expect(lookup.queriesPerSocket == queries)
        #expect(lookup.socketCount == sockets)
        #expect(lookup.timeout == 3_000_000_000)
        #expect(lookup.attempts == 2)
        // What is answered late is waited for.
        #expect(made.plan.grace >= UInt64(2 * sockets) * 3_000_000_000)
        #expect(made.notes.contains { $0.hasPrefix("w: names are looked up by UDP") })
    }

    @Test("an answer is told by its query's number, and nothing else is one")
    func knowsAnswers() {
        for number in 0..<2 {
            #expect(Lookup.number(ofAnswer: Lookup.query(number)) == number)
        }
        #expect(Lookup.query(0).count <= DatagramTable.datagramByteCount)
        #expect(Lookup.number(ofAnswer: Array(Lookup.query(1).dropLast())) == nil)
        #expect(Lookup.number(ofAnswer: Array(repeating: 0, count: Lookup.byteCount)) == nil)
    }

    // MARK: Five-tuples

    @Test("five-tuples are used again at once, never, or when they have rested")
    func reusesTuples() {
        let second: UInt64 = 1_000_000_000
        /// Of starts a tenth of a second apart, those that find a five-tuple.
        func taken(_ reuse: TupleReuse, of count: Int, seconds: UInt64) -> [Bool] {
            var tuples = TupleRests(reuse, tupleCount: count)
            return (0..<seconds * 10).map { tuples.take(at: second + $0 * second / 10) }
        }
        #expect(taken(.cycle, of: 5, seconds: 3).allSatisfy { $0 })
        #expect(taken(.never, of: 5, seconds: 3).filter { $0 }.count == 5)
        #expect(taken(.after(seconds: 0.4), of: 5, seconds: 30).allSatisfy { $0 })
        // Five within each 2 s, the moment's width aside.
        let rested = taken(.after(seconds: 2), of: 5, seconds: 20)
        #expect(rested.prefix(5).allSatisfy { $0 })
        #expect(rested[5..<20].allSatisfy { !$0 })
        #expect((45...50).contains(rested.filter { $0 }.count))
        for start in rested.indices.dropLast(20) {
            #expect(rested[start..<start + 20].filter { $0 }.count <= 5, "\(start)")
        }
    }

    @Test(
        "what becomes of five-tuples that are used up is said beforehand",
        arguments: [
            (TupleReuse.cycle, "× destinations 3); give --target"),
            (.never, "the rest is dropped, from second 3 on; give"),
            (.after(seconds: 5), "each rests 5.0 s, in which up to 50 begin; those that find none"),
        ])
    func saysReuse(_ reuse: TupleReuse, _ words: String) throws {
        var workload = QuickProfile.fanout.workload(
            TargetPool(
                addresses: AddressPool(.ipv4, first: Address(ipv4: 0x7F00_0001), count: 3),
                firstPort: 9000))
        workload.sourcePortCount = 10
        workload.reuse = reuse
        workload.model = .open(
            Arrivals(stages: [Arrivals.Stage(seconds: 9, from: 10, to: 10)], spacing: .uniform))
        func remarks() -> [String] {
            Preflight.remarks(
                Plan(workloads: [workload], duration: 9_000_000_000), processes: 1,
                descriptorLimit: 1000)
        }
        let line = try #require(remarks().first)
        #expect(line.contains(words), "\(line)")
        // Within what there is, nothing is said: 30 five-tuples.
        workload.model = .open(
            Arrivals(stages: [Arrivals.Stage(seconds: 9, from: 3, to: 3)], spacing: .uniform))
        #expect(remarks().isEmpty)
    }
}
