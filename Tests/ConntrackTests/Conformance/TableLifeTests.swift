import Testing
import Wire

@testable import Conntrack

/// table.md §6, §7, §10 and §13: lookups, the packet path, timeouts.
@Suite struct TableLifeTests {
    @Test("table.md case 11: a packet dropped before the last hook leaves nothing behind")
    func leavesNothing() {
        var machine = Machine()
        var packet = Packet.datagram(.flow(1))
        packet.timeToLive = 1
        #expect(machine.send(packet).reason == .timeToLive)
        #expect(machine.count == 0)
        #expect(machine.connection(.flow(1)) == nil)
        #expect(machine.eventNames.isEmpty)
        #expect(machine.counters == Counters(), "no counter tells of it")
        #expect(machine.node.table.records.count == 0, "the object is free again")
    }

    @Test("table.md case 12: UDP timeout 3 s, packets at 0 and 3.5 s: NEW, DESTROY, NEW")
    func expiresBetween() {
        var machine = Machine { $0.udpTimeout = 3 }
        #expect(machine.classify(.datagram(.flow(1))) == .new)
        machine.pass(seconds: 3.5)
        #expect(machine.classify(.datagram(.flow(1))) == .new)
        #expect(machine.eventNames == ["NEW", "DESTROY", "NEW"])
        #expect(machine.count == 1)
    }

    @Test(
        "a connection is over in the tick its time runs out, and not before",
        arguments: [(749, 1), (750, 2)])
    func lastTick(ticks: UInt64, connections: Int) {
        var machine = Machine { $0.udpTimeout = 3 }
        machine.send(.flow(1))
        machine.pass(ticks: ticks)
        machine.send(.flow(1))
        #expect(machine.eventNames.filter { $0 == "NEW" }.count == connections)
    }

    @Test("table.md case 13: a lookup of another tuple evicts what has expired in its chain")
    func evictsStrangers() {
        var machine = Machine()
        let expired = machine.tuple(in: 7, avoiding: [7])
        let visitor = machine.tuple(in: 7, avoiding: [7])
        let elsewhere = machine.tuple(outside: [7, machine.bucket(expired.inverted ?? expired)])
        machine.enter(expired, life: 250)
        machine.pass(ticks: 250)
        machine.send(elsewhere)
        #expect(machine.count == 2, "another chain")
        machine.send(visitor)
        #expect(machine.count == 2, "one gone, one new")
        #expect(machine.eventNames == ["NEW", "NEW", "DESTROY", "NEW"])
    }

    @Test("table.md case 13: through its reply link just as well")
    func evictsStrangersByReply() {
        var machine = Machine()
        let inward = machine.tuple(in: 7, avoiding: [7])
        let visitor = machine.tuple(in: 7, avoiding: [7])
        guard let expired = inward.inverted else { return }
        machine.enter(expired, life: 250)
        machine.pass(ticks: 250)
        machine.send(visitor)
        #expect(machine.count == 1)
    }

    @Test("table.md §6: a lookup evicts the expired in front of what it finds, not behind it")
    func stopsAtTheFind() {
        var machine = Machine()
        let behind = machine.tuple(in: 7, avoiding: [7])
        let found = machine.tuple(in: 7, avoiding: [7])
        let before = machine.tuple(in: 7, avoiding: [7])
        machine.enter(behind, life: 250)
        machine.enter(found, life: 7500)
        machine.enter(before, life: 250)
        machine.pass(ticks: 250)
        machine.send(found)
        #expect(machine.count == 2)
        machine.send(machine.tuple(in: 7, avoiding: [7]))
        #expect(machine.count == 2, "a miss walks the whole chain")
    }

    @Test("table.md §6: the tracker's own readers evict nothing")
    func readingEvictsNothing() {
        var machine = Machine()
        machine.enter(.flow(1), life: 250)
        machine.pass(ticks: 250)
        for _ in 0..<1000 {
            #expect(machine.connection(.flow(1)) == nil)
            _ = machine.counters
        }
        #expect(machine.count == 1)
    }

    @Test("table.md §6: a dump evicts eight expired connections a bucket, and prints none")
    func dumpsEvictEight() {
        var machine = Machine()
        for _ in 0..<20 { machine.enter(machine.tuple(in: 7, avoiding: [7]), life: 250) }
        machine.pass(ticks: 250)
        for left: UInt32 in [12, 4, 0] {
            let listed = machine.node.table.list(.initial, at: machine.now)
            #expect(listed.isEmpty)
            // Their reply links lie in other buckets, where the dump meets them again.
            #expect(machine.count <= left)
        }
    }

    @Test("table.md case 14: a changed timeout shows from the next packet on")
    func changesTimeout() {
        var machine = Machine()
        machine.send(.flow(1))
        machine.pass(seconds: 25)
        var sysctl = machine.node.configuration.sysctl
        sysctl.udpTimeout = 77
        machine.node.apply(sysctl, at: machine.instant)
        #expect(machine.seconds(.flow(1)) == 5)
        machine.send(.flow(1))
        machine.pass(ticks: 1)
        #expect(machine.seconds(.flow(1)) == 76)
    }

    @Test("table.md §13: a fresh 30 s connection shows 29 within its first second")
    func truncatesSeconds() {
        var machine = Machine()
        machine.send(.flow(1))
        machine.pass(ticks: 1)
        #expect(machine.seconds(.flow(1)) == 29)
        machine.pass(ticks: 249)
        #expect(machine.seconds(.flow(1)) == 29)
        machine.pass(ticks: 1)
        #expect(machine.seconds(.flow(1)) == 28)
    }

    @Test("table.md case 15: 4294967295 s are 2^31-1 ticks, which print as 8589934 s")
    func longestTimeout() {
        var machine = Machine()
        let ticks = machine.rate.ticks(seconds: .max)
        #expect(ticks == UInt32(Int32.max))
        machine.enter(.flow(1), life: ticks)
        #expect(machine.seconds(.flow(1)) == 8_589_934)
        machine.pass(ticks: UInt64(Int32.max) - 1)
        #expect(machine.connection(.flow(1)) != nil)
        machine.pass(ticks: 1)
        #expect(machine.connection(.flow(1)) == nil)
    }

    @Test("table.md §13: a refresh may shorten a life")
    func shortens() {
        var machine = Machine()
        machine.enter(.flow(1), life: 7500)
        guard let slot = machine.connection(.flow(1)) else { return }
        machine.node.table.refresh(slot, 250, at: machine.now)
        machine.pass(ticks: 250)
        machine.send(.flow(2))
        machine.send(.flow(1))
        #expect(machine.eventNames == ["NEW", "NEW", "DESTROY", "NEW"])
    }

    @Test("table.md case 23: an ICMP error is RELATED, refreshes nothing and counts nowhere")
    func icmpErrors() {
        var machine = Machine { $0.accounting = true }
        machine.send(.flow(1))
        machine.pass(seconds: 10)
        let before = machine.entry(.flow(1))
        var error = Packet(
            tuple: Tuple(
                .ipv4, IPProtocol.icmp, source: Tuple.flow(1).destination, 0,
                destination: Tuple.flow(1).source, 3 << 8 | 3),
            networkByteCount: 56, transportByteCount: 36)
        error.health = .quotesTuple
        error.quoted = .flow(1)
        let info = machine.classify(error)
        // The entry is found by the reply to the quoted packet, and the error travels that way.
        #expect(info == .relatedReply)
        #expect(info.state == .related)
        #expect(machine.entry(.flow(1)) == before)
        #expect(before?.packetsOriginal == 1)
        #expect(machine.counters == Counters())
    }

    @Test("table.md case 24: the tracker sees the first reply with SEEN_REPLY still clear")
    func firstReply() {
        var machine = Machine()
        machine.send(.flow(1))
        machine.pass(seconds: 20)
        guard let reply = Tuple.flow(1).inverted else { return }
        #expect(machine.classify(.datagram(reply)) == .establishedReply)
        #expect(machine.entry(.flow(1))?.remainingTicks == 7500, "30 s, late as it is")
        #expect(machine.entry(.flow(1))?.status.contains(.assured) == false)
        #expect(machine.classify(.datagram(.flow(1))) == .established)
        #expect(machine.entry(.flow(1))?.remainingTicks == 30000, "now a stream: 120 s")
        #expect(machine.entry(.flow(1))?.status.contains(.assured) == true)
    }

    @Test("table.md §7.1: without a reply every further packet of the flow is NEW")
    func staysNew() {
        var machine = Machine()
        for _ in 0..<5 { #expect(machine.classify(.datagram(.flow(1))) == .new) }
        #expect(machine.count == 1)
        #expect(machine.eventNames == ["NEW"])
    }

    @Test("table.md §10: insertions by packets move neither 'insert' nor anything else")
    func countsNoInsertions() {
        var machine = Machine()
        for flow in UInt32(1)...500 { machine.send(.flow(flow)) }
        #expect(machine.counters == Counters())
        #expect(machine.count == 500)
    }

    @Test("table.md §14: a deleted connection counts until its last holder lets go")
    func countsHeld() {
        var machine = Machine()
        machine.send(.flow(1))
        var packet = Packet.datagram(.flow(1))
        #expect(machine.track(&packet) == nil)
        guard let slot = machine.connection(.flow(1)) else { return }
        let wins = (0..<2).map { _ in machine.node.table.delete(slot, at: machine.now) }
        #expect(wins == [true, false], "only one deleter wins")
        #expect(machine.count == 1)
        #expect(machine.connection(.flow(1)) == nil)
        #expect(machine.confirm(&packet) == nil, "a confirmed connection is not inserted again")
        #expect(machine.count == 0)
        #expect(machine.eventNames == ["NEW", "DESTROY"])
    }

    @Test("table.md §14: the recorded end of an expired connection is its expiry")
    func recordsExpiry() {
        var machine = Machine {
            $0.timestamp = true
            $0.udpTimeout = 3
        }
        machine.pass(seconds: 2)
        machine.send(.flow(1))
        machine.pass(seconds: 10)
        machine.send(.flow(1))
        let gone = machine.node.journal.events.first { $0.kind == .destroy }
        #expect(gone?.entry.start == .start + .seconds(2))
        #expect(gone?.entry.stop == .start + .seconds(5))
    }

    @Test("table.md case 26: a new namespace begins with nothing of its parent's")
    func newNamespace() {
        var machine = Machine { $0.accounting = true }
        machine.send(.flow(1))
        let child = machine.node.table.addNamespace()
        let namespace = machine.node.table.namespaces[child]
        #expect(namespace.count == 0)
        #expect(namespace.counters == Counters())
        #expect(namespace.extensionParts.isEmpty, "nf_conntrack_acct is 0 there")
        #expect(
            machine.node.table.peek(.flow(1), .none, child, at: machine.now) == nil,
            "nor does it see the parent's connections")
    }
}

extension Machine {
    /// Whole seconds a connection has left, as every listing prints them.
    func seconds(_ tuple: Tuple) -> Int32? {
        entry(tuple).map { $0.remainingTicks / Int32(rate.hertz) }
    }
}
