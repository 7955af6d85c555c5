import Conntrack
import Scenario
import Wire

// Machines that come, go, return and take over from each other.

extension Simulation {
    /// Makes an event for a step of something that takes time.
    private mutating func schedule(_ step: Action.Step, after: UInt64) {
        actions.append(Action(step: step))
        queue.push(
            Event(
                .action, at: now.addingOrMax(after),
                UInt32(truncatingIfNeeded: actions.count - 1)))
    }

    mutating func action(_ event: Event) {
        switch actions[Int(event.index)].step {
        case .arrive(let members): arrive(members)
        case .leave(let members, let drain, let closing): leave(members, drain: drain, closing)
        case .go(let members, let closing): go(members, closing)
        case .comeBack(let members):
            for member in members { facts[member].isDead = facts[member].isAbsent }
            note("\(list(members)) back")
        case .takeOver(let from, let to, let keepsTable):
            takeOver(from: from, to: to, keepsTable: keepsTable)
        }
    }

    private func list(_ members: [Int]) -> String {
        let shown = members.prefix(3).map { names[$0].name }.joined(separator: ", ")
        return members.count > 3 ? "\(shown) and \(members.count - 3) more" : shown
    }

    // MARK: Rollouts and scaling

    private func present(_ group: String, _ world: WorldBuilder) -> [Int] {
        (world.groups[group] ?? []).filter { !facts[$0].isAbsent && !facts[$0].isLeaving }
    }

    /// Members that were never there, in order.
    private func newcomers(_ group: String, _ world: WorldBuilder) -> [Int] {
        (world.groups[group] ?? []).filter { facts[$0].isAbsent && !facts[$0].isGone }
    }

    mutating func begin(_ rollout: Scenario.Rollout, _ world: WorldBuilder) {
        let group = world.group(rollout.of)
        let old = present(group, world)
        let new = Array(newcomers(group, world).prefix(old.count))
        note("rollout of \(rollout.of): \(old.count) members")
        let batch = max(1, rollout.batch)
        let every = UInt64(clamping: rollout.every.nanoseconds)
        let drain = UInt64(clamping: rollout.drain.nanoseconds)
        // New members stand ready before old ones leave, as many as the surge allows.
        var arrived = min(max(0, rollout.surge), new.count)
        if arrived > 0 { schedule(.arrive(Array(new[..<arrived])), after: 0) }
        var start = 0
        var time: UInt64 = 0
        while start < old.count {
            let end = min(start + batch, old.count)
            schedule(.leave(Array(old[start..<end]), drain: drain, rollout.closing), after: time)
            let wanted = min(new.count, end + max(0, rollout.surge))
            if wanted > arrived {
                schedule(.arrive(Array(new[arrived..<wanted])), after: time)
                arrived = wanted
            }
            start = end
            time = time.addingOrMax(every)
        }
    }

    mutating func scale(_ of: String, to count: Int, _ world: WorldBuilder) {
        let group = world.group(of)
        let old = present(group, world)
        note("\(of): scaled from \(old.count) to \(count)")
        if count > old.count {
            let unused = (world.groups[group] ?? []).filter { facts[$0].isAbsent }
            arrive(Array(unused.prefix(count - old.count)))
        } else if count < old.count {
            leave(Array(old[count...]), drain: 0, .fin)
        }
    }

    private mutating func arrive(_ members: [Int]) {
        for member in members {
            facts[member].isAbsent = false
            facts[member].isDead = false
            facts[member].isLeaving = false
            facts[member].isGone = false
        }
        if !members.isEmpty { note("\(list(members)) there") }
        endpointsChanged()
    }

    private mutating func leave(
        _ members: [Int], drain: UInt64, _ closing: Scenario.Rollout.Closing
    ) {
        for member in members { facts[member].isLeaving = true }
        note("\(list(members)) leaving")
        endpointsChanged()
        schedule(.go(members, closing), after: drain)
    }

    private mutating func go(_ members: [Int], _ closing: Scenario.Rollout.Closing) {
        for member in members {
            endConnections(of: member, closing)
            facts[member].isAbsent = true
            facts[member].isGone = true
            // The last words still leave; from then on nobody is there.
            facts[member].isDead = true
            facts[member].isLeaving = false
        }
        note("\(list(members)) gone")
        endpointsChanged()
    }

    /// Every connection of a machine ends as its process's end makes it.
    private mutating func endConnections(of member: Int, _ closing: Scenario.Rollout.Closing) {
        for index in sockets.open(at: member) {
            switch closing {
            case .fin: shutDown(index)
            case .rst: shutDown(index, isAbrupt: true)
            case .abandon: break
            }
            if sockets[index].generation != 0 { silence(index) }
        }
    }

    /// The endpoints of services are others: rules, targets, and entries nobody answers for.
    private mutating func endpointsChanged() {
        guard let world = builder else { return }
        for member in facts.indices where facts[member].tracker >= 0 {
            let hasService = world.scenario.services.contains {
                world.rules.carries(member, $0, world)
            }
            if hasService { replaceRules(of: member) }
        }
        cleanUp(world)
        for index in workloads.indices {
            guard let target = workloads[index].targetDescription, case .node = target.host else {
                continue
            }
            workloads[index].target.choices = world.choices(of: target, facts)
        }
    }

    /// kube-proxy deletes UDP entries that lead to endpoints which are no more.
    private mutating func cleanUp(_ world: WorldBuilder) {
        let endpoints = world.endpoints(facts)
        for service in world.scenario.services
        where service.transport == .udp && service.cleanUp == .kubeProxy {
            let live = Set(endpoints[service.name] ?? [])
            for member in facts.indices
            where facts[member].tracker >= 0 && world.rules.carries(member, service, world) {
                trackers[Int(facts[member].tracker)].node.delete(
                    where: { entry in
                        entry.protocolNumber == IPProtocol.udp
                            && entry.original.destination == service.virtualAddress
                            && entry.original.destinationPart == service.port
                            && !live.contains(entry.reply.source)
                    }, at: Instant(nanoseconds: now))
            }
        }
    }

    // MARK: Failures

    mutating func kill(_ of: String, _ duration: Interval?, _ world: WorldBuilder) {
        let members = (world.groups[of] ?? []).filter { !facts[$0].isAbsent }
        note("\(list(members)) killed")
        for member in members {
            facts[member].isDead = true
            for index in sockets.open(at: member) where sockets[index].isServer {
                // Its memory is lost: what comes back later knows no connection.
                if sockets[index].generation != 0 { close(index) }
            }
            if facts[member].tracker >= 0 {
                let home = trackers[Int(facts[member].tracker)]
                home.isChanged(by: "its failure", at: now)
                home.node.flush(at: Instant(nanoseconds: now))
            }
        }
        if let duration {
            schedule(.comeBack(members), after: UInt64(clamping: duration.nanoseconds))
        }
    }

    mutating func begin(_ failover: Scenario.Failover, _ world: WorldBuilder) {
        guard let from = world.groups[failover.from]?.first,
            let to = world.groups[failover.to]?.first
        else { return }
        note("\(failover.from) fails; \(failover.to) takes over")
        facts[from].isDead = true
        schedule(
            .takeOver(from: from, to: to, keepsTable: failover.keepsTable),
            after: UInt64(clamping: failover.detection.nanoseconds))
    }

    private mutating func takeOver(from: Int, to: Int, keepsTable: Bool) {
        let instant = Instant(nanoseconds: now)
        if keepsTable, facts[from].tracker >= 0, facts[to].tracker >= 0 {
            let entries = trackers[Int(facts[from].tracker)].node.list(at: instant)
            for entry in entries {
                trackers[Int(facts[to].tracker)].node.restore(entry, at: instant)
            }
        }
        changes.avoided.insert(from)
        changes.successors[from] = to
        note("\(names[to].name) has taken over")
        reroute()
        takeAddresses(from: from, to: to)
    }

    /// The addresses others talked to answer at the other machine from now on.
    private mutating func takeAddresses(from: Int, to: Int) {
        guard facts[to].tracker >= 0, facts[from].tracker >= 0 else { return }
        let old = trackers[Int(facts[from].tracker)].node.configuration.interfaces
        var interfaces = trackers[Int(facts[to].tracker)].node.configuration.interfaces
        for place in interfaces.indices where place < old.count {
            for address in old[place].addresses
            where !interfaces[place].addresses.contains(address) {
                interfaces[place].addresses.append(address)
            }
        }
        trackers[Int(facts[to].tracker)].node.reroute(interfaces)
    }
}
