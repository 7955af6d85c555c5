internal import Wire

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

    /// The element that holds the key in the registers from `register` on, as a number within
    /// its table.
    func find(_ index: Int, _ registers: borrowing RegisterFile, at register: Register) -> Int? {
        find(tables[index], registers, at: register)
    }

    /// Puts what a map holds for the key into the registers from `target` on.
    func look(
        up index: Int, _ registers: inout RegisterFile, at register: Register,
        into target: Register
    ) -> Bool {
        let table = tables[index]
        guard let found = find(table, registers, at: register) else { return false }
        let width = Int(table.datumFieldCount)
        for field in 0..<width {
            registers[target + Register(truncatingIfNeeded: field)] =
                data[Int(table.firstDatum) + found * width + field]
        }
        return true
    }

    /// What a verdict map says to the key.
    func verdict(
        _ index: Int, _ registers: borrowing RegisterFile, at register: Register
    ) -> RuleVerdict? {
        let table = tables[index]
        return find(table, registers, at: register).map { verdicts[Int(table.firstDatum) + $0] }
    }

    private func find(
        _ table: Table, _ registers: borrowing RegisterFile, at register: Register
    ) -> Int? {
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
        _ table: Table, _ registers: borrowing RegisterFile, at register: Register
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
        _ table: Table, _ element: Int, _ registers: borrowing RegisterFile, at register: Register
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
        _ table: Table, _ registers: borrowing RegisterFile, at register: Register
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
