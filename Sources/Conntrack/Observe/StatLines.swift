// `conntrack -S`, /proc/net/stat/nf_conntrack, `conntrack -C`, and what the tool says on standard
// error: spec formats.md §1, §4, §5 and §6.

extension Counters {
    /// A line of `conntrack -S`, with the space the tool ends it with.
    ///
    /// The model counts for the whole machine and reports everything on its one CPU.
    public func toolLine(cpu: Int = 0) -> String {
        let number = String(cpu)
        var line = "cpu=\(number)" + String(repeating: " ", count: max(0, 4 - number.count)) + "\t"
        for (name, value) in named.prefix(10) { line += "\(name)=\(value) " }
        return line
    }

    /// The first line of /proc/net/stat/nf_conntrack.
    public static let procHeader =
        "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop"
        + " early_drop icmp_error  expect_new expect_create expect_delete search_restart"

    /// A CPU's line of /proc/net/stat/nf_conntrack; `entries` is the namespace's count.
    public func procLine(entries: UInt32) -> String {
        let columns = [
            entries, clashResolve, found, 0, invalid, 0, 0, chainTooLong, insert, insertFailed,
            drop, earlyDrop, error, expectNew, expectCreate, expectDelete, searchRestart,
        ]
        var line = ""
        for (index, value) in columns.enumerated() {
            // Two spaces stand before the second column and before the expectations.
            line += index == 0 ? "" : index == 1 || index == 13 ? "  " : " "
            line += PacketDump.padded(value, digits: 8)
        }
        return line
    }
}

/// What the conntrack tool writes to standard error.
public enum ToolMessage {
    private static let prefix = "conntrack v1.4.7 (conntrack-tools): "

    public static func flowsShown(_ count: Int) -> String {
        "\(prefix)\(count) flow entries have been shown."
    }

    public static func eventsShown(_ count: Int) -> String {
        "\(prefix)\(count) flow events have been shown."
    }
}
