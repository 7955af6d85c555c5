/// One `log` statement met by a packet.
public struct RuleLog: Sendable, Hashable {
    /// The kernel's log levels, by their names in nftables.
    public enum Level: String, Sendable, Hashable, CaseIterable {
        case emerg, alert, crit, err, warn, notice, info, debug
    }

    /// What the line begins with.
    public var prefix: String
    /// Where nothing is written: warn.
    public var level: Level
    /// `log group N`: the packet goes to that nfnetlink group and not to the kernel log.
    public var group: UInt16?
    /// What the line shows beyond the common fields: `flags`.
    ///
    /// `flags ether` and `flags skuid` change nothing: packets here have no link layer, as on a tun
    /// device, and no socket with a user, as all packets that are forwarded.
    public var details: PacketDump.Details

    public init(
        prefix: String, level: Level = .warn, group: UInt16? = nil,
        details: PacketDump.Details = []
    ) {
        self.prefix = prefix
        self.level = level
        self.group = group
        self.details = details
    }

    /// The longest prefix the kernel takes.
    static let prefixByteCount = 127
}
