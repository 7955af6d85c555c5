extension Node {
    /// Removes the connection a tuple belongs to, outside all zones, if `isWanted` says so.
    ///
    /// As `conntrack -D` with a whole tuple does, or a part of the kernel that knows it. Returns
    /// whether it went.
    @discardableResult
    public mutating func delete(
        _ tuple: Tuple, where isWanted: (Entry) -> Bool = { _ in true }, at now: Instant
    ) -> Bool {
        let moment = moment(now)
        guard let found = table.find(tuple, .none, namespace, at: moment).found,
            isWanted(table.entry(found.slot, at: moment))
        else { return false }
        return table.delete(found.slot, at: moment)
    }
}
