import Testing
import Wire

@testable import Conntrack

/// A machine whose table of three is full, and somebody new.
private struct FullTable: ~Copyable {
    var machine = Machine(max: 3)
    /// The connections that have their original link in the newcomer's eight buckets.
    private(set) var victims: [Tuple] = []
    let newcomer: Tuple

    /// `offsets` are the victims' buckets, counted from the newcomer's, which is `home`.
    init(victimsAt offsets: [UInt32], home: UInt32) {
        let range = machine.range(from: home)
        for offset in offsets {
            let bucket = (home + offset) % machine.node.table.buckets.count
            victims.append(machine.tuple(in: bucket, avoiding: range))
        }
        newcomer = machine.tuple(in: home)
        for tuple in victims { machine.send(tuple) }
        while machine.count < 3 { machine.send(machine.tuple(outside: range)) }
        machine.node.journal.clear()
    }

    mutating func sendNewcomer() -> PathEnd { machine.send(newcomer) }

    /// Whether each victim still is in the table.
    var isThere: [Bool] { victims.map { machine.connection($0) != nil } }
}

/// table.md §8 and §9: what happens when the table is full.
///
/// The newcomer's original link falls into bucket `home`; early drop looks through the eight
/// buckets from there on.
@Suite struct TableFullTests {
    private static let home: UInt32 = 100

    @Test("table.md case 1: nobody within eight buckets: the fourth packet is dropped")
    func refuses() {
        var full = FullTable(victimsAt: [], home: Self.home)
        let end = full.sendNewcomer()
        #expect(end == PathEnd(.dropped, .tableFull))
        #expect(full.machine.count == 3)
        var expected = Counters()
        expected.drop = 1
        #expect(full.machine.counters == expected, "no other counter moves")
        #expect(
            full.machine.logLines == ["nf_conntrack: nf_conntrack: table full, dropping packet"])
        #expect(full.machine.collector.shouldDropEarly)
        #expect(full.machine.eventNames.isEmpty)
        #expect(full.machine.connection(full.newcomer) == nil)
    }

    @Test("a comparison counts a flow that is refused with every packet once, by its first search")
    func countsNewcomersOnce() {
        var full = FullTable(victimsAt: [3], home: Self.home)
        full.machine.node.evictionHint = []
        for _ in 0..<5 {
            #expect(full.sendNewcomer() == PathEnd(.dropped, .tableFull))
        }
        #expect(full.machine.counters.drop == 5)
        #expect(full.machine.node.evictions.searches == 1)
        #expect(full.machine.node.evictions.found == 1, "our own search would have made room")
        #expect(full.machine.node.evictions.followed == 0)
        let other = full.machine.tuple(in: Self.home + 200)
        full.machine.node.evictionHint = [ConnectionKey(full.victims[0])]
        #expect(full.machine.send(other).verdict == .forwarded)
        #expect(full.machine.node.evictions.searches == 2)
        #expect(full.machine.node.evictions.followed == 1)
    }

    @Test(
        "table.md case 2: an unassured connection within eight buckets makes room",
        arguments: UInt32(0)...7)
    func evicts(offset: UInt32) {
        var full = FullTable(victimsAt: [offset], home: Self.home)
        let end = full.sendNewcomer()
        #expect(end.verdict == .forwarded)
        #expect(full.machine.count == 3)
        #expect(full.machine.counters.earlyDrop == 1)
        #expect(full.machine.counters.drop == 0)
        #expect(full.machine.eventNames == ["DESTROY", "NEW"])
        #expect(!full.isThere[0])
        #expect(full.machine.connection(full.newcomer) != nil)
        #expect(!full.machine.collector.shouldDropEarly)
        #expect(full.machine.logLines.isEmpty)
    }

    @Test("table.md case 3: a victim in the ninth bucket is out of reach")
    func looksNoFurther() {
        var full = FullTable(victimsAt: [8], home: Self.home)
        #expect(full.sendNewcomer().reason == .tableFull)
        #expect(full.isThere[0])
    }

    @Test("table.md §9: a reply link in range is as good as an original one")
    func findsReplyLinks() {
        var machine = Machine(max: 1)
        let range = machine.range(from: Self.home)
        // Turned round, the tuple has its reply link where its original one would be.
        let inward = machine.tuple(in: Self.home + 3, avoiding: range)
        guard let victim = inward.inverted else { return }
        machine.send(victim)
        let newcomer = machine.tuple(in: Self.home)
        #expect(machine.send(newcomer).verdict == .forwarded)
        #expect(machine.counters.earlyDrop == 1)
    }

    @Test("table.md case 4: every unassured connection of the first such bucket goes")
    func evictsWholeChain() {
        var full = FullTable(victimsAt: [0, 0, 1], home: Self.home)
        #expect(full.sendNewcomer().verdict == .forwarded)
        #expect(full.machine.counters.earlyDrop == 2)
        #expect(full.machine.count == 2, "M - 1")
        #expect(!full.isThere[0])
        #expect(!full.isThere[1])
        #expect(full.isThere[2], "the next bucket is left alone")
    }

    @Test("table.md case 5: assured connections in range are no victims")
    func sparesAssured() {
        var full = FullTable(victimsAt: [0, 3, 7], home: Self.home)
        for victim in full.victims { full.machine.assure(victim) }
        #expect(full.sendNewcomer().reason == .tableFull)
        #expect(full.machine.counters.earlyDrop == 0)
        #expect(full.machine.count == 3)
    }

    @Test("table.md case 5: nor is a TCP connection in TIME_WAIT, on this path")
    func sparesTimeWait() {
        var machine = Machine(max: 1)
        let range = machine.range(from: Self.home)
        let tuple = machine.tuple(in: Self.home, avoiding: range, .initial, IPProtocol.tcp)
        machine.liveAndClose(tuple)
        let entry = machine.entry(tuple)
        #expect(entry.map { StateName.tcp($0.protocolState) } == "TIME_WAIT")
        #expect(entry?.status.contains(.assured) == true)
        let newcomer = machine.tuple(in: Self.home)
        #expect(machine.send(newcomer).reason == .tableFull)
        #expect(machine.count == 1)
    }

    @Test("table.md case 6: an expired connection in range goes too, but does not count")
    func collectsOnTheWay() {
        var machine = Machine(max: 2)
        let range = machine.range(from: Self.home)
        // A packet's own lookup would collect in the first bucket, so they stand further on.
        machine.enter(machine.tuple(in: Self.home + 1, avoiding: range), life: 250)
        machine.enter(machine.tuple(in: Self.home + 2, avoiding: range), life: 7500)
        machine.pass(ticks: 250)
        machine.node.journal.clear()
        let newcomer = machine.tuple(in: Self.home)
        #expect(machine.send(newcomer).verdict == .forwarded)
        #expect(machine.counters.earlyDrop == 1)
        #expect(machine.eventNames == ["DESTROY", "DESTROY", "NEW"])
        #expect(machine.count == 1)
    }

    @Test("table.md case 6, without a lookup before: the same in the newcomer's own bucket")
    func collectsInOwnBucket() {
        var machine = Machine(max: 2)
        let range = machine.range(from: Self.home)
        machine.enter(machine.tuple(in: Self.home, avoiding: range), life: 250)
        machine.enter(machine.tuple(in: Self.home + 1, avoiding: range), life: 7500)
        machine.pass(ticks: 250)
        #expect(machine.enter(machine.tuple(in: Self.home), life: 7500) != nil)
        #expect(machine.counters.earlyDrop == 1)
        #expect(machine.count == 1)
    }

    @Test("table.md §6: a packet's lookup collects in its own bucket, which may be room enough")
    func lookupMakesRoom() {
        var machine = Machine(max: 1)
        machine.enter(machine.tuple(in: Self.home), life: 250)
        machine.pass(ticks: 250)
        let newcomer = machine.tuple(in: Self.home)
        #expect(machine.send(newcomer).verdict == .forwarded)
        #expect(machine.counters == Counters())
    }

    @Test("table.md case 7: expired connections in range make room, yet the packet is refused")
    func refusesAfterCollecting() {
        var machine = Machine(max: 2)
        let range = machine.range(from: Self.home)
        for offset: UInt32 in [2, 5] {
            machine.enter(
                machine.tuple(in: Self.home + offset, avoiding: range), life: 250)
        }
        machine.pass(ticks: 250)
        let newcomer = machine.tuple(in: Self.home)
        #expect(machine.send(newcomer).reason == .tableFull)
        #expect(machine.counters.drop == 1)
        #expect(machine.counters.earlyDrop == 0)
        #expect(machine.count == 0)
        #expect(machine.send(newcomer).verdict == .forwarded, "the next one finds the room")
    }

    @Test(
        "table.md case 8: the range wraps from the last bucket to the first",
        arguments: [
            (UInt32(1022), UInt32(7), true), (1022, 2, true), (1022, 1, true), (1022, 8, false),
            (1023, 7, true), (1017, 7, true),
        ])
    func wraps(home: UInt32, offset: UInt32, isFound: Bool) {
        var full = FullTable(victimsAt: [offset], home: home)
        #expect(full.machine.bucket(full.victims[0]) == (home + offset) % 1024)
        #expect((full.sendNewcomer().verdict == .forwarded) == isFound)
        #expect(full.machine.counters.earlyDrop == (isFound ? 1 : 0))
    }

    @Test("table.md case 9: another namespace's connections are no victims")
    func sparesOtherNamespaces() {
        var machine = Machine(max: 1)
        let other = machine.node.table.addNamespace()
        let range = machine.range(from: Self.home)
        let foreign = machine.tuple(in: Self.home, avoiding: [], other)
        machine.enter(foreign, life: 7500, other)
        let own = machine.tuple(outside: range)
        machine.send(own)
        let newcomer = machine.tuple(in: Self.home)
        #expect(machine.send(newcomer).reason == .tableFull)
        #expect(machine.node.table.namespaces[other].count == 1)
        #expect(machine.count == 1)
    }

    @Test("table.md §1: the limit holds for each namespace by itself")
    func limitsEachNamespace() {
        var machine = Machine(max: 2)
        let other = machine.node.table.addNamespace()
        machine.enter(2, life: 7500, assured: true)
        for _ in 0..<2 {
            let tuple = machine.freshTuple()
            #expect(machine.enter(tuple, life: 7500, other, assured: true) != nil)
        }
        let third = machine.freshTuple()
        #expect(machine.enter(third, life: 7500, other) == nil)
        #expect(machine.count + machine.node.table.namespaces[other].count == 4)
    }

    @Test("table.md §6: expired connections of another namespace do go")
    func collectsForeignExpired() {
        var machine = Machine(max: 1)
        let other = machine.node.table.addNamespace()
        let range = machine.range(from: Self.home)
        machine.enter(machine.tuple(in: Self.home + 4, avoiding: [], other), life: 250, other)
        machine.send(machine.tuple(outside: range))
        machine.pass(ticks: 250)
        let newcomer = machine.tuple(in: Self.home)
        #expect(machine.send(newcomer).reason == .tableFull)
        #expect(machine.node.table.namespaces[other].count == 0)
    }

    @Test("table.md case 10: with nf_conntrack_max 0 nobody is refused")
    func unlimited() {
        var machine = Machine(buckets: 512, max: 0)
        var refused = 0
        for _ in 0..<5000 where machine.send(machine.freshTuple()).reason == .tableFull {
            refused += 1
        }
        #expect(refused == 0)
        #expect(machine.counters.drop == 0)
        #expect(machine.count == 5000)
    }

    @Test("policy.md P07c: one freed place is usable at once")
    func usesTheFreedPlace() {
        var full = FullTable(victimsAt: [8], home: Self.home)
        #expect(full.sendNewcomer().reason == .tableFull)
        if let slot = full.machine.connection(full.victims[0]) {
            full.machine.node.table.delete(slot, at: full.machine.now)
        }
        #expect(full.sendNewcomer().verdict == .forwarded)
        #expect(full.machine.count == 3)
    }

    @Test("policy.md P07a: a full table does not touch the packets of known flows")
    func knownFlows() {
        var full = FullTable(victimsAt: [9], home: Self.home)
        #expect(full.sendNewcomer().reason == .tableFull)
        #expect(full.machine.send(full.victims[0]).verdict == .forwarded)
        if let reply = full.victims[0].inverted {
            let info = full.machine.classify(.datagram(reply))
            #expect(info == .establishedReply)
        }
    }

    @Test("table.md §8: connections of packets still on their way count")
    func countsUnconfirmed() {
        var machine = Machine(max: 1)
        var waiting = Packet.datagram(machine.freshTuple())
        #expect(machine.track(&waiting) == nil)
        #expect(machine.count == 1)
        let second = machine.freshTuple()
        #expect(machine.send(second).reason == .tableFull, "the unconfirmed one is in no chain")
        #expect(machine.confirm(&waiting) == nil)
        #expect(machine.count == 1)
    }
}

extension Machine {
    /// A TCP connection from its SYN to TIME_WAIT.
    mutating func liveAndClose(_ tuple: Tuple) {
        guard let reply = tuple.inverted else { return }
        send(.segment(tuple, .syn, sequence: 1000))
        send(.segment(reply, [.syn, .ack], sequence: 5000, acknowledgment: 1001))
        send(.segment(tuple, .ack, sequence: 1001, acknowledgment: 5001))
        send(.segment(tuple, [.fin, .ack], sequence: 1001, acknowledgment: 5001))
        send(.segment(reply, [.fin, .ack], sequence: 5001, acknowledgment: 1002))
        send(.segment(tuple, .ack, sequence: 1002, acknowledgment: 5002))
    }
}
