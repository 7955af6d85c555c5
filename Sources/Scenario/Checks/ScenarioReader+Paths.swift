import Conntrack
import Wire
import Yams

// Whether packets can get where the file wants them: routes and reachability.

extension ScenarioReader {
    mutating func checkRouting(_ layout: Scenario.Layout) {
        let walk = RouteWalk(result.topology, layout)
        for (route, place) in zip(result.topology.routes, places.routes) {
            check(route, at: place["via"] ?? place, place, layout, walk)
        }
        checkRouteChanges(layout)
        checkReach(layout, walk)
    }

    /// The timeline's routes, with those that stand by then; changes of one moment together.
    private mutating func checkRouteChanges(_ layout: Scenario.Layout) {
        var topology = result.topology
        var changes: [(route: Scenario.Route, place: YAMLNode)] = []
        for (index, event) in result.timeline.enumerated() {
            // Who takes over answers for the addresses of another: these walks do not know of it.
            if case .failover = event.verb { return }
            if case .route(let route) = event.verb {
                topology.routes.removeAll {
                    $0.node == route.node && $0.destination == route.destination
                }
                topology.routes.append(route)
                changes.append((route, places.events[index]))
            }
            let isLast = index + 1 == result.timeline.count
            guard isLast || result.timeline[index + 1].time > event.time else { continue }
            let walk = RouteWalk(topology, layout)
            for (route, place) in changes {
                check(route, at: place["route"]?["via"] ?? place, place, layout, walk)
            }
            changes = []
        }
    }

    /// Whether a route leads to a neighbour, and from there on to its destination.
    private mutating func check(
        _ route: Scenario.Route, at via: YAMLNode, _ place: YAMLNode, _ layout: Scenario.Layout,
        _ walk: RouteWalk
    ) {
        let members = layout.members(of: route.node, in: result.topology)
        if let next = route.via {
            let hops = layout.members(of: next, in: result.topology)
            guard
                members.allSatisfy({ member in hops.contains { walk.areNeighbours(member, $0) } })
            else {
                report(
                    via, found: "'\(next)', which is no neighbour of '\(route.node)'",
                    expected: "a node with a link to '\(route.node)'")
                return
            }
        }
        let distance = walk.distances(to: walk.owners(of: route.destination))
        for member in members {
            let (path, loops) = walk.path(from: member, to: route.destination, distance)
            guard loops else { continue }
            let names = path.map { layout.members[$0].name }.joined(separator: " > ")
            report(
                place, found: "routes that loop (\(names))",
                expected: "a path to \(Self.text(route.destination))")
            return
        }
    }

    private static func text(_ prefix: Prefix) -> String {
        "\(prefix.address.text(prefix.family))/\(prefix.length)"
    }

    private mutating func checkReach(_ layout: Scenario.Layout, _ walk: RouteWalk) {
        for (workload, place) in zip(result.workloads, places.workloads) {
            let sources = layout.members(of: workload.source, in: result.topology)
            guard let goal = goal(of: workload) else { continue }
            let targets = goal.names.flatMap { layout.members(of: $0, in: result.topology) }
            let distance = walk.distances(to: targets)
            guard let lost = sources.first(where: { distance[$0] == nil }) else { continue }
            report(
                place, found: "no path from '\(layout.members[lost].name)' to '\(goal.text)'",
                expected: "links that join them (only routers and kubernetes-nodes pass packets on)"
            )
        }
    }

    /// The nodes a workload's packets go to; `nil` where that is open: addresses nobody may have.
    private func goal(of workload: Scenario.Workload) -> (names: [String], text: String)? {
        if case .replay(let replay) = workload.kind { return ([replay.node], replay.node) }
        switch workload.target?.host {
        case .node(let name)?: return ([name], name)
        case .service(let name)?, .nodePort(let name, _)?:
            guard let service = result.services.first(where: { $0.name == name }) else {
                return nil
            }
            let nodes =
                service.nodes.isEmpty
                ? result.topology.nodes.filter { $0.role == .kubernetesNode }.map(\.name)
                : service.nodes
            return (nodes, name)
        case .addresses?, nil: return nil
        }
    }
}
