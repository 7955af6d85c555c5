import ArgumentParser
import Foundation
import LinuxCalls
import LoadGen
import Scenario

/// What every command that loads a host takes: whom, from where, watched how, with how much.
struct GeneratorOptions: ParsableArguments {
    @OptionGroup var targets: TargetOptions
    @OptionGroup var observation: ObserveOptions

    @Option(
        help: ArgumentHelp(
            "What stops the run when it fails: tcp, tcp:HOST:PORT, http://HOST/PATH or none.",
            discussion: """
                Asked once a second. By default tcp, the target's own port, for hosts beyond this \
                machine, and none here. Another host than the target has to be one that may be \
                loaded; redirections are not followed.
                """))
    var health: String?

    @Option(help: "How often in a row the health probe fails before the run stops.")
    var healthFailures: Int?

    @Option(help: "Source addresses: a prefix of this host's own.")
    var sources: String?

    @Option(help: "Worker processes; by default as many as the connections need.")
    var processes: Int?

    @Option(help: "Descriptors a worker process may have, if fewer than the system allows.")
    var descriptors: Int?

    func validate() throws {
        if let processes, !(1...1024).contains(processes) {
            throw ValidationError("--processes: found \(processes), expected 1 to 1024")
        }
        if let descriptors, descriptors <= LoadRun.spareDescriptors {
            throw ValidationError(
                "--descriptors: found \(descriptors), expected more than "
                    + "\(LoadRun.spareDescriptors), which a process needs for itself")
        }
        if let healthFailures, healthFailures < 1 {
            throw ValidationError("--health-failures: found \(healthFailures), expected 1 or more")
        }
    }

    /// The addresses of `--sources`, which are of the target's family.
    func sourcePool(for target: TargetPool) throws -> AddressPool? {
        guard let sources else { return nil }
        let pool = try OptionValue.read(
            "--sources", sources, expected: "an address or a prefix", AddressPool.prefix)
        guard pool.family == target.addresses.family else {
            throw Failure(
                code: .usage,
                text: "--sources: found '\(sources)', expected addresses of the target's family")
        }
        return pool
    }

    /// `nf_conntrack_max` of the table observed, if `scenario` holds a share of one.
    func tableMaximum(for scenario: Scenario) throws -> Int? {
        guard scenario.workloads.contains(where: { $0.load.shareOf != nil }) else { return nil }
        return try observation.tableMaximum()
    }

    /// The plan, within the bounds every run keeps, and on a machine that lets a process have a
    /// connection.
    func bounded(_ plan: Plan) throws -> Plan {
        let limit = descriptorLimit()
        guard limit > LoadRun.spareDescriptors else {
            throw Failure(
                code: .environment,
                text: "found a limit of \(limit) descriptors, expected more than "
                    + "\(LoadRun.spareDescriptors), which a process needs for itself; raise it: "
                    + "ulimit -n 1024")
        }
        let breaches = LoadLimits().breaches(of: plan)
        guard breaches.isEmpty else {
            throw Failure(code: .usage, text: breaches.joined(separator: "\n"))
        }
        return plan
    }

    /// Descriptors each worker process may have.
    func descriptorLimit() -> Int { min(DescriptorLimit.raise(), descriptors ?? Int.max) }

    /// How many processes `plan` takes, unless the options say so.
    func processCount(for plan: Plan) -> Int {
        let needed = LoadRun.processCount(for: plan, descriptorLimit: descriptorLimit())
        return processes ?? min(needed, LoadRun.mostProcesses)
    }

    /// Says what may keep `plan` from being what it was meant to be.
    func tellRemarks(on plan: Plan) {
        let remarks = Preflight.remarks(
            plan, processes: processes, descriptorLimit: descriptorLimit())
        for line in remarks { Message.error(line) }
    }

    /// Carries `plan` out; failures speak in the name of `command`.
    ///
    /// - Parameters:
    ///   - processes: How many processes; by default as `processCount` says.
    ///   - tolerated: Health questions that may fail in a row, unless the options say so.
    ///   - turn: Called a hundred times a second, with the run's start on the monotonic clock.
    ///   - tick: Told once a second; says what is wanted.
    func run(
        _ plan: Plan, _ permit: LoadPermit, command: String, processes standard: Int? = nil,
        tolerated: Int = 3, interruption: borrowing Interruption,
        turn: (_ origin: UInt64) -> Void = { _ in }, tick: (LoadTick) -> [LoadWish]
    ) throws(Failure) -> LoadResult {
        let limit = descriptorLimit()
        let count = standard ?? processCount(for: plan)
        let health = try healthProbe(plan, tolerated)
        do throws(LoadError) {
            var run = try LoadRun(
                plan, processCount: count, permit: permit, descriptorLimit: limit,
                health: health)
            let origin = run.origin
            return try run.run(interruption: interruption, turn: { turn(origin) }, tick: tick)
        } catch {
            let code: ExitStatus =
                switch error {
                case .killed: .interrupted
                case .notPermitted: .usage
                case .call, .environment: .environment
                }
            throw Failure(code: code, text: "\(command): \(error)")
        }
    }

    /// The signals of a run.
    static func interruption() throws(Failure) -> Interruption {
        if let interruption = Interruption() { return interruption }
        throw Failure(code: .environment, text: "no descriptor left; raise the limit: ulimit -n")
    }

    /// Why a result is not whole, if it is not; `what` is partial then.
    static func incompleteness(_ result: LoadResult, _ what: String) -> Failure? {
        if !result.lostProcesses.isEmpty {
            return Failure(
                code: .failed,
                text: result.lostProcesses.joined(separator: "; ") + "; \(what) is partial")
        }
        if let reason = result.healthFailure {
            return Failure(
                code: .interrupted, text: "\(reason); the run was stopped, and \(what) is partial")
        }
        guard result.wasInterrupted else { return nil }
        return Failure(code: .interrupted, text: "interrupted; \(what) is partial")
    }

    // MARK: Health

    private func healthProbe(_ plan: Plan, _ tolerated: Int) throws(Failure) -> HealthProbe? {
        guard let question = try question(plan) else { return nil }
        do throws(SystemCallError) {
            return try HealthProbe(question, failures: healthFailures ?? tolerated)
        } catch {
            throw Failure(code: .environment, text: "--health: \(error)")
        }
    }

    private func question(_ plan: Plan) throws(Failure) -> HealthProbe.Question? {
        let own = plan.workloads.first { $0.transport == .tcp }?.target.destination(0)
        guard let health else {
            let isOurs = plan.workloads.allSatisfy {
                AddressClass($0.target.addresses.family, $0.target.addresses.first) == .loopback
            }
            if isOurs || targets.isInLab { return nil }
            if own == nil {
                Message.error(
                    "nothing asks whether \(targets.target) is well; give --health tcp:HOST:PORT or "
                        + "--health http://HOST/PATH")
            }
            return own.map { .connect($0) }
        }
        if health == "none" { return nil }
        if health == "tcp", let own { return .connect(own) }
        if let host = HealthProbe.Question.host(ofURL: health) {
            _ = try targets.approvedAddresses(of: host)
            return .get(url: health)
        }
        let refusal = Failure(
            code: .usage,
            text: "--health: found '\(health)'; expected tcp for TCP targets, tcp:HOST:PORT, "
                + "http://HOST/PATH or none")
        guard health.hasPrefix("tcp:"), let words = try? TargetText(String(health.dropFirst(4))),
            words.prefixLength == nil
        else { throw refusal }
        guard let first = try targets.approvedAddresses(of: words.host).first else { throw refusal }
        return .connect(SocketAddress(first.0, first.1, port: words.firstPort))
    }
}
