import LinuxCalls
import Testing
import Wire

@testable import LoadGen

/// Who gives way in a full table, and how that is told.
@Suite struct EarlyDropTests {
    static func sample(
        unreplied: Int = 0, assured: Int = 0, moved: [String: UInt32] = [:], listed: Bool
    ) -> HostSample {
        var sample = CeilingTests.sample(count: unreplied + assured, limit: 1000, moved: moved)
        sample.states =
            listed
            ? [
                StateCount(proto: "udp", state: "UNREPLIED", count: unreplied),
                StateCount(proto: "tcp", state: "ESTABLISHED", count: assured),
            ] : nil
        return sample
    }

    /// Datagrams begun, and connections that stand.
    static func flows(_ started: Int, _ standing: Int) -> [FlowCounts] {
        var (datagrams, connections) = (FlowCounts(), FlowCounts())
        datagrams.started = started
        connections.standing = standing
        return [datagrams, connections]
    }

    @Test("the newcomers come once the table is full and was listed, and the end is listed too")
    func takesItsSteps() throws {
        var trial = EarlyDropTrial(.unreplied, room: 1000, newcomers: 100)
        #expect(!trial.wantsStates(Self.flows(500, 0)))
        #expect(trial.note(Self.flows(500, 0), Self.sample(unreplied: 500, listed: false)).isEmpty)
        #expect(trial.wantsStates(Self.flows(1000, 0)))
        #expect(
            trial.note(Self.flows(1000, 0), Self.sample(unreplied: 1000, listed: true))
                == [.hold(workload: 1, count: 100)])
        #expect(trial.outcome == nil)
        let half = Self.sample(unreplied: 960, assured: 40, listed: false)
        #expect(trial.note(Self.flows(1000, 40), half).isEmpty)
        #expect(trial.wantsStates(Self.flows(1000, 100)))
        let last = Self.sample(
            unreplied: 899, assured: 100, moved: ["early_drop": 101, "drop": 7], listed: true)
        #expect(trial.note(Self.flows(1000, 100), last) == [.stop])
        let outcome = try #require(trial.outcome)
        #expect(outcome == (1000, 101))
        let text = trial.lines.joined(separator: "\n")
        #expect(text.contains("101 unreplied entries gave way (early_drop+101), 7 packets"))
        #expect(text.contains("100 of 100 connections stand"))
    }

    @Test(
        "entries that expired did not give way, and are told apart",
        arguments: [(EarlyDropTrial.Filling.unreplied, 50), (.unreplied, 0), (.assured, 3)])
    func tellsExpiryApart(_ filling: EarlyDropTrial.Filling, _ dropped: Int) throws {
        var trial = EarlyDropTrial(filling, room: 800, newcomers: 100)
        func sample(_ count: Int, _ moved: Int) -> HostSample {
            let isUnreplied = filling == .unreplied
            return Self.sample(
                unreplied: isUnreplied ? count : 0, assured: isUnreplied ? 0 : count,
                moved: ["early_drop": UInt32(moved)], listed: true)
        }
        _ = trial.note(Self.flows(800, filling == .assured ? 800 : 0), sample(800, 0))
        _ = trial.note(Self.flows(900, 100 + (filling == .assured ? 800 : 0)), sample(0, dropped))
        let text = trial.lines.joined(separator: "\n")
        #expect(
            text.contains("\(dropped) \(filling.rawValue) entries gave way (early_drop+\(dropped))")
        )
        #expect(text.contains("\(800 - dropped) more went of themselves: nf_conntrack_"), "\(text)")
        #expect(text.contains("is too short for the trial"), "\(text)")
    }

    @Test("newcomers that get no further for eight seconds end the trial")
    func losesPatience() throws {
        var trial = EarlyDropTrial(.assured, room: 1000, newcomers: 50)
        let full = Self.sample(assured: 1000, listed: true)
        #expect(trial.note(Self.flows(0, 1000), full).isEmpty)
        var seconds = 0
        while trial.outcome == nil, seconds < 20 {
            seconds += 1
            let now = Self.flows(20, 1000)
            let listed = trial.wantsStates(now)
            _ = trial.note(
                now, Self.sample(assured: 1000, moved: ["drop": 20], listed: listed))
        }
        #expect(seconds == 9)
        #expect(try #require(trial.outcome) == (1000, 0))
        #expect(trial.lines[1].contains("0 assured entries gave way (early_drop+0), 20 packets"))
    }

    @Test("a table that never was full is said")
    func saysEmptiness() {
        var trial = EarlyDropTrial(.unreplied, room: 10, newcomers: 1)
        #expect(trial.note(Self.flows(9, 0), nil).isEmpty)
        #expect(trial.lines == ["unreplied: the table was not full in time"])
    }

    @Test("both kinds of newcomers wait for the fill", arguments: EarlyDropTrial.Filling.allCases)
    func plans(_ filling: EarlyDropTrial.Filling) {
        let target = TargetPool(
            addresses: AddressPool(.ipv4, first: Address(ipv4: 0x7F00_0001)), firstPort: 9)
        let trial = EarlyDropTrial(filling, room: 1000, newcomers: 100)
        let plan = trial.plan(to: target, from: nil, perSecond: 500)
        guard case .open(let arrivals) = plan.workloads[0].model,
            case .held(let count, _) = plan.workloads[1].model
        else {
            Issue.record("datagrams come openly, connections are held")
            return
        }
        let datagrams = filling == .unreplied ? 1000 : 100
        #expect(arrivals.stages.reduce(0) { $0 + $1.mass } == Double(datagrams))
        #expect(plan.workloads[0].sourcePortCount == datagrams)
        #expect(count == (filling == .assured ? 1000 : 0))
        #expect((arrivals.stages[0].seconds > 2) == (filling == .assured))
        #expect(LoadLimits().breaches(of: plan).isEmpty)
    }
}
