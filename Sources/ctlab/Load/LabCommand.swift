import ArgumentParser
import Foundation
import LinuxCalls
import LoadGen
import Scenario

/// `ctlab lab`: client, gateway and server on one machine.
struct LabCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Client, tracking gateway and server as namespaces of this machine.",
        discussion: """
            Three network namespaces joined by veth: ctlab-client, ctlab-gw (which tracks, and \
            translates unless told otherwise) and ctlab-server. The client may send from \
            198.18.0.0/20 and fdc7:1ab:0:1::/64, the server answers on 198.18.128.0/20 and \
            fdc7:1ab:0:2::/64. Needs root, ip and nft.

            EXAMPLES
              A lab to play in:
                sudo ctlab lab up
                sudo ip netns exec ctlab-server ctlab sink --tcp 9000 --udp 9000 &
                sudo ip netns exec ctlab-client ctlab load --quick churn --target \\
                    198.18.128.1:9000 --observe netns:ctlab-gw
                sudo ctlab lab down
              A scenario's workloads on the real kernel:
                sudo ctlab lab run scenarios/ceiling-small.yaml
              One run, with everything made for it and removed after it:
                sudo ctlab lab run --set nf_conntrack_max=4000 -- ceiling --sources 198.18.0.0/24
                sudo ctlab lab run --loss 1% --ipv6 -- load --quick churn
            """,
        subcommands: [Up.self, Down.self, Run.self])

    /// What the gateway is like.
    struct Gateway: ParsableArguments {
        @Option(name: .customLong("set"), help: "A setting of the gateway, NAME=VALUE.")
        var settings: [String] = []

        @Option(help: "The gateway's rules, a file with nftables text; before a scenario's.")
        var rules: String?

        @Option(name: .customLong("client-set"), help: "A setting of the client, NAME=VALUE.")
        var clientSettings: [String] = []

        @Flag(help: "Track only, translate nothing.")
        var noNat = false

        @Option(help: "The client's rules, a file with nftables text; a ct rule makes it track.")
        var clientRules: String?

        @Option(help: "How long a packet takes over each link, such as 5ms; needs netem.")
        var delay: String?

        @Option(help: "The share of packets each link loses, such as 1%.")
        var loss: String?

        func setup() throws -> LabSetup {
            let pairs = try settings.map { try Self.pair("--set", $0) }
            let standard = noNat ? LabSetup.tracking : LabSetup.masquerade
            var setup = LabSetup(
                ruleset: try rules.map(Self.text) ?? standard, settings: pairs,
                clientSettings: try clientSettings.map { try Self.pair("--client-set", $0) })
            setup.clientRuleset = try clientRules.map(Self.text) ?? ""
            try addLinks(to: &setup)
            return setup
        }

        /// Makes the links of `setup` what was asked for.
        private func addLinks(to setup: inout LabSetup) throws(Failure) {
            if let delay {
                setup.delaySeconds = try OptionValue.seconds("--delay", delay)
            }
            if let loss {
                setup.loss = try OptionValue.read("--loss", loss, OptionQuantity.share)
                guard setup.loss < 1 else {
                    throw Failure(
                        code: .usage,
                        text:
                            "--loss: found '\(loss)', expected less than 100%: links that lose all "
                            + "are none")
                }
            }
        }

        /// Adds what the options say to a scenario's lab.
        func add(to setup: inout LabSetup) throws {
            setup.add(try settings.map { try Self.pair("--set", $0) })
            setup.add(clientSettings: try clientSettings.map { try Self.pair("--client-set", $0) })
            if let rules {
                setup.ruleset = try Self.text(rules)
            } else if noNat {
                setup.ruleset = LabSetup.tracking
            }
            if let clientRules { setup.clientRuleset = try Self.text(clientRules) }
            try addLinks(to: &setup)
        }

        private static func text(_ path: String) throws(Failure) -> String {
            do throws(SystemCallError) {
                return try TextFile.read(path)
            } catch {
                throw Failure(code: .usage, text: "\(error)")
            }
        }

        private static func pair(
            _ option: String, _ text: String
        ) throws -> (name: String, value: String) {
            let parts = text.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else {
                throw Failure(
                    code: .usage, text: "\(option): found '\(text)', expected NAME=VALUE")
            }
            return (String(parts[0]), String(parts[1]))
        }
    }

    struct Up: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the namespaces; they stay until 'ctlab lab down'.")

        @OptionGroup var gateway: Gateway

        mutating func run() throws {
            let setup = try gateway.setup()
            if let (name, _) = setup.globalSettings.first {
                throw Failure(
                    code: .usage,
                    text:
                        "\(name) holds for the whole machine, so that a lab that stays cannot set "
                        + "it; use 'ctlab lab run', which puts it back")
            }
            try LabCommand.doing {
                let claim = try LabClaim(Lab())
                do {
                    try Lab().up(setup)
                } catch {
                    // One that was up before is gone as well.
                    try? claim.noteDown()
                    throw error
                }
                try claim.noteUp()
            }
            let lab = Lab()
            try Output.line("lab: \(lab.client), \(lab.gateway) and \(lab.server) are up")
        }
    }

    struct Down: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove the namespaces and everything in them.")

        mutating func run() throws {
            try LabCommand.doing {
                let claim = try LabClaim(Lab())
                try Lab().down()
                try claim.noteDown()
            }
        }
    }

    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a scenario, load or ceiling in a lab made for it.",
            discussion: """
                Makes the lab, starts a sink in the server's namespace (TCP and UDP port 9000), \
                runs the command in the client's, and removes the lab. --target and --observe are \
                added unless given. Settings of the whole machine, such as nf_conntrack_max, are \
                put back afterwards, also after a crash: by whatever run comes next.
                """)

        /// What can be run in a lab.
        private static let commands = ["load", "ceiling", "timeouts", "early-drop", "compare"]

        @OptionGroup var gateway: Gateway

        @Option(help: "What the namespaces' names begin with, where two labs run at a time.")
        var name = "ctlab"

        @Option(help: "Sink processes: one holds about as many connections as descriptors.")
        var sinks = 1

        @Flag(help: "Load the server's IPv6 address.")
        var ipv6 = false

        @Argument(help: "A scenario: its addresses, rules, settings and workloads.")
        var scenario: String?

        @Argument(
            parsing: .postTerminator,
            help: "load …, ceiling …, timeouts …, early-drop … or compare …, behind --."
        )
        var command: [String] = []

        func validate() throws {
            if ipv6, labScenario != nil {
                throw ValidationError("found --ipv6 and a scenario, expected one of them")
            }
            guard name.hasPrefix("ctlab"), name.count <= 40,
                name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") })
            else {
                throw ValidationError("--name: found '\(name)', expected ctlab, or ctlab-SOMETHING")
            }
            if scenario != nil, command.isEmpty { return }
            guard let first = command.first, Self.commands.contains(first) else {
                throw ValidationError(
                    "found '\(command.joined(separator: " "))', expected one of "
                        + "\(Self.commands.joined(separator: ", ")) behind '--'")
            }
        }

        mutating func run() throws {
            var setup = try gateway.setup()
            if let labScenario {
                setup = try Self.setup(labScenario)
                try gateway.add(to: &setup)
                if setup.hasScenarioDelays, setup.delaySeconds == 0 {
                    Message.error("the links' delays are left out; --delay gives every link one")
                }
            }
            if comparedScenario != nil { Self.tellOtherEntries() }
            try run(setup, holding: Interruption())
        }

        /// One collector serves all namespaces, and its cycles go by what it meets in any of them.
        private static func tellOtherEntries() {
            let told = try? SysctlFile.read("net.netfilter.nf_conntrack_count")
            guard let count = told.flatMap({ Int($0) }), count > 0 else { return }
            Message.error(
                "this machine's own table holds \(count) entries, by whose lifetimes the collector "
                    + "goes as well: the plateau may be off; conntrack -F removes them")
        }

        /// Signals wait while it lasts: whatever happens, the lab is removed.
        private func run(_ setup: LabSetup, holding signals: borrowing Interruption?) throws {
            try LabCommand.doing {
                let lab = Lab(name: name)
                // Held until the lab is gone; a process that dies lets go of it.
                let claim = try LabClaim(
                    lab, alternative: ", or give this one another name: --name \(name)-two")
                guard name != "ctlab" || !LabClaim.isUp else {
                    throw Failure(
                        code: .usage,
                        text: "a lab is up already; end it first (ctlab lab down), or give this "
                            + "one another name: --name ctlab-two")
                }
                let lease = try MachineLease(changing: setup.globalSettings)
                try lab.up(setup)
                defer { try? lab.down() }
                let sinks = try lab.inside(lab.server) { () throws(LabError) in
                    try LabCommand.startSinks(max(1, self.sinks))
                }
                var inner = try Ctlab.parseAsRoot(arguments(lab, setup))
                try NetworkNamespace.during(lab.client) { try inner.run() }
                for sink in sinks { sink.closeInput() }
                _ = consume claim
                _ = consume lease
            }
        }

        private static func setup(_ path: String) throws -> LabSetup {
            let scenario = try ScenarioInput.read(path).scenario
            do {
                return try LabSetup(scenario)
            } catch {
                throw Failure(code: .usage, text: "lab: \(path)\n\(error)")
            }
        }

        /// The scenario behind `compare`, options before it or not.
        private var comparedScenario: String? {
            guard command.first == "compare" else { return nil }
            // The command itself knows its words; the target is added where it is run.
            let words = Array(command.dropFirst())
            let parsed =
                (try? CompareCommand.parse(words))
                ?? (try? CompareCommand.parse(words + ["--target", "\(Lab.serverIPv6):9000"]))
            return parsed?.scenario
        }

        /// The scenario the lab is made from.
        private var labScenario: String? { scenario ?? comparedScenario }

        private func arguments(_ lab: Lab, _ setup: LabSetup) -> [String] {
            var words = command
            if words.isEmpty, let scenario { words = ["load", scenario] }
            func lacks(_ option: String) -> Bool {
                !words.contains { $0 == option || $0.hasPrefix(option + "=") }
            }
            if comparedScenario != nil, lacks("--target") {
                // All of the server's addresses: what fans out needs them.
                words += ["--target", "\(setup.serverPrefix):9000"]
            }
            if labScenario != nil, lacks("--sources") {
                words += ["--sources", setup.clientPrefix]
            }
            let server = ipv6 ? "[\(Lab.serverIPv6)]" : setup.serverAddress
            if lacks("--target") { words += ["--target", "\(server):9000"] }
            if lacks("--observe") { words += ["--observe", "netns:\(lab.gateway)"] }
            return words
        }
    }

    private static func startSinks(_ count: Int) throws(LabError) -> [ChildProcess] {
        do throws(SystemCallError) {
            var children: [ChildProcess] = []
            for _ in 0..<count {
                let child = try ChildProcess(
                    "/proc/self/exe",
                    ["sink", "--tcp", "9000", "--udp", "9000", "--shared", "--until-input-ends"])
                children.append(child)
            }
            // Each says when it listens.
            for child in children {
                while true {
                    let (lines, hasMore) = try child.lines()
                    guard lines.isEmpty else { break }
                    guard hasMore else {
                        throw SystemCallError(call: "sink", code: 98)
                    }
                    MonotonicClock.sleep(until: MonotonicClock.now() + 5_000_000)
                }
            }
            return children
        } catch {
            throw .call(error)
        }
    }

    /// Makes failures of `body` the command's.
    private static func doing(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as LabError {
            throw Failure(code: .environment, text: "\(error)")
        } catch let error as MachineLeaseError {
            throw Failure(code: .environment, text: "lab: \(error)")
        } catch let error as SystemCallError {
            throw Failure(code: .failed, text: "lab: \(error)")
        }
    }
}

extension NetworkNamespace {
    /// Runs `body` with the calling thread in the namespace called `name`.
    fileprivate static func during(_ name: String, _ body: () throws -> Void) throws {
        let namespace = try NetworkNamespace(named: name)
        try namespace.enter(body)
    }
}
