import Foundation
import Scenario
import Testing

/// Every incident ships with the figure it must give: row, file, required and obtained.
@Suite struct IncidentFigureTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var scenario: String
        /// What was published or is required, as the file quotes it, and the sentence that holds it.
        var figures: [(published: String, that: String)]

        init(_ scenario: String, _ figures: (published: String, that: String)...) {
            self.scenario = scenario
            self.figures = figures
        }

        var testDescription: String {
            "\(scenario): \(figures.map(\.published).joined(separator: "; "))"
        }
    }

    static let rows = [
        Row(
            "table-full-burst",
            ("nf_conntrack: table full, dropping packet", "sum(haproxy.log.table_full) > 0"),
            ("callbacks suppressed", "sum(haproxy.log.suppressed) > 0"),
            ("new connections are refused", "sum(burst.failed, from=40s) > 0"),
            ("established connections go on", "p99(visitors.response) < 250ms")),
        Row("timewait-arithmetic", ("1 092 conn/s", "~= 1092/s")),
        Row(
            "memcached-512k", ("just over 4 000 conn/s", "rate(steady.connected, from=120s)"),
            ("with notrack 60 000 conn/s pass", "~= 60000/s"),
            ("the table stays empty", "max(untracked.conntrack.count) == 0"),
            ("more work per packet", "rate(tracked.lookups) >= rate(tracked.packets.received)")),
        Row(
            "redis-pool-leak",
            ("the spike fills 65 536", "max(spiked.conntrack.count) == 65536"),
            ("slow ramp with the same total does not", "max(ramped.conntrack.count) < 65536"),
            ("a bounded pool ends it", "max(pooled.conntrack.count) <= 50"),
            ("TIME_WAIT dominating", "max(spiked.entries.time_wait) >= 0.98 * 65536")),
        Row(
            "dht-supernode",
            ("the table is full of unreplied UDP", "max(dht.conntrack.count) == 65536"),
            ("early drop keeps it alive", "sum(dht.conntrack.early_drop) > 100k"),
            ("notrack frees it", "sum(dht.conntrack.created) == 0"),
            ("raising max costs memory", "max(dht.memory.kernel) >= 2")),
        Row(
            "nodeport-imbalance", ("those two fill first", "time_to(node1.conntrack.count"),
            ("share of traffic", "sum(shoppers.failed) ~= 0.8 * sum(shoppers.attempted)")),
        Row(
            "asymmetric-return", ("SYN-ACK INVALID", "sum(gw2.conntrack.invalid) > 0"),
            ("SYN timeouts", "count(shoppers.connect) == 0"),
            ("succeed at once", "sum(shoppers.failed) == 0")),
        Row(
            "firewall-missing-established",
            ("no connection ever completes", "count(shoppers.connect) == 0"),
            ("SYN_RECV with 60 s", "gw.entries.syn_recv ~= 600")),
        Row(
            "drop-invalid-too-broad",
            ("established connections die", "sum(held-strict.completed) == 0"),
            ("tcp_be_liberal saves them", "sum(held-liberal.completed) == 50"),
            ("tcp_loose 1", "sum(held-loose.completed) == 50"),
            ("tcp_loose 0", "sum(held-unloose.completed) == 0")),
        Row(
            "dnat-reverse-translation",
            ("the reply is translated back", "count(shoppers.connect) >="),
            ("the client never sees its answer", "count(shoppers.connect) == 0")),
        Row(
            "udp-timeout-too-short", ("10 s lose the mapping", "answer-11s-of-10.responses) == 0"),
            ("25 s survive the default of 30 s", "answer-25s-of-30.responses) == 100"),
            ("with 120 s they do", "answer-35s-of-120.responses) == 100"),
            ("a stream after 2 s", "gw-stream.conntrack.count - gw-stream.entries.expired == 100")),
        Row(
            "buckets-too-few",
            ("links per chain grow as the load factor", "narrow.chain.mean ~= 23.4"),
            ("links walked per lookup", "rate(narrow.links_walked) ~= 12.7")),
        Row(
            "syn-flood", ("the flood's unassured entries", "sum(gw.conntrack.early_drop) > 100k"),
            ("real handshakes that are still unassured", "sum(shoppers.failed) > 0")),
        Row(
            "dns-five-seconds",
            ("the first two cases resolve", "sum(node.conntrack.clash_resolve) > 1000"),
            ("insert_failed", "sum(node.conntrack.insert_failed) == 0"),
            ("the resolver waits 5 s", "max(slow.lookup) > 5s")),
        Row(
            "snat-port-race", ("2 to 4 % insert failures, 10 threads", "~= 0.03 * sum(threads-10"),
            ("2 to 4 %, 80 threads", "~= 0.03 * sum(threads-80.attempted)"),
            ("a SYN retransmission of 1 s", "p99(threads-80.connect) > 1s"),
            ("then 3 s", "max(threads-80.connect) > 3s"),
            ("fully-random brings 0", "sum(gw-random.conntrack.insert_failed) == 0"),
            ("a current kernel", "sum(gw-now.conntrack.insert_failed) == 0")),
        Row(
            "stale-segment-reset", ("INVALID; today ignored", "sum(gw-plain.packets.invalid) == 0"),
            ("RST after about 8 s; today none", "sum(upload-plain.failed) == 0"),
            ("tcp_be_liberal, or drop INVALID", "sum(upload-liberal.completed) == 20")),
        Row(
            "close-wait-3600", ("loses its mapping", "sum(half-short.completed) == 0"),
            ("full after 504 s", "~= 504s"), ("182/s", "sum(steady.conntrack.drop) == 0"),
            ("78 000 entries", "max(sixty.entries.close_wait) ~= 7800")),
        Row(
            "udp-blackhole-rollout",
            ("26 minutes, 15 000 events lost", "sum(events.packets.dropped.host_gone) ~= 15000"),
            ("heals after 120 s", "sum(quiet-after.responses) == 700"),
            ("clean-up ends it at once", "sum(tidy.packets.dropped) == 0")),
        Row(
            "scaled-to-zero", ("13 h", "sum(pods.packets.received, from=70s, to=46860s) == 0"),
            ("a reject rule does not help", "sum(telemetry.packets.dropped.rejected) == 0"),
            ("recovery the moment", "sum(pods.packets.received, from=46860s)")),
        Row(
            "ndots-amplification",
            ("8 to 10 UDP flows", "~= 11 * sum(calls.connected, to=3s)"),
            ("full in 3 to 5 s", "time_to(small.conntrack.count >= 2048) <= 5s"),
            ("break-even at 68 flows/s", "max(even.conntrack.count, from=31s) ~= 2048"),
            ("in 10.5 s", "time_to(large.conntrack.count >= 262144) ~= 10.5s")),
        Row(
            "chain-refusal",
            ("limit 16: load factor 3", "time_to(limit-16.conntrack.chaintoolong >= 1)"),
            ("limit 32: load factor 11", "time_to(limit-32.conntrack.chaintoolong >= 1)"),
            ("limit 40: load factor 15", "time_to(limit-40.conntrack.chaintoolong >= 1)"),
            ("limit 50: load factor 24", "time_to(limit-50.conntrack.chaintoolong >= 1)"),
            ("50 to 79", "sum(limit-now.conntrack.chaintoolong) < 0.1")),
        Row("zones-one-chain", ("current kernels hash the zone", "max(gw.chain.max) <= 4")),
        Row(
            "snat-exhaustion", ("0.7 % fail at 98 %", "~= 0.0067 * sum(at-98.attempted)"),
            ("8 % at 99 %", "~= 0.083 * sum(at-99.attempted)"),
            ("78 % at 99.9 %", "~= 0.78 * sum(at-999.attempted)"),
            ("at most 248 probes", "<= 248 * sum(gw-999.nat.searches)")),
        Row(
            "ipvs-port-reuse",
            ("28 232 ephemeral ports", "max(gw-above.conntrack.count) <= 28232"),
            ("a current kernel reopens", "max(three-hundred.connect) < 10ms"),
            ("median 999 ms", "p50(three-hundred-ipvs.connect, from=100s) ~= 999ms")),
        Row(
            "collector-lag", ("up to a minute late", "time_to(gw.conntrack.count <= 200000) > 20s"),
            ("up to a minute late", "time_to(gw.conntrack.count <= 200000) <= 75s")),
        Row(
            "small-box-scan", ("normally 132 entries", "~= 132"),
            ("the maximum is 4 096", "max(box.conntrack.count) == 4096"),
            ("98 table-full lines", "sum(box.log.table_full) ~= 98")),
        Row(
            "udp-sticky",
            ("100 % of the packets to one endpoint", "sinks-2.packets.received) == 4000"),
            ("a new source port per packet balances", "sum(others-0.packets.received) ~= 1000")),
        Row(
            "address-range-no-balance",
            ("the same backend", "sum(range-3.flows.accepted, to=29s) == 500"),
            ("numgen maps balance", "sum(turns-0.flows.accepted) == 125")),
    ]

    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "scenarios")

    @Test(
        "an incident's scenario asks for its figure, and its golden report has it", arguments: rows)
    func givesItsFigures(_ row: Row) throws {
        let place = Self.folder.appending(path: row.scenario)
        let scenario = try ScenarioFile.read(place.path + ".yaml").scenario
        let golden = try String(contentsOfFile: place.path + ".txt", encoding: .utf8)
        for figure in row.figures {
            let held = scenario.expectations.first {
                $0.that.contains(figure.that)
                    && $0.published?.contains(figure.published) == true
            }
            let expectation = try #require(
                held, "no line of 'expect' says \(figure.that) (\(figure.published))")
            #expect(expectation.severity == .fail)
            #expect(
                golden.contains("ok    \(expectation.that) (published: "),
                "the golden report has not met \(expectation.that)")
        }
    }

    @Test("nothing that a scenario expects has failed in its golden report", arguments: rows)
    func goldensAreMet(_ row: Row) throws {
        let golden = try String(
            contentsOfFile: Self.folder.appending(path: row.scenario).path + ".txt",
            encoding: .utf8)
        #expect(!golden.contains("\nFAIL"))
        #expect(golden.split(separator: "\n").count { $0.hasPrefix("ok    ") } > 0)
    }

    @Test("the README tells every incident", arguments: rows)
    func isTold(_ row: Row) throws {
        let text = try String(
            contentsOf: Self.folder.appending(path: "README.md"), encoding: .utf8)
        #expect(text.contains("**\(row.scenario)") || text.contains("| `\(row.scenario)`"))
    }
}
