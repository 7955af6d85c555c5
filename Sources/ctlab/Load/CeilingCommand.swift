import ArgumentParser
import Foundation
import LinuxCalls
import LoadGen

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

            EXAMPLES
              sudo ctlab lab up
              sudo ip netns exec ctlab-server ctlab sink --tcp 9000 &
              sudo ip netns exec ctlab-client ctlab ceiling --target 198.18.128.1:9000 \\
                  --sources 198.18.0.0/24 --observe netns:ctlab-gw --most 20000
            """)

    @OptionGroup var targets: TargetOptions
    @OptionGroup var observation: ObserveOptions

    @Option(help: "The first level.")
    var start = 500

    @Option(help: "Connections never gone beyond.")
    var most = 100_000

    @Option(help: "Connections made a second at most.")
    var rate = "5000/s"

    @Option(help: "Source addresses: a prefix of this host's own.")
    var sources: String?

    @Option(help: "Worker processes; by default as many as --most needs.")
    var processes: Int?

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
        let (target, permit) = try targets.approved()
        var plan = try plan(target)
        let limit = DescriptorLimit.raise()
        let needed = LoadRun.processCount(for: plan, descriptorLimit: limit)
        if case .held(_, let perSecond) = plan.workloads[0].model {
            plan.workloads[0].model = .held(count: start, startsPerSecond: perSecond)
        }
        var probe = try observation.probe()
        guard let interruption = Interruption() else {
            throw Failure(
                code: .environment, text: "no descriptor left; raise the limit: ulimit -n")
        }
        var climb = CeilingClimb(
            CeilingSearch(start: start, most: most, resolution: resolution))
        let result: LoadResult
        do {
            var run = try LoadRun(
                plan, processCount: max(1, processes ?? needed), permit: permit,
                descriptorLimit: limit)
            result = try run.run(interruption: interruption) { tick in
                let sample = try? probe?.sample()
                let known = climb.trials.count
                let wishes = climb.note(tick.flows[0], sample)
                Self.tell(climb, known, tick, sample)
                return wishes
            }
        } catch {
            let code: ExitStatus = if case .killed = error { .interrupted } else { .environment }
            throw Failure(code: code, text: "ceiling: \(error)")
        }
        try finish(climb, result)
    }

    private func plan(_ target: TargetPool) throws -> Plan {
        guard let perSecond = QuantityText.perSecond(rate), perSecond >= 1 else {
            throw Failure(code: .usage, text: "--rate: found '\(rate)', expected 5000/s")
        }
        guard let seconds = QuantityText.seconds(atMost), seconds >= 1 else {
            throw Failure(code: .usage, text: "--at-most: found '\(atMost)', expected 5m")
        }
        var workload = LoadWorkload(
            name: "held", transport: .tcp, model: .held(count: most, startsPerSecond: perSecond),
            target: target)
        workload.hold = .forever
        workload.ending = .reset
        workload.patience = 60_000_000_000
        if let sources {
            guard let pool = AddressPool.prefix(sources), pool.family == target.addresses.family
            else {
                throw Failure(
                    code: .usage,
                    text: "--sources: found '\(sources)', expected addresses of the target's family"
                )
            }
            workload.sources = pool
        }
        let plan = Plan(workloads: [workload], duration: UInt64(seconds * 1e9))
        let breaches = LoadLimits().breaches(of: plan)
        guard breaches.isEmpty else {
            throw Failure(code: .usage, text: breaches.joined(separator: "\n"))
        }
        return plan
    }

    // MARK: Telling

    private static func tell(
        _ climb: CeilingClimb, _ known: Int, _ tick: LoadTick, _ sample: HostSample?
    ) {
        for trial in climb.trials.dropFirst(known) {
            let outcome =
                trial.standing == trial.level ? "stood" : "did not stand: \(trial.standing) did"
            let table = sample.map { ", table \($0.count) of \($0.limit)" } ?? ""
            Message.write("\(tick.seconds) s: \(trial.level) connections \(outcome)\(table)")
        }
    }

    private func finish(_ climb: CeilingClimb, _ result: LoadResult) throws {
        guard climb.isOver else {
            Output.line("ceiling: at least \(climb.ceiling) connections")
            let reason =
                result.wasInterrupted ? "interrupted" : "stopped by --at-most \(atMost)"
            throw Failure(code: .interrupted, text: "\(reason); the result is partial")
        }
        guard climb.wasReached, let evidence = climb.evidence else {
            Output.line("ceiling: none up to \(climb.ceiling) connections")
            return
        }
        Output.line("ceiling: \(climb.ceiling) connections")
        Output.line("limit: \(evidence.limit.rawValue)")
        for line in evidence.lines { Output.line("  \(line)") }
        Output.line("to move it: \(evidence.remedy)")
    }
}
