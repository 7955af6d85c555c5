import ArgumentParser
import Foundation
import LinuxCalls
import LoadGen

/// `ctlab timeouts`: a host's timeouts, told from how its table empties.
struct TimeoutsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "timeouts",
        abstract: "Estimate a host's timeouts from how its table empties.",
        discussion: """
            Opens flows, ends them in one way, and watches how many entries are left. Expired \
            entries stay in the table until somebody comes by: every look lists the table, which \
            removes them, so that what is seen is the timeout itself. With --lag each group is \
            opened a second time and only counted; what the collector adds is told apart.

            EXAMPLES
              sudo ctlab lab run -- timeouts --of client-fin --of rst --of udp
            """)

    enum Group: String, ExpressibleByArgument, CaseIterable {
        case clientFIN = "client-fin"
        case serverFIN = "server-fin"
        case rst, udp

        /// The setting that decides it.
        var setting: String {
            switch self {
            case .clientFIN, .serverFIN: "nf_conntrack_tcp_timeout_time_wait"
            case .rst: "nf_conntrack_tcp_timeout_close"
            case .udp: "nf_conntrack_udp_timeout"
            }
        }
    }

    @OptionGroup var generator: GeneratorOptions

    @Option(name: .customLong("of"), help: "client-fin, server-fin, rst or udp.")
    var groups: [Group] = []

    @Option(help: "Flows of each group.")
    var flows = 1000

    @Option(help: "How long to wait for a group to go.")
    var atMost = "5m"

    @Flag(help: "Also measure how much later the collector comes.")
    var lag = false

    func validate() throws {
        guard (10...50_000).contains(flows) else {
            throw ValidationError("--flows: found \(flows), expected 10 to 50000")
        }
    }

    mutating func run() throws {
        let (target, permit) = try generator.targets.approved()
        let patience = try OptionValue.seconds("--at-most", atMost)
        guard var probe = try generator.observation.probe() else {
            throw Failure(
                code: .environment, text: "no table to watch; name one: --observe netns:NAME")
        }
        let interruption = try GeneratorOptions.interruption()
        for group in groups.isEmpty ? Group.allCases : groups {
            let plan = try plan(group, target)
            let fit = try measure(plan, permit, &probe, patience, interruption, collects: true)
            guard let fit else {
                try Output.line(
                    "\(group.rawValue): no timeout found within \(atMost); is the table watched the "
                        + "one the flows pass?")
                continue
            }
            var line =
                "\(group.rawValue): \(Self.text(fit.seconds)) (\(group.setting)), from "
                + "\(fit.flows) flows"
            if lag {
                let late = try measure(
                    plan, permit, &probe, patience, interruption, collects: false)
                line +=
                    late.map { "; the collector came \(Self.text($0.seconds - fit.seconds)) later" }
                    ?? "; the collector did not come within \(atMost)"
            }
            guard try Output.line(line) else { return }
        }
    }

    private func plan(_ group: Group, _ target: TargetPool) throws -> Plan {
        let profile: QuickProfile = group == .udp ? .fanout : .churn
        var workload = profile.workload(target)
        workload.model = .open(
            Arrivals(
                stages: [
                    Arrivals.Stage(seconds: 1, from: Double(flows), to: Double(flows))
                ], spacing: .uniform))
        switch group {
        case .serverFIN: workload.ending = .serverFIN
        case .rst: workload.ending = .reset
        // A port of its own for each flow: one destination is enough.
        case .udp: workload.sourcePortCount = (flows + target.count - 1) / target.count
        case .clientFIN: break
        }
        workload.sources = try generator.sourcePool(for: target)
        return try generator.bounded(Plan(workloads: [workload], duration: 1_100_000_000))
    }

    /// Opens the group and watches it go.
    private func measure(
        _ plan: Plan, _ permit: LoadPermit, _ probe: inout HostProbe, _ patience: Double,
        _ interruption: borrowing Interruption, collects: Bool
    ) throws -> DecayFit? {
        let background = try look(&probe, collects: true)
        let result = try generator.run(
            plan, permit, command: "timeouts", processes: 1, interruption: interruption
        ) { _ in [] }
        if let failure = GeneratorOptions.incompleteness(result, "the estimate") { throw failure }
        let start = Double(result.origin) / 1e9
        let done = result.flows[0]
        let ended = [
            DecayFit.Point(seconds: start, count: 0),
            DecayFit.Point(seconds: start + 1, count: done.completed + done.datagrams),
        ]
        var points: [DecayFit.Point] = []
        while true {
            let now = Double(MonotonicClock.now()) / 1e9
            let count = try look(&probe, collects: collects)
            points.append(DecayFit.Point(seconds: now, count: count))
            let isGone = count <= background + (done.started / 100)
            if isGone, let fit = DecayFit(points: points, ended: ended, background: background) {
                return fit
            }
            if now - start > patience { return nil }
            if interruption.hasHappened {
                throw Failure(code: .interrupted, text: "interrupted; the result is partial")
            }
            MonotonicClock.sleep(until: MonotonicClock.now() + 250_000_000)
        }
    }

    /// How many entries there are; `collects` removes those that have expired first.
    private func look(_ probe: inout HostProbe, collects: Bool) throws(Failure) -> Int {
        do throws(ProbeError) {
            if collects { try probe.collect() }
            return try probe.sample().count
        } catch {
            throw Failure(code: .environment, text: "timeouts: \(error)")
        }
    }

    private static func text(_ seconds: Double) -> String { String(format: "%.2f s", seconds) }
}
