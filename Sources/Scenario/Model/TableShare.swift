internal import Conntrack

// Flows held as a share of a table: an entry is what fills it, and a flow that is held has one.

extension Scenario.Load {
    /// The same load in flows, where its stages are shares of a table of `maximum` entries.
    public func counted(of maximum: Int) -> Scenario.Load {
        guard shareOf != nil else { return self }
        var load = self
        load.shareOf = nil
        for index in load.stages.indices {
            load.stages[index].from *= Double(maximum)
            load.stages[index].to *= Double(maximum)
        }
        return load
    }
}

extension Scenario {
    /// `nf_conntrack_max` of the node, or member of a group, of this name, as the file sets it; 0 of
    /// one that does not exist.
    public func tableMaximum(of name: String) -> Int {
        let layout = topology.layout
        guard let member = layout.members(of: name, in: topology).first else { return 0 }
        return Int(topology.nodes[layout.members[member].node].sysctl.max)
    }

    /// A workload with its load in flows, by the maximum the file gives its table.
    public func counted(_ workload: Workload) -> Workload {
        guard let name = workload.load.shareOf else { return workload }
        var counted = workload
        counted.load = workload.load.counted(of: tableMaximum(of: name))
        return counted
    }
}
