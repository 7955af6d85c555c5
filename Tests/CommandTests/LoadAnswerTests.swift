import Foundation
import Testing

/// Runs that wait for answers: all of them, some, and none.
@Suite(.serialized, .enabled(if: LoadScript.isPossible))
struct LoadAnswerTests {
    /// The whole of a run told as JSON.
    private struct Final: Decodable {
        struct Lookups: Decodable {
            var asked: Int
            var answered: Int
            var oneOfTwo: Int
            var none: Int
            var unfinished: Int
        }

        struct Flows: Decodable {
            var started: Int
            var connected: Int
            var completed: Int
            var failed: Int
            var unfinished: Int
            var datagrams: Int
            var answers: Int
            var lookups: Lookups?
        }

        struct Workload: Decodable { var flows: Flows }

        var elapsedMs: Int
        var workloads: [String: Workload]
    }

    private static func final(_ command: Command) throws -> Final {
        try LoadScript.final(command)
    }

    private static func flows(_ command: Command, _ name: String) throws -> Final.Flows {
        try #require(try final(command).workloads[name], "\(command.error)").flows
    }

    /// A scenario in `scratch` whose flows look a name up first.
    private static func names(
        in scratch: borrowing Scratch, _ resolver: String = ""
    ) throws -> String {
        try scratch.file(
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
                    web: { addresses: [198.18.128.10], listen: [9000/tcp, 9000/udp] }
                  links: [{ endpoints: [clients, web] }]
                workloads:
                  visits:
                    from: clients
                    to: web:9000/tcp
                    arrivals: uniform
                    rate: 50/s
                    flow: { request: 0B, response: 0B }
                    resolver: { ask: web:9000/udp, timeout: 1s, attempts: 1\(resolver) }

                """.utf8))
    }

    @Test(
        "lookups of several sockets are asked one after the other, then comes the connection",
        arguments: [
            (", one_socket: false", 2, 200), (", dots: 1, ndots: 5, search: 3", 4, 800),
        ])
    func asksOneAfterTheOther(_ words: String, _ sockets: Int, _ queries: Int) throws {
        let scratch = try Scratch()
        let path = try Self.names(in: scratch, words)
        let command = try LoadScript.run(
            "\"$ctlab\" load \(path) --format jsonl --target 127.0.0.1:9000")
        #expect(command.status == 0, "\(command.error)")
        let flows = try Self.flows(command, "visits")
        #expect(flows.started == 100 && flows.completed == 100, "\(command.output)")
        #expect(flows.datagrams == queries && flows.answers == queries, "\(command.output)")
        #expect(flows.lookups?.asked == 100 * sockets, "\(command.output)")
        #expect(flows.lookups?.answered == 100 * sockets, "\(command.output)")
    }

    @Test(
        "a resolver that goes away half-way is said with its second, and all it was asked counted")
    func countsRefusedQueries() throws {
        let command = try LoadScript.load(
            "--quick resolver --rate 100/s --for 8s",
            meanwhile: "reached '\"second\":2,'; kill -KILL $sink")
        #expect(command.status == 1, "\(command.error)")
        #expect(
            command.error.contains("nothing has listened at 127.0.0.1:9000 since second "),
            "\(command.error)")
        #expect(
            command.error.contains("start what should, such as: ctlab sink --udp PORT\n"),
            "\(command.error)")
        let flows = try Self.flows(command, "resolver")
        let lookups = try #require(flows.lookups)
        #expect(lookups.answered > 0 && lookups.none > 0, "\(command.output)")
        #expect(
            lookups.asked
                == lookups.answered + lookups.oneOfTwo + lookups.none + lookups.unfinished,
            "\(command.output)")
    }

    @Test(
        "a far end that stops answering half-way is said",
        arguments: [
            "--quick resolver --rate 100/s --for 8s --patience 1s",
            "--quick fanout --answers --rate 100/s --for 8s",
        ])
    func saysSilence(_ options: String) throws {
        let command = try LoadScript.load(
            options, meanwhile: "reached '\"second\":2,'; kill -STOP $sink")
        #expect(command.status == 1, "\(command.error)")
        #expect(
            command.error.contains("127.0.0.1:9000 seems gone since second "), "\(command.error)")
    }

    @Test(
        "a run that nobody answers does not end well",
        arguments: [
            ("--quick resolver --rate 20/s", "127.0.0.1:9000: no answer came in time"),
            ("--quick request --rate 20/s", "127.0.0.1:9000: no answer came in time"),
            ("--quick fanout --answers --rate 20/s", "nobody answered in time"),
        ])
    func saysThatNobodyAnswers(_ options: String, _ reason: String) throws {
        let command = try LoadScript.run(
            """
            kill -STOP $sink
            "$ctlab" load --target 127.0.0.1:9000 --arrivals uniform --for 1s --patience 1s \
                \(options)
            status=$?
            kill -CONT $sink
            exit $status
            """)
        #expect(command.status == 1, "\(command.error)")
        #expect(
            command.error.contains("none of 20 flows to 127.0.0.1:9000 came about: \(reason);"),
            "\(command.error)")
    }

    @Test(
        "connections that are never begun, because no name is found, are nothing to be content with"
    )
    func saysThatNoNameIsFound() throws {
        let scratch = try Scratch()
        let path = try Self.names(in: scratch)
        let command = try LoadScript.run(
            """
            nft 'table ip d { chain i { type filter hook input priority 0; udp dport 9000 drop; }; }'
            "$ctlab" load \(path) --target 127.0.0.1:9000
            """)
        #expect(command.status == 1, "\(command.error)")
        #expect(
            command.error.contains(
                "none of 100 flows to 127.0.0.1:9000 came about: 127.0.0.1:9000: no answer came in "
                    + "time;"), "\(command.error)")
    }

    @Test("answers that are under way at the end are waited for, and no longer than they take")
    func waitsForAnswers() throws {
        let late = try LoadScript.load(
            "--quick fanout --answers --rate 100/s --for 1s",
            meanwhile: "kill -STOP $sink; reached '\"second\":1,'; kill -CONT $sink")
        #expect(late.status == 0, "\(late.error)")
        let flows = try Self.flows(late, "fanout")
        #expect(flows.datagrams == 100 && flows.answers == 100, "\(late.output)")
        let prompt = try LoadScript.load(
            "--quick fanout --answers --rate 100/s --for 1s", meanwhile: ":")
        #expect(prompt.status == 0, "\(prompt.error)")
        #expect(try Self.flows(prompt, "fanout").answers == 100, "\(prompt.output)")
        #expect(try Self.final(prompt).elapsedMs < 3000, "\(prompt.output)")
    }

    @Test("connections that stand only in the grace are ended like all others, not held")
    func holdsNothingInTheGrace() throws {
        let command = try LoadScript.load(
            "--quick churn --hold 30s --rate 50/s --for 1s --arrivals uniform",
            meanwhile: """
                nft 'table ip d { chain i { type filter hook input priority 0; tcp dport 9000 drop; }; }'
                reached '"second":1,'
                nft delete table ip d
                """)
        let flows = try Self.flows(command, "churn")
        #expect(flows.connected > 0, "\(command.output)")
        #expect(flows.completed == flows.connected, "\(command.output)")
        #expect(flows.unfinished == flows.started - flows.connected, "\(command.output)")
    }

    @Test("processes share a fan-out's five-tuples: as many are used as one process would use")
    func sharesTuples() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick fanout --target 127.0.0.1:9000 --source-ports 10 --rate 100/s \
                --for 1s --reuse never --processes 2
            """)
        #expect(command.status == 0, "\(command.error)")
        #expect(command.output.contains("fanout: 10 started, "), "\(command.output)")
        #expect(
            command.output.contains("90 starts found none of the 10 five-tuples free"),
            "\(command.output)")
    }
}
