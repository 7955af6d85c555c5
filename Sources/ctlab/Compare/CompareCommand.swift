import ArgumentParser
import Foundation
import LinuxCalls
import LoadGen
import Report
import Scenario

/// `ctlab compare`: prediction and measurement of one scenario, in one picture.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Lay the measurement of a scenario over its prediction.",
        discussion: """
            Reads the settings of the table that is observed, drives the scenario's workloads over \
            real sockets with a sampler beside them, and simulates the same scenario with those \
            settings: the same arrivals, the same way of closing. Shows both curves of the table's \
            entries in one picture, and by how much plateau, time to full and drops differ. \
            Exit code 3 if one of them lies outside --within.

            The collector's phase is chance; as root it is read from the kernel (a tracepoint), \
            and the prediction starts from it.

            EXAMPLES
              sudo ctlab lab run -- compare scenarios/lab/compare-rst.yaml
              sudo ctlab compare burst.yaml --target 192.168.7.10:9000 --i-may-load 192.168.7.10 \\
                  --observe netns:gw --within plateau=3,full=5,drops=10
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, line }

    @OptionGroup var generator: GeneratorOptions

    @Argument(help: "A scenario.")
    var scenario: String

    @Option(
        help: "How far apart is too far, in per cent: plateau=2,full=5,drops=10, or some of them.")
    var within = "plateau=2,full=5,drops=10"

    @Option(help: "The scenario's node that --observe shows; by default its only router.")
    var node: String?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("Replace a value of the file; may be repeated.", valueName: "path=value")
    )
    var overrides: [String] = []

    @Option(
        help: "text: a picture and a table; json: everything; line: one line of a table.")
    var format = Format.text

    @Option(help: ArgumentHelp("Write everything as JSON there too.", valueName: "file"))
    var json: String?

    @Flag(
        inversion: .prefixedNo,
        help: "Count entries by state at the end, which removes expired ones on that machine.")
    var states = true

    @Flag(help: "No progress, no notes.")
    var quiet = false

    mutating func run() throws {
        guard let bounds = ComparisonBounds(within) else {
            throw Failure(
                code: .usage,
                text: "--within: found '\(within)', expected per cents such as "
                    + "plateau=2,full=5,drops=10")
        }
        let (target, permit) = try generator.targets.approved()
        let file = try ScenarioInput.read(scenario, set: overrides)
        var notes = quiet ? [] : file.notes
        let plan = try plan(of: file.scenario, target, &notes)
        notes += Preflight.remarks(
            plan, processes: generator.processes, descriptorLimit: generator.descriptorLimit())

        let vantage = try vantage()
        let probe = try openProbe(vantage)
        let settings = try read(vantage)
        let client = TargetSettings.read()
        let seconds = Double(plan.duration) / 1e9
        var sampler = CompareSampler(
            probe, of: vantage, seconds: seconds, listsAtEnd: states)
        let background = try first(&sampler).count
        let predicted: PredictedScenario
        do {
            predicted = try PredictedScenario(
                file.scenario, plan: plan, processes: generator.processCount(for: plan),
                node: node, settings: settings, client: client, background: background)
        } catch {
            throw Failure(code: .usage, text: "compare: \(scenario)\n\(error)")
        }
        notes += predicted.notes

        let (result, measured) = try measure(plan, permit, &sampler)
        let prediction = try predict(predicted, measured.collections, seconds, background)
        let report = ComparisonReport(
            scenario: file.scenario.name, scenarioHash: RunOutput.hash(of: file), seed: plan.seed,
            target: generator.targets.target, node: predicted.node, settings: settings,
            client: client, background: background, collections: measured.collections,
            predictedCollections: prediction.collections,
            load: ComparisonReport.Load(result.flows), predictedLoad: prediction.load,
            comparison: Comparison(
                predicted: prediction.curve, measured: measured.curve, seconds: seconds,
                within: bounds), notes: notes)
        try tell(report)
    }

    // MARK: Before

    private func plan(
        of described: Scenario, _ target: TargetPool, _ notes: inout [String]
    ) throws -> Plan {
        let pool = try generator.sourcePool(for: target)
        do {
            let made = try ScenarioPlan(
                described, target: target.addresses, port: target.firstPort,
                portCount: target.portCount, sources: pool,
                tableMaximum: try generator.tableMaximum(for: described))
            notes += made.notes
            return try generator.bounded(made.plan)
        } catch let error as ScenarioPlanError {
            throw Failure(code: .usage, text: "compare: \(scenario)\n\(error)")
        }
    }

    /// Whose table is looked at: without one there is nothing to compare.
    private func vantage() throws -> Vantage {
        let place = generator.observation.observe ?? "local"
        return try OptionValue.read(
            "--observe", place, expected: "the table to compare with: \(Vantage.forms)",
            Vantage.init)
    }

    private func openProbe(_ vantage: Vantage) throws -> HostProbe {
        do throws(ProbeError) {
            return try HostProbe.open(vantage)
        } catch {
            throw ObserveOptions.failure(error, vantage)
        }
    }

    private func read(_ vantage: Vantage) throws -> TargetSettings {
        do throws(ProbeError) {
            return try TargetSettings.read(vantage)
        } catch {
            throw ObserveOptions.failure(error, vantage)
        }
    }

    private func first(_ sampler: inout CompareSampler) throws -> HostSample {
        do throws(ProbeError) {
            return try sampler.first()
        } catch {
            if case .interrupted = error {
                throw Failure(code: .interrupted, text: "\(error)")
            }
            throw Failure(
                code: .environment, text: "the observed table is not to be read: \(error)")
        }
    }

    // MARK: Both runs

    private func measure(
        _ plan: Plan, _ permit: LoadPermit, _ sampler: inout CompareSampler
    ) throws -> (LoadResult, MeasuredTable) {
        let interruption = try GeneratorOptions.interruption()
        let progress = ProgressLine(isQuiet: quiet)
        let result = try generator.run(
            plan, permit, command: "compare", interruption: interruption
        ) { origin in
            sampler.look(origin: origin)
        } tick: { tick in
            progress.show(
                seconds: tick.seconds, of: plan.duration / 1_000_000_000,
                entries: sampler.latestCount)
            return sampler.isBlind || Self.nobodyAnswers(tick.flows) ? [.stop] : []
        }
        progress.clear()
        try check(result, sampler.blindness)
        return (result, sampler.measured(origin: result.origin))
    }

    /// Whether every attempt has been turned away at once, and no datagram sent besides: the far
    /// end is missing.
    private static func nobodyAnswers(_ flows: [FlowCounts]) -> Bool {
        TargetAbsence.isShown(by: flows) && flows.allSatisfy { $0.datagrams == 0 }
    }

    private func check(_ result: LoadResult, _ blindness: ProbeError?) throws {
        if let blindness {
            throw Failure(
                code: .failed,
                text: "the observed table went out of sight: \(blindness); nothing was compared")
        }
        if Self.nobodyAnswers(result.flows) {
            throw Failure(
                code: .failed,
                text: TargetAbsence.neverListened.sentence(of: generator.targets.target))
        }
        if let failure = GeneratorOptions.incompleteness(result, "what was measured") {
            throw failure
        }
    }

    private func predict(
        _ predicted: PredictedScenario, _ collections: [Double]?, _ seconds: Double,
        _ background: Int
    ) throws -> Prediction {
        do {
            // None seen is none within the run.
            return try Prediction(
                predicted, firstCollection: collections.map { $0.first ?? seconds + 1 },
                background: background)
        } catch {
            let reason = (error as? Failure)?.text ?? "\(error)"
            throw Failure(code: .usage, text: "the scenario cannot be simulated\n\(reason)")
        }
    }

    // MARK: After

    private func tell(_ report: ComparisonReport) throws {
        switch format {
        case .text: try Output.write(report.lines.map { $0 + "\n" }.joined())
        case .json: try Output.write(try report.json(isPretty: true))
        case .line: try Output.line(report.tableLine)
        }
        if let json {
            do {
                try Data(report.json(isPretty: true).utf8).write(to: URL(filePath: json))
            } catch {
                throw Failure(
                    code: .failed,
                    text: "--json: cannot write \(json): \(error.localizedDescription)")
            }
        }
        guard report.isWithin else {
            let names = report.comparison.figures.filter { !$0.isWithin }.map(\.kind.name)
            throw Failure(
                code: .expectation,
                text:
                    "\(report.scenario): \(names.joined(separator: ", ")) outside --within \(within)"
            )
        }
    }
}
