internal import LinuxCalls
internal import Report

/// `/proc/net/stat/nf_conntrack` of one namespace, kept open.
struct KernelCounters: ~Copyable {
    /// The statistics summed over the CPUs, under the names of `conntrack -S`, and the number of
    /// entries.
    struct Reading: Equatable {
        var values: [UInt32]
        var count: Int
    }

    /// Columns of the file (spec formats.md §5) that mean something, and what they are called.
    private static let columns: [(index: Int, name: String)] = [
        (2, "found"), (4, "invalid"), (8, "insert"), (9, "insert_failed"), (10, "drop"),
        (11, "early_drop"), (12, "error"), (16, "search_restart"), (1, "clash_resolve"),
        (7, "chaintoolong"), (13, "expect_new"), (14, "expect_create"), (15, "expect_delete"),
    ]

    private let file: FileDescriptor
    private var buffer = [UInt8](repeating: 0, count: 16384)

    /// Opens the file of the namespace the calling thread is in.
    init() throws(SystemCallError) {
        file = try FileDescriptor(opening: "/proc/thread-self/net/stat/nf_conntrack", for: .read)
    }

    mutating func read() throws(SystemCallError) -> Reading {
        let byteCount = try file.read(into: &buffer, at: 0)
        var reading = Reading(values: Array(repeating: 0, count: Self.columns.count), count: 0)
        var words: [UInt32] = []
        var word: UInt32?
        var isHeader = true
        for byte in buffer[..<byteCount] {
            if let digit = Self.digit(byte) {
                word = (word ?? 0) << 4 | digit
                continue
            }
            if let word { words.append(word) }
            word = nil
            guard byte == UInt8(ascii: "\n") else { continue }
            if !isHeader { Self.add(words, to: &reading) }
            isHeader = false
            words.removeAll(keepingCapacity: true)
        }
        return reading
    }

    private static func digit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
        default: nil
        }
    }

    private static func add(_ words: [UInt32], to reading: inout Reading) {
        for (slot, column) in columns.enumerated() where column.index < words.count {
            reading.values[slot] &+= words[column.index]
        }
        reading.count = words.first.map(Int.init) ?? 0  // The same in every row.
    }

    /// What changed from `old` to `new`, as the output contract writes it; `nil` if nothing did.
    static func changes(from old: Reading, to new: Reading) -> CounterChanges? {
        guard old != new else { return nil }
        var changes: [CounterChanges.Change] = []
        for (slot, column) in columns.enumerated() where old.values[slot] != new.values[slot] {
            let difference = new.values[slot] &- old.values[slot]
            changes.append(CounterChanges.Change(name: column.name, value: Int(difference)))
        }
        if old.count != new.count {
            changes.append(CounterChanges.Change(name: "count", value: new.count))
        }
        return CounterChanges(changes)
    }

    /// All statistics since `old`.
    static func all(from old: Reading, to new: Reading) -> CounterChanges {
        let differences = zip(new.values, old.values).map { $0 &- $1 }
        return CounterChanges(
            zip(columns, differences).map { CounterChanges.Change(name: $0.name, value: Int($1)) })
    }
}
