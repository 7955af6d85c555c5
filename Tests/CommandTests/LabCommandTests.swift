import Foundation
import Testing

/// Three namespaces on this machine, and what is found out in them.
@Suite(.serialized, .enabled(if: LoadScript.isPossible))
struct LabCommandTests {
    static let scenario = "scenarios/ceiling-small.yaml"

    /// Whether a setting of the whole machine is still what a run made it; others may have made it
    /// something else meanwhile.
    private static func isLeft(_ name: String, _ value: Int) throws -> Bool {
        let path = "/proc/sys/net/netfilter/nf_conntrack_\(name)"
        return try String(contentsOfFile: path, encoding: .utf8) == "\(value)\n"
    }

    /// A lab of our own, whoever else has one.
    private static let name = "ctlab-tests-\(getpid())"

    /// Runs `ctlab lab run` and checks that it leaves nothing behind.
    private static func run(_ arguments: [String]) throws -> Command {
        let command = try Command.run(["lab", "run", "--name", name] + arguments)
        #expect(!FileManager.default.fileExists(atPath: "/run/netns/\(name)-gw"))
        return command
    }

    @Test("two labs of one name do not meet")
    func takesItsName() throws {
        let command = try Command.run(
            program: "/bin/bash",
            [
                "-c",
                """
                "$1" lab run --name $2 -- load --quick churn --rate 10/s --for 4s > /dev/null &
                first=$!
                while [ ! -e /run/netns/$2-gw ]; do sleep 0.05; done
                "$1" lab run --name $2 -- load --quick churn --rate 10/s --for 1s
                second=$?
                wait $first || exit 99
                exit $second
                """, "bash", Command.program.path, Self.name,
            ])
        #expect(command.status == 4)
        #expect(command.error.contains("another run has the lab '\(Self.name)'"))
    }

    @Test("the lab of a run that was killed goes when the next one comes, whatever its name")
    func removesAbandonedLabs() throws {
        let command = try Command.run(
            program: "/bin/bash",
            [
                "-c",
                """
                "$1" lab run --name $2-old -- load --quick churn --rate 10/s --for 60s > /dev/null &
                first=$!
                while [ ! -e /run/netns/$2-old-server ]; do sleep 0.05; done
                kill -KILL $first; wait $first
                "$1" lab run --name $2 -- load --quick churn --rate 10/s --for 1s > /dev/null
                second=$?
                ls /run/netns /run/ctlab | grep -e $2-old
                exit $second
                """, "bash", Command.program.path, Self.name,
            ])
        #expect(command.status == 0, "\(command.error)")
        #expect(command.output.isEmpty, "\(command.output)")
    }

    @Test("the generator's descriptors are named when they give in first, exactly")
    func namesDescriptors() throws {
        let command = try Self.run([
            Self.scenario, "--", "ceiling", "--descriptors", "300", "--processes", "1", "--start",
            "100", "--most", "1000",
        ])
        #expect(command.status == 0, "\(command.error)")
        #expect(command.output.contains("ceiling: 236 connections"), "\(command.output)")
        #expect(command.output.contains("limit: the generator's descriptors"))
    }

    @Test("the limit that the system sets counts as the one an option sets")
    func namesTheSystemsDescriptors() throws {
        let command = try Command.run(
            program: "/bin/bash",
            [
                "-c",
                "ulimit -n 300; exec \"$1\" lab run --name $2 -- ceiling --start 100 --most 1000 "
                    + "--processes 1", "bash", Command.program.path, Self.name,
            ])
        #expect(command.status == 0, "\(command.error)")
        #expect(command.output.contains("ceiling: 236 connections"), "\(command.output)")
    }

    @Test("the generator's source ports are named when they give in first, exactly")
    func namesPorts() throws {
        let command = try Self.run([
            Self.scenario, "--client-set", "net.ipv4.ip_local_port_range=20000 20299", "--",
            "ceiling", "--sources", "198.18.0.9", "--start", "100", "--most", "1000",
        ])
        #expect(command.status == 0, "\(command.error)")
        #expect(command.output.contains("ceiling: 300 connections"), "\(command.output)")
        #expect(command.output.contains("limit: the generator's source ports"))
        #expect(command.output.contains("Cannot assign requested address"))
    }

    @Test("the table's maximum is found exactly, named with what moved, and put back")
    func findsTheTablesMaximum() throws {
        let command = try Self.run([
            Self.scenario, "--set", "nf_conntrack_max=700", "--", "ceiling", "--start", "350",
            "--most", "2000",
        ])
        #expect(command.status == 0, "\(command.error)")
        #expect(command.output.contains("ceiling: 700 connections"), "\(command.output)")
        #expect(command.output.contains("limit: the table's maximum"))
        #expect(command.output.contains("counters: drop+"))
        #expect(try !Self.isLeft("max", 700))
    }

    @Test("datagrams find the same maximum, and say EPERM where the table is their own")
    func findsItWithDatagrams() throws {
        let scratch = try Scratch()
        let rules = try scratch.file(
            "client.nft",
            Data(
                """
                table inet track {
                    chain out {
                        type filter hook output priority filter
                        ct state new counter
                    }
                }

                """.utf8))
        let arguments = [
            "--set", "nf_conntrack_max=700", "--client-rules", rules, "--", "ceiling", "--udp",
            "--target", "198.18.128.0/24:9000", "--rate", "1000/s", "--most", "5000",
        ]
        let far = try Self.run(arguments)
        #expect(far.status == 0, "\(far.error)")
        #expect(far.output.contains("ceiling: 700 flows"), "\(far.output)")
        // The client tracks as well, so that its table is full first.
        #expect(far.output.contains("limit: this machine's own table\n"), "\(far.output)")
        let own = try Self.run(arguments + ["--observe", "netns:\(Self.name)-client"])
        #expect(own.status == 0, "\(own.error)")
        #expect(own.output.contains("ceiling: 700 flows"), "\(own.output)")
        #expect(own.output.contains("limit: the table's maximum"))
        #expect(own.output.contains("Operation not permitted (errno 1)"))
    }

    @Test("unreplied entries give way to newcomers, assured ones do not")
    func tellsWhoGivesWay() throws {
        let command = try Self.run([
            "--set", "nf_conntrack_max=600", "--set", "nf_conntrack_buckets=1024", "--set",
            "nf_conntrack_tcp_timeout_close=1", "--set", "nf_conntrack_udp_timeout=6", "--",
            "early-drop", "--newcomers", "100", "--rate", "600/s",
        ])
        #expect(command.status == 0, "\(command.error)")
        #expect(command.output.contains("  100 of 100 connections stand"), "\(command.output)")
        #expect(!command.output.contains("  0 unreplied entries gave way"), "\(command.output)")
        #expect(
            command.output.contains(
                "  0 assured entries gave way (early_drop+0), 100 packets were refused (drop+100)"),
            "\(command.output)")
        #expect(try !Self.isLeft("max", 600) && !Self.isLeft("buckets", 1024))
    }

    @Test("timeouts are told from how the table empties, within half a second")
    func tellsTimeouts() throws {
        let command = try Self.run([
            "--set", "nf_conntrack_tcp_timeout_close=3", "--set", "nf_conntrack_udp_timeout=4",
            "--", "timeouts", "--of", "rst", "--of", "udp", "--flows", "300",
        ])
        #expect(command.status == 0, "\(command.error)")
        for (group, seconds) in [("rst: ", 3.0), ("udp: ", 4.0)] {
            let line = command.output.split(separator: "\n").first { $0.hasPrefix(group) } ?? ""
            let found = Double(line.dropFirst(group.count).prefix { $0 != " " })
            #expect(abs(try #require(found, "\(command.output)") - seconds) < 0.5, "\(line)")
        }
    }

    @Test("IPv6 passes the gateway, and lost packets show as SYNs sent again")
    func passesIPv6() throws {
        let command = try Self.run([
            "--ipv6", "--loss", "20%", "--", "load", "--quick", "churn", "--rate", "100/s", "--for",
            "3s", "--format", "jsonl",
        ])
        #expect(command.status == 0, "\(command.error)")
        let last = String(command.output.split(separator: "\n").last ?? "")
        #expect(try #require(LoadCommandTests.number("connected", in: last)) > 50, "\(last)")
        #expect(!last.contains("\"syn_retransmitted\":[0,0,0]"), "\(last)")
    }

    @Test("a delay is made, or the kernel's lack of netem is said")
    func delaysOrSays() throws {
        let command = try Self.run([
            "--delay", "20ms", "--", "load", "--quick", "churn", "--rate", "50/s", "--for", "1s",
            "--format", "jsonl",
        ])
        if command.status == 0 {
            let last = String(command.output.split(separator: "\n").last ?? "")
            #expect(try #require(LoadCommandTests.number("p50", in: last)) >= 80_000)
        } else {
            #expect(command.status == 4)
            #expect(command.error.contains("this kernel has no netem"), "\(command.error)")
        }
    }
}
