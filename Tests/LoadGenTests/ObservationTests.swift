import Foundation
import LinuxCalls
import Report
import Testing

@testable import LoadGen

/// A host looked at from afar.
@Suite struct ObservationTests {
    @Test(
        "places are read, and what is none is refused",
        arguments: [
            ("local", .local), ("netns:gw", .namespace("gw")), ("ssh:root@gw", .ssh("root@gw")),
            ("http://gw:9100/metrics", .metrics(url: "http://gw:9100/metrics")),
            ("https://gw/metrics", .metrics(url: "https://gw/metrics")), ("netns:", nil),
            ("netns:a/b", nil), ("ssh:", nil), ("ssh:-oProxyCommand=x", nil), ("ssh:a b", nil),
            ("http:", nil), ("http://", nil), ("gopher://x", nil), ("", nil), ("local:1", nil),
        ] as [(String, Vantage?)])
    func readsPlaces(_ text: String, _ vantage: Vantage?) {
        #expect(Vantage(text) == vantage)
    }

    static let exposition = """
        # HELP node_nf_conntrack_entries Number of currently allocated flow entries.
        # TYPE node_nf_conntrack_entries gauge
        node_nf_conntrack_entries 1234
        node_nf_conntrack_entries_limit 2.62144e+05
        node_nf_conntrack_stat_drop 17
        node_nf_conntrack_stat_early_drop 3
        node_sockstat_TCP_inuse 5
        node_netstat_TcpExt_ListenOverflows 2
        node_cpu_seconds_total{cpu="0",mode="idle"} 100.5
        node_cpu_seconds_total{cpu="0",mode="iowait"} 0.5
        node_cpu_seconds_total{cpu="0",mode="user"} 20
        node_cpu_seconds_total{cpu="1",mode="system"} 4 1700000000000
        odd{label="a } b # c"} 7

        nonsense
        not_a_number NaN
        # EOF
        """

    @Test("node_exporter's words become a sample")
    func readsMetrics() throws {
        let metrics = MetricsText(Self.exposition)
        let sample = try #require(HostSample(metrics: metrics, moment: 9))
        #expect(sample.count == 1234)
        #expect(sample.limit == 262_144)
        #expect(sample.statistics.value("drop") == 17)
        #expect(sample.statistics.value("early_drop") == 3)
        #expect(sample.statistics.value("chaintoolong") == nil)
        #expect(sample.buckets == nil)
        #expect(sample.sockets.udpInUse == nil)
        #expect(sample.sockets.tcpInUse == 5)
        #expect(sample.listenOverflows == 2)
        #expect(sample.processor == ProcessorUse(busy: 2400, total: 12_500))
        #expect(metrics.count("odd") == 7)
        #expect(metrics.sum("not_a_number") == nil)
    }

    @Test("a host that says nothing of its table is none that tracks")
    func missesTheTable() {
        #expect(HostSample(metrics: MetricsText("node_load1 0.5\n"), moment: 0) == nil)
        #expect(HostSample(metrics: MetricsText(""), moment: 0) == nil)
    }

    @Test(
        "a number that no host counts up to is not said, and stops nobody",
        arguments: ["1e18", "1e300", "-5", "NaN", "+Inf", "9007199254740994"])
    func passesOverOddNumbers(_ number: String) throws {
        #expect(
            HostSample(metrics: MetricsText("node_nf_conntrack_entries \(number)\n"), moment: 1)
                == nil)
        let names = [
            "node_nf_conntrack_entries_limit", "node_nf_conntrack_stat_drop",
            "node_sockstat_TCP_tw", "node_netstat_TcpExt_ListenOverflows",
            "node_netstat_TcpExt_TCPReqQFullDrop", "node_cpu_seconds_total{mode=\"idle\"}",
            "node_cpu_seconds_total{mode=\"user\"}",
        ]
        let text = names.reduce("node_nf_conntrack_entries 7\n") { $0 + "\($1) \(number)\n" }
        let sample = try #require(HostSample(metrics: MetricsText(text), moment: 1))
        #expect(sample.count == 7)
        #expect(sample.limit == nil)
        #expect(sample.statistics.value("drop") == nil)
        #expect(sample.sockets.tcpTimeWait == nil)
        #expect(sample.listenOverflows == nil)
        #expect(sample.processor == nil)
    }

    @Test("the largest numbers a host may tell are reckoned with")
    func reckonsWithLargeNumbers() throws {
        let most = "9007199254740992"
        let netstat = "TcpExt: ListenOverflows TCPReqQFullDrop\nTcpExt: \(most) \(most)\n"
        #expect(NetstatText.listenOverflows(in: netstat) == 1 << 54)
        let row = "cpu" + String(repeating: " \(most)", count: 8) + "\n"
        let processor = try #require(ProcessorUse(text: row))
        #expect(processor.busyPercent(since: ProcessorUse(busy: 0, total: 0)) == 75)
        #expect(ProcessorUse(busy: 0, total: 9).busyPercent(since: processor) == 0)
        let beyond = "cpu" + String(repeating: " 9223372036854775807", count: 8) + "\n"
        #expect(ProcessorUse(text: beyond)?.total == 0)
        let entries = "node_nf_conntrack_entries \(most)\nnode_nf_conntrack_entries_limit 4\n"
        let sample = try #require(HostSample(metrics: MetricsText(entries), moment: 1))
        var record = SeriesRecord(second: 1)
        record.add(sample, since: sample)
        #expect(record.tableLine.contains("225179981368524800%"), "\(record.tableLine)")
    }

    @Test("what ctlab says in node_exporter's words, it reads")
    func readsItself() throws {
        let whole = MetricsText(Self.exposition)
        var sample = try #require(HostSample(metrics: whole, moment: 1))
        sample.buckets = 4096
        let text = OpenMetricsText(sample, of: "netns:gw").exposition
        #expect(text.contains("node_nf_conntrack_entries{source=\"netns:gw\"} 1234\n"))
        // What nobody has said is not there, and no 0 either.
        #expect(!text.contains("chaintoolong"))
        #expect(!text.contains("stat_insert_failed"))
        var again = try #require(HostSample(metrics: MetricsText(text), moment: 1))
        // Not among what it says.
        again.processor = sample.processor
        again.listenOverflows = sample.listenOverflows
        #expect(again == sample)
    }

    @Test("of several tables behind one exporter its own is read, and never a sum of them")
    func readsOneTable() throws {
        let other = Self.exposition.replacing(
            "node_nf_conntrack_entries 1234", with: "node_nf_conntrack_entries 5")
        var gateway = try #require(HostSample(metrics: MetricsText(other), moment: 1))
        gateway.limit = 9
        let file = OpenMetricsText(gateway, of: "netns:gw").exposition
        let both = try #require(
            HostSample(metrics: MetricsText(file + Self.exposition), moment: 1))
        #expect(both.count == 1234)
        #expect(both.limit == 262_144)
        #expect(both.statistics.value("drop") == 17)
        let alone = try #require(HostSample(metrics: MetricsText(file), moment: 1))
        #expect(alone.count == 5)
        #expect(alone.limit == 9)
    }

    @Test("node_exporter's missing columns go by names of our own, and are read again")
    func writesOwnColumns() throws {
        let values = TrackerStatistics.columns.indices.map { UInt32($0 + 1) }
        let sample = HostSample(
            moment: 1, count: 7, limit: 8, buckets: 4096,
            statistics: TrackerStatistics.Reading(values: values, count: 7))
        let text = OpenMetricsText(sample, of: "local").exposition
        #expect(text.contains("ctlab_nf_conntrack_stat_clash_resolve{source=\"local\"} 1\n"))
        #expect(text.contains("ctlab_nf_conntrack_stat_chaintoolong{source=\"local\"} 7\n"))
        let again = try #require(HostSample(metrics: MetricsText(text), moment: 1))
        #expect(again.statistics.value("chaintoolong") == 7)
        #expect(again.statistics.value("clash_resolve") == 1)
        #expect(again.buckets == 4096)
    }

    @Test("what a host does not say is a dash for people and nothing for programs")
    func showsSilence() throws {
        let exposition = "node_nf_conntrack_entries 12\nnode_nf_conntrack_stat_drop 3\n"
        let sample = try #require(HostSample(metrics: MetricsText(exposition), moment: 1))
        var record = SeriesRecord(second: 1)
        record.add(sample, since: sample)
        let words = record.tableLine.split(separator: " ")
        //                     second  count  max  use  drop  early_drop  invalid  cpu
        #expect(words == ["1", "12", "-", "-", "0", "-", "-", "-"], "\(record.tableLine)")
        var writer = JSONText()
        record.write(to: &writer)
        let json = String(decoding: writer.bytes, as: UTF8.self)
        for name in ["max", "buckets", "listen_overflows", "cpu_percent", "table_full_lines"] {
            #expect(!json.contains("\"\(name)\""), "\(json)")
        }
        // Nobody has looked at all.
        #expect(
            SeriesRecord(second: 1).tableLine.split(separator: " ").dropFirst().allSatisfy {
                $0 == "-"
            })
    }

    @Test("nothing is concluded from what was not said")
    func concludesNothing() throws {
        let silent = "node_nf_conntrack_entries 4000\nnode_nf_conntrack_entries_limit 4000\n"
        var evidence = LimitEvidence()
        evidence.before = HostSample(
            metrics: MetricsText("node_nf_conntrack_entries 1\n"), moment: 1)
        evidence.after = HostSample(metrics: MetricsText(silent), moment: 2)
        #expect(evidence.limit == .unknown)
        let lines = evidence.lines()
        #expect(lines.contains("the counters drop and early_drop are not shown there"), "\(lines)")
        #expect(!lines.contains { $0.contains("processors") || $0.contains("no counter") })
        evidence.after?.limit = nil
        #expect(evidence.lines().contains("the table held 4000 entries"))
    }

    @Test("the loop for another host is one word for any login shell")
    func fitsInQuotes() {
        #expect(!ShellHost.script.contains("'"))
        #expect(!ShellHost.script.contains("\n"))
    }
}
