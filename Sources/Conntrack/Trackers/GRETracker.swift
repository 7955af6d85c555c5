/// GRE: spec protocols.md §8.
///
/// Without a PPTP helper all version 0 traffic between two hosts is one connection, and each call
/// direction of version 1 another.
enum GRETracker {
    /// Follows one packet.
    ///
    /// A connection keeps the timeouts it was made with.
    ///
    /// Kernel: `nf_conntrack_gre_packet()`.
    static func update(
        _ state: inout ConnectionState, isNew: Bool, status: Status,
        settings: borrowing TrackerSettings
    ) -> TrackerResult {
        if isNew { state.greTimeouts = (settings.gre, settings.greStream) }
        guard status.contains(.seenReply) else { return .refresh(state.greTimeouts.unreplied) }
        return .refresh(
            state.greTimeouts.stream, assured: !status.contains(.natClash))
    }
}
