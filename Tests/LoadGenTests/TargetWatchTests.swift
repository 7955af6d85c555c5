import LinuxCalls
import Testing
import Wire

@testable import LoadGen

/// When a far end is said to be missing, and when it is not.
@Suite struct TargetWatchTests {
    /// What happened in one second, and the table at its end.
    struct Second: Sendable {
        var started = 0
        var connected = 0
        var completed = 0
        var refused = 0
        /// Attempts this machine has no port for.
        var portless = 0
        var lost = 0
        /// Open at the end, and those of them that stand.
        var active = 0
        var standing = 0
        var count = 100
        var drops = 0

        static let good = Second(started: 50, connected: 50, completed: 50)
        /// Attempts nobody answers.
        static let vain = Second(started: 50, active: 50)
        static let refusing = Second(started: 50, refused: 50)
        static let idle = Second()
    }

    struct Row: CustomTestStringConvertible, Sendable {
        var name: String
        var seconds: [Second]
        /// Seconds in which flows begin; the rest is grace.
        var schedule: Int
        var isHeld = false
        var expected: TargetAbsence?

        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row(name: "all goes well", seconds: [.good, .good, .good], schedule: 3),
        Row(
            name: "refused from the beginning", seconds: [.refusing], schedule: 5,
            expected: .neverListened),
        Row(
            name: "refused from the third second on",
            seconds: [.good, .good, .refusing, .refusing],
            schedule: 4, expected: .refuses(sinceSecond: 3)),
        Row(
            name: "refused for a second, then not",
            seconds: [.good, .refusing, .good], schedule: 3),
        Row(
            name: "nobody answers from the third second on",
            seconds: [.good, .good, .vain, .vain, .vain], schedule: 5,
            expected: .silent(sinceSecond: 3, succeeded: 100)),
        Row(
            name: "nobody answers while the table is full",
            seconds: [.good, .good] + Array(repeating: full, count: 5), schedule: 7),
        Row(
            name: "nobody answers while the table drops, though the collector made room since",
            seconds: [.good, .good] + Array(repeating: dropping, count: 5), schedule: 7),
        Row(
            name: "no starts at the end", seconds: [.good, .good, .idle, .idle, .idle, .idle],
            schedule: 6),
        Row(
            name: "what is lost in the grace alone accuses nobody",
            seconds: [.good, .good, Second(active: 1), Second(active: 1)], schedule: 2),
        Row(
            name: "one second in vain is no end", seconds: [.good, .good, .vain, .idle, .idle],
            schedule: 5),
        Row(
            name: "ports that are used up are ours",
            seconds: [.good, .good] + Array(repeating: portless, count: 4), schedule: 6),
        Row(
            name: "all that is held is broken off, and nothing begins",
            seconds: [
                Second(started: 50, connected: 50, active: 50, standing: 50),
                Second(active: 50, standing: 50), Second(lost: 50), .idle,
            ], schedule: 4, isHeld: true, expected: .silent(sinceSecond: 3, succeeded: 50)),
        Row(
            name: "some of what is held is broken off",
            seconds: [
                Second(started: 50, connected: 50, active: 50, standing: 50),
                Second(lost: 10, active: 40, standing: 40), .idle, .idle,
            ], schedule: 4, isHeld: true),
        Row(
            name: "what is held ends by itself, and what replaces it hangs",
            seconds: [
                Second(started: 50, connected: 50, active: 50, standing: 50),
                Second(started: 50, completed: 50, active: 50), Second(active: 50),
                Second(active: 50), Second(active: 50),
            ], schedule: 5, isHeld: true, expected: .silent(sinceSecond: 2, succeeded: 50)),
    ]

    static let full = Second(started: 50, active: 50, count: 4000)
    static let dropping = Second(started: 50, active: 50, count: 3900, drops: 9)
    static let portless = Second(started: 50, portless: 50)

    @Test("a target is missing when it can be nothing else", arguments: rows)
    func watches(_ row: Row) {
        let target = TargetPool(addresses: AddressPool(.ipv4, first: .zero), firstPort: 80)
        var workload = QuickProfile.churn.workload(target)
        if row.isHeld { workload.hold = .forever }
        var watch = TargetWatch(
            Plan(workloads: [workload], duration: UInt64(row.schedule) * 1_000_000_000))
        var sum = FlowCounts()
        var drops: UInt32 = 0
        var before = CeilingTests.sample(count: 100)
        for (index, second) in row.seconds.enumerated() {
            sum.started += second.started
            sum.connected += second.connected
            sum.completed += second.completed
            sum.lost += second.lost
            sum.active = second.active
            sum.standing = second.standing
            for (failure, count) in [
                (SocketFailure(.connect, 111), second.refused),
                // Address not available: no port is left.
                (SocketFailure(.connect, 99), second.portless),
            ] {
                for _ in 0..<count { sum.add(failure, target.destination(0)) }
                sum.failed += count
            }
            drops += UInt32(second.drops)
            let sample = CeilingTests.sample(count: second.count, moved: ["drop": drops])
            var record = SeriesRecord(second: index + 1)
            record.add(sample, since: before)
            before = sample
            watch.note(record, elapsed: UInt64(index + 1) * 1_000_000_000, flows: [sum])
        }
        let elapsed = UInt64(row.seconds.count) * 1_000_000_000
        #expect(watch.absence(elapsed: elapsed) == row.expected)
    }

    @Test("the last second of the schedule counts, though its record ends a moment later")
    func countsTheLastSecond() {
        let target = TargetPool(addresses: AddressPool(.ipv4, first: .zero), firstPort: 80)
        var workload = QuickProfile.fanout.workload(target)
        workload.wantsAnswers = true
        let second: UInt64 = 1_000_000_000
        var watch = TargetWatch(Plan(workloads: [workload], duration: 4 * second))
        var sum = FlowCounts()
        for (number, elapsed) in [second, 2 * second, 3 * second, 4 * second + 1000].enumerated() {
            sum.started += 50
            sum.datagrams += 50
            if number < 2 { sum.answers += 50 }
            watch.note(SeriesRecord(second: number + 1), elapsed: elapsed, flows: [sum])
        }
        #expect(
            watch.absence(elapsed: 4 * second + 1000)
                == .silent(sinceSecond: 3, succeeded: 100))
    }

    @Test("lookups that time out while others begin are tries; refused ones have had a listener")
    func watchesLookups() {
        let target = TargetPool(addresses: AddressPool(.ipv4, first: .zero), firstPort: 53)
        let workload = QuickProfile.resolver.workload(target)
        let second: UInt64 = 1_000_000_000
        for (failure, expected) in [
            (SocketFailure.unanswered, TargetAbsence.silent(sinceSecond: 2, succeeded: 100)),
            (SocketFailure(.receive, 111), .refuses(sinceSecond: 2)),
        ] {
            var watch = TargetWatch(Plan(workloads: [workload], duration: 5 * second))
            var sum = FlowCounts()
            for number in 1...5 as ClosedRange<UInt64> {
                sum.started += 50
                if number == 1 {
                    sum.answers += 100
                } else {
                    for _ in 0..<50 { sum.add(failure, target.destination(0)) }
                    sum.failed += 50
                }
                watch.note(
                    SeriesRecord(second: Int(number)), elapsed: number * second, flows: [sum])
            }
            #expect(watch.absence(elapsed: 5 * second) == expected)
        }
    }

    @Test("the advice is for what refuses: datagrams' ports alone, or others too")
    func advises() {
        let peer = SocketAddress(.ipv4, .zero, port: 53)
        var flows = FlowCounts()
        #expect(TargetAbsence.refusingTransport([flows]) == .tcp)
        flows.add(SocketFailure(.receive, 111), peer)
        #expect(TargetAbsence.isShown(by: [flows]))
        #expect(TargetAbsence.refusingTransport([flows]) == .udp)
        #expect(
            TargetAbsence.neverListened.sentence(of: "h:53", transport: .udp)
                == "nothing listens at h:53; start what should, such as: ctlab sink --udp PORT")
        flows.answers = 1
        #expect(!TargetAbsence.isShown(by: [flows]))
        flows.add(SocketFailure(.connect, 111), peer)
        #expect(TargetAbsence.refusingTransport([flows]) == .tcp)
    }

    @Test("each way has one sentence")
    func says() {
        #expect(
            TargetAbsence.neverListened.sentence(of: "h:1")
                == "nothing listens at h:1; start what should, such as: ctlab sink --tcp PORT")
        #expect(
            TargetAbsence.refuses(sinceSecond: 3).sentence(of: "h:1")
                == "nothing has listened at h:1 since second 3 of the run; start what should, such "
                + "as: ctlab sink --tcp PORT")
        #expect(
            TargetAbsence.silent(sinceSecond: 3, succeeded: 7).sentence(of: "h:1")
                == "h:1 seems gone since second 3 of the run: no flow has succeeded since, 7 did "
                + "before; see that it still runs and can be reached, and with --observe that no table "
                + "on the way is full")
    }
}
