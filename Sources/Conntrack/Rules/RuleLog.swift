/// One `log` statement met by a packet.
public struct RuleLog: Sendable, Hashable {
    /// The kernel's log levels, by their names in nftables.
    public enum Level: String, Sendable, Hashable, CaseIterable {
        case emerg, alert, crit, err, warn, notice, info, debug, audit
    }

    /// What the line begins with.
    public var prefix: String
    /// Where nothing is written: warn.
    public var level: Level
    /// `log group N`: the packet goes to that nfnetlink group and not to the kernel log.
    public var group: UInt16?

    public init(prefix: String, level: Level = .warn, group: UInt16? = nil) {
        self.prefix = prefix
        self.level = level
        self.group = group
    }

    /// The longest prefix the kernel takes.
    static let prefixByteCount = 127
}
