import Conntrack
import Report
import Scenario
import Testing

@testable import Simulator

/// What servers do besides answering at once.
@Suite struct ServerTests {
    private func run(
        seconds: Int = 60, rules: String = "", server: String = "", listen: String, target: String,
        load: String,
        flow: String
    ) throws -> Run {
        let text = """
            version: 1
            name: servers
            about: A server.
            duration: \(seconds)s
            topology:
              nodes:
                clients: { addresses: [10.0.0.0/24] }
                gw: { role: router, tracking: always\(rules) }
                web: { addresses: [198.51.100.7], listen: [\(listen)]\(server) }
              links: [{ endpoints: [clients, gw] }, { endpoints: [gw, web] }]
            workloads:
              w: { from: clients, to: \(target), \(load), flow: { \(flow) } }
            """
        var options = RunOptions()
        options.eventLimit = 1000
        var run = try Run(ScenarioFile.parse(text, file: "test.yaml").scenario, options)
        while run.advance() {}
        return run
    }

    @Test(
        "messages nobody asked for arrive, over either protocol, behind the last answer",
        arguments: ["80/tcp", "53/udp"])
    func pushes(_ port: String) throws {
        let run = try run(
            listen: port, target: "web:\(port)", load: "arrivals: uniform, rate: 1/s, total: 5",
            flow: "hold: 20s, push: { count: 3, every: 4s, size: 200B }")
        #expect(run.recorded.last("w.pushes") == 15)
        #expect(run.recorded.last("w.pushes.received") == 15)
        #expect(run.recorded.last("w.completed") == 5)
    }

    @Test("a push keeps a UDP mapping alive that silence would lose", arguments: [true, false])
    func pushesRefresh(_ hasPushes: Bool) throws {
        // 30 s after an exchange; a push every 20 s is seen as more of the same stream.
        let push = hasPushes ? ", push: { count: 3, every: 20s }" : ""
        var run = try run(
            seconds: 120, listen: "53/udp", target: "web:53/udp",
            load: "arrivals: uniform, rate: 1/s, total: 1", flow: "hold: 110s\(push)")
        run.writeEvents { _ in }
        let destroyed = run.simulation.events?.kept.filter { $0.event.kind == .destroy } ?? []
        let ends = destroyed.map { $0.event.at.nanoseconds / 1_000_000_000 }
        // Expired after 30 s, and collected within a minute; with pushes a stream of 120 s.
        #expect(hasPushes ? ends.isEmpty : ends.count == 1 && (30...91).contains(ends[0]))
        #expect(run.recorded.last("w.pushes.received") == (hasPushes ? 3 : 0))
    }

    @Test("connections that came in through a SYN cookie are served like all others")
    func servesBehindCookies() throws {
        // The queue of half-open connections has room for a few of the two thousand.
        let run = try run(
            server: ", backlog: 16", listen: "80/tcp", target: "web:80/tcp",
            load: "arrivals: \"bursts(size=2000, every=50s)\", total: 2000",
            flow: "requests: 2, request: 100B, response: 1kB")
        #expect(run.recorded.last("w.connected") == 2000)
        #expect(run.recorded.last("w.responses") == 4000)
        #expect(run.recorded.last("w.completed") == 2000)
    }

    @Test(
        "requests beyond a listener's workers wait, over either protocol",
        arguments: ["80/tcp", "53/udp"])
    func waitsForWorkers(_ port: String) throws {
        // Eight at once, two at a time, a second each: the last answers come after four seconds.
        let run = try run(
            listen: "{ port: \(port), processing: 1s, workers: 2 }", target: "web:\(port)",
            load: "arrivals: \"bursts(size=8, every=50s)\", total: 8", flow: "requests: 1")
        let responses = try #require(run.recorded.series(named: "w.responses"))
        guard case .samples(let samples) = responses.values else { return }
        // The first request is on its way for no time: a second is over with the second sample.
        #expect(samples[1...5].map { Int($0) } == [2, 4, 6, 8, 8])
    }

    @Test("datagrams beyond what a socket holds are lost while its workers are busy")
    func overflows() throws {
        let run = try run(
            seconds: 10, listen: "{ port: 53/udp, processing: 60s, workers: 1 }",
            target: "web:53/udp", load: "arrivals: \"bursts(size=300, every=50s)\", total: 300",
            flow: "requests: 1")
        // One is worked on, 277 wait.
        #expect(run.simulation.stats[2].dropped[PacketFate.backlog] == 22)
    }

    @Test("an ipvs front end ends an entry in TIME_WAIT and drops the SYN; else it is reopened")
    func reusesPorts() throws {
        for reuse in ["drop-syn", "reopen"] {
            let text = """
                version: 1
                name: reuse
                about: A port used again.
                duration: 60s
                topology:
                  nodes:
                    client: { addresses: [192.0.2.1], sysctl: { net.ipv4.tcp_tw_reuse: 1 } }
                    node: { role: kubernetes-node, addresses: [172.16.0.10] }
                    pod: { replicas: 1, addresses: [10.244.0.1], listen: [80/tcp] }
                  links: [{ endpoints: [client, node] }, { endpoints: [node, pod] }]
                services:
                  web: { vip: 10.96.0.10, port: 80/tcp, endpoints: pod, mode: ipvs, reuse: \(reuse) }
                workloads:
                  w: { from: client, to: web, arrivals: uniform, rate: 0.1/s, total: 3, flow: { source_port: 40000, close: server-fin } }
                """
            var run = try Run(ScenarioFile.parse(text, file: "test.yaml").scenario)
            while run.advance() {}
            let summary = run.summary(scenarioHash: "0")
            let again = reuse == "drop-syn" ? 2 : 0
            #expect(summary.workloads[0].connected == 3)
            #expect(Int(run.recorded.last("w.retransmitted.syn") ?? -1) == again, "\(reuse)")
        }
    }
}

/// ctnetlink messages of a run.
@Suite struct RunEventTests {
    @Test("messages are told in the order of time, the first so many, and the rest is counted")
    func bounds() throws {
        for limit in [0, 10, 100_000] {
            var options = RunOptions()
            options.end = .start + .seconds(2)
            options.eventLimit = limit
            var run = try Run(ShippedScenario.read("udp-timeout-too-short"), options)
            while run.advance() {}
            var lines: [String] = []
            run.writeEvents { bytes in
                lines += String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(
                    String.init)
            }
            let messages = lines.filter {
                $0.contains("\"event\":\"NEW\"") || $0.contains("\"event\":\"UPDATE\"")
            }
            #expect(messages.count == (limit == 100_000 ? run.eventCounts.kept : limit))
            #expect((lines.last ?? "").contains("\"event\":\"left_out\"") == (limit == 10))
            #expect(run.eventCounts.leftOut > 0 || limit != 10)
            let times = messages.compactMap { line in
                line.split(separator: "\"").dropFirst(2).first.flatMap { Double($0) }
            }
            #expect(times == times.sorted())
        }
    }

    @Test(
        "the life of a TCP connection is NEW, UPDATEs and DESTROY, and writing it down changes nothing"
    )
    func tellsALife() throws {
        func run(_ limit: Int) throws -> Run {
            var options = RunOptions()
            options.eventLimit = limit
            var run = try Run(
                ScenarioFile.parse(ScenarioRunTests.burst, file: "test.yaml").scenario, options)
            while run.advance() {}
            return run
        }
        var told = try run(1_000_000)
        told.writeEvents { _ in }
        let untold = try run(0)
        #expect(
            told.recorded.csv.split(separator: "\n").count
                == untold.recorded.csv.split(separator: "\n").count)
        #expect(
            told.summary(scenarioHash: "0").nodes[0].counters
                == untold.summary(scenarioHash: "0").nodes[0].counters)
        #expect(
            told.summary(scenarioHash: "0").nodes[0].kernelBytes
                == untold.summary(scenarioHash: "0").nodes[0].kernelBytes)
        let events = told.simulation.events?.kept.map(\.event) ?? []
        let first = try #require(events.first)
        let life = events.filter { $0.entry.identifier == first.entry.identifier }
        #expect(life.first?.kind == .new)
        #expect(life.count { $0.kind == .update } >= 4)
    }
}

extension RecordedRun {
    /// The last sample of a series.
    func last(_ name: String) -> Int? {
        guard case .samples(let samples)? = series(named: name)?.values else { return nil }
        return samples.last.map { Int($0) }
    }
}
