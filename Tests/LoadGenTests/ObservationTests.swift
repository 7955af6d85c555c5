import Foundation
import LinuxCalls
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
        #expect(sample.statistics.value("chaintoolong") == 0)
        #expect(sample.sockets.tcpInUse == 5)
        #expect(sample.listenOverflows == 2)
        #expect(sample.processor.total == 12_500)
        #expect(sample.processor.busy == 2400)
        #expect(metrics.count("odd") == 7)
        #expect(metrics.sum("not_a_number") == nil)
    }

    @Test("a host that says nothing of its table is none that tracks")
    func missesTheTable() {
        #expect(HostSample(metrics: MetricsText("node_load1 0.5\n"), moment: 0) == nil)
        #expect(HostSample(metrics: MetricsText(""), moment: 0) == nil)
    }

    @Test("what ctlab says in node_exporter's words, it reads")
    func readsItself() throws {
        let whole = MetricsText(Self.exposition)
        var sample = try #require(HostSample(metrics: whole, moment: 1))
        sample.buckets = 4096
        let text = OpenMetricsText(sample).exposition
        var again = try #require(HostSample(metrics: MetricsText(text), moment: 1))
        // Not among what it says.
        again.processor = sample.processor
        again.listenOverflows = sample.listenOverflows
        #expect(again == sample)
    }

    @Test("the loop for another host is one word for any login shell")
    func fitsInQuotes() {
        #expect(!ShellHost.script.contains("'"))
        #expect(!ShellHost.script.contains("\n"))
    }
}
