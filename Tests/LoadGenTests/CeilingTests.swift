import LinuxCalls
import Testing

@testable import LoadGen

/// How a ceiling is looked for, and how its reason is told.
@Suite struct CeilingTests {
    @Test(
        "the search ends at the very ceiling, wherever it is",
        arguments: [1, 2, 499, 500, 501, 1000, 3999, 4000, 4001, 19_999, 20_000, 99_999])
    func findsTheCeiling(_ ceiling: Int) {
        var search = CeilingSearch(start: 500, most: 100_000)
        var tries = 0
        while let level = search.next, tries < 100 {
            search.note(level: level, standing: min(level, ceiling))
            tries += 1
        }
        #expect(search.good == ceiling)
        #expect(search.bad == ceiling + 1)
        #expect(tries <= 12, "\(tries) tries")
    }

    @Test("no ceiling within bounds is none")
    func endsAtTheBound() {
        var search = CeilingSearch(start: 500, most: 3000)
        var levels: [Int] = []
        while let level = search.next {
            levels.append(level)
            search.note(level: level, standing: level)
        }
        #expect(levels == [500, 1000, 2000, 3000])
        #expect(search.bad == nil)
    }

    @Test("a hiccup does not pass for the ceiling")
    func getsOverHiccups() {
        // Once, at 2000, less than all stand; the true ceiling is 5000.
        var search = CeilingSearch(start: 500, most: 100_000)
        var hadHiccup = false
        var tries = 0
        while let level = search.next, tries < 100 {
            tries += 1
            if level == 2000, !hadHiccup {
                hadHiccup = true
                search.note(level: level, standing: 1500)
            } else {
                search.note(level: level, standing: min(level, 5000))
            }
        }
        // It closes in below the level that failed, and says so by its bound.
        #expect(search.good == 1999)
        #expect(search.bad == 2000)
    }

    @Test("a resolution ends the search early, within its bounds", arguments: [0.01, 0.1, 0.5])
    func keepsTheResolution(_ resolution: Double) throws {
        var search = CeilingSearch(start: 100, most: 100_000, resolution: resolution)
        while let level = search.next {
            // Nothing is known of a level that fails but that it does: half of it stood.
            search.note(level: level, standing: level <= 7777 ? level : level / 2)
        }
        let bad = try #require(search.bad)
        #expect(search.good <= 7777)
        #expect(bad > 7777)
        #expect(Double(bad - search.good) <= max(1, Double(search.good) * resolution))
    }

    // MARK: The reason

    static func sample(
        count: Int, limit: Int = 4000, moved: [String: UInt32] = [:], overflows: Int = 0,
        busy: Int = 10
    ) -> HostSample {
        let values = TrackerStatistics.columns.map { moved[$0] ?? 0 }
        var sample = HostSample(
            moment: 0, count: count, limit: limit, buckets: 65_536,
            statistics: TrackerStatistics.Reading(values: values, count: count))
        sample.listenOverflows = overflows
        sample.processor = ProcessorUse(busy: busy, total: busy == 0 ? 0 : 100)
        return sample
    }

    static let before = sample(count: 100, busy: 0)

    struct Row: CustomTestStringConvertible, Sendable {
        var limit: LoadLimit
        var after: HostSample?
        var failures: [(call: SocketCall, code: Int32)] = []
        var droppedStarts = 0
        var startsWithoutSlot = 0
        var standing = 0
        /// This machine's own table, where another is watched.
        var own: HostSample?
        var name: String

        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row(
            limit: .tableMaximum, after: sample(count: 4000, moved: ["drop": 17]),
            name: "a full table that drops"),
        Row(
            limit: .tableMaximum, after: sample(count: 3990, moved: ["early_drop": 3]),
            name: "a table whose entries make room for others"),
        Row(
            limit: .natPorts,
            after: sample(count: 900, moved: ["drop": 5, "insert_failed": 5]),
            name: "insertions that fail below the maximum"),
        Row(
            limit: .chainLength, after: sample(count: 900, moved: ["chaintoolong": 1, "drop": 1]),
            name: "a chain too long"),
        Row(
            limit: .backlog, after: sample(count: 900, overflows: 3), name: "a full listen queue"),
        Row(limit: .processor, after: sample(count: 900, busy: 99), name: "busy processors"),
        Row(limit: .unknown, after: sample(count: 900), name: "no trace"),
        Row(limit: .unknown, after: nil, name: "nobody looked"),
        Row(
            limit: .descriptors, after: sample(count: 4000, moved: ["drop": 17]), droppedStarts: 1,
            startsWithoutSlot: 1,
            name: "no slot left comes before a full table"),
        Row(
            limit: .descriptors, after: nil, failures: [(.socket, 24)], name: "EMFILE of socket"),
        Row(limit: .ports, after: nil, failures: [(.connect, 99)], name: "EADDRNOTAVAIL"),
        Row(limit: .memory, after: nil, failures: [(.connect, 105)], name: "ENOBUFS"),
        Row(limit: .ownTable, after: nil, failures: [(.send, 1)], name: "EPERM of send"),
        Row(
            limit: .tableMaximum, after: sample(count: 4000, moved: ["drop": 9]),
            failures: [(.send, 1)], name: "EPERM of send, and a full table of this machine"),
        Row(
            limit: .ownTable, after: sample(count: 900), failures: [(.send, 1)],
            name: "EPERM of send, and room in the table"),
        Row(
            limit: .unknown, after: sample(count: 900), droppedStarts: 5,
            name: "starts that were due when the run was stopped"),
        Row(
            limit: .rights, after: sample(count: 900), failures: [(.option, 1)],
            name: "EPERM of setsockopt"),
        Row(
            limit: .sourceAddress, after: sample(count: 900, busy: 99), failures: [(.bind, 99)],
            name: "EADDRNOTAVAIL of bind: no address of this machine"),
        Row(limit: .refused, after: nil, failures: [(.connect, 111)], name: "ECONNREFUSED"),
        Row(
            limit: .refusedBeyond, after: sample(count: 900), failures: [(.connect, 111)],
            standing: 20, name: "ECONNREFUSED while others stand"),
        Row(
            limit: .route, after: sample(count: 900, busy: 99), failures: [(.connect, 101)],
            name: "ENETUNREACH, and busy processors"),
        Row(
            limit: .route, after: sample(count: 900, busy: 99), failures: [(.connect, 113)],
            name: "EHOSTUNREACH, and busy processors"),
        Row(limit: .ports, after: nil, failures: [(.bind, 98)], name: "EADDRINUSE of bind"),
        Row(
            limit: .ownMaximum, after: sample(count: 900, busy: 99), own: sample(count: 4000),
            name: "a full table of this machine, and another one is watched"),
        Row(
            limit: .ownMaximum, after: sample(count: 900),
            own: sample(count: 3990, moved: ["early_drop": 3]),
            name: "entries of this machine's own table that make room"),
        Row(
            limit: .ownMaximum, after: sample(count: 900), failures: [(.send, 1)],
            own: sample(count: 4000), name: "EPERM of send, and this machine's own table is full"),
        Row(
            limit: .tableMaximum, after: sample(count: 4000, moved: ["drop": 9]),
            own: sample(count: 4000), name: "both tables full, and the one watched drops"),
        Row(
            limit: .backlog, after: sample(count: 900, overflows: 3), own: sample(count: 900),
            name: "a full listen queue, and room in this machine's own table"),
    ]

    @Test("the limit is named by what was seen", arguments: rows)
    func namesTheLimit(_ row: Row) {
        var evidence = LimitEvidence()
        evidence.before = row.after == nil ? nil : Self.before
        evidence.after = row.after
        evidence.ownBefore = row.own == nil ? nil : Self.before
        evidence.ownAfter = row.own
        evidence.standing = row.standing
        evidence.flows.droppedStarts = row.droppedStarts
        evidence.flows.startsWithoutSlot = row.startsWithoutSlot
        evidence.flows.failures = row.failures.map {
            FailureCount(failure: SocketFailure($0.call, $0.code), count: 2, peer: "10.0.0.1:80")
        }
        #expect(evidence.limit == row.limit)
        #expect(!evidence.remedy.isEmpty)
        for failure in evidence.flows.failures {
            #expect(evidence.lines().contains { $0.contains(failure.text) })
        }
    }

    @Test("a host that was watched and shows nothing is not to be watched once more")
    func namesCandidates() {
        var evidence = LimitEvidence()
        evidence.before = Self.before
        evidence.after = Self.sample(count: 900)
        #expect(evidence.remedy.contains("--observe"))
        evidence.isObserved = true
        #expect(!evidence.remedy.contains("--observe"))
        #expect(evidence.remedy.contains("listen queue"))
        #expect(evidence.remedy.contains("nft list ruleset"))
        evidence.standing = 20
        evidence.flows.failures = [
            FailureCount(failure: SocketFailure(.connect, 111), count: 2, peer: "10.0.0.1:80")
        ]
        #expect(evidence.remedy.hasPrefix("new connections are refused while 20 stand: "))
    }

    // MARK: The climb

    @Test("this machine's own table is looked at level by level")
    func watchesTheOwnTable() throws {
        var climb = CeilingClimb(CeilingSearch(start: 100, most: 1000))
        var flows = FlowCounts()
        flows.standing = 60
        for _ in 0..<6 {
            _ = climb.note(flows, Self.sample(count: 60), own: Self.sample(count: 4000))
        }
        let evidence = try #require(climb.evidence)
        #expect(evidence.limit == .ownMaximum)
        #expect(
            evidence.lines().contains("this machine's own table held 4000 entries of at most 4000"))
    }

    @Test("the climb goes on when a level stands, and gives up on one that does not")
    func climbs() {
        var climb = CeilingClimb(CeilingSearch(start: 100, most: 1000))
        var wanted = 100
        var standing = 0
        var seconds = 0
        while !climb.isOver, seconds < 200 {
            seconds += 1
            standing = min(wanted, min(350, standing + 150))
            var flows = FlowCounts()
            flows.standing = standing
            for case .hold(_, let count) in climb.note(flows, nil) { wanted = count }
            standing = min(standing, wanted)
        }
        #expect(climb.isOver)
        #expect(climb.ceiling == 350)
        #expect(climb.wasReached)
        #expect(climb.trials.map(\.level) == [100, 200, 400, 351])
        #expect(climb.evidence?.level == 351)
        #expect(climb.note(FlowCounts(), nil) == [.stop])
    }

    @Test("datagrams go on until one is refused, here or further away")
    func climbsWithDatagrams() throws {
        var flows = FlowCounts()
        flows.started = 3000
        var climb = DatagramClimb(before: Self.before)
        #expect(climb.note(flows, Self.sample(count: 3100)).isEmpty)
        #expect(climb.evidence == nil)
        flows.started = 5000
        #expect(climb.note(flows, Self.sample(count: 4000, moved: ["drop": 1100])) == [.stop])
        let far = try #require(climb.evidence)
        #expect(far.standing == 4000)
        #expect(far.limit == .tableMaximum)

        // On this machine, and nobody looks at the table.
        var blind = DatagramClimb(before: nil)
        flows.failed = 1000
        flows.failures = [
            FailureCount(failure: SocketFailure(.send, 1), count: 1000, peer: "127.0.0.1:9")
        ]
        #expect(blind.note(flows, nil) == [.stop])
        #expect(blind.evidence?.standing == 4000)
        #expect(blind.evidence?.limit == .ownTable)
    }

    @Test("flows that take each other's places have met the table's maximum")
    func seesEarlyDrops() throws {
        var flows = FlowCounts()
        flows.started = 5000
        var climb = DatagramClimb(before: Self.before)
        // The collector has been there since, so that the count is below the maximum again.
        let full = Self.sample(count: 3960, moved: ["early_drop": 1000])
        #expect(climb.note(flows, full) == [.stop])
        let evidence = try #require(climb.evidence)
        #expect(evidence.standing == 4000)
        #expect(evidence.limit == .tableMaximum)
        #expect(evidence.lines(of: "flows").contains("counters: early_drop+1000"))
    }

    @Test("a counter that goes back begins anew, one that wraps around goes on")
    func countsFromZero() {
        let old = Self.sample(count: 1, moved: ["drop": 5000, "new": .max - 9], overflows: 7)
        let new = Self.sample(count: 1, moved: ["drop": 3, "new": 10], overflows: 2)
        #expect(new.change("drop", since: old) == 3)
        #expect(new.change("new", since: old) == 20)
        #expect(new.changes(since: old).map(\.count) == [20, 3])
        #expect(new.listenOverflows(since: old) == 2)
    }

    // MARK: The table watched

    struct Passage: CustomTestStringConvertible, Sendable {
        var name: String
        var standing: Int
        var after: HostSample?
        var isDetour: Bool

        var testDescription: String { name }
    }

    @Test(
        "flows that leave no trace in the table watched do not pass through it",
        arguments: [
            Passage(
                name: "a table that does not grow", standing: 2000, after: sample(count: 103),
                isDetour: true),
            Passage(
                name: "a table that shrinks", standing: 2000, after: sample(count: 3),
                isDetour: true),
            Passage(
                name: "a table that grows", standing: 2000, after: sample(count: 2100),
                isDetour: false),
            Passage(
                name: "too few to tell", standing: 99, after: sample(count: 100), isDetour: false),
            Passage(
                name: "a full table", standing: 2000, after: sample(count: 150, limit: 150),
                isDetour: false),
            Passage(
                name: "entries that make room", standing: 2000,
                after: sample(count: 140, limit: 150, moved: ["early_drop": 9]), isDetour: false),
            Passage(name: "nobody looked", standing: 2000, after: nil, isDetour: false),
        ])
    func noticesDetours(_ row: Passage) {
        var passage = TablePassage(of: "netns:gw", before: Self.before)
        passage.note(standing: row.standing, row.after)
        let sentence = passage.detour(of: "connections stood")
        #expect((sentence != nil) == row.isDetour)
        guard let sentence, let after = row.after else { return }
        let growth = max(0, after.count - 100)
        #expect(
            sentence.hasPrefix(
                "2000 connections stood and the table of netns:gw grew by \(growth): they do not "
                    + "pass through it"), "\(sentence)")
    }

    // MARK: Timeouts

    /// `count` flows whose last packets fall evenly into the first second, and that leave
    /// `timeout` later; looked at every `every` seconds.
    static func decay(
        timeout: Double, every: Double, count: Int = 1000, background: Int = 7,
        lag: (Double) -> Double = { $0 }
    ) -> (points: [DecayFit.Point], ended: [DecayFit.Point]) {
        let ends = (0..<count).map { Double($0) / Double(count) }
        var points: [DecayFit.Point] = []
        var ended: [DecayFit.Point] = []
        for step in 0..<Int((timeout + 80) / every) {
            let now = Double(step) * every
            let begun = ends.count { $0 <= now }
            let gone = ends.count { lag($0 + timeout) <= now }
            points.append(DecayFit.Point(seconds: now, count: background + begun - gone))
            ended.append(DecayFit.Point(seconds: now, count: begun))
        }
        return (points, ended)
    }

    @Test(
        "a timeout is found within a quarter of a second", arguments: [2.0, 10, 20, 30],
        [0.25, 0.5, 1])
    func findsTimeouts(_ timeout: Double, _ every: Double) throws {
        let (points, ended) = Self.decay(timeout: timeout, every: every)
        let fit = try #require(DecayFit(points: points, ended: ended, background: 7))
        #expect(abs(fit.seconds - timeout) < 0.25)
        #expect(fit.flows >= 990)
        #expect(fit.spread <= 2.1)
    }

    @Test("a collector that comes late is in the figure, as it is in the table")
    func showsTheLag() throws {
        // Whatever has expired goes at the next multiple of 61.44 s.
        let (points, ended) = Self.decay(timeout: 10, every: 0.5) {
            ($0 / 61.44).rounded(.up) * 61.44
        }
        let fit = try #require(DecayFit(points: points, ended: ended, background: 7))
        #expect(abs(fit.seconds - 60.94) < 0.5)
        #expect(fit.spread < 0.6)
    }

    @Test("a group that has not left yet has no timeout, and no group has none")
    func refusesTooLittle() {
        let (points, ended) = Self.decay(timeout: 30, every: 1)
        #expect(DecayFit(points: Array(points[..<25]), ended: ended, background: 7) == nil)
        #expect(DecayFit(points: [], ended: [], background: 0) == nil)
        #expect(DecayFit(points: points, ended: [], background: 7) == nil)
    }
}
