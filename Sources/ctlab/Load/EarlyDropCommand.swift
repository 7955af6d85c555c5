import ArgumentParser
import Foundation
import LinuxCalls
import LoadGen
import Scenario

/// `ctlab early-drop`: who gives way in a full table.
struct EarlyDropCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "early-drop",
        abstract: "Fill a host's table, and find out which entries give way to newcomers.",
        discussion: """
            Two trials. The table is filled with datagram flows nobody answers, then connections \
            ask for room; and the other way round. What went is counted by listing the table before \
            and after, beside the counters early_drop and drop. Between the trials it waits until \
            the table is empty again: short timeouts help. The table has to be one of this machine, \
            and small: it is filled to its maximum.

            EXAMPLES
              sudo ctlab lab run --set nf_conntrack_max=2000 --set nf_conntrack_buckets=2048 \\
                  --set nf_conntrack_tcp_timeout_close=2 -- early-drop
            """)

    @OptionGroup var generator: GeneratorOptions

    @Option(help: "Newcomers that ask for room.")
    var newcomers = 500

    @Option(help: "Flows made a second.")
    var rate = "2000/s"

    @Option(help: "How long to wait for the table to be empty between the trials.")
    var atMost = "3m"

    /// Tables larger than this take too long to fill within the timeout of what fills them.
    private static let largest = 100_000

    func validate() throws {
        guard (1...50_000).contains(newcomers) else {
            throw ValidationError("--newcomers: found \(newcomers), expected 1 to 50000")
        }
    }

    mutating func run() throws {
        let (target, permit) = try generator.targets.approved()
        let perSecond = try OptionValue.read("--rate", rate, OptionQuantity.perSecond)
        guard perSecond >= 1 else {
            throw Failure(code: .usage, text: "--rate: found '\(rate)', expected at least 1/s")
        }
        let patience = try OptionValue.seconds("--at-most", atMost)
        var probe = try generator.observation.listingProbe(here: true)
        let interruption = try GeneratorOptions.interruption()
        let background = try look(&probe).count
        for filling in EarlyDropTrial.Filling.allCases {
            try waitUntilEmpty(&probe, background, patience, interruption)
            let sample = try look(&probe)
            let limit = sample.limit ?? 0
            let room = limit - sample.count
            guard limit > 0, room > 0, room <= Self.largest else {
                throw Failure(
                    code: .environment,
                    text: "found a table of \(sample.count) entries, at most \(limit), "
                        + "expected one with room for 1 to \(Self.largest); in a lab: --set "
                        + "nf_conntrack_max=2000")
            }
            var trial = EarlyDropTrial(filling, room: room, newcomers: newcomers)
            var passage = TablePassage(of: generator.observation.place, before: sample)
            let result = try carryOut(
                &trial, &passage, target, permit, perSecond, &probe, interruption)
            if let detour = passage.detour(of: "flows had begun") {
                throw Failure(code: .failed, text: "the table was not filled: \(detour)")
            }
            try Output.write(trial.lines.map { $0 + "\n" }.joined())
            if trial.outcome == nil { try Output.line("  \(trial.progress)") }
            if let failure = GeneratorOptions.incompleteness(result, "the trial") { throw failure }
            if trial.outcome == nil {
                throw Failure(
                    code: .failed,
                    text: "the table was not filled; is the one watched the one the flows pass, "
                        + "and does something listen at \(generator.targets.target)?")
            }
        }
    }

    private func carryOut(
        _ trial: inout EarlyDropTrial, _ passage: inout TablePassage, _ target: TargetPool,
        _ permit: LoadPermit, _ perSecond: Double, _ probe: inout HostProbe,
        _ interruption: borrowing Interruption
    ) throws -> LoadResult {
        let plan = try generator.bounded(
            trial.plan(
                to: target, from: try generator.sourcePool(for: target), perSecond: perSecond))
        let each = max(1, generator.descriptorLimit() - LoadRun.spareDescriptors)
        // Sockets for datagrams are descriptors, too.
        let datagrams = plan.workloads[0]
        let sockets = datagrams.sourcePortCount * (datagrams.sources?.count ?? 1)
        let needed = (trial.connections + sockets + each - 1) / each
        let processes = generator.processes ?? min(needed, LoadRun.mostProcesses)
        generator.tellRemarks(on: plan)
        var begun = 0
        return try generator.run(
            plan, permit, command: "early-drop", processes: processes, tolerated: 10,
            interruption: interruption
        ) { tick in
            // Nothing is judged by what was told before it.
            guard tick.lateWorkers == 0 else { return [] }
            let withStates = trial.wantsStates(tick.flows)
            let sample = try? probe.sample(withStates: withStates)
            // Connections that stand, and datagrams of the last second, are sure to have entries.
            passage.note(
                standing: tick.flows[1].standing + tick.flows[0].started - begun, sample)
            begun = tick.flows[0].started
            let table = sample.map { "table \($0.count) of \($0.limit ?? 0), " } ?? ""
            Message.write(
                "\(tick.seconds) s: \(table)\(tick.flows[0].started) unreplied flows begun, "
                    + "\(tick.flows[1].standing) connections stand")
            return trial.note(tick.flows, sample)
        }
    }

    /// Waits until nothing of an earlier trial is in the table.
    private func waitUntilEmpty(
        _ probe: inout HostProbe, _ background: Int, _ patience: Double,
        _ interruption: borrowing Interruption
    ) throws(Failure) {
        let deadline = MonotonicClock.now() + UInt64(patience * 1e9)
        while try look(&probe).count > background + 10 {
            if interruption.take() {
                throw Failure(code: .interrupted, text: "interrupted; the result is partial")
            }
            guard MonotonicClock.now() < deadline else {
                throw Failure(
                    code: .environment,
                    text: "the table did not get empty again in time; lower its timeouts, or raise "
                        + "--at-most")
            }
            MonotonicClock.sleep(until: MonotonicClock.now() + 250_000_000)
        }
    }

    /// Looks at the table once its expired entries are gone.
    private func look(_ probe: inout HostProbe) throws(Failure) -> HostSample {
        do throws(ProbeError) {
            try probe.collect()
            return try probe.sample()
        } catch {
            if case .interrupted = error {
                throw Failure(code: .interrupted, text: "interrupted; the result is partial")
            }
            throw generator.observation.failure(error)
        }
    }
}
