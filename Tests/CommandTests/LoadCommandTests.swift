import Foundation
import LinuxCalls
import Testing

/// Shell scripts around the built command, in a network namespace made for each.
enum LoadScript {
    /// Why real sockets cannot be tried here; `nil` if they can.
    static let obstacle: String? = {
        guard geteuid() == 0 else { return "network namespaces need root" }
        for tool in ["/usr/sbin/ip", "/usr/sbin/nft", "/usr/bin/unshare"] {
            guard FileManager.default.isExecutableFile(atPath: tool) else {
                return "there is no \(tool)"
            }
        }
        guard FileManager.default.fileExists(atPath: "/proc/sys/net/netfilter") else {
            return "the kernel tracks no connections"
        }
        return nil
    }()

    static var isPossible: Bool { obstacle == nil }

    /// Runs `script` in a namespace with loopback up and a sink at port 9000; `$ctlab` is the
    /// command, `$sink` the sink's process.
    ///
    /// Nobody makes the machine's tables small meanwhile, so that a script must not do so either: it
    /// would wait for itself.
    static func run(_ script: String, tracked: Bool = true) throws -> Command {
        let rules =
            tracked
            ? "nft 'table ip t { chain o { type filter hook output priority 0; ct state new; }; }'"
            : "true"
        let frame = """
            export PATH=/usr/sbin:/usr/bin:/sbin:/bin
            ctlab=$1
            ip link set lo up
            \(rules) || exit 99
            "$ctlab" sink --tcp 9000 --udp 9000 --quiet > /dev/null 2> "$2" &
            sink=$!
            # However the script ends: a sink that stays would keep the test waiting.
            trap 'kill -TERM $sink 2> /dev/null' EXIT
            for _ in $(seq 1000); do grep -q ready "$2" && break; sleep 0.01; done
            \(script)
            """
        let scratch = try Scratch()
        let log = try scratch.file("sink", Data())
        let lease = try MachineLease(changing: [])
        let command = try Command.run(
            program: "/usr/bin/unshare",
            ["-n", "/bin/bash", "-c", frame, "bash", Command.program.path, log])
        _ = consume lease
        return command
    }
}

extension LoadScript {
    /// Runs a load of the sink in the background, its output in `$out`, which `reached TEXT` waits
    /// for; a sink that was stopped goes on when it is over.
    static func load(_ options: String, meanwhile: String) throws -> Command {
        try run(
            """
            out=$(mktemp)
            reached() { for _ in $(seq 1500); do grep -q "$1" $out && return; sleep 0.02; done; }
            "$ctlab" load --target 127.0.0.1:9000 --format jsonl \(options) > $out &
            load=$!
            \(meanwhile)
            wait $load
            status=$?
            kill -CONT $sink 2> /dev/null
            cat $out; rm $out
            exit $status
            """)
    }

    /// Reads what a load tells as JSON.
    static var decoder: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return decoder
    }

    /// The last line of a load told as JSON: the whole of it.
    static func final<Value: Decodable>(_ command: Command) throws -> Value {
        let line = try #require(command.output.split(separator: "\n").last, "\(command.error)")
        let told = try decoder.decode([String: Value].self, from: Data(line.utf8))
        return try #require(told["final"], "\(line)")
    }
}

@Suite struct LoadRefusalTests {
    @Test(
        "what is not to be loaded, or cannot be read, is refused with a sentence",
        arguments: [
            RefusedCall(
                arguments: ["--quick", "churn", "--target", "203.0.113.1:80"],
                sentence: "is a public address; if it is yours to load, list it in"),
            RefusedCall(
                arguments: [
                    "--quick", "churn", "--target", "203.0.113.1:80", "--i-may-load", "203.0.113.1",
                ], sentence: "list it in /etc/ctlab/may-load (or --allow-file) as well"),
            RefusedCall(
                arguments: ["--quick", "churn", "--target", "10.255.255.1:80"],
                sentence: "name it with --i-may-load 10.255.255.1"),
            RefusedCall(
                arguments: [
                    "--quick", "churn", "--target", "10.255.255.1:80", "--i-may-load", "0.0.0.0/0",
                ], sentence: "--i-may-load: found '0.0.0.0/0', expected a host name, an address"),
            RefusedCall(
                arguments: ["--quick", "churn", "--target", "[::ffff:8.8.8.8]:80"],
                sentence: "8.8.8.8"),
            RefusedCall(
                arguments: ["--quick", "churn", "--target", "no.such.host.invalid:80"],
                sentence: "no.such.host.invalid"),
            RefusedCall(
                arguments: ["--quick", "churn", "--target", "127.0.0.1"], sentence: "HOST:PORT"),
            RefusedCall(
                arguments: ["--quick", "chrun", "--target", "127.0.0.1:80"],
                sentence: "found 'chrun', expected churn, hold, request, fanout"),
            RefusedCall(
                arguments: ["--quick", "churn", "--target", "127.0.0.1:80", "--rate", "fast"],
                sentence: "--rate: found 'fast'"),
            RefusedCall(
                arguments: ["--quick", "churn", "--target", "127.0.0.1:80", "--for", "48h"],
                sentence: "expected more than 0 and at most 86400 s"),
            RefusedCall(
                arguments: ["--quick", "churn", "--target", "127.0.0.1:80", "--rate", "9000000/s"],
                sentence: "at most 1000000/s"),
            RefusedCall(
                arguments: [
                    "--quick", "churn", "--target", "127.0.0.1:80", "--observe",
                    "netns:nowhere-4711",
                ], status: 4, sentence: "there is no namespace 'nowhere-4711'"),
            RefusedCall(
                arguments: [
                    "--quick", "churn", "--target", "127.0.0.1:80", "--allow-file", "/no/such/file",
                ], sentence: "/no/such/file"),
            RefusedCall(
                arguments: [
                    "scenarios/ceiling-small.yaml", "--target", "127.0.0.1:9", "--rate", "5/s",
                ],
                sentence: "--rate: found it with a scenario, expected it with --quick alone"),
            RefusedCall(
                arguments: [
                    "scenarios/ceiling-small.yaml", "--target", "127.0.0.1:9", "--arrivals",
                    "uniform",
                ],
                sentence: "--arrivals: found it with a scenario, expected it with --quick alone"),
            RefusedCall(
                arguments: [
                    "scenarios/ceiling-small.yaml", "--target", "127.0.0.1:9", "--flows", "5",
                ],
                sentence: "--flows: found it with a scenario, expected it with --quick alone"),
            RefusedCall(
                arguments: [
                    "scenarios/ceiling-small.yaml", "--target", "127.0.0.1:9", "--for", "3s",
                ],
                sentence: "--for: found it with a scenario, expected it with --quick alone"),
            RefusedCall(
                arguments: [
                    "scenarios/ceiling-small.yaml", "--target", "127.0.0.1:9", "--ending",
                    "rst",
                ],
                sentence: "--ending: found it with a scenario, expected it with --quick alone"),
            RefusedCall(
                arguments: [
                    "scenarios/ceiling-small.yaml", "--target", "127.0.0.1:9", "--hold", "1s",
                ],
                sentence: "--hold: found it with a scenario, expected it with --quick alone"),
            RefusedCall(
                arguments: [
                    "scenarios/ceiling-small.yaml", "--target", "127.0.0.1:9", "--exchange",
                    "1B/1B",
                ],
                sentence: "--exchange: found it with a scenario, expected it with --quick alone"),
            RefusedCall(
                arguments: [
                    "scenarios/ceiling-small.yaml", "--target", "127.0.0.1:9", "--source-ports",
                    "2",
                ],
                sentence: "--source-ports: found it with a scenario, expected it with --quick alone"
            ),
            RefusedCall(
                arguments: [
                    "scenarios/ceiling-small.yaml", "--target", "127.0.0.1:9", "--answers",
                ],
                sentence: "--answers: found it with a scenario, expected it with --quick alone"),
            RefusedCall(
                arguments: [
                    "scenarios/ceiling-small.yaml", "--target", "127.0.0.1:9", "--datagrams",
                    "2",
                ],
                sentence: "--datagrams: found it with a scenario, expected it with --quick alone"),
            RefusedCall(
                arguments: [
                    "scenarios/ceiling-small.yaml", "--target", "127.0.0.1:9", "--patience",
                    "1s",
                ],
                sentence: "--patience: found it with a scenario, expected it with --quick alone"),
            RefusedCall(
                arguments: [
                    "scenarios/ceiling-small.yaml", "--target", "127.0.0.1:9", "--seed", "2",
                ],
                sentence: "--seed: found it with a scenario, expected it with --quick alone"),
            RefusedCall(
                arguments: ["--quick", "hold", "--target", "127.0.0.1:9", "--flows", "0"],
                sentence: "--flows: found 0, expected 1 or more"),
            RefusedCall(
                arguments: ["--quick", "fanout", "--target", "127.0.0.1:9", "--source-ports", "0"],
                sentence: "--source-ports: found 0, expected 1 or more"),
            RefusedCall(
                arguments: ["--quick", "fanout", "--target", "127.0.0.1:9", "--datagrams", "0"],
                sentence: "--datagrams: found 0, expected 1 or more"),
            RefusedCall(
                arguments: [
                    "--quick", "churn", "--target", "127.0.0.1:9", "--health",
                    "tcp:10.255.255.1:80",
                    "--observe", "none", "--format", "jsonl",
                ], sentence: "name it with --i-may-load 10.255.255.1"),
            RefusedCall(
                arguments: [
                    "--quick", "churn", "--target", "127.0.0.1:9", "--health",
                    "http://10.255.255.1/ready",
                    "--observe", "none", "--format", "jsonl",
                ], sentence: "name it with --i-may-load 10.255.255.1"),
        ])
    func refuses(_ row: RefusedCall) throws {
        let command = try Command.run(["load"] + row.arguments)
        #expect(command.status == row.status)
        #expect(command.error.contains(row.sentence), "\(command.error)")
        #expect(command.output.isEmpty)
    }

    @Test("the tests with real sockets run here, or say that they do not")
    func saysWhetherTheyRun() {
        guard let obstacle = LoadScript.obstacle else { return }
        let text = "NOT RUN: the tests of the load generator (\(obstacle))"
        FileHandle.standardError.write(Data("\n*** \(text) ***\n\n".utf8))
        #expect(ProcessInfo.processInfo.environment["CI"] != "true", "\(text)")
    }
}

/// Real sockets, in namespaces made for them; counts, not rates.
@Suite(.serialized, .enabled(if: LoadScript.isPossible))
struct LoadCommandTests {
    /// A number of the last object of a run told as JSON.
    static func number(_ key: String, in output: String) -> Int? {
        guard let last = output.split(separator: "\n").last,
            let range = last.firstRange(of: "\"\(key)\":")
        else { return nil }
        return Int(last[range.upperBound...].prefix { $0.isNumber })
    }

    @Test(
        "each way of ending leaves its own state behind, for every flow",
        arguments: [
            ("client-fin", "TIME_WAIT"), ("server-fin", "TIME_WAIT"), ("rst", "CLOSE"),
            ("abandon", "ESTABLISHED"),
        ])
    func leavesItsState(_ ending: String, _ state: String) throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick request --target 127.0.0.1:9000 --rate 200/s --for 1s \
                --arrivals uniform --ending \(ending) --exchange 100B/2kB --format jsonl || exit 1
            sleep 0.2
            echo "$(grep -c ' \(state) ' /proc/net/nf_conntrack) of $(grep -c . \
                /proc/net/nf_conntrack)" >&2
            """)
        #expect(command.status == 0, "\(command.error)")
        #expect(Self.number("started", in: command.output) == 200)
        #expect(Self.number("completed", in: command.output) == 200)
        #expect(Self.number("failed", in: command.output) == 0)
        #expect(command.error.contains("200 of 200"), "\(command.error)")
    }

    @Test("held connections stand until the end, over as many processes as they need")
    func holds() throws {
        let command = try LoadScript.run(
            """
            ulimit -n 300
            "$ctlab" load --quick hold --flows 600 --rate 5000/s --for 3s --format jsonl \
                --target 127.0.0.1:9000 | tee /dev/stderr | grep -c '"standing":600' > /dev/null
            """)
        #expect(command.status == 0, "\(command.error)")
        let last = command.error.split(separator: "\n").last.map(String.init) ?? ""
        #expect(Self.number("completed", in: last) == 600, "\(command.error)")
    }

    @Test("datagrams go to each destination once, and answers are counted")
    func fansOut() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick fanout --target 127.1.0.0/24:9000 --rate 254/s --for 1s \
                --answers --format jsonl || exit 1
            grep -c udp /proc/net/nf_conntrack >&2
            """)
        #expect(command.status == 0, "\(command.error)")
        #expect(Self.number("datagrams", in: command.output) == 254)
        // The last ones may come when a busy machine's run is over.
        let answers = try #require(Self.number("answers", in: command.output))
        #expect((127...254).contains(answers))
        #expect(command.error.split(separator: "\n").last == "254")
    }

    @Test("a sink that pauses for two seconds shows in the 99th percentile")
    func showsPauses() throws {
        let command = try LoadScript.run(
            """
            (sleep 1.5; kill -STOP $sink; sleep 2; kill -CONT $sink) &
            "$ctlab" load --quick request --target 127.0.0.1:9000 --rate 100/s --for 5s \
                --arrivals uniform --format jsonl
            """)
        #expect(command.status == 0, "\(command.error)")
        let complete = command.output.split(separator: "\n").last.flatMap { line in
            line.firstRange(of: "\"complete_us\":").map { String(line[$0.upperBound...]) }
        }
        let p99 = try #require(complete.flatMap { Self.number("p99", in: $0) })
        #expect(p99 > 1_500_000, "\(p99) µs")
    }

    @Test("OpenMetrics carries node_exporter's names and ends as it should")
    func printsOpenMetrics() throws {
        let command = try LoadScript.run("\"$ctlab\" observe --format openmetrics")
        #expect(command.status == 0, "\(command.error)")
        for name in [
            "node_nf_conntrack_entries", "node_nf_conntrack_entries_limit",
            "node_nf_conntrack_stat_drop", "node_nf_conntrack_stat_early_drop",
            "node_sockstat_TCP_inuse",
        ] {
            let series = "# TYPE \(name) gauge\n\(name){source=\"local\"} "
            #expect(command.output.contains(series), "\(name)")
        }
        #expect(command.output.hasSuffix("# EOF\n"))
    }
}
