internal import Wire

/// A compiled ruleset's constant part.
struct RuleProgram: Sendable {
    struct Chain: Sendable, BitwiseCopyable {
        /// Into `rules`.
        var first: Int32
        var end: Int32
        /// Base chains: `policy drop`.
        var dropsByDefault: Bool
    }

    struct Rule: Sendable, BitwiseCopyable {
        /// Into `instructions`.
        var first: Int32
        var end: Int32
    }

    var chains: [Chain] = []
    var rules: [Rule] = []
    var instructions: [Instruction] = []
    var constants: [Address] = []
    var interfaceMasks: [InterfaceMask] = []
    var tables = ElementTables()
    var generators: [NumberGenerator] = []
    var hashes: [HashExpression] = []
    var limits: [RateLimit] = []
    var logs: [RuleLog] = []
    var translations: [Translation] = []
}

/// A compiled ruleset's changing part.
struct RuleState: Sendable {
    struct Counter: Sendable, Hashable, BitwiseCopyable {
        var packets: UInt64
        var bytes: UInt64
    }

    struct Bucket: Sendable, BitwiseCopyable {
        var tokens: UInt64
        var last: Instant?
    }

    var counters: [Counter] = []
    /// The last number of each `numgen inc`, without its offset.
    var generated: [UInt32] = []
    /// The seed of each `jhash`; one without a seed draws its own when it first runs.
    var seeds: [UInt32?] = []
    var buckets: [Bucket] = []
}

/// The elements of all sets and maps, sorted for binary search.
struct ElementTables: Sendable {
    enum Layout: Sendable, BitwiseCopyable {
        /// One field, disjoint intervals in ascending order.
        case intervals
        /// Several fields, each a single value, in lexicographic order.
        case exact
        /// Several fields with intervals among them, in the order of the text. The kernel walks
        /// them by other means; what is found is the same, because they do not overlap.
        case scan
    }

    struct Table: Sendable, BitwiseCopyable {
        var layout: Layout
        var fieldCount: Int32
        var count: Int32
        /// Into `lows` and `highs`.
        var firstKey: Int32
        /// Into `data` or `verdicts`.
        var firstDatum: Int32
        var datumFieldCount: Int32
    }

    var tables: [Table] = []
    /// The smallest and the largest value of each field of each element.
    var lows: [Address] = []
    var highs: [Address] = []
    var data: [Address] = []
    var verdicts: [RuleVerdict] = []

    /// The element that holds the key in `registers`, as a number within its table.
    func find(_ table: Table, _ registers: RegisterFile, at register: Register) -> Int? {
        switch table.layout {
        case .intervals: findInterval(table, registers[register])
        case .exact: findExact(table, registers, at: register)
        case .scan: scan(table, registers, at: register)
        }
    }

    private func findInterval(_ table: Table, _ key: Address) -> Int? {
        let first = Int(table.firstKey)
        var low = 0
        var high = Int(table.count)
        while low < high {
            let middle = (low + high) / 2
            if lows[first + middle] <= key { low = middle + 1 } else { high = middle }
        }
        guard low > 0, key <= highs[first + low - 1] else { return nil }
        return low - 1
    }

    private func findExact(
        _ table: Table, _ registers: RegisterFile, at register: Register
    ) -> Int? {
        var low = 0
        var high = Int(table.count)
        while low < high {
            let middle = (low + high) / 2
            switch order(table, middle, registers, at: register) {
            case 0: return middle
            case ..<0: low = middle + 1
            default: high = middle
            }
        }
        return nil
    }

    /// Negative where the element comes before the key, positive where it comes behind it.
    private func order(
        _ table: Table, _ element: Int, _ registers: RegisterFile, at register: Register
    ) -> Int {
        let width = Int(table.fieldCount)
        let first = Int(table.firstKey) + element * width
        for field in 0..<width {
            let value = lows[first + field]
            let key = registers[register + Register(truncatingIfNeeded: field)]
            if value < key { return -1 }
            if key < value { return 1 }
        }
        return 0
    }

    private func scan(
        _ table: Table, _ registers: RegisterFile, at register: Register
    ) -> Int? {
        let width = Int(table.fieldCount)
        var first = Int(table.firstKey)
        search: for element in 0..<Int(table.count) {
            for field in 0..<width {
                let key = registers[register + Register(truncatingIfNeeded: field)]
                if key < lows[first + field] || highs[first + field] < key {
                    first += width
                    continue search
                }
            }
            return element
        }
        return nil
    }
}

/// The values a rule works on while it runs: room for two keys of the widest concatenation.
struct RegisterFile: BitwiseCopyable {
    static let count = 2 * RulesetLimits.concatenatedFields

    private var values = InlineArray<16, Address>(repeating: .zero)

    /// Register numbers are the compiler's and stay below `count`.
    subscript(register: Register) -> Address {
        get { values[Int(register & 15)] }
        set { values[Int(register & 15)] = newValue }
    }
}
