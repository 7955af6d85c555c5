/// `/proc/net/stat/nf_conntrack` of one network namespace, kept open (spec formats.md §5).
public struct TrackerStatistics: ~Copyable {
    /// The file's columns summed over the processors, in the file's order, and the entries.
    public struct Reading: Sendable, Hashable {
        /// One number a column of `TrackerStatistics.columns`; `nil` where nobody said it.
        public var values: [UInt32?]
        /// Entries of the namespace: the same in every row.
        public var count: Int

        /// - Parameter values: As many as there are columns.
        public init(values: [UInt32?], count: Int) {
            precondition(values.count == TrackerStatistics.columns.count, "a value a column")
            self.values = values
            self.count = count
        }

        /// The column called `name` as `conntrack -S` calls it; `nil` where nobody said it.
        public func value(_ name: String) -> UInt32? {
            TrackerStatistics.columns.firstIndex(of: name).flatMap { values[$0] }
        }
    }

    /// The columns behind the first (`entries`), under the names of `conntrack -S`.
    public static let columns = [
        "clash_resolve", "found", "new", "invalid", "ignore", "delete", "chaintoolong", "insert",
        "insert_failed", "drop", "early_drop", "error", "expect_new", "expect_create",
        "expect_delete", "search_restart",
    ]

    private let file: FileDescriptor
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)

    /// Opens the file of the namespace the calling thread is in; it stays that one's.
    public init() throws(SystemCallError) {
        file = try FileDescriptor(opening: "/proc/thread-self/net/stat/nf_conntrack", for: .read)
    }

    public mutating func read() throws(SystemCallError) -> Reading {
        let byteCount = try file.read(into: &buffer, at: 0)
        return Self.reading(of: buffer[..<byteCount])
    }

    /// What a file with this content says; of a column it has not, nothing.
    public static func reading(of text: ArraySlice<UInt8>) -> Reading {
        var reading = Reading(values: Array(repeating: nil, count: columns.count), count: 0)
        let lines = text.split(separator: UInt8(ascii: "\n"))
        for line in lines.dropFirst() {
            let words = line.split(separator: UInt8(ascii: " "))
            for (index, word) in words.enumerated() {
                let number = UInt32(String(decoding: word, as: UTF8.self), radix: 16) ?? 0
                if index == 0 { reading.count = Int(number) }
                guard index > 0, index <= columns.count else { continue }
                reading.values[index - 1] = (reading.values[index - 1] ?? 0) &+ number
            }
        }
        return reading
    }
}
