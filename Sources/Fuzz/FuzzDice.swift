/// The generator's only source of chance (SplitMix64): same seed, same trace, on every machine.
struct FuzzDice: Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A uniform number in `0..<bound`; 0 if `bound` is not positive.
    mutating func below(_ bound: Int) -> Int {
        bound <= 0 ? 0 : Int(next() >> 33) % bound
    }

    /// A uniform number in `range`.
    mutating func within(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + below(range.count)
    }

    /// True once in `n` times.
    mutating func oneIn(_ n: Int) -> Bool { below(n) == 0 }

    mutating func uint16() -> UInt16 { UInt16(truncatingIfNeeded: next() >> 40) }
    mutating func uint32() -> UInt32 { UInt32(truncatingIfNeeded: next() >> 32) }

    /// One of `items`, which has at least one.
    mutating func pick<Item>(_ items: [Item]) -> Item { items[below(items.count)] }

    /// One of `items` by weight; weights are positive.
    mutating func pick<Item>(weighted items: [(Int, Item)]) -> Item {
        var rest = below(items.reduce(0) { $0 + $1.0 })
        for (weight, item) in items {
            if rest < weight { return item }
            rest -= weight
        }
        return items[items.count - 1].1
    }
}
