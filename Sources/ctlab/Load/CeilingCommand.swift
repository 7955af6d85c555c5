import ArgumentParser
import Foundation
import LinuxCalls
import LoadGen
import Scenario

/// `ctlab ceiling`: ramp until something gives; say what gave, and why.
struct CeilingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ceiling",
        abstract: "Find out how many connections a host's table holds, and what gives in first.",
        discussion: """
            Holds more and more connections, each level twice the one before, until one does not \
            stand; then closes in. The answer names the limit that gave and shows the evidence: \
            the table's maximum, its chains, ports for translation, the generator's own \
            descriptors or ports, the target's listen queue, memory, processors.

            With --udp it sends datagrams, each a new flow, until one is refused: a full table of \
            this machine says EPERM, one further away drops.

            EXAMPLES
              sudo ctlab lab up
              sudo ip netns exec ctlab-server ctlab sink --tcp 9000 &
              sudo ip netns exec ctlab-client ctlab ceiling --target 198.18.128.1:9000 \\
                  --sources 198.18.0.0/24 --observe netns:ctlab-gw --most 20000
            """)

    @OptionGroup var generator: GeneratorOptions

    @Flag(help: "Datagram flows instead of connections.")
    var udp = false

    @Option(help: "The first level; by default 500, or --most if that is less.")
    var start: Int?

    @Option(help: "Connections, or flows, never gone beyond.")
    var most = 100_000

    @Option(help: "Connections, or flows, made a second at most.")
    var rate = "5000/s"

    @Option(help: "Share of the answer below which a difference does not matter; 0 is exact.")
    var resolution = 0.0

    @Option(help: "Stop after so long.")
    var atMost = "5m"

    func validate() throws {
        guard (1...LoadLimits().flows).contains(most) else {
            throw ValidationError(
                "--most: found \(most), expected 1 to \(LoadLimits().flows)")
        }
        if let start, !(1...most).contains(start) {
            throw ValidationError("--start: found \(start), expected 1 to --most, which is \(most)")
        }
        guard (0...0.5).contains(resolution) else {
            throw ValidationError("--resolution: found \(resolution), expected 0 to 0.5")
        }
    }

    private var firstLevel: Int { start ?? min(500, most) }

    mutating func run() throws {
        let (target, permit) = try generator.targets.approved()
        let perSecond = try OptionValue.read("--rate", rate, OptionQuantity.perSecond)
        guard perSecond >= 1 else {
            throw Failure(code: .usage, text: "--rate: found '\(rate)', expected at least 1/s")
        }
        if udp {
            try climbDatagrams(try datagramPlan(target, perSecond), permit)
        } else {
            try climb(try plan(target, perSecond), permit)
        }
    }

    // MARK: Connections

    private func plan(_ target: TargetPool, _ perSecond: Double) throws -> Plan {
        var workload = LoadWorkload(
            name: "held", transport: .tcp, model: .held(count: most, startsPerSecond: perSecond),
            target: target)
        workload.hold = .forever
        workload.ending = .reset
        workload.patience = 60_000_000_000
        workload.sources = try generator.sourcePool(for: target)
        let seconds = try OptionValue.seconds("--at-most", atMost)
        return try generator.bounded(
            Plan(workloads: [workload], duration: UInt64(seconds * 1e9)))
    }

    private func climb(_ whole: Plan, _ permit: LoadPermit) throws {
        let processes = generator.processCount(for: whole)
        var plan = whole
        if case .held(_, let perSecond) = plan.workloads[0].model {
            plan.workloads[0].model = .held(count: firstLevel, startsPerSecond: perSecond)
        }
        tellRemarks(on: whole)
        var probe = try generator.observation.probe()
        var ownProbe = generator.observation.ownProbe()
        let interruption = try GeneratorOptions.interruption()
        var watch = TargetWatch(plan)
        var latest: (flows: FlowCounts, sample: HostSample?) = (FlowCounts(), nil)
        var climb = CeilingClimb(
            CeilingSearch(start: firstLevel, most: most, resolution: resolution))
        var passage = TablePassage(
            of: generator.observation.place, before: try? probe?.sample())
        let result = try generator.run(
            plan, permit, command: "ceiling", processes: processes, tolerated: Self.tolerated,
            interruption: interruption
        ) { tick in
            // A level is not judged by what was told before it.
            guard tick.lateWorkers == 0 else { return [] }
            let sample = try? probe?.sample()
            let known = climb.trials.count
            passage.note(standing: tick.flows[0].standing, sample)
            var record = SeriesRecord(second: tick.seconds)
            if let sample, let old = latest.sample { record.add(sample, since: old) }
            watch.note(
                record, elapsed: UInt64(tick.seconds) * 1_000_000_000, flows: tick.flows)
            latest = (tick.flows[0], sample ?? latest.sample)
            let wishes = climb.note(tick.flows[0], sample, own: try? ownProbe?.sample())
            Self.tell(climb, known, tick, sample)
            return wishes
        }
        // A short run has ended before anybody was told of its last second.
        watch.note(
            SeriesRecord(second: Int(result.elapsed / 1_000_000_000) + 1),
            elapsed: result.elapsed, flows: result.flows)
        let loss = absence(watch, latest.flows, result)
        guard climb.isOver, loss == nil else {
            try Output.line("ceiling: at least \(climb.ceiling) connections")
            throw GeneratorOptions.incompleteness(result, "the result") ?? loss ?? outOfTime
        }
        if climb.wasReached, let evidence = climb.evidence {
            try tell(climb.ceiling, "connections", evidence)
            try complain(ofNothingIn: result)
        } else {
            try Output.line("ceiling: no limit up to \(climb.ceiling) connections")
        }
        if let failure = GeneratorOptions.incompleteness(result, "the result") { throw failure }
        try complain(of: passage.detour(of: "connections stood"))
    }

    /// Why there is no ceiling where the target is missing.
    ///
    /// While connections stand, those that are refused or not answered are the ceiling itself.
    private func absence(
        _ watch: TargetWatch, _ latest: FlowCounts, _ result: LoadResult
    ) -> Failure? {
        guard latest.standing == 0, let absence = watch.absence(elapsed: result.elapsed) else {
            return nil
        }
        return Failure(code: .failed, text: absence.sentence(of: generator.targets.target))
    }

    /// Health questions that may fail in a row: at the ceiling some do, until the climb goes back.
    private static let tolerated = 10

    // MARK: Datagrams

    /// So many datagram flows, and what kept them below `--most`, if anything did.
    private struct DatagramPlan {
        var plan: Plan
        var flows: Int
        var obstacle: FailureCount?
    }

    private func datagramPlan(_ target: TargetPool, _ perSecond: Double) throws -> DatagramPlan {
        var arrivals = Arrivals(stages: [], spacing: .uniform)
        var workload = LoadWorkload(
            name: "flows", transport: .udp, model: .open(arrivals), target: target)
        workload.sources = try generator.sourcePool(for: target)
        // Each socket reaches every destination once: so many flows of its own.
        let each = target.count * (workload.sources?.count ?? 1)
        workload.sourcePortCount = (most + each - 1) / each
        let sockets = workload.sourcePortCount * (workload.sources?.count ?? 1)
        let room = generator.descriptorLimit() - LoadRun.spareDescriptors
        guard sockets <= room else {
            throw Failure(
                code: .usage,
                text: "--most: found \(most) flows to \(target.count) destinations, which takes "
                    + "\(sockets) sockets, expected at most \(room); give --target a range, such as "
                    + "ADDRESS:9000-9999")
        }
        let (ports, obstacle) = Preflight.sourcePorts(for: workload)
        workload.sourcePortCount = max(1, ports)
        let flows = min(most, workload.sourcePortCount * each)
        arrivals.stages = [
            Arrivals.Stage(seconds: Double(flows) / perSecond, from: perSecond, to: perSecond)
        ]
        workload.model = .open(arrivals)
        let seconds = min(
            try OptionValue.seconds("--at-most", atMost), arrivals.totalSeconds + 1)
        let plan = Plan(workloads: [workload], duration: UInt64(seconds * 1e9))
        return DatagramPlan(
            plan: try generator.bounded(plan), flows: flows,
            obstacle: flows < most ? obstacle : nil)
    }

    private func climbDatagrams(_ planned: DatagramPlan, _ permit: LoadPermit) throws {
        let plan = planned.plan
        tellRemarks(on: plan)
        var probe = try generator.observation.probe()
        var ownProbe = generator.observation.ownProbe()
        let interruption = try GeneratorOptions.interruption()
        let before = try? probe?.sample()
        var climb = DatagramClimb(before: before, own: try? ownProbe?.sample())
        var passage = TablePassage(of: generator.observation.place, before: before)
        var begun = 0
        let result = try generator.run(
            plan, permit, command: "ceiling", processes: 1, tolerated: Self.tolerated,
            interruption: interruption
        ) { tick in
            let sample = try? probe?.sample()
            Message.write(
                "\(tick.seconds) s: \(tick.flows[0].started) flows begun\(Self.table(sample))")
            // Those of the last second are not older than any timeout.
            passage.note(standing: tick.flows[0].started - begun, sample)
            begun = tick.flows[0].started
            return climb.note(tick.flows[0], sample, own: try? ownProbe?.sample())
        }
        // What was sent last may have been refused behind the last tick.
        let last = try? probe?.sample()
        _ = climb.note(result.flows[0], last, own: try? ownProbe?.sample())
        var found = climb.evidence
        if found == nil, let obstacle = planned.obstacle, result.flows[0].started >= planned.flows {
            found = LimitEvidence()
            found?.level = most
            found?.standing = result.flows[0].started
            found?.before = before
            found?.after = last
            found?.flows = result.flows[0]
            found?.flows.failures.append(obstacle)
        }
        guard let evidence = found else {
            guard result.flows[0].started >= planned.flows else {
                try Output.line("ceiling: at least \(result.flows[0].started) flows")
                throw GeneratorOptions.incompleteness(result, "the result") ?? outOfTime
            }
            try Output.line("ceiling: no limit up to \(result.flows[0].started) flows")
            try complain(of: passage.detour(of: "flows began within a second"))
            return
        }
        try tell(evidence.standing, "flows", evidence)
        try complain(ofNothingIn: result)
        if let failure = GeneratorOptions.incompleteness(result, "the result") { throw failure }
        try complain(of: passage.detour(of: "flows began within a second"))
    }

    // MARK: Before

    /// A table of this machine that is watched is what the ceiling is looked for in; any other way
    /// its own may give in unseen.
    private func tellRemarks(on plan: Plan) {
        generator.tellRemarks(on: plan)
        let place = generator.observation.observe ?? "local"
        guard Vantage(place)?.isOnThisMachine != true else { return }
        if let remark = Preflight.ownTable(most) { Message.error(remark) }
    }

    // MARK: Telling

    private static func tell(
        _ climb: CeilingClimb, _ known: Int, _ tick: LoadTick, _ sample: HostSample?
    ) {
        for trial in climb.trials.dropFirst(known) {
            let outcome =
                trial.standing == trial.level ? "stood" : "did not stand: \(trial.standing) did"
            Message.write(
                "\(tick.seconds) s: \(trial.level) connections \(outcome)\(table(sample))")
        }
    }

    private static func table(_ sample: HostSample?) -> String {
        guard let sample else { return "" }
        return ", table \(sample.count)" + (sample.limit.map { " of \($0)" } ?? "")
    }

    private func tell(
        _ ceiling: Int, _ noun: String, _ evidence: LimitEvidence
    ) throws(Failure) {
        var evidence = evidence
        evidence.isObserved = ![nil, "none"].contains(generator.observation.observe)
        let lines =
            ["ceiling: \(ceiling) \(noun)", "limit: \(evidence.limit.rawValue)"]
            + evidence.lines(of: noun).map { "  \($0)" } + ["to move it: \(evidence.remedy)"]
        try Output.write(lines.map { $0 + "\n" }.joined())
    }

    /// A ceiling of nothing is no answer: something else is wrong.
    private func complain(ofNothingIn result: LoadResult) throws(Failure) {
        let target = generator.targets.target
        if let failure = LoadTelling.fruitlessness(result.flows, at: target) { throw failure }
    }

    /// An answer that is not about the table watched is said to be none; who has named that table
    /// gets an exit code as well.
    private func complain(of detour: String?) throws(Failure) {
        guard let detour else { return }
        guard generator.observation.observe != nil else {
            try Output.line("not the table's: \(detour)")
            return
        }
        throw Failure(code: .failed, text: "this is not the table's ceiling: \(detour)")
    }

    private var outOfTime: Failure {
        Failure(code: .interrupted, text: "stopped by --at-most \(atMost); the result is partial")
    }
}
