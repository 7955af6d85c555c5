import Foundation
import Testing

/// Shares of a table, lookups and five-tuples that are used again, over real sockets.
@Suite(.serialized, .enabled(if: LoadScript.isPossible))
struct LoadShapeCommandTests {
    private static func number(_ key: String, in text: some StringProtocol) -> Int? {
        guard let range = text.firstRange(of: key) else { return nil }
        return Int(text[range.upperBound...].drop { !$0.isNumber }.prefix { $0.isNumber })
    }

    /// What the last object of a run says of a workload.
    private static func final(_ workload: String, in output: String) -> Substring? {
        guard let last = output.split(separator: "\n").last,
            let range = last.firstRange(of: "\"\(workload)\":")
        else { return nil }
        return last[range.upperBound...]
    }

    @Test("a share of the table that is observed is held; an entry each")
    func holdsShares() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick hold --flows 0.1% --rate 5000/s --for 3s --format jsonl \
                --target 127.0.0.1:9000
            """)
        #expect(command.status == 0, "\(command.error)")
        // The maximum is the whole machine's, and others may be changing it.
        let count = try #require(Self.number("--flows:", in: command.error), "\(command.error)")
        let maximum = try #require(Self.number("nf_conntrack_max", in: command.error))
        #expect(count == max(1, Int((Double(maximum) / 1000).rounded())))
        #expect(Self.number("\"peak\"", in: command.output) == count)
        let hold = try #require(Self.final("hold", in: command.output))
        #expect(Self.number("\"completed\"", in: hold) == count)
    }

    @Test("a profile runs on top of a background, and begins when that stands")
    func holdsABackground() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick churn --background 100 --rate 100/s --arrivals uniform --for 2s \
                --format jsonl --target 127.0.0.1:9000
            """)
        #expect(command.status == 0, "\(command.error)")
        #expect(command.error.contains("churn begins after 2 s"), "\(command.error)")
        let churn = try #require(Self.final("churn", in: command.output))
        #expect(Self.number("\"completed\"", in: churn) == 200)
        let background = try #require(Self.final("background", in: command.output))
        #expect(Self.number("\"completed\"", in: background) == 100)
        let first = command.output.split(separator: "\n").first ?? ""
        #expect(first.contains("\"churn\":{\"started\":0"), "\(first)")
    }

    @Test("two queries leave one socket for each lookup: an entry, and both answers")
    func looksUp() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick resolver --rate 100/s --arrivals uniform --for 1s \
                --format jsonl --target 127.0.0.1:9000 || exit 1
            grep -c udp /proc/net/nf_conntrack >&2
            """)
        #expect(command.status == 0, "\(command.error)")
        let lookups = try #require(Self.final("resolver", in: command.output))
        for (name, count) in [
            ("started", 100), ("completed", 100), ("datagrams", 200), ("answers", 200),
            ("asked", 100), ("answered", 100), ("one_of_two", 0), ("none", 0), ("failed", 0),
        ] {
            #expect(Self.number("\"\(name)\":", in: lookups) == count, "\(name): \(lookups)")
        }
        #expect(lookups.contains("\"lookup_us\":{\"count\":100"), "\(lookups)")
        // Of a hundred ports that the system draws, two may be the same.
        let entries = try #require(command.error.split(separator: "\n").last.flatMap { Int($0) })
        #expect((95...100).contains(entries), "\(command.error)")
    }

    @Test("a lookup that misses one answer of two is told from one that misses both")
    func tellsLostAnswers() throws {
        // The second query is known by its number, the fifth byte behind the UDP header.
        for (rule, name, lost) in [
            ("udp dport 9000 @th,96,8 1 drop", "one_of_two", 20),
            ("udp dport 9000 drop", "none", 40),
        ] {
            let command = try LoadScript.run(
                """
                nft add table ip d
                nft 'add chain ip d i { type filter hook input priority 0; }'
                nft 'add rule ip d i \(rule)'
                "$ctlab" load --quick resolver --rate 20/s --arrivals uniform --for 1s \
                    --patience 2s --format jsonl --target 127.0.0.1:9000
                """)
            let lookups = try #require(Self.final("resolver", in: command.output))
            #expect(Self.number("\"\(name)\":", in: lookups) == 20, "\(lookups)")
            #expect(Self.number("\"lost_answers\":", in: lookups) == lost, "\(lookups)")
            #expect(Self.number("\"failed\":", in: lookups) == 20, "\(lookups)")
            #expect(Self.number("\"completed\":", in: lookups) == 0, "\(lookups)")
        }
    }

    @Test("names of a scenario are looked up before each of its flows")
    func looksUpBeforeFlows() throws {
        let scratch = try Scratch()
        let path = try scratch.file(
            "names.yaml",
            Data(
                """
                version: 1
                name: names
                about: A lookup, then a connection.
                duration: 2s
                topology:
                  nodes:
                    clients: { addresses: [198.18.0.0/24] }
                    web: { addresses: [198.18.128.10], listen: [80/tcp, 53/udp], tracking: always }
                  links: [{ endpoints: [clients, web] }]
                workloads:
                  visits:
                    from: clients
                    to: web:80/tcp
                    arrivals: uniform
                    rate: 50/s
                    flow: { request: 0B, response: 0B }
                    resolver: { ask: web:53/udp, one_socket: true }

                """.utf8))
        let command = try LoadScript.run(
            "\"$ctlab\" load \(path) --format jsonl --target 127.0.0.1:9000")
        #expect(command.status == 0, "\(command.error)")
        let visits = try #require(Self.final("visits", in: command.output))
        for (name, count) in [
            ("started", 100), ("connected", 100), ("completed", 100), ("datagrams", 200),
            ("answers", 200), ("answered", 100),
        ] {
            #expect(Self.number("\"\(name)\":", in: visits) == count, "\(name): \(visits)")
        }
    }

    @Test(
        "five-tuples that were used are used again as asked for",
        arguments: [("cycle", 100), ("never", 14), ("after(20s)", 14)])
    func reuses(_ reuse: String, _ flows: Int) throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick fanout --target 127.1.0.0/28:9000 --rate 100/s --for 1s \
                --reuse '\(reuse)' --format jsonl
            """)
        #expect(command.status == 0, "\(command.error)")
        let fanout = try #require(Self.final("fanout", in: command.output))
        #expect(Self.number("\"started\":", in: fanout) == flows, "\(fanout)")
        #expect(Self.number("\"dropped_starts\":", in: fanout) == 100 - flows, "\(fanout)")
        let usedUp = Self.number("\"used_up_starts\":", in: fanout) ?? 0
        #expect(usedUp == 100 - flows, "\(fanout)")
    }

    @Test(
        "shares, backgrounds and reuse that cannot be are refused with a sentence",
        arguments: [
            RefusedCall(
                arguments: ["--quick", "hold", "--flows", "150%", "--target", "127.0.0.1:9"],
                sentence: "--flows: found '150%', expected at most 100%"),
            RefusedCall(
                arguments: [
                    "--quick", "hold", "--flows", "5%", "--observe", "none", "--target",
                    "127.0.0.1:9",
                ], status: 4, sentence: "--flows: found a share, and no table is observed"),
            RefusedCall(
                arguments: ["--quick", "hold", "--background", "5", "--target", "127.0.0.1:9"],
                sentence: "--background: found it with --quick hold, expected it with churn, "
                    + "request, fanout, resolver"),
            RefusedCall(
                arguments: ["--quick", "churn", "--reuse", "never", "--target", "127.0.0.1:9"],
                sentence: "--reuse: found it with --quick churn, expected it with fanout"),
            RefusedCall(
                arguments: ["--quick", "churn", "--flows", "7", "--target", "127.0.0.1:9"],
                sentence: "--flows: found it with --quick churn, expected it with hold"),
            RefusedCall(
                arguments: ["--quick", "fanout", "--ending", "rst", "--target", "127.0.0.1:9"],
                sentence: "--ending: found it with --quick fanout, expected it with churn, hold, "
                    + "request"),
            RefusedCall(
                arguments: ["--quick", "hold", "--arrivals", "foo", "--target", "127.0.0.1:9"],
                sentence:
                    "--arrivals: found it with --quick hold, expected it with churn, request, "
                    + "fanout, resolver"),
            RefusedCall(
                arguments: ["--quick", "resolver", "--answers", "--target", "127.0.0.1:9"],
                sentence: "--answers: found it with --quick resolver, expected it with fanout"),
            RefusedCall(
                arguments: ["--quick", "hold", "--rate", "10/s..20/s", "--target", "127.0.0.1:9"],
                sentence: "--rate: found '10/s..20/s', expected one rate with --quick hold"),
            RefusedCall(
                arguments: [
                    "--quick", "churn", "--background", "100000000000000", "--target",
                    "127.0.0.1:9",
                ],
                sentence: "--background: found 100000000000000, expected at most 1000000"),
            RefusedCall(
                arguments: ["--quick", "fanout", "--reuse", "soon", "--target", "127.0.0.1:9"],
                sentence: "--reuse: found 'soon', expected cycle, never or after(30s)"),
        ])
    func refuses(_ row: RefusedCall) throws {
        let command = try Command.run(["load"] + row.arguments)
        #expect(command.status == row.status)
        #expect(command.error.contains(row.sentence), "\(command.error)")
        #expect(command.output.isEmpty)
    }
}
