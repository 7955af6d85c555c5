internal import LinuxCalls

/// Watches datagram flows begin until one is refused.
///
/// A flow has no answer that says it stands. The table's own count says how many do; without a look
/// at it, those that were sent without an error.
public struct DatagramClimb: Sendable {
    private let before: HostSample?
    /// What was seen when the first was refused; `nil` before.
    public private(set) var evidence: LimitEvidence?

    public init(before: HostSample?) { self.before = before }

    /// Notes a second of the run, and says what to do next.
    public mutating func note(_ flows: FlowCounts, _ sample: HostSample?) -> [LoadWish] {
        guard evidence == nil else { return [.stop] }
        let dropped = before.flatMap { before in sample?.change("drop", since: before) } ?? 0
        guard flows.failed > 0 || dropped > 0 else { return [] }
        var evidence = LimitEvidence()
        evidence.level = flows.started
        evidence.standing = sample?.count ?? flows.started - flows.failed
        evidence.before = before
        evidence.after = sample
        evidence.flows = flows
        self.evidence = evidence
        return [.stop]
    }
}
