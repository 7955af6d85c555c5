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

    @Option(help: "The first level.")
    var start = 500

    @Option(help: "Connections, or flows, never gone beyond.")
    var most = 100_000

    @Option(help: "Connections, or flows, made a second at most.")
    var rate = "5000/s"

    @Option(help: "Share of the answer below which a difference does not matter; 0 is exact.")
    var resolution = 0.0

    @Option(help: "Stop after so long.")
    var atMost = "5m"

    func validate() throws {
        guard start > 0, most >= start, most <= LoadLimits().flows else {
            throw ValidationError(
                "--start and --most: found \(start) and \(most), expected 1 <= start <= most <= "
                    + "\(LoadLimits().flows)")
        }
        guard (0...0.5).contains(resolution) else {
            throw ValidationError("--resolution: found \(resolution), expected 0 to 0.5")
        }
    }

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
            plan.workloads[0].model = .held(count: start, startsPerSecond: perSecond)
        }
        tellRemarks(on: whole)
        var probe = try generator.observation.probe()
        let interruption = try GeneratorOptions.interruption()
        var climb = CeilingClimb(
            CeilingSearch(start: start, most: most, resolution: resolution))
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
            let wishes = climb.note(tick.flows[0], sample)
            Self.tell(climb, known, tick, sample)
            return wishes
        }
        guard climb.isOver else {
            try Output.line("ceiling: at least \(climb.ceiling) connections")
            throw unfinished(result)
        }
        if climb.wasReached, let evidence = climb.evidence {
            try tell(climb.ceiling, "connections", evidence)
            try complain(ofNothingIn: result)
        } else {
            try Output.line("ceiling: no limit up to \(climb.ceiling) connections")
        }
        try complain(of: passage.detour(of: "connections stood"))
    }

    /// Health questions that may fail in a row: at the ceiling some do, until the climb goes back.
    private static let tolerated = 10

    // MARK: Datagrams

    private func datagramPlan(_ target: TargetPool, _ perSecond: Double) throws -> Plan {
        let arrivals = Arrivals(
            stages: [
                Arrivals.Stage(seconds: Double(most) / perSecond, from: perSecond, to: perSecond)
            ], spacing: .uniform)
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
        let seconds = min(
            try OptionValue.seconds("--at-most", atMost), arrivals.totalSeconds + 1)
        return try generator.bounded(
            Plan(workloads: [workload], duration: UInt64(seconds * 1e9)))
    }

    private func climbDatagrams(_ plan: Plan, _ permit: LoadPermit) throws {
        tellRemarks(on: plan)
        var probe = try generator.observation.probe()
        let interruption = try GeneratorOptions.interruption()
        let before = try? probe?.sample()
        var climb = DatagramClimb(before: before)
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
            return climb.note(tick.flows[0], sample)
        }
        // What was sent last may have been refused behind the last tick.
        _ = climb.note(result.flows[0], try? probe?.sample())
        guard let evidence = climb.evidence else {
            guard result.flows[0].started >= most else {
                try Output.line("ceiling: at least \(result.flows[0].started) flows")
                throw unfinished(result)
            }
            try Output.line("ceiling: no limit up to \(result.flows[0].started) flows")
            try complain(of: passage.detour(of: "flows began within a second"))
            return
        }
        try tell(evidence.standing, "flows", evidence)
        try complain(ofNothingIn: result)
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

    /// Why there is no whole answer.
    private func unfinished(_ result: LoadResult) -> Failure {
        GeneratorOptions.incompleteness(result, "the result")
            ?? Failure(
                code: .interrupted, text: "stopped by --at-most \(atMost); the result is partial")
    }
}
