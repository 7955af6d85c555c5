/// The run's only source of chance: SplitMix64, seeded.
///
/// Same seed, same run, on every machine.
public struct Dice: Sendable, BitwiseCopyable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    public mutating func nextUInt16() -> UInt16 { UInt16(truncatingIfNeeded: next() >> 48) }

    /// A uniform number in `0..<bound`; 0 when `bound` is 0.
    public mutating func below(_ bound: UInt32) -> UInt32 {
        UInt32(truncatingIfNeeded: ((next() >> 32) &* UInt64(bound)) >> 32)
    }

    /// True with chance `part` in `whole`.
    public mutating func chance(of part: UInt32, in whole: UInt32) -> Bool {
        below(whole) < part
    }
}
