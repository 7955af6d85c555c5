import Conntrack
import Scenario
import Testing
import Wire

@testable import Simulator

/// When a SYN without an answer is sent again, and what is sent when nobody waits any longer.
@Suite struct HandshakeTimerTests {
    /// One connection to a server that never answers; the moments its packets reach the gateway.
    private static func moments(_ change: (inout Scenario.Node) -> Void) throws -> [Double] {
        var scenario = Worlds.scenario(seconds: 20, rules: Self.silence)
        change(&scenario.topology.nodes[0])
        var workload = Worlds.shoppers(rate: 1, seconds: 1)
        workload.load.arrivals = .trace([.milliseconds(1)])
        scenario.workloads = [workload]
        scenario.sampleInterval = .milliseconds(1)
        var run = try Run(scenario)
        var moments: [Double] = []
        var seen = 0.0
        while run.advance() {
            guard
                case .samples(let values)? = run.recorded.series(
                    named: "gw.packets.received")?.values, let last = values.last, last > seen
            else { continue }
            seen = last
            moments.append(Double(run.now.nanoseconds) / 1e9 - 0.002)
        }
        return moments
    }

    private static let silence = """
        table inet f { chain c { type filter hook forward priority filter; policy drop; ct state new drop; } }
        """

    @Test(
        "a SYN is sent again after pauses that double, behind those a second apart",
        arguments: [
            (0, [0.0, 1, 3, 7, 15]), (1, [0, 1, 2, 4, 8, 16]),
            (4, [0, 1, 2, 3, 4, 5, 7, 11, 19]),
        ])
    func repeats(linear: Int, expected: [Double]) throws {
        let moments = try Self.moments {
            $0.host.synLinearTimeouts = linear
            $0.host.synRetries = 10
        }
        #expect(moments.map { ($0 * 100).rounded() / 100 } == expected)
    }

    @Test("on the timer wheel repeats come late, never early, and together")
    func waitsForTheWheel() throws {
        let moments = try Self.moments {
            $0.host.synLinearTimeouts = 4
            $0.host.synRetries = 4
            $0.host.roundsTimers = true
        }
        try #require(moments.count == 5)
        // From 250 ticks on a timer fires with the next multiple of eight: 1.024 s at the latest.
        for (before, after) in zip(moments.dropFirst(), moments.dropFirst(2)) {
            #expect(abs(after - before - 1.024) < 0.003, "\(moments)")
        }
        #expect(moments[1] - moments[0] > 0.999 && moments[1] - moments[0] < 1.034, "\(moments)")
    }

    @Test(
        "a timer fires with the wheel's next turn, which is coarser the longer it runs",
        arguments: [
            (1 as UInt64, 100 as UInt64, 102 as UInt64), (62, 100, 163), (250, 100, 352),
            (250, 104, 360), (511, 0, 512), (512, 0, 576), (15_000, 0, 15_360),
        ])
    func turns(delay: UInt64, now: UInt64, fires: UInt64) {
        #expect(TickRate.wheel(after: delay, at: now) == fires)
    }

    @Test("the collector's first cycle begins when it is told to, and later ones follow from it")
    func beginsCollecting() throws {
        var options = RunOptions()
        options.firstCollection = Instant(nanoseconds: 7_300_000_000)
        var run = try Run(Worlds.scenario(seconds: 100), options)
        while run.advance() {}
        // An empty table is scanned every 61.44 s.
        let moments = run.collections(on: "gw").map { Double($0.nanoseconds) / 1e9 }
        try #require(moments.count == 2)
        #expect(abs(moments[0] - 7.3) < 0.005)
        #expect(moments[1] - moments[0] > 60 && moments[1] - moments[0] < 62.1, "\(moments)")
    }

    @Test("whoever gives up with a reset sends nothing more", arguments: [false, true])
    func givesUp(withReset: Bool) throws {
        var scenario = Worlds.scenario(seconds: 8)
        scenario.topology.nodes[2].listeners[0].behaviour = .silent
        var flow = Scenario.Flow()
        flow.retry.timeout = .seconds(2)
        flow.retry.givesUpWithReset = withReset
        scenario.workloads = [Worlds.shoppers(rate: 10, seconds: 2, flow)]
        let run = try Worlds.run(scenario)
        #expect(run.workloads[0].stats.failedCount == run.workloads[0].stats.started)
        let states = run.trackers[0].node.census(at: Instant(nanoseconds: run.now)).tcpStates
        let closed = states[Int(TCPState.close.rawValue)]
        // A reset closes the entry for ten seconds.
        #expect(withReset == (closed > 0), "\(states)")
    }
}
