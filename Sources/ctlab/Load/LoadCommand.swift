import ArgumentParser
import Foundation
import LinuxCalls
import LoadGen
import Report
import Scenario

/// `ctlab load`: real sockets against a real host.
struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Drive a workload over real sockets against a host of yours.",
        discussion: """
            Loads loopback and lab namespaces (ctlab lab up); any other host has to be listed in \
            /etc/ctlab/may-load or named with --i-may-load, a public one both. One line a second: \
            the table of --observe, what moved in it, and what the generator did. Latency counts \
            from the moment a flow was due. Ctrl-C once stops and reports, twice ends at once.

            PROFILES
              churn    connections made and closed, so many a second
              hold     connections made and held
              request  connections with a request and an answer each (needs ctlab sink)
              fanout   datagrams, each a new flow, from one socket
              resolver lookups: A and AAAA from one socket (needs ctlab sink)

            EXAMPLES
              ctlab sink --tcp 9000 &
              ctlab load --quick churn --target 127.0.0.1:9000 --rate 5000/s --for 10s
              ctlab load --quick hold --flows 50000 --target 127.0.0.1:9000 --sources 127.1.0.0/28
              ctlab load --quick churn --background 50% --target 127.0.0.1:9000
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, jsonl }

    @OptionGroup var generator: GeneratorOptions

    @Argument(help: "A scenario, whose workloads are driven; or --quick.")
    var scenario: String?

    @Option(help: "churn, hold, request, fanout or resolver.")
    var quick: String?

    @Option(help: "Arrivals: 4000/s, or 200/s..4000/s.")
    var rate: String?

    @Option(help: "How arrivals are spaced: poisson, uniform or bursts(SIZE).")
    var arrivals: String?

    @Option(help: "Connections held: a number, or a share of the observed table's maximum: 50%.")
    var flows: String?

    @Option(help: "Connections held while the profile runs: a number, or a share as 50%.")
    var background: String?

    @Option(name: .customLong("for"), help: "How long flows begin: 10s (default), 2m.")
    var duration: String?

    @Option(help: "How connections end: client-fin, server-fin, rst or abandon.")
    var ending: String?

    @Option(help: "How long they last: 300ms, exponential(mean=2s), lognormal(median=1s, p99=9s).")
    var hold: String?

    @Option(help: "Bytes sent and bytes awaited: 200B/10kB.")
    var exchange: String?

    @Option(help: "Source ports of a fanout, for each address; by default 1.")
    var sourcePorts: Int?

    @Option(
        help: ArgumentHelp(
            "A fanout's five-tuples once all were used: cycle (default), never, after(30s).",
            discussion: """
                cycle takes them again at once, never drops further starts, and after lets each \
                rest so long first: longer than the tracker's timeout, it is a new flow there.
                """))
    var reuse: String?

    @Flag(help: "Have datagrams answered (needs ctlab sink).")
    var answers = false

    @Option(help: "Datagrams a flow has; by default 1.")
    var datagrams: Int?

    @Option(help: "When an attempt counts as failed: after 10s by default, a lookup after 5s.")
    var patience: String?

    @Option(help: "Seed of everything random; by default 1.")
    var seed: UInt64?

    @Option(help: "text, or jsonl: an object a second and one for the whole.")
    var format = Format.text

    func validate() throws {
        if (scenario == nil) == (quick == nil) {
            let found = quick == nil ? "neither a scenario nor --quick" : "a scenario and --quick"
            throw ValidationError("found \(found), expected one of them")
        }
        if scenario != nil, let option = profileOptions.first {
            throw ValidationError(
                "\(option): found it with a scenario, expected it with --quick alone; what a "
                    + "scenario does stands in its file")
        }
        let counts = [
            ("--source-ports", sourcePorts), ("--datagrams", datagrams),
        ]
        for case (let option, let count?) in counts where count < 1 {
            throw ValidationError("\(option): found \(count), expected 1 or more")
        }
        if let sourcePorts, sourcePorts > 65_535 {
            throw ValidationError("--source-ports: found \(sourcePorts), expected 1 to 65535")
        }
    }

    /// The options given that shape a profile, and have no meaning for a scenario.
    private var profileOptions: [String] {
        let options = [
            ("--rate", rate != nil), ("--arrivals", arrivals != nil), ("--flows", flows != nil),
            ("--for", duration != nil), ("--ending", ending != nil), ("--hold", hold != nil),
            ("--exchange", exchange != nil), ("--source-ports", sourcePorts != nil),
            ("--answers", answers), ("--datagrams", datagrams != nil),
            ("--background", background != nil), ("--reuse", reuse != nil),
            ("--patience", patience != nil), ("--seed", seed != nil),
        ]
        return options.compactMap { $0.1 ? $0.0 : nil }
    }

    /// Refuses what would change nothing.
    private func checkTraits(of profile: QuickProfile) throws(Failure) {
        let common = ["--rate", "--for", "--patience", "--seed"]
        for option in profileOptions where !common.contains(option) {
            let trait = String(option.dropFirst(2))
            guard !profile.traits.contains(trait) else { continue }
            let names = QuickProfile.allCases.filter { $0.traits.contains(trait) }.map(\.rawValue)
            throw Failure(
                code: .usage,
                text: "\(option): found it with --quick \(profile.rawValue), expected it with "
                    + names.joined(separator: ", "))
        }
    }

    mutating func run() throws {
        let (target, permit) = try generator.targets.approved()
        let plan = try scenario.map { try self.plan(ofScenario: $0, target) } ?? self.plan(target)
        generator.tellRemarks(on: plan)
        var telling = try LoadTelling(
            plan: plan, target: generator.targets.target, format: format,
            probe: try generator.observation.probe())
        let interruption = try GeneratorOptions.interruption()
        let result = try generator.run(
            plan, permit, command: "load", interruption: interruption
        ) { telling.tick($0) }
        try telling.finish(result)
    }

    // MARK: The plan

    /// The plan of a scenario file.
    private func plan(ofScenario path: String, _ target: TargetPool) throws -> Plan {
        let file = try ScenarioInput.read(path)
        let pool = try generator.sourcePool(for: target)
        do {
            let made = try ScenarioPlan(
                file.scenario, target: target.addresses,
                port: target.firstPort,
                portCount: target.portCount, sources: pool,
                tableMaximum: try generator.tableMaximum(for: file.scenario))
            for note in made.notes { Message.error(note) }
            return try generator.bounded(made.plan)
        } catch let error as ScenarioPlanError {
            throw Failure(code: .usage, text: "load: \(path)\n\(error)")
        }
    }

    private func plan(_ target: TargetPool) throws -> Plan {
        let quick = quick ?? ""
        guard let profile = QuickProfile(rawValue: quick) else {
            let names = QuickProfile.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure(code: .usage, text: "--quick: found '\(quick)', expected \(names)")
        }
        try checkTraits(of: profile)
        let seconds = try OptionValue.seconds("--for", duration ?? "10s")
        var workload = profile.workload(target)
        if let ending {
            workload.ending = try OptionValue.read(
                "--ending", ending, expected: "client-fin, server-fin, rst or abandon"
            ) { Ending(rawValue: $0) }
        }
        if let hold {
            workload.hold = try OptionValue.read("--hold", hold, HoldTime.init(option:))
        }
        if let exchange {
            let sizes = exchange.split(separator: "/", omittingEmptySubsequences: false)
            guard sizes.count == 2 else {
                throw Failure(
                    code: .usage,
                    text: "--exchange: found '\(exchange)', expected two sizes such as 200B/10kB")
            }
            workload.requestByteCount = try OptionValue.read(
                "--exchange", String(sizes[0]), OptionQuantity.byteCount)
            workload.responseByteCount = try OptionValue.read(
                "--exchange", String(sizes[1]), OptionQuantity.byteCount)
        }
        workload.sources = try generator.sourcePool(for: target)
        workload.sourcePortCount = sourcePorts ?? 1
        workload.wantsAnswers = answers
        workload.datagramsPerFlow = datagrams ?? 1
        if let patience {
            workload.patience = try self.patience(patience)
            workload.lookup?.timeout = workload.patience
        }
        if let reuse { workload.reuse = try self.reuse(reuse) }
        workload.model = try model(workload.model, seconds)
        var plan = Plan(workloads: [workload], duration: UInt64(seconds * 1e9))
        if let background { plan = try self.plan(plan, on: background, target) }
        plan.seed = seed ?? 1
        return try generator.bounded(plan)
    }

    /// Nanoseconds of `--patience`: with none every attempt would have failed as it began.
    private func patience(_ text: String) throws -> UInt64 {
        let seconds = try OptionValue.seconds("--patience", text)
        guard seconds > 0 else {
            throw Failure(
                code: .usage, text: "--patience: found '\(text)', expected more than 0s")
        }
        return UInt64(seconds * 1e9)
    }

    private func reuse(_ text: String) throws -> TupleReuse {
        switch text {
        case "cycle": return .cycle
        case "never": return .never
        default:
            guard text.hasPrefix("after("), text.hasSuffix(")") else {
                throw Failure(
                    code: .usage,
                    text: "--reuse: found '\(text)', expected cycle, never or after(30s)")
            }
            return .after(
                seconds: try OptionValue.seconds("--reuse", String(text.dropFirst(6).dropLast())))
        }
    }

    /// The plan on top of a background: its flows begin once that should stand.
    private func plan(_ plan: Plan, on background: String, _ target: TargetPool) throws -> Plan {
        guard case .open(var arrivals) = plan.workloads[0].model else { return plan }
        let count = try FlowsOption("--background", background)
            .count("--background", of: generator.observation)
        let wait = QuickProfile.secondsToStand(count)
        Message.error(
            "\(plan.workloads[0].name) begins after \(Int(wait)) s, when the background should stand"
        )
        arrivals.stages.insert(Arrivals.Stage(seconds: wait, from: 0, to: 0), at: 0)
        var workload = plan.workloads[0]
        workload.model = .open(arrivals)
        var held = QuickProfile.background(count, target)
        held.sources = workload.sources
        held.patience = workload.patience
        return Plan(
            workloads: [workload, held], duration: plan.duration + UInt64(wait * 1e9))
    }

    private func model(_ standard: LoadModel, _ seconds: Double) throws -> LoadModel {
        let ramp = try rate.map { try OptionValue.read("--rate", $0, OptionQuantity.ramp) }
        switch standard {
        case .population: return standard
        case .held(let count, let startsPerSecond):
            let wanted = try flows.map {
                try FlowsOption("--flows", $0).count("--flows", of: generator.observation)
            }
            if let ramp, ramp.from != ramp.to {
                throw Failure(
                    code: .usage,
                    text:
                        "--rate: found '\(rate ?? "")', expected one rate with --quick hold, such as "
                        + "2000/s")
            }
            return .held(count: wanted ?? count, startsPerSecond: ramp?.to ?? startsPerSecond)
        case .open(var model):
            let stage = model.stages[0]
            model.stages = [
                Arrivals.Stage(
                    seconds: seconds, from: ramp?.from ?? stage.fromPerSecond,
                    to: ramp?.to ?? stage.toPerSecond)
            ]
            if let arrivals {
                model.spacing = try OptionValue.read(
                    "--arrivals", arrivals, expected: "poisson, uniform or bursts(SIZE)"
                ) { text -> Arrivals.Spacing? in
                    switch text {
                    case "poisson": return .poisson
                    case "uniform": return .uniform
                    default:
                        guard text.hasPrefix("bursts("), text.hasSuffix(")"),
                            let size = Int(text.dropFirst(7).dropLast()), size > 0
                        else { return nil }
                        return .bursts(size: size)
                    }
                }
            }
            return .open(model)
        }
    }
}

/// `ctlab load-worker`: one process of a run; started by `load`, not by people.
struct LoadWorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load-worker", abstract: "One process of a run.", shouldDisplay: false)

    mutating func run() throws {
        _ = DescriptorLimit.raise()
        var control = try StandardInput()
        guard let order = try Self.order(&control) else {
            throw Failure(
                code: .usage, text: "load-worker: found no order on standard input; use ctlab load")
        }
        let permit: LoadPermit
        do throws(TargetRefusal) {
            permit = try order.claim.decide()
            try permit.check(order.plan)
        } catch {
            throw Failure(code: .usage, text: "load-worker: \(error)")
        }
        if let processor = order.processor { Processor.stay(on: processor) }
        var worker = try Worker(
            order.plan, permit: permit, origin: order.origin, slotCount: order.slotCount)
        // Where nobody reads any more the input has ended, too, and the run with it.
        try worker.run(control: &control) { _ = try? Output.line(WorkerLine.text($0)) }
    }

    /// Waits for the first line.
    ///
    /// What came behind it, such as a `stop`, is the run's.
    private static func order(_ control: inout StandardInput) throws -> WorkerOrder? {
        while true {
            let (line, hasMore) = try control.firstLine()
            if let line { return WorkerLine.value(WorkerOrder.self, line) }
            guard hasMore else { return nil }
            MonotonicClock.sleep(until: MonotonicClock.now() + 1_000_000)
        }
    }
}
