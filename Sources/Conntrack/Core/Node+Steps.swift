public import Wire

// The path in steps, for whoever lets several packets be on their way at once: a machine with more
// than one CPU has packets between tracking and confirmation at the same time.
//
//     begin ─▶ reachConfirmation ─▶ confirmAndLeave          or: begin ─▶ finish
//
// Behind `begin` a new connection exists and has its destination, behind `reachConfirmation` its
// source too, and only `confirmAndLeave` enters it into the table. Whatever happens to other packets
// in between, it knows nothing of: two packets may make the same connection, and two connections may
// choose the same port. `finish` is the last two steps in one. At most 200 packets of one connection
// may be between the steps.

extension Node {
    /// PREROUTING, routing and FORWARD: the connection is found or made, its destination chosen.
    ///
    /// Returns where the packet ended, or `nil` if the last hook has to follow.
    public mutating func begin(_ packet: inout Packet, at now: Instant) -> PathEnd? {
        guard let end = begin(&packet, at: moment(now)) else { return nil }
        letGo(&packet)
        return end
    }

    /// The last hook up to confirmation: its rules, and the choice of a new connection's source.
    ///
    /// Returns where the packet ended, or `nil` if `confirmAndLeave` has to follow.
    public mutating func reachConfirmation(
        _ packet: inout Packet, at now: Instant
    ) -> PathEnd? {
        let (hook, stations) = lastHook(of: packet)
        let before = stations.lowerBound..<plan.confirmation(in: stations)
        guard let end = run(before, hook, &packet, at: moment(now)) else { return nil }
        letGo(&packet)
        return end
    }

    /// The last hook from confirmation on: a new connection enters the table, or fails to.
    public mutating func confirmAndLeave(_ packet: inout Packet, at now: Instant) -> PathEnd {
        let (hook, stations) = lastHook(of: packet)
        let rest = plan.confirmation(in: stations)..<stations.upperBound
        let end = run(rest, hook, &packet, at: moment(now)) ?? end(behind: hook)
        letGo(&packet)
        return end
    }

    /// The whole last hook, in one step.
    public mutating func finish(_ packet: inout Packet, at now: Instant) -> PathEnd {
        let end: PathEnd = finish(&packet, at: moment(now))
        letGo(&packet)
        return end
    }

    /// Ends the way of a packet between the steps, as a machine that is switched off does.
    public mutating func discard(_ packet: inout Packet) { letGo(&packet) }

    /// When the collector runs next.
    public var nextCollection: Instant {
        configuration.tickRate.instant(ofTick: table.collector.nextRun)
    }

    /// Whether the collector's next run begins a cycle, instead of going on with one.
    public var isBetweenCollections: Bool { table.collector.nextBucket == 0 }

    /// Sets when the collector's next cycle begins: its phase, which on a real machine is whatever
    /// has gone before.
    public mutating func beginCollecting(at moment: Instant) {
        table.collector.nextBucket = 0
        table.collector.nextRun = configuration.tickRate.ticks64(at: moment)
    }

    /// Replaces addresses and routes; interfaces keep their numbers, so none may be missing.
    public mutating func reroute(_ interfaces: [Interface]) {
        precondition(
            interfaces.count == configuration.interfaces.count, "the same interfaces, in order")
        configuration.interfaces = interfaces
        routing = Routing(interfaces)
        ruleset.learn(interfaces)
    }

    /// The node's egress interface for a packet it would send; `nil` without a route.
    public func egress(to destination: Address, _ family: Family) -> InterfaceIndex? {
        routing.egress(to: destination, family)
    }

    // MARK: The conntrack tool

    /// Removes every connection, as `conntrack -F` does; returns how many.
    @discardableResult
    public mutating func flush(at now: Instant) -> Int {
        table.flush(namespace, at: moment(now))
    }

    /// Removes the connections that `isWanted` picks, as `conntrack -D` with filters does.
    ///
    /// Returns how many.
    @discardableResult
    public mutating func delete(where isWanted: (Entry) -> Bool, at now: Instant) -> Int {
        let moment = moment(now)
        var victims: [Slot] = []
        table.forEachConnection { slot, record in
            if record.namespace == namespace, !record.deadline.hasPassed(at: moment.tick),
                isWanted(table.entry(slot, at: moment))
            {
                victims.append(slot)
            }
        }
        return victims.filter { table.delete($0, at: moment) }.count
    }

    /// An interface went down: connections masqueraded for it go (spec nat.md §8).
    public mutating func interfaceWentDown(_ interface: InterfaceIndex, at now: Instant) {
        table.flushMasqueraded(interface, losing: nil, at: moment(now))
    }

    /// Enters a connection as it was saved, as `conntrack -I` does.
    ///
    /// Tuples, zones, status, remaining life, protocol state and mark are taken over; TCP windows are not
    /// known, so that the first packet of each side begins window tracking anew.
    ///
    /// Returns false where the connection is there already or does not fit.
    @discardableResult
    public mutating func restore(_ entry: Entry, at now: Instant) -> Bool {
        let now = moment(now)
        let (original, reply) = (entry.zoneOriginal, entry.zoneReply)
        guard
            table.find(
                entry.original, ZonePair(original: original, reply: original), namespace, at: now
            ).found == nil,
            table.find(
                entry.reply, ZonePair(original: reply, reply: reply), namespace, at: now
            ).found == nil
        else { return false }
        return table.restore(entry, namespace, settings, at: now)
    }
}

extension Node {
    // MARK: Looking without touching

    /// What the table holds now.
    public func census(at now: Instant) -> Census { table.census(namespace, at: moment(now)) }

    /// Visits every live connection in the order of the table, and evicts none.
    public func forEachEntry(at now: Instant, _ visit: (Entry) -> Void) {
        let moment = moment(now)
        table.forEachConnection { slot, record in
            if record.namespace == namespace, !record.deadline.hasPassed(at: moment.tick) {
                visit(table.entry(slot, at: moment))
            }
        }
    }

    /// Translated source ports in use towards the busiest destination.
    public func busiestPortCount(at now: Instant) -> Int {
        struct Lane: Hashable {
            var source: Address
            var destination: Address
            var port: UInt16
            var protocolNumber: UInt8
        }
        var counts: [Lane: Int] = [:]
        var busiest = 0
        forEachEntry(at: now) { entry in
            guard entry.status.contains(.sourceNAT) else { return }
            let lane = Lane(
                source: entry.reply.destination, destination: entry.reply.source,
                port: entry.reply.sourcePart, protocolNumber: entry.protocolNumber)
            counts[lane, default: 0] += 1
            busiest = max(busiest, counts[lane, default: 0])
        }
        return busiest
    }
}
