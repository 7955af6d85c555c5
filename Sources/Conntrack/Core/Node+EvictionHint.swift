extension Node {
    /// Who makes room for the next newcomer to a full table, instead of whom a search would find.
    ///
    /// Empty is nobody, and the newcomer is refused; with `nil` the table searches for itself.
    ///
    /// A comparison with a kernel sets it to what that kernel let go: the same choice must lead to
    /// the same table. Connections that may not go stay. While it is set the collector takes nothing
    /// early of its own accord.
    public var evictionHint: [ConnectionKey]? {
        get { table.evictionHint }
        set { table.evictionHint = newValue }
    }

    /// How searches for a victim went while there was an `evictionHint`.
    public var evictions: EvictionTally { table.evictions }

    /// Lets connections go that another machine's collector took, or a lookup of its met.
    ///
    /// Only those go that have expired, or that a collector may take early: see spec gc.md §3.
    public mutating func collect(_ keys: [ConnectionKey], at now: Instant) {
        guard !keys.isEmpty else { return }
        table.collectHinted(keys, namespace, at: moment(now))
    }

    /// Ends the collector's work, for those who tell what another machine's takes.
    ///
    /// When a collector comes by is chance, and an expired connection counts until then.
    public mutating func stopCollecting() { table.collector.nextRun = .max }
}
