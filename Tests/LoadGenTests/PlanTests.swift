import Histogram
import LinuxCalls
import Testing
import Wire

@testable import LoadGen

/// What a plan says, and how it is divided.
@Suite struct PlanTests {
    static let target = TargetPool(
        addresses: AddressPool(.ipv4, first: Address(ipv4: 0x7F00_0001), count: 3),
        firstPort: 9000, portCount: 2)

    @Test("shares of a plan add up to it", arguments: 1...7)
    func divides(_ parts: Int) {
        var held = QuickProfile.hold.workload(Self.target)
        held.model = .held(count: 1000, startsPerSecond: 70)
        held.sources = AddressPool(.ipv4, first: Address(ipv4: 0x7F01_0000), count: 20)
        let plan = Plan(
            workloads: [held, QuickProfile.churn.workload(Self.target)], duration: 1_000_000_000)
        var count = 0
        var rate = 0.0
        var sources: [Address] = []
        for part in 0..<parts {
            let share = plan.part(part, of: parts)
            if case .held(let part, _) = share.workloads[0].model { count += part }
            if case .open(let arrivals) = share.workloads[1].model {
                rate += arrivals.peakPerSecond
            }
            if let pool = share.workloads[0].sources {
                sources += (0..<pool.count).map(pool.address)
            }
        }
        #expect(count == 1000)
        #expect(abs(rate - 1000) < 1e-6)
        // Each process has addresses of its own, and together they have all.
        #expect(Set(sources).count == 20)
        #expect(sources.count == 20)
    }

    @Test("the starts of a population are divided like all others", arguments: 1...3)
    func dividesPopulations(_ parts: Int) {
        var workload = QuickProfile.churn.workload(Self.target)
        workload.model = .population(stages: [Arrivals.Stage(seconds: 1, from: 0, to: 90_000)])
        let plan = Plan(workloads: [workload], duration: 1_000_000_000)
        let starts = (0..<parts).map {
            plan.part($0, of: parts).workloads[0].populationStartsPerSecond
        }
        #expect(abs(starts.reduce(0, +) - workload.populationStartsPerSecond) < 1e-6)
    }

    @Test("a fan-out with fewer pairs of ends than flows is said beforehand")
    func saysRepetition() {
        var workload = QuickProfile.fanout.workload(Self.target)
        workload.sourcePortCount = 10
        workload.model = .open(
            Arrivals(
                stages: [
                    Arrivals.Stage(seconds: 1, from: 0, to: 60),
                    Arrivals.Stage(seconds: 10, from: 60, to: 60),
                ], spacing: .uniform))
        func remarks(seconds: UInt64) -> [String] {
            Preflight.remarks(
                Plan(workloads: [workload], duration: seconds * 1_000_000_000), processes: 1,
                descriptorLimit: 1000)
        }
        // 10 source ports and 6 destinations.
        #expect(remarks(seconds: 1).isEmpty)
        let lines = remarks(seconds: 2)
        #expect(lines.count == 1)
        #expect(
            lines.first?.hasPrefix(
                "fanout: about 90 flows are planned, of which 60 can differ (source addresses 1 × "
                    + "source ports 10 × destinations 6); give") == true, "\(lines)")
        #expect(lines.first?.hasSuffix("--source-ports 15") == true, "\(lines)")
    }

    @Test("source addresses that are not this machine's are said, once, with how to make them so")
    func saysForeignSources() {
        var workload = QuickProfile.churn.workload(Self.target)
        workload.sources = AddressPool(.ipv4, first: Address(ipv4: 0xC633_6409))
        let plan = Plan(workloads: [workload, workload], duration: 1_000_000_000)
        let lines = Preflight.remarks(plan, processes: nil, descriptorLimit: 10_000)
            .filter { $0.hasPrefix("--sources") }
        #expect(
            lines == [
                "--sources: 198.51.100.9 is no address of this machine; leave it out, or make it one: "
                    + "ip address add 198.51.100.9/32 dev lo"
            ])
        workload.sources = AddressPool(.ipv4, first: Address(ipv4: 0x7F00_0009), count: 9)
        let own = Plan(workloads: [workload], duration: 1_000_000_000)
        #expect(Preflight.remarks(own, processes: nil, descriptorLimit: 10_000).isEmpty)
    }

    @Test("datagram sockets that a process has no descriptors for are said beforehand")
    func saysSockets() {
        var workload = QuickProfile.fanout.workload(Self.target)
        workload.sourcePortCount = 500
        let plan = Plan(workloads: [workload], duration: 1_000_000)
        let lines = Preflight.remarks(plan, processes: nil, descriptorLimit: 164)
        #expect(
            lines.first?.hasPrefix(
                "fanout: 500 sockets are needed, and a process of 164 descriptors has room for 100")
                == true, "\(lines)")
    }

    @Test("few descriptors make many processes, and not without end")
    func boundsProcesses() {
        var workload = QuickProfile.hold.workload(Self.target)
        workload.model = .held(count: 100_000, startsPerSecond: 1000)
        let plan = Plan(workloads: [workload], duration: 1_000_000_000)
        #expect((1...256).contains(LoadRun.mostProcesses))
        let lines = Preflight.remarks(plan, processes: nil, descriptorLimit: 65)
        let most = LoadRun.mostProcesses
        #expect(
            lines.contains(
                "about 100000 connections at a time are expected, and \(most) processes of 65 "
                    + "descriptors have room for \(most); raise the limit: ulimit -n"), "\(lines)")
    }

    @Test("destinations: ports first, then addresses, then from the beginning")
    func walksDestinations() {
        let texts = (0..<7).map { "\(Self.target.destination($0))" }
        #expect(
            texts == [
                "127.0.0.1:9000", "127.0.0.1:9001", "127.0.0.2:9000", "127.0.0.2:9001",
                "127.0.0.3:9000", "127.0.0.3:9001", "127.0.0.1:9000",
            ])
    }

    @Test("every source meets every destination")
    func meetsAllPairs() {
        var workload = QuickProfile.churn.workload(Self.target)
        workload.sources = AddressPool(.ipv4, first: Address(ipv4: 0x7F01_0000), count: 4)
        let lane = Lane(workload, seed: 1, origin: 0)
        var pairs: Set<String> = []
        for index in 0..<24 {
            let source = lane.source(index).map { "\($0)" } ?? ""
            pairs.insert("\(source) \(lane.destination(index))")
        }
        #expect(pairs.count == 24)
    }

    @Test("an order comes out of its line as it went in")
    func survivesTheLine() throws {
        var workload = QuickProfile.request.workload(Self.target)
        workload.hold = .lognormal(medianSeconds: 0.3, p99Seconds: 5)
        workload.ending = .serverFIN
        let plan = Plan(workloads: [workload], duration: 7_000_000_000)
        let permit = try TargetGate().permit(
            host: "127.0.0.1", addresses: [(.ipv4, Address(ipv4: 0x7F00_0001))])
        let order = WorkerOrder(
            plan: plan, origin: 123_456_789_012, slotCount: 99, processor: 1, claim: permit.claim)
        let line = WorkerLine.text(order)
        #expect(!line.contains("\n"))
        let read = try #require(WorkerLine.value(WorkerOrder.self, line))
        #expect(read.plan == plan)
        #expect(read.origin == order.origin)
        #expect(read.claim == permit.claim)
        #expect(WorkerLine.value(WorkerOrder.self, "{}") == nil)
    }

    @Test("latencies come out of their line as they went in, and add up")
    func latenciesSurviveTheLine() throws {
        var latencies = Latencies()
        var dice = LoadDice(seed: 5)
        for _ in 0..<2000 {
            let value = dice.next() % 5_000_000 + 1
            _ = latencies.connect.record(value)
            _ = latencies.complete.record(value * 2)
            _ = latencies.gaveUp.record(value * 3)
        }
        let read = try #require(WorkerLine.value(Latencies.self, WorkerLine.text(latencies)))
        for percentile in [1.0, 50, 90, 99, 99.9, 100] {
            let (found, expected) = (
                read.connect.valueAtPercentile(percentile),
                latencies.connect.valueAtPercentile(percentile)
            )
            // Three significant digits is what a histogram keeps.
            #expect(abs(Double(found) / Double(expected) - 1) < 0.001)
        }
        var sum = read
        sum.add(latencies)
        #expect(sum.complete.totalCount == 4000)
        #expect(sum.gaveUp.totalCount == 4000)
        #expect(abs(Double(sum.gaveUp.max) / Double(latencies.gaveUp.max) - 1) < 0.001)
        sum.reset()
        #expect(sum.attemptCount == 0 && sum.connect.totalCount == 0)
    }

    @Test("latency counts from the scheduled start, and never runs backwards")
    func countsMicroseconds() {
        #expect(Latencies.microseconds(from: 1_000_000, to: 3_500_000) == 2500)
        #expect(Latencies.microseconds(from: 5, to: 5) == 1)
        #expect(Latencies.microseconds(from: 9_000_000, to: 1_000_000) == 1)
        #expect(Latencies.microseconds(from: 0, to: .max) == Latencies.longest)
    }

    @Test(
        "handshakes are sorted by how often their SYN was sent again",
        arguments: [
            (0, [0, 0, 0]), (1, [1, 0, 0]), (2, [0, 1, 0]), (3, [0, 0, 1]), (9, [0, 0, 1]),
        ] as [(Int, [Int])])
    func sortsHandshakes(_ count: Int, _ expected: [Int]) {
        var flows = FlowCounts()
        flows.noteHandshake(retransmissions: count)
        #expect(flows.retransmitted == expected)
    }

    struct TargetRow: CustomTestStringConvertible, Sendable {
        var text: String
        var host: String?
        var first: UInt16 = 0
        var count = 1
        var prefix: Int?

        var testDescription: String { "target: '\(text)'" }
    }

    @Test(
        "targets are read",
        arguments: [
            TargetRow(text: "127.0.0.1:80", host: "127.0.0.1", first: 80),
            TargetRow(text: "[::1]:443", host: "::1", first: 443),
            TargetRow(text: "web.example:1-65535", host: "web.example", first: 1, count: 65_535),
            TargetRow(
                text: "198.18.128.0/20:9000-9009", host: "198.18.128.0", first: 9000, count: 10,
                prefix: 20),
            TargetRow(text: "[fd00::]/120:9", host: "fd00::", first: 9, prefix: 120),
            TargetRow(text: "::1:80"),
            TargetRow(text: "host"), TargetRow(text: "host:"), TargetRow(text: "host:0"),
            TargetRow(text: "host:70000"), TargetRow(text: "host:90-80"),
            TargetRow(text: "host:1-2-3"), TargetRow(text: ":80"), TargetRow(text: "a/b:80"),
            TargetRow(text: ""), TargetRow(text: "host:-1"),
        ])
    func readsTargets(_ row: TargetRow) {
        guard let host = row.host else {
            #expect(throws: TargetTextError.self) { try TargetText(row.text) }
            return
        }
        #expect(throws: Never.self) {
            let target = try TargetText(row.text)
            #expect(target.host == host)
            #expect(target.firstPort == row.first)
            #expect(target.portCount == row.count)
            #expect(target.prefixLength == row.prefix)
        }
    }

    @Test("an instruction comes out of its bytes as it went in", arguments: Ending.allCases)
    func readsInstructions(_ ending: Ending) throws {
        let instruction = Instruction(
            ending: ending, endsAtOnce: true, requestByteCount: 70_000,
            responseByteCount: 0xFFFF_FFFF)
        #expect(Instruction(instruction.bytes) == instruction)
    }

    @Test("what is no instruction is none")
    func refusesOthers() {
        let good = Instruction(
            ending: .abandon, endsAtOnce: false, requestByteCount: 1, responseByteCount: 1
        ).bytes
        for count in 0..<good.count { #expect(Instruction(Array(good[..<count])) == nil) }
        for place in 0..<6 {
            var bad = good
            bad[place] = 0xEE
            #expect(Instruction(bad) == nil, "byte \(place)")
        }
        #expect(Instruction(Array("GET / HTTP/1.1\r\n".utf8)) == nil)
    }
}
