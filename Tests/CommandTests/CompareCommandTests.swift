import Foundation
import Testing

/// A scenario short enough for a test: connections a host takes, and keeps in its table.
private enum ShortScenario {
    static let text = """
        version: 1
        name: short
        about: A hundred connections a second, reset at once.
        seed: 3
        duration: 3s
        topology:
          nodes:
            clients: { addresses: [198.18.0.1/32] }
            web:
              addresses: [198.18.128.1/32]
              listen: [9000/tcp]
              nftables: |
                table inet t {
                  chain i { type filter hook input priority filter; ct state new accept; }
                }
          links: [{ endpoints: [clients, web], delay: 100us }]
        workloads:
          churn:
            from: clients
            to: web:9000/tcp
            model: open
            arrivals: poisson
            stages: [{ for: 3s, rate: 100/s }]
            flow: { request: 0B, response: 0B, close: rst }
        """

    static func write(in scratch: borrowing Scratch) throws -> String {
        try scratch.file("short.yaml", Data(text.utf8))
    }
}

@Suite struct CompareRefusalTests {
    @Test(
        "a comparison that cannot be is refused with a sentence",
        arguments: [
            RefusedCall(
                arguments: ["--target", "203.0.113.1:9000"],
                sentence: "is a public address; if it is yours to load, list it in"),
            RefusedCall(
                arguments: ["--target", "10.255.255.1:9000"],
                sentence: "name it with --i-may-load 10.255.255.1"),
            RefusedCall(
                arguments: ["--target", "127.0.0.1:9000", "--within", "plateau"],
                sentence: "--within: found 'plateau', expected per cents such as plateau=2"),
            RefusedCall(
                arguments: ["--target", "127.0.0.1:9000", "--observe", "none"],
                sentence: "expected the table to compare with"),
            RefusedCall(
                arguments: ["--target", "127.0.0.1:9000", "--observe", "netns:nowhere-4711"],
                status: 4, sentence: "there is no namespace 'nowhere-4711'"),
            RefusedCall(
                arguments: ["--target", "127.0.0.1:9000", "--set", "seed"],
                sentence: "--set: found 'seed', expected path=value"),
            RefusedCall(
                arguments: ["--target", "127.0.0.1:9000", "--sources", "::1"],
                sentence: "--sources: found '::1', expected addresses of the target's family"),
            RefusedCall(
                arguments: [
                    "--target", "127.0.0.1:9000", "--set", "workloads.churn.flow.close=half-close",
                ],
                sentence: "close: found 'half-close', expected client-fin, server-fin, rst, abandon"
            ),
        ])
    func refuses(_ row: RefusedCall) throws {
        let scratch = try Scratch()
        let command = try Command.run(
            ["compare", try ShortScenario.write(in: scratch)] + row.arguments)
        #expect(command.status == row.status)
        #expect(command.error.contains(row.sentence), "\(command.error)")
        #expect(command.output.isEmpty)
    }

    @Test("a scenario that is not there is refused by its name")
    func refusesMissingScenarios() throws {
        let command = try Command.run(
            ["compare", "/no/such/file.yaml", "--target", "127.0.0.1:9000"])
        #expect(command.status == 2)
        #expect(command.error.contains("/no/such/file.yaml"), "\(command.error)")
    }
}

/// Real sockets and a real table, in a namespace made for each test.
@Suite(.serialized, .enabled(if: LoadScript.isPossible))
struct CompareCommandTests {
    /// A name nobody else uses.
    private static let lab = "ctlab-compare-\(getpid())"

    /// Runs `compare` on the short scenario with `options`.
    private static func compare(_ options: String, port: Int = 9000) throws -> Command {
        let scratch = try Scratch()
        let path = try ShortScenario.write(in: scratch)
        return try LoadScript.run(
            "\"$ctlab\" compare '\(path)' --target 127.0.0.1:\(port) \(options)")
    }

    @Test("prediction and measurement of a host's table lie over each other")
    func compares() throws {
        let command = try Self.compare("--within plateau=90")
        #expect(command.status == 0, "\(command.error)\(command.output)")
        #expect(command.output.contains("predicted"), "\(command.output)")
        #expect(command.output.contains("●"), "\(command.output)")
        #expect(command.output.contains("time to full        never       never"))
    }

    @Test("as JSON there are both curves, the settings they were made with, and the errors")
    func tellsJSON() throws {
        struct Told: Decodable {
            struct Table: Decodable { var count: [[Double]] }
            struct Figure: Decodable {
                var kind: String
                var predicted: Double?
                var measured: Double?
                var errorPercent: Double?
            }
            struct Comparison: Decodable {
                var predicted: Table
                var measured: Table
                var figures: [Figure]
            }
            struct Setting: Decodable {
                var name: String
                var value: String
            }
            struct Settings: Decodable { var tracker: [Setting] }
            var node: String
            var settings: Settings
            var comparison: Comparison
            var isWithin: Bool
        }
        let command = try Self.compare("--within plateau=90 --format json")
        #expect(command.status == 0, "\(command.error)")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let told = try decoder.decode(Told.self, from: Data(command.output.utf8))
        #expect(told.node == "web")
        #expect(told.isWithin)
        #expect(told.comparison.predicted.count.count > 20)
        #expect(told.comparison.measured.count.count > 3)
        #expect(told.comparison.figures.map(\.kind) == ["plateau", "time_to_full", "drops"])
        let drops = try #require(told.comparison.figures.last)
        #expect(drops.predicted == 0)
        #expect(drops.measured == 0)
        let names = told.settings.tracker.map(\.name)
        #expect(names.contains("net.netfilter.nf_conntrack_tcp_timeout_close"))
        #expect(names.contains("net.netfilter.nf_conntrack_max"))
    }

    @Test("what lies outside its bound is exit code 3, and the figure is named")
    func judges() throws {
        // What nobody tracks is measured as nothing.
        let scratch = try Scratch()
        let path = try ShortScenario.write(in: scratch)
        let command = try LoadScript.run(
            """
            nft 'table ip n { chain c { type filter hook output priority raw; notrack; }; }'
            "$ctlab" compare '\(path)' --target 127.0.0.1:9000 --within plateau=90 --format line
            """)
        #expect(command.status == 3, "\(command.error)")
        #expect(command.error.contains("short: plateau outside --within plateau=90"))
        #expect(command.output.hasPrefix("short"))
        #expect(command.output.contains("OUTSIDE"))
    }

    @Test("the namespace's own settings make the prediction")
    func readsTheNamespace() throws {
        let scratch = try Scratch()
        let path = try ShortScenario.write(in: scratch)
        let command = try LoadScript.run(
            """
            echo 77 > /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close
            "$ctlab" compare '\(path)' --target 127.0.0.1:9000 --within plateau=90
            """)
        #expect(command.status == 0, "\(command.error)")
        #expect(
            command.output.contains("nf_conntrack_tcp_timeout_close is 77 there; the file says 10"),
            "\(command.output)")
    }

    @Test("without a far end the run stops, and says what to start")
    func missesTheSink() throws {
        let command = try Self.compare("", port: 9)
        #expect(command.status == 1)
        #expect(
            command.error.hasSuffix(
                "nothing listens at 127.0.0.1:9; start what should, such as: ctlab sink --tcp PORT\n"
            ),
            "\(command.error)")
        #expect(command.output.isEmpty)
    }

    @Test("a node the scenario does not have is refused with those it has")
    func refusesUnknownNodes() throws {
        let command = try Self.compare("--node gateway")
        #expect(command.status == 2)
        #expect(
            command.error.contains("--node: found 'gateway', expected one of clients, web"),
            "\(command.error)")
    }

    @Test("a lab is made from the compared scenario, and nothing of it stays")
    func comparesInALab() throws {
        let scratch = try Scratch()
        let text = """
            version: 1
            name: lab-short
            about: A hundred connections a second through a gateway, closed by the client.
            duration: 3s
            topology:
              nodes:
                clients: { addresses: [198.18.0.0/28] }
                gw:
                  role: router
                  sysctl: { net.netfilter.nf_conntrack_tcp_timeout_time_wait: 60 }
                  nftables: |
                    table ip t {
                      chain f { type filter hook forward priority filter; ct state new accept; }
                    }
                web: { addresses: [198.18.128.10/32], listen: [9000/tcp] }
              links:
                - { endpoints: [clients, gw], delay: 100us }
                - { endpoints: [gw, web], delay: 100us }
            workloads:
              churn:
                from: clients
                to: web:9000/tcp
                model: open
                arrivals: uniform
                stages: [{ for: 3s, rate: 100/s }]
                flow: { request: 0B, response: 0B, close: client-fin }
            """
        let path = try scratch.file("lab-short.yaml", Data(text.utf8))
        let command = try Command.run(
            [
                "lab", "run", "--name", Self.lab, "--", "compare", "--within",
                "plateau=90", path,
            ])
        #expect(command.status == 0, "\(command.error)\(command.output)")
        #expect(command.output.contains("tcp TIME_WAIT 300 → "), "\(command.output)")
        #expect(!command.output.contains("the file says"), "\(command.output)")
        #expect(!FileManager.default.fileExists(atPath: "/run/netns/\(Self.lab)-gw"))
    }
}
