import Conntrack
import LinuxCalls
import Scenario
import Testing

@testable import LoadGen

/// What a prediction takes over from the machine it is about, and from the generator.
@Suite struct PredictedScenarioTests {
    private static func scenario(_ changes: String = "", close: String = "rst") throws -> Scenario {
        let text = """
            version: 1
            name: small
            about: Some connections.
            seed: 5
            duration: 20s
            topology:
              nodes:
                clients: { addresses: [198.18.0.0/30] }
                gw: { role: router, sysctl: { net.netfilter.nf_conntrack_max: 4000 } }
                web: { addresses: [198.18.128.1/32], listen: [9000/tcp] }
              links:
                - { endpoints: [clients, gw] }
                - { endpoints: [gw, web] }
            workloads:
              churn:
                from: clients
                to: web:9000/tcp
                model: open
                arrivals: poisson
                start: 2s
                stages: [{ for: 10s, rate: 50/s }]
                flow: { request: 0B, response: 0B, close: \(close) }
                retry: { syn: linux, app: { attempts: 3, timeout: 7s } }
            \(changes)
            """
        return try ScenarioFile.parse(text, file: "small.yaml").scenario
    }

    private static func plan(_ scenario: Scenario) throws -> Plan {
        let pool = try #require(AddressPool.prefix("198.18.128.1"))
        return try ScenarioPlan(scenario, target: pool, port: 9000, sources: nil).plan
    }

    private static let settings = TargetSettings(
        tracker: [
            .init("net.netfilter.nf_conntrack_max", "5000"),
            .init("net.netfilter.nf_conntrack_buckets", "2048"),
            .init("net.netfilter.nf_conntrack_tcp_timeout_close", "7"),
            .init("net.netfilter.nf_conntrack_of_another_kernel", "7"),
        ], hertz: 1000, release: "6.12.117")

    private static let client = TargetSettings(
        sockets: [
            .init("net.ipv4.tcp_syn_retries", "4"), .init("net.ipv4.tcp_syn_linear_timeouts", "3"),
            .init("net.ipv4.ip_local_port_range", "1024 65535"),
            .init("net.ipv4.tcp_tw_reuse", "1"),
        ])

    private static func predicted(
        _ scenario: Scenario, processes: Int = 1, background: Int = 0
    ) throws -> PredictedScenario {
        try PredictedScenario(
            scenario, plan: plan(scenario), processes: processes, node: nil, settings: settings,
            client: client, background: background)
    }

    @Test("the target's own settings stand in place of the file's")
    func takesSettingsOver() throws {
        let predicted = try Self.predicted(try Self.scenario())
        let gateway = try #require(predicted.scenario.topology.node(named: "gw"))
        #expect(predicted.node == "gw")
        #expect(gateway.sysctl.max == 5000)
        #expect(gateway.sysctl.buckets == 2048)
        #expect(gateway.sysctl.value(of: "tcp_timeout_close") == 7)
        #expect(gateway.tickRate.hertz == 1000)
        #expect(gateway.profile == .linux612)
        #expect(
            predicted.notes.contains("nf_conntrack_max is 5000 there; the file says 4000"),
            "\(predicted.notes)")
        let clients = try #require(predicted.scenario.topology.node(named: "clients"))
        #expect(clients.host.synRetries == 4)
        #expect(clients.host.synLinearTimeouts == 3)
        #expect(clients.host.ephemeralPorts == 1024...65535)
        #expect(clients.host.reusesTimeWait)
    }

    @Test("what was in the table before takes its room")
    func countsTheBackground() throws {
        let predicted = try Self.predicted(try Self.scenario(), background: 1200)
        #expect(predicted.scenario.topology.node(named: "gw")?.sysctl.max == 3800)
        let full = try Self.predicted(try Self.scenario(), background: 9000)
        #expect(full.scenario.topology.node(named: "gw")?.sysctl.max == 1)
    }

    @Test("what is not known is said, and the file's value stays")
    func saysWhatIsNotKnown() throws {
        let scenario = try Self.scenario()
        let predicted = try PredictedScenario(
            scenario, plan: Self.plan(scenario), processes: 1, node: nil,
            settings: TargetSettings(release: "7.1.0"), client: TargetSettings())
        #expect(
            predicted.notes == [
                "HZ is not known there; 250 is assumed",
                "the kernel is 7.1.0; the model is that of 6.18",
            ])
        #expect(predicted.scenario.topology.node(named: "gw")?.sysctl.max == 4000)
    }

    @Test(
        "arrivals are the generator's, whatever the number of its processes", arguments: [1, 2, 3])
    func takesArrivalsOver(processes: Int) throws {
        let scenario = try Self.scenario()
        let plan = try Self.plan(scenario)
        let predicted = try Self.predicted(scenario, processes: processes)
        guard case .trace(let moments) = predicted.scenario.workloads[0].load.arrivals else {
            Issue.record("found other arrivals, expected a trace")
            return
        }
        // What the workers draw, one after the other.
        var drawn: [Int64] = []
        for number in 0..<processes {
            let share = plan.part(number, of: processes)
            var lane = Lane(share.workloads[0], seed: share.seed(ofWorkload: 0), origin: 0)
            while let next = lane.nextStart {
                drawn.append(Int64(next))
                lane.advance(now: next)
            }
        }
        #expect(moments.map(\.nanoseconds) == drawn.sorted())
        #expect(drawn.count > 300 && drawn.count < 700)
        // The wait for the workload's start is in them.
        #expect(predicted.scenario.workloads[0].start == .start)
        #expect((moments.first?.nanoseconds ?? 0) >= 2_000_000_000)
        #expect((moments.last?.nanoseconds ?? .max) < 12_000_000_000)
    }

    @Test(
        "on the wire is what the generator says",
        arguments: [
            ("rst", 0.0, 0.0), ("client-fin", 0, 0), ("server-fin", 16, 0), ("abandon", 16, 1),
        ])
    func takesExchangesOver(close: String, request: Double, response: Double) throws {
        let predicted = try Self.predicted(try Self.scenario(close: close))
        guard case .flows(let flow) = predicted.scenario.workloads[0].kind else {
            Issue.record("found no flows")
            return
        }
        #expect(flow.request == .constant(request))
        #expect(flow.response == .constant(response))
        #expect(flow.closing.rawValue == close)
        #expect(flow.retry.attempts == 1)
        #expect(flow.retry.timeout == .seconds(7))
    }

    @Test("what the generator leaves out, the prediction leaves out")
    func leavesOut() throws {
        let scenario = try Self.scenario(
            """
            timeline: [{ at: 5s, note: something happens }]
            expect: [{ that: "max(gw.conntrack.count) < 1" }]
            """)
        let predicted = try Self.predicted(scenario)
        #expect(!scenario.timeline.isEmpty)
        #expect(predicted.scenario.timeline.isEmpty)
        #expect(predicted.scenario.expectations.isEmpty)
    }

    @Test("a node that is not there is refused by name")
    func refusesUnknownNodes() throws {
        let scenario = try Self.scenario()
        #expect(throws: ScenarioPlanError.self) {
            try PredictedScenario.trackedNode(of: scenario, named: "gateway")
        }
        #expect(try PredictedScenario.trackedNode(of: scenario, named: "web") == "web")
    }

    // MARK: Reading

    @Test("the settings of this machine are read")
    func readsSettings() {
        let settings = TargetSettings.read()
        #expect(settings.release.contains("."))
        #expect(settings.value(of: "net.ipv4.tcp_syn_retries").flatMap { Int($0) } != nil)
        let ports = settings.value(of: "net.ipv4.ip_local_port_range") ?? ""
        #expect(ports.split(separator: " ").count == 2, "'\(ports)'")
        guard TextFile.exists("/proc/sys/net/netfilter/nf_conntrack_max") else { return }
        #expect(settings.value(of: "net.netfilter.nf_conntrack_max").flatMap { Int($0) } != nil)
        #expect(settings.value(of: "net.netfilter.nf_conntrack_count") == nil)
    }

    @Test(
        "HZ is read from the kernel's configuration",
        arguments: [
            ("CONFIG_HZ_250=y\nCONFIG_HZ=250\n", 250 as UInt32?), ("CONFIG_HZ=1000", 1000),
            ("# CONFIG_HZ is not set\nCONFIG_HZ_PERIODIC=y\n", nil), ("", nil),
            ("CONFIG_HZ=fast\n", nil),
        ])
    func readsHertz(text: String, hertz: UInt32?) {
        #expect(TargetSettings.hertz(inConfiguration: text) == hertz)
    }

    // MARK: The collector

    @Test(
        "a line of the trace tells when the collector ran",
        arguments: [
            (
                "     kworker/0:2-61      [000] .....  6218.120733: workqueue_execute_start: "
                    + "work struct 000000005fa2d3d1: function gc_worker",
                6_218_120_733_000 as UInt64?
            ),
            (
                "     kworker/0:2-61      [000] .....  6218.120733: workqueue_execute_start: "
                    + "work struct 000000005fa2d3d1: function vmstat_update", nil
            ),
            ("CPU:1 [LOST 14 EVENTS]", nil), ("", nil),
            ("workqueue_execute_start: function gc_worker", nil),
            ("x 62x.120733: workqueue_execute_start: function gc_worker", nil),
            ("x 99999999999999999999.120733: workqueue_execute_start: function gc_worker", nil),
        ])
    func readsTheTrace(line: String, moment: UInt64?) {
        #expect(CollectorTrace.moment(of: line) == moment)
    }

    @Test("runs that follow each other at once are one cycle; those before the start are none")
    func groupsRuns() {
        let second: UInt64 = 1_000_000_000
        let runs: [UInt64] = [
            9 * second, 9 * second + 8_000_000, 12 * second, 12 * second + 8_000_000,
            12 * second + 300_000_000, 20 * second,
        ]
        #expect(CompareSampler.cycles(runs, 10 * second) == [2, 10])
        // A cycle that had begun before goes on, and is not the first.
        #expect(CompareSampler.cycles(runs, 9 * second + 1) == [2.999_999_999, 10.999_999_999])
        #expect(CompareSampler.cycles([], 0) == [])
    }

    @Test("a measurement counts from the run's start, and counters from the first look")
    func shapesMeasurements() {
        func sample(_ moment: UInt64, _ count: Int, drop: UInt32) -> HostSample {
            var values = [UInt32](repeating: 0, count: TrackerStatistics.columns.count)
            values[TrackerStatistics.columns.firstIndex(of: "drop") ?? 0] = drop
            return HostSample(
                moment: moment, count: count, limit: 100, buckets: 64,
                statistics: TrackerStatistics.Reading(values: values, count: count))
        }
        let second: UInt64 = 1_000_000_000
        let table = MeasuredTable(
            samples: [
                sample(10 * second, 3, drop: 70), sample(12 * second, 5, drop: 71),
                sample(13 * second, 9, drop: 90),
            ], origin: 11 * second, states: nil, collections: nil)
        #expect(table.curve.count.points == [.init(-1, 3), .init(1, 5), .init(2, 9)])
        #expect(table.curve.drop.points.map(\.value) == [0, 1, 20])
        #expect(table.curve.limit.value(at: 0) == 100)
    }
}
