internal import LinuxCalls

/// Watches datagram flows begin until one is refused, or takes another one's place.
///
/// A flow has no answer that says it stands. The table's own count says how many do; without a look
/// at it, those that were sent without an error. A full table drops unreplied entries early to make
/// room for new ones: nobody is refused then, and the table's maximum is reached all the same.
public struct DatagramClimb: Sendable {
    private let before: HostSample?
    private let ownBefore: HostSample?
    /// What was seen when the table, or this machine, took no more; `nil` before.
    public private(set) var evidence: LimitEvidence?

    /// - Parameters:
    ///   - before: The table watched, before the first flow.
    ///   - own: This process's own, where that is another.
    public init(before: HostSample?, own: HostSample? = nil) {
        self.before = before
        ownBefore = own
    }

    /// Notes a second of the run, and says what to do next.
    public mutating func note(
        _ flows: FlowCounts, _ sample: HostSample?, own: HostSample? = nil
    ) -> [LoadWish] {
        guard evidence == nil else { return [.stop] }
        func moved(_ name: String) -> Int {
            before.flatMap { sample?.change(name, since: $0) } ?? 0
        }
        let gaveWay = moved("early_drop") > 0
        guard flows.failed > 0 || moved("drop") > 0 || gaveWay else { return [] }
        var evidence = LimitEvidence()
        evidence.level = flows.started
        evidence.standing = sample?.count ?? flows.started - flows.failed
        // Entries give way only once the table holds its maximum; by the time of the look the
        // collector may have been there.
        if gaveWay, let limit = sample?.limit, limit > 0 { evidence.standing = limit }
        evidence.before = before
        evidence.after = sample
        evidence.ownBefore = ownBefore
        evidence.ownAfter = own
        evidence.flows = flows
        self.evidence = evidence
        return [.stop]
    }
}
