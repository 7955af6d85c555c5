// What a table of this size costs on the real machine: spec memory.md. The model's own bytes are
// another figure, which the command reports beside it.

/// Bytes of kernel memory a connection table takes, by the slab allocator's arithmetic.
///
/// Left out, as in the specification: memory-group bookkeeping, page structures, and pages that
/// stay behind half empty after churn.
public struct KernelMemory: Sendable, Hashable {
    /// One entry, in pages of 16.
    public static let entryByteCount = 256
    static let entriesPerPage = 16
    static let pageByteCount = 4096
    static let bucketByteCount = 8
    /// A hash table from here on lives in an area that is handed out in 2 MiB pieces.
    static let largeAreaByteCount = 2 << 20

    /// Bytes of the hash table.
    public var tableByteCount: Int
    /// Bytes of the pages that hold the entries.
    public var entriesByteCount: Int
    /// Bytes of the pages that hold the entries' extension blocks.
    public var extensionsByteCount: Int

    public var totalByteCount: Int { tableByteCount + entriesByteCount + extensionsByteCount }

    /// - Parameters:
    ///   - buckets: as written to the sysctl; rounded up to a multiple of 512.
    ///   - entries: objects in existence, expired and unconfirmed ones included.
    ///   - extensions: what every entry carries.
    public init(buckets: Int, entries: Int, extensions: Extensions = []) {
        tableByteCount = Self.tableByteCount(buckets: buckets)
        entriesByteCount = Self.pages(entries, perPage: Self.entriesPerPage) * Self.pageByteCount
        let block = extensions.blockByteCount
        extensionsByteCount =
            block == 0
            ? 0
            : Self.pages(entries, perPage: Self.pageByteCount / block) * Self.pageByteCount
    }

    /// Bytes of a hash table with `buckets` heads.
    public static func tableByteCount(buckets: Int) -> Int {
        let byteCount = roundedUp(buckets, to: 512) * bucketByteCount
        return byteCount > largeAreaByteCount * 2
            ? roundedUp(byteCount, to: largeAreaByteCount) : byteCount
    }

    /// Bytes one entry costs on its own, pages full: 256 plain.
    public static func byteCountPerEntry(_ extensions: Extensions = []) -> Int {
        entryByteCount + extensions.blockByteCount
    }

    private static func pages(_ count: Int, perPage: Int) -> Int { (count + perPage - 1) / perPage }

    private static func roundedUp(_ value: Int, to multiple: Int) -> Int {
        (value + multiple - 1) / multiple * multiple
    }
}

extension KernelMemory {
    /// The parts of an entry's extension block.
    public struct Extensions: OptionSet, Sendable, Hashable {
        public let rawValue: UInt16

        public init(rawValue: UInt16) { self.rawValue = rawValue }

        public static let helper = Extensions(rawValue: 1 << 0)
        public static let nat = Extensions(rawValue: 1 << 1)
        public static let sequenceAdjust = Extensions(rawValue: 1 << 2)
        public static let accounting = Extensions(rawValue: 1 << 3)
        public static let events = Extensions(rawValue: 1 << 4)
        public static let timestamp = Extensions(rawValue: 1 << 5)
        public static let timeoutPolicy = Extensions(rawValue: 1 << 6)
        public static let labels = Extensions(rawValue: 1 << 7)
        public static let synproxy = Extensions(rawValue: 1 << 8)

        /// In the order of the kernel's extension ids, with their sizes on 6.18.
        private static let sizes: [(Extensions, Int)] = [
            (.helper, 56), (.nat, 8), (.sequenceAdjust, 24), (.accounting, 32), (.events, 32),
            (.timestamp, 16), (.timeoutPolicy, 8), (.labels, 16), (.synproxy, 12),
        ]

        /// What entries made under these settings carry.
        public init(_ sysctl: Sysctl, isListening: Bool) {
            self = []
            if sysctl.accounting { insert(.accounting) }
            if sysctl.timestamp { insert(.timestamp) }
            if sysctl.events == 1 || (sysctl.events == 2 && isListening) { insert(.events) }
        }

        /// Bytes the parts need, header included; 0 without any part.
        public var neededByteCount: Int {
            guard !isEmpty else { return 0 }
            return Self.sizes.filter { contains($0.0) }
                .reduce(16) { ($0 + 7) / 8 * 8 + $1.1 }
        }

        /// Bytes of the block: the smallest size class from 128 on that holds the parts.
        public var blockByteCount: Int {
            guard !isEmpty else { return 0 }
            return [128, 192].first { neededByteCount <= $0 } ?? 256
        }
    }
}
