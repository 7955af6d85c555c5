import Conntrack
import Testing
import Wire

@testable import Scenario

/// What a file says arrives in the model, in the model's units.
@Suite struct ScenarioReaderTests {
    @Test("the described example is read whole")
    func readsTheExample() throws {
        let scenario = try ScenarioExample.read(ScenarioExample.described)
        #expect(scenario.name == "burst")
        #expect(scenario.seed == 42)
        #expect(scenario.duration == .seconds(180))
        #expect(scenario.topology.nodes.map(\.name) == ["clients", "gw", "web"])
        #expect(scenario.topology.nodes.map(\.tracking) == [.none, .auto, .none])
        #expect(scenario.topology.nodes[0].addresses.first?.count == 256)
        #expect(scenario.topology.nodes[1].sysctl.max == 65_536)
        #expect(scenario.topology.nodes[1].rules.first?.firstLine == 13)
        #expect(scenario.topology.links[1].backward.delay == .constant(200_000))

        let workload = try #require(scenario.workloads.first)
        #expect(workload.source == "clients")
        #expect(workload.target == .init(.node("web"), ports: 443...443, .tcp))
        #expect(workload.load.model == .open)
        #expect(workload.load.stages[1] == .init(.seconds(10), from: 200, to: 4000))
        guard case .flows(let flow) = workload.kind else {
            Issue.record("no flows")
            return
        }
        #expect(flow.hold == .lognormal(median: 300_000_000, p99: 5_000_000_000))
        #expect(flow.request == .constant(800))
        #expect(flow.response == .constant(20_000))
        #expect(flow.retry.attempts == 3)
        #expect(flow.retry.timeout == .seconds(10))

        #expect(
            scenario.timeline == [
                .init(
                    at: .start + .seconds(90),
                    .sysctl([
                        .init(
                            node: "gw", name: "net.netfilter.nf_conntrack_max", value: "131072")
                    ]))
            ])
        #expect(scenario.expectations.map(\.severity) == [.warn, .fail, .fail])
        #expect(scenario.sweep?.pointCount == 45)
    }

    static let quantities: [(Quantity, String, Double?)] = [
        (.duration, "300ms", 3e8), (.duration, "1h30m", 5400e9), (.duration, "1.5s", 1.5e9),
        (.duration, "2 min", 120e9), (.duration, "300", nil), (.duration, "1m1h", nil),
        (.duration, "-1s", nil), (.duration, "1e3s", nil), (.duration, "400d", nil),
        (.rate, "4000/s", 4000), (.rate, "6/min", 0.1), (.rate, "2k/s", 2000),
        (.rate, "4000", nil), (.size, "20kB", 20_000), (.size, "1MiB", 1_048_576),
        (.size, "20KB", nil), (.bitRate, "100Mbit/s", 1e8), (.share, "0.5%", 0.005),
        (.share, "0.005", 0.005), (.share, "101%", nil), (.count, "65_536", 65_536),
        (.count, "2M", 2_000_000), (.count, "x", nil), (.count, "", nil), (.count, "nan", nil),
    ]

    @Test("numbers carry their units", arguments: quantities)
    func readsQuantities(_ quantity: Quantity, _ text: String, _ value: Double?) {
        #expect((try? quantity.parse(text)) == value)
    }

    @Test(
        "a forgotten or misspelt unit is proposed",
        arguments: [
            (Quantity.duration, "300", "300s"), (.duration, "5sec", "5s"),
            (.duration, "5S", "5s"), (.rate, "100", "100/s"), (.rate, "100pps", "100/s"),
            (.size, "20KB", "20kB"), (.size, "20", "20B"), (.bitRate, "10Mbps", "10Mbit/s"),
        ])
    func proposesUnits(_ quantity: Quantity, _ text: String, _ proposal: String) {
        do {
            _ = try quantity.parse(text)
            Issue.record("'\(text)' was read")
        } catch {
            #expect(error.suggestion == proposal)
        }
    }

    static let distributions: [(String, Scenario.Distribution?)] = [
        ("5ms", .constant(5e6)), ("constant(5ms)", .constant(5e6)),
        ("1ms..3ms", .uniform(low: 1e6, high: 3e6)),
        ("uniform(1ms..3ms)", .uniform(low: 1e6, high: 3e6)),
        ("uniform(2ms..2ms)", .constant(2e6)), ("uniform(3ms..1ms)", nil),
        ("exponential(mean=2s)", .exponential(mean: 2e9)), ("exponential(2s)", nil),
        ("exponential(mean=0s)", nil),
        ("pareto(min=1s, shape=1.5)", .pareto(minimum: 1e9, shape: 1.5)),
        ("pareto(shape=1.5, min=1s)", .pareto(minimum: 1e9, shape: 1.5)),
        ("normal(mean=1s, sd=100ms)", .normal(mean: 1e9, deviation: 1e8)),
        ("lognormal(median=2s, p99=1s)", nil), ("lognormal(median=1s)", nil),
        ("gamma(mean=1s)", nil), ("uniform(1ms..3ms", nil), ("uniform()", nil), ("(", nil),
    ]

    @Test("a value is a number or how it is spread", arguments: distributions)
    func readsDistributions(_ text: String, _ wanted: Scenario.Distribution?) {
        #expect((try? DistributionText.parse(text, of: .duration)) == wanted)
    }

    @Test("draws follow the distribution they come from", arguments: UInt64(0)..<5)
    func drawsAsWritten(seed: UInt64) {
        let spread = Scenario.Distribution.lognormal(median: 300, p99: 5000)
        var dice = Dice(seed: seed)
        let values = (0..<20_000).map { _ in spread.draw(&dice) }.sorted()
        #expect(abs(values[10_000] - 300) < 15, "seed \(seed)")
        #expect(abs(values[19_800] - 5000) < 800, "seed \(seed)")
        var other = Dice(seed: seed)
        let normal = Scenario.Distribution.normal(mean: 10, deviation: 20)
        #expect((0..<1000).allSatisfy { _ in normal.draw(&other) >= 0 })
    }

    @Test("quantiles of the normal distribution are those of the tables")
    func knowsNormalQuantiles() {
        for (part, wanted) in [(0.5, 0.0), (0.975, 1.959964), (0.99, 2.326348), (0.001, -3.090232)]
        {
            #expect(abs(Scenario.Distribution.normalQuantile(part) - wanted) < 1e-5)
        }
    }

    // MARK: Anchors

    @Test("anchors, aliases and merge keys work, and what is written wins over what is merged")
    func mergesKeys() throws {
        let text =
            ScenarioExample.small + """
                x-flow: &flow { request: 100B, close: rst }
                workloads:
                  a: { from: clients, to: web:443/tcp, rate: 1/s, flow: *flow }
                  b:
                    from: clients
                    to: web:443/tcp
                    rate: 1/s
                    flow: { <<: *flow, close: abandon }

                """
        let scenario = try ScenarioExample.read(text)
        let flows = scenario.workloads.compactMap { workload -> Scenario.Flow? in
            if case .flows(let flow) = workload.kind { flow } else { nil }
        }
        #expect(flows.map(\.closing) == [.rst, .abandon])
        #expect(flows.map(\.request) == [.constant(100), .constant(100)])
    }

    @Test("aliases of aliases are bounded, however small the file")
    func boundsAliases() {
        var text = "x-0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n"
        for level in 1...12 {
            let aliases = (0..<10).map { _ in "*a\(level - 1)" }.joined(separator: ", ")
            text += "x-\(level): &a\(level) [\(aliases)]\n"
        }
        let found = ScenarioExample.findings(text)
        #expect(found.count == 1)
        #expect(found.first?.contains("more than 1000000 values, aliases written out") == true)
    }

    // MARK: Overrides

    @Test("a value of the command line takes the place of the file's")
    func overrides() throws {
        let scenario = try ScenarioExample.read(
            ScenarioExample.described,
            set: [
                "gw.sysctl.nf_conntrack_max=1000", "shoppers.stages[2].rate=50/s", "seed=7",
                "gw.cpus=4", "topology.links[0].delay=5ms", "shoppers.flow.hold=uniform(1s..2s)",
                "gw.sysctl.net.netfilter.nf_conntrack_tcp_loose=0", "web.listen=[443/tcp, 80/tcp]",
            ])
        #expect(scenario.topology.nodes[1].sysctl.max == 1000)
        #expect(scenario.topology.nodes[1].sysctl.tcpLoose == false)
        #expect(scenario.topology.nodes[1].cpus == 4)
        #expect(scenario.topology.nodes[2].listeners.count == 2)
        #expect(scenario.topology.links[0].forward.delay == .constant(5e6))
        #expect(scenario.workloads[0].load.stages[2].from == 50)
        #expect(scenario.seed == 7)
    }

    static let badOverrides: [(String, String)] = [
        (
            "gv.cpus=4",
            "--set gv.cpus=4:1:1: found 'gv', expected a key of the file, or a node, "
                + "workload or service of it; did you mean 'gw'?"
        ),
        ("gw.cpus=0", "--set gw.cpus=0:1:1: found '0', expected a whole number from 1 to 1024"),
        (
            "gw.cpu=1",
            "--set gw.cpu=1:1:1: found 'cpu', expected a key of a node; "
                + "did you mean 'cpus'?"
        ),
        (
            "topology.links[7].delay=1ms",
            "--set topology.links[7].delay=1ms:1:1: found [7], "
                + "expected a place in a list of 2, from 0"
        ),
        ("gw.cpus=[", "--set gw.cpus=[:1:"),
        (
            "gw..cpus=1",
            "--set gw..cpus=1:1:1: found "
                + "'gw..cpus', expected names between dots"
        ),
    ]

    @Test("a wrong override is shown with the option it came from", arguments: badOverrides)
    func placesOverrides(_ option: String, _ wanted: String) {
        let found = ScenarioExample.findings(ScenarioExample.small, set: [option])
        #expect(found.first?.hasPrefix(wanted) == true, "\(found)")
    }

    // MARK: Sweeps

    @Test("points are numbered: seeds first, then the last path")
    func numbersPoints() throws {
        let scenario = try ScenarioExample.read(ScenarioExample.described)
        let points = scenario.points
        #expect(points.count == 45)
        #expect(points.map(\.number) == Array(0..<45))
        #expect(points[0].seed == 1)
        #expect(points[4].seed == 5)
        #expect(points[5].overrides.map(\.value) == ["65536", "2000/s"])
        #expect(points[15].overrides.map(\.value) == ["131072", "1000/s"])
        #expect(scenario.sweep?.point(45, seed: 1) == nil)
        #expect(scenario.sweep?.point(-1, seed: 1) == nil)
        let changed = try ScenarioFile.parse(
            ScenarioExample.described, file: "f", overrides: points[20].overrides
        ).scenario
        #expect(changed.topology.nodes[1].sysctl.max == 131_072)
        #expect(changed.workloads[0].load.stages[2].from == 2000)
    }

    // MARK: Layout

    @Test("groups are written out: names, addresses, interfaces")
    func writesGroupsOut() throws {
        let text = """
            version: 1
            name: groups
            about: A test.
            duration: 1s
            topology:
              nodes:
                pods: { replicas: 3, addresses: [10.244.0.0/24] }
                nodes: { role: kubernetes-node, replicas: 2, addresses: [192.0.2.5/24] }
                core: { role: router, interfaces: { up: { addresses: [192.0.2.1/24] } } }
              links:
                - { endpoints: [pods, "nodes:cni0"] }
                - { endpoints: [nodes, "core:up"] }

            """
        let layout = try ScenarioExample.read(text).topology.layout
        #expect(
            layout.members.map(\.name) == [
                "pods-0", "pods-1", "pods-2", "nodes-0", "nodes-1", "core",
            ])
        let addresses = layout.members.flatMap(\.addresses).map { $0.first.text($0.family) }
        #expect(addresses == ["10.244.0.1", "10.244.0.2", "10.244.0.3", "192.0.2.5", "192.0.2.6"])
        #expect(layout.members[3].interfaces.map(\.name) == ["cni0", "eth0"])
        #expect(layout.members[3].interfaces[0].links == [0, 2])
        #expect(layout.members[5].interfaces.map(\.name) == ["up"])
        #expect(layout.members[5].interfaces[0].links == [3, 4])
        #expect(
            layout.links.map { $0.ends.map(\.member) } == [
                [0, 3], [1, 4], [2, 3], [3, 5], [4, 5],
            ])
    }

    @Test("the estimate grows with the table and is bounded by nf_conntrack_max")
    func estimatesMemory() throws {
        let scenario = try ScenarioExample.read(ScenarioExample.described)
        let estimate = MemoryEstimate(scenario)
        // 131 072 entries after the timeline's change, 65 536 buckets.
        #expect(estimate.tables == 131_072 * 320 + 65_536 * 8)
        #expect(estimate.total < 1 << 30)
        let larger = try ScenarioExample.read(
            ScenarioExample.described, set: ["gw.sysctl.nf_conntrack_max=0"])
        #expect(MemoryEstimate(larger).tables > estimate.tables)
    }
}
