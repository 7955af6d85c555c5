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
        var probe = try generator.observation.listingProbe(here: false)
        if let remark = Preflight.ownTable(flows) { Message.error(remark) }
        let interruption = try GeneratorOptions.interruption()
        var missing: [String] = []
        for group in groups.isEmpty ? Group.allCases : groups {
            let plan = try plan(group, target)
            generator.tellRemarks(on: plan)
            let (fit, obstacle) = try measure(
                plan, permit, &probe, patience, interruption, collects: true)
            guard let fit else {
                missing.append(group.rawValue)
                guard try Output.line("\(group.rawValue): \(obstacle)") else { return }
                continue
            }
            var line =
                "\(group.rawValue): \(Self.text(fit.seconds)) (\(group.setting)), from "
                + "\(fit.flows) flows"
            if lag {
                let late = try measure(
                    plan, permit, &probe, patience, interruption, collects: false
                ).fit
                line +=
                    late.map { "; the collector came \(Self.text($0.seconds - fit.seconds)) later" }
                    ?? "; the collector did not come within \(atMost)"
            }
            guard try Output.line(line) else { return }
        }
        guard missing.isEmpty else {
            throw Failure(
                code: .failed, text: "no timeout was found of \(missing.joined(separator: ", "))")
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
        let plan = try generator.bounded(Plan(workloads: [workload], duration: 1_100_000_000))
        if group == .udp { try checkRoom(for: plan) }
        return plan
    }

    /// Whether the process that sends has descriptors and ports for its sockets.
    private func checkRoom(for plan: Plan) throws(Failure) {
        let workload = plan.workloads[0]
        let part = plan.part(0, of: generator.processCount(for: plan)).workloads[0]
        if let remark = Preflight.sockets(part, room: generator.descriptorLimit()) {
            throw Failure(code: .environment, text: remark)
        }
        let (ports, obstacle) = Preflight.sourcePorts(for: workload)
        guard let obstacle else { return }
        throw Failure(
            code: .environment,
            text: "--flows: found \(flows) flows to \(workload.target.count) destinations, "
                + "expected no more than \(ports) source ports can carry (\(obstacle.text)); "
                + "give --target a range, such as ADDRESS:9000-9099, or more ports: sysctl -w "
                + "net.ipv4.ip_local_port_range='1024 65535'")
    }

    /// Opens the group and watches it go; where nothing comes of it, says why.
    private func measure(
        _ plan: Plan, _ permit: LoadPermit, _ probe: inout HostProbe, _ patience: Double,
        _ interruption: borrowing Interruption, collects: Bool
    ) throws -> (fit: DecayFit?, obstacle: String) {
        let before = try look(&probe, collects: true)
        let background = before.count
        var passage = TablePassage(of: generator.observation.place, before: before)
        let result = try generator.run(
            plan, permit, command: "timeouts", interruption: interruption
        ) { tick in
            let opened = tick.flows[0].completed + tick.flows[0].datagrams
            passage.note(standing: opened, try? probe.sample())
            return []
        }
        if let failure = GeneratorOptions.incompleteness(result, "the estimate") { throw failure }
        if let failure = LoadTelling.fruitlessness(result.flows, at: generator.targets.target) {
            throw failure
        }
        let start = Double(result.origin) / 1e9
        let done = result.flows[0]
        let ended = [
            DecayFit.Point(seconds: start, count: 0),
            DecayFit.Point(seconds: start + 1, count: done.completed + done.datagrams),
        ]
        var points: [DecayFit.Point] = []
        while true {
            let now = Double(MonotonicClock.now()) / 1e9
            let sample = try look(&probe, collects: collects)
            passage.note(standing: done.completed + done.datagrams, sample)
            if let detour = passage.detour(of: "flows were opened and ended") {
                return (nil, detour)
            }
            points.append(DecayFit.Point(seconds: now, count: sample.count))
            let isGone = sample.count <= background + (done.started / 100)
            if isGone, let fit = DecayFit(points: points, ended: ended, background: background) {
                return (fit, "")
            }
            // Nobody will come back: what was not seen to go is not going to.
            if isGone, points.count > 1 {
                return (nil, "its entries were gone before the first look; the timeout is short")
            }
            if now - start > patience { return (nil, "no timeout found within \(atMost)") }
            if interruption.take() {
                throw Failure(code: .interrupted, text: "interrupted; the result is partial")
            }
            MonotonicClock.sleep(until: MonotonicClock.now() + 250_000_000)
        }
    }

    /// Looks at the table; `collects` removes the entries that have expired first.
    private func look(_ probe: inout HostProbe, collects: Bool) throws(Failure) -> HostSample {
        do throws(ProbeError) {
            if collects { try probe.collect() }
            return try probe.sample()
        } catch {
            if case .interrupted = error {
                throw Failure(code: .interrupted, text: "interrupted; the result is partial")
            }
            throw generator.observation.failure(error)
        }
    }

    private static func text(_ seconds: Double) -> String { String(format: "%.2f s", seconds) }
}
