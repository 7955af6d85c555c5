internal import Wire

/// The queues in which fragments wait for the rest of their datagram.
struct Reassembly: Sendable {
    init(_ sysctl: Sysctl) {}
}
