import Conntrack
import Yams

// `flows: 50%`, `of: gw`: flows held as a share of a node's nf_conntrack_max.

extension ScenarioReader {
    /// Notes whether the stages of a load are shares: all of them, or none.
    mutating func readShare(_ parts: WorkloadParts, into load: inout Scenario.Load) {
        guard load.model == .closed else { return checkTable(parts) }
        var figures = parts.flows.map { [$0] } ?? []
        if case .sequence(let stages)? = parts.stages {
            figures = stages.compactMap { $0.mapping?["flows"] }
        }
        let shares = figures.filter { $0.scalar?.string.contains("%") == true }
        guard !shares.isEmpty else { return checkTable(parts) }
        if shares.count < figures.count,
            let count = figures.first(where: { $0.scalar?.string.contains("%") != true })
        {
            report(
                count, found: "\(Self.shown(count)) beside shares of a table",
                expected: "a share as in the other stages: 50%, or 0%..50%")
        }
        // Which table is meant where none is named follows from the whole file.
        load.shareOf = parts.table?.name ?? ""
    }

    private mutating func checkTable(_ parts: WorkloadParts) {
        guard let (_, node) = parts.table else { return }
        report(
            node, found: "'of' in a workload that holds no share of a table",
            expected: "'flows: 50%' beside it, or no 'of'")
    }

    /// Finds the table each share is of, and sees that it can be had.
    mutating func checkShares(_ layout: Scenario.Layout) {
        for index in result.workloads.indices {
            guard let named = result.workloads[index].load.shareOf else { continue }
            let place = places.loads[index]
            guard let name = named.isEmpty ? onlyTable(place) : named else { continue }
            let members = layout.members(of: name, in: result.topology)
            guard let member = members.first, members.count == 1 else {
                report(
                    place, found: "a share of '\(name)', a group with a table each",
                    expected: "'of:' with one of its members, as \(name)-0")
                continue
            }
            let node = result.topology.nodes[layout.members[member].node]
            guard node.tracking != .none else {
                report(
                    place, found: "a share of '\(name)', which tracks nothing",
                    expected: "a node with a connection table")
                continue
            }
            guard node.sysctl.max > 0 else {
                report(
                    place, found: "a share of '\(name)', whose nf_conntrack_max is 0: no limit",
                    expected: "a maximum to take a share of, or 'flows:' with a count")
                continue
            }
            result.workloads[index].load.shareOf = name
            let held = result.counted(result.workloads[index]).load.stages
                .reduce(0) { max($0, $1.from, $1.to) }
            if held > ScenarioLimits.heldFlows {
                report(
                    place, found: "a share of '\(name)' that is \(Int(held)) flows",
                    expected: "at most 10M flows")
            }
        }
    }

    /// The only table on the way, or of all: it need not be named.
    private mutating func onlyTable(_ place: YAMLNode) -> String? {
        let tracking = result.topology.nodes.filter { $0.tracking != .none }
        let between = tracking.filter { $0.role != .host }
        let tables = (between.isEmpty ? tracking : between).map(\.name)
        if tables.count == 1 { return tables[0] }
        report(
            place,
            found: tables.isEmpty
                ? "a share of a table, and no node that tracks"
                : "a share of a table, and the tables of \(tables.joined(separator: ", "))",
            expected: tables.isEmpty
                ? "a router, or a node with 'tracking: always'" : "'of: \(tables[0])', or another")
        return nil
    }
}
