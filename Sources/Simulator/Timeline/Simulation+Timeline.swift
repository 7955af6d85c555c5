import Conntrack
import Scenario
import Wire

// What happens at a moment of the run, whatever the load does.

extension Simulation {
    /// Makes an event for every line of the timeline.
    mutating func scheduleTimeline() {
        for (place, event) in timeline.enumerated() {
            queue.push(Event(.timeline, at: event.time.nanoseconds, UInt32(place)))
        }
    }

    mutating func note(_ text: String) { notes.append((now, text)) }

    mutating func timelineEvent(_ event: Event) {
        guard let world = builder else { return }
        let instant = Instant(nanoseconds: now)
        switch timeline[Int(event.index)].verb {
        case .sysctl(let changes): for change in changes { apply(change, world) }
        case .rules(let node, let text):
            note("\(node): rules replaced")
            for member in world.groups[node] ?? [] {
                builder?.rules.replaced[member] = text
                replaceRules(of: member)
            }
        case .rollout(let rollout): begin(rollout, world)
        case .scale(let of, let to): scale(of, to: to, world)
        case .kill(let of, let duration): kill(of, duration, world)
        case .failover(let failover): begin(failover, world)
        case .route(let route):
            changes.routes.append(route)
            note(
                "\(route.node): route to \(route.destination.address.text(route.destination.family))"
                    + "/\(route.destination.length) via \(route.via ?? "nowhere")")
            reroute()
        case .link(let change): apply(change, world)
        case .workload(let name, let change): apply(change, to: name)
        case .flush(let node):
            for tracker in trackers(of: node, world) {
                trackers[tracker].isChanged(by: "a flush", at: now)
                let removed = trackers[tracker].node.flush(at: instant)
                note("\(names[trackers[tracker].station].name): conntrack -F removed \(removed)")
            }
        case .delete(let node, let filter):
            for tracker in trackers(of: node, world) {
                trackers[tracker].isChanged(by: "a deletion", at: now)
                let removed = trackers[tracker].node.delete(
                    where: { filter.matches($0) }, at: instant)
                note("\(names[trackers[tracker].station].name): conntrack -D removed \(removed)")
            }
        case .note(let text): note(text)
        }
    }

    private func trackers(of name: String, _ world: WorldBuilder) -> [Int] {
        (world.groups[name] ?? []).map { Int(facts[$0].tracker) }.filter { $0 >= 0 }
    }

    // MARK: Settings, rules, routes

    private mutating func apply(_ change: Scenario.SettingChange, _ world: WorldBuilder) {
        note("\(change.node): \(change.name) = \(change.value)")
        for member in world.groups[change.node] ?? [] {
            let tracker = Int(facts[member].tracker)
            if tracker >= 0 {
                var sysctl = trackers[tracker].node.configuration.sysctl
                // The name and the value were checked when the file was read.
                if (try? sysctl.set(
                    change.name, to: change.value,
                    tickRate: trackers[tracker].node.configuration.tickRate)) != nil
                {
                    trackers[tracker].isChanged(by: "a setting", at: now)
                    trackers[tracker].node.apply(sysctl, at: Instant(nanoseconds: now))
                    continue
                }
            }
            applyToHost(change, member)
        }
    }

    private mutating func applyToHost(_ change: Scenario.SettingChange, _ member: Int) {
        let number = Int(change.value)
        switch change.name {
        case "net.ipv4.tcp_syn_retries":
            facts[member].synRetries = UInt8(clamping: number ?? 6)
        case "net.ipv4.tcp_syn_linear_timeouts":
            facts[member].synLinearTimeouts = UInt8(clamping: number ?? 0)
        case "net.ipv4.tcp_synack_retries":
            facts[member].synAckRetries = UInt8(clamping: number ?? 5)
        case "net.ipv4.tcp_retries2": facts[member].dataRetries = UInt8(clamping: number ?? 15)
        case "net.ipv4.tcp_fin_timeout":
            facts[member].finTimeout = UInt64(clamping: number ?? 60) * 1_000_000_000
        case "net.ipv4.tcp_tw_reuse": facts[member].reusesTimeWait = number == 1
        case "net.ipv4.ip_local_port_range":
            let parts = change.value.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "-" })
                .compactMap { UInt16($0) }
            if parts.count == 2, parts[0] <= parts[1] {
                facts[member].ports = parts[0]...parts[1]
            }
        default: break
        }
    }

    /// Compiles a machine's rules anew: its own, and those of its services.
    mutating func replaceRules(of member: Int) {
        guard let world = builder, facts[member].tracker >= 0 else { return }
        let endpoints = world.endpoints(facts)
        // Rules of the file compiled when it was read; a service without endpoints still has some.
        guard let ruleset = try? world.rules.ruleset(of: member, world, endpoints: endpoints)
        else { return }
        trackers[Int(facts[member].tracker)].isChanged(by: "new rules", at: now)
        trackers[Int(facts[member].tracker)].node.replace(ruleset)
    }

    /// Works the routes of every machine out again.
    mutating func reroute() {
        guard let world = builder else { return }
        for member in facts.indices {
            routes[member] = world.routes(of: member, changes)
            guard facts[member].tracker >= 0 else { continue }
            let home = trackers[Int(facts[member].tracker)]
            home.isChanged(by: "new routes", at: now)
            home.node.reroute(world.interfaces(of: member, routes[member]))
        }
    }

    // MARK: Links and workloads

    private mutating func apply(_ change: Scenario.LinkChange, _ world: WorldBuilder) {
        let (first, second) = (change.ends[0], change.ends[1])
        note(
            "link \(first.node) - \(second.node)"
                + (change.isDown.map { $0 ? ": down" : ": up" } ?? ": changed"))
        for member in world.groups[first.node] ?? [] {
            let start = Int(facts[member].firstLink)
            for (place, link) in world.members[member].links.enumerated()
            where world.isMember(link.neighbour, of: second.node)
                && matches(first.interface, member, link.interface)
                && matches(second.interface, link.neighbour, link.neighbourInterface)
            {
                let forward = start + place
                let backward = Int(links[forward].opposite)
                links[forward].settings.apply(change.forward)
                links[backward].settings.apply(change.backward)
                if let isDown = change.isDown {
                    links[forward].settings.isDown = isDown
                    links[backward].settings.isDown = isDown
                    if isDown { flushMasqueraded(forward, member, link.neighbour, backward) }
                }
            }
        }
    }

    private func matches(_ name: String?, _ member: Int, _ interface: Int) -> Bool {
        name == nil || names[member].interfaces[interface] == name
    }

    /// A device that goes down takes the connections masqueraded for it along.
    private mutating func flushMasqueraded(
        _ forward: Int, _ member: Int, _ neighbour: Int, _ backward: Int
    ) {
        for (station, link) in [(member, forward), (neighbour, backward)]
        where facts[station].tracker >= 0 {
            let home = trackers[Int(facts[station].tracker)]
            home.isChanged(by: "a device that went down", at: now)
            home.node.interfaceWentDown(
                InterfaceIndex(links[link].ownInterface), at: Instant(nanoseconds: now))
        }
    }

    private mutating func apply(_ change: Scenario.WorkloadChange, to name: String) {
        guard let index = workloads.firstIndex(where: { $0.name == name }) else { return }
        switch change {
        case .start:
            note("\(name): started")
            startWorkload(index)
        case .stop:
            note("\(name): stopped")
            stopWorkload(index)
        case .rate(let rate):
            note("\(name): rate \(Int(rate.rounded()))")
            setRate(index, rate)
        }
    }
}

extension Scenario.EntryFilter {
    /// Whether every filter that is set holds for an entry.
    func matches(_ entry: Entry) -> Bool {
        if let transport {
            let number: UInt8 =
                switch transport {
                case .tcp: IPProtocol.tcp
                case .udp: IPProtocol.udp
                case .icmp: entry.family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6
                }
            guard entry.protocolNumber == number else { return false }
        }
        if let source, !source.contains(entry.original.source, entry.family) { return false }
        if let destination, !destination.contains(entry.original.destination, entry.family) {
            return false
        }
        if let replySource, !replySource.contains(entry.reply.source, entry.family) {
            return false
        }
        if let replyDestination,
            !replyDestination.contains(entry.reply.destination, entry.family)
        {
            return false
        }
        if let sourcePort, entry.original.sourcePart != sourcePort { return false }
        if let destinationPort, entry.original.destinationPart != destinationPort { return false }
        if let state {
            guard entry.protocolNumber == IPProtocol.tcp,
                entry.protocolState == state.rawValue
            else { return false }
        }
        if let zone, entry.zoneOriginal != zone { return false }
        if let mark, entry.mark != mark { return false }
        return true
    }
}
