internal import LinuxCalls

/// How it shows that nobody is at the far end; one sentence each, whoever says it.
public enum TargetAbsence: Sendable, Hashable {
    /// Flows were refused, and none ever stood or was answered.
    case neverListened
    /// Flows succeeded, and since the second named all that were tried were refused.
    case refuses(sinceSecond: Int)
    /// So many flows succeeded, and since the second named none has, without a word why.
    case silent(sinceSecond: Int, succeeded: Int)

    /// Whether `flows`, everything since the start, show that nothing ever listened.
    public static func isShown(by flows: [FlowCounts]) -> Bool {
        let sum = flows.reduce(FlowCounts(), +)
        return sum.connected == 0 && sum.answers == 0 && sum.refused > 0
    }

    /// What turned `flows` away, everything since the start: datagrams' ports alone, or others too.
    public static func refusingTransport(_ flows: [FlowCounts]) -> Transport {
        let refused = flows.flatMap(\.failures).filter(\.failure.isRefused)
        return !refused.isEmpty && refused.allSatisfy { $0.failure.call != .connect } ? .udp : .tcp
    }

    /// What is said of `target`, and what to do.
    ///
    /// - Parameter transport: By which it refuses.
    public func sentence(of target: String, transport: Transport = .tcp) -> String {
        let start = "start what should, such as: ctlab sink --\(transport.rawValue) PORT"
        return switch self {
        case .neverListened: "nothing listens at \(target); \(start)"
        case .refuses(let second):
            "nothing has listened at \(target) since second \(second) of the run; \(start)"
        case .silent(let second, let succeeded):
            "\(target) seems gone since second \(second) of the run: no flow has succeeded since, "
                + "\(succeeded) did before; see that it still runs and can be reached, and with "
                + "--observe that no table on the way is full"
        }
    }
}
