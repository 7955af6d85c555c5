/// Bob Jenkins's public-domain hash "lookup3" (2006), over 32-bit words.
///
/// The kernel uses it wherever a choice must be the same on every machine: nft's `jhash`, and the
/// choice of an address from a NAT range (spec nat.md §3.1).
enum JenkinsHash {
    /// What both of its forms start from.
    static let start: UInt32 = 0xDEAD_BEEF

    /// The hash of four words: lookup3's word form, which counts its length in bytes.
    static func words4(
        _ first: UInt32, _ second: UInt32, _ third: UInt32, _ fourth: UInt32, initial: UInt32
    ) -> UInt32 {
        var state = State(byteCount: 16, initial: initial)
        state.a &+= first
        state.b &+= second
        state.c &+= third
        state.mix()
        state.a &+= fourth
        state.finish()
        return state.c
    }

    /// The hash of `byteCount` bytes, given as little-endian words with zeros behind the last
    /// byte: lookup3's byte form.
    static func bytes(
        _ words: borrowing InlineWords, byteCount: UInt32, initial: UInt32
    ) -> UInt32 {
        var state = State(byteCount: byteCount, initial: initial)
        var left = Int(byteCount)
        var index = 0
        // The last block, of 1 to 12 bytes, is finished and not mixed.
        while left > 12 {
            state.a &+= words[index]
            state.b &+= words[index + 1]
            state.c &+= words[index + 2]
            state.mix()
            index += 3
            left -= 12
        }
        guard left > 0 else { return state.c }
        state.a &+= words[index]
        if left > 4 { state.b &+= words[index + 1] }
        if left > 8 { state.c &+= words[index + 2] }
        state.finish()
        return state.c
    }

    /// Room for the widest key a rule can hash, in little-endian words.
    struct InlineWords {
        static let count = 32

        private var words = InlineArray<32, UInt32>(repeating: 0)

        subscript(index: Int) -> UInt32 {
            get { words[index] }
            set { words[index] = newValue }
        }
    }

    private struct State {
        var a: UInt32
        var b: UInt32
        var c: UInt32

        init(byteCount: UInt32, initial: UInt32) {
            a = JenkinsHash.start &+ byteCount &+ initial
            b = a
            c = a
        }

        mutating func mix() {
            a &-= c
            a ^= c.rotated(4)
            c &+= b
            b &-= a
            b ^= a.rotated(6)
            a &+= c
            c &-= b
            c ^= b.rotated(8)
            b &+= a
            a &-= c
            a ^= c.rotated(16)
            c &+= b
            b &-= a
            b ^= a.rotated(19)
            a &+= c
            c &-= b
            c ^= b.rotated(4)
            b &+= a
        }

        mutating func finish() {
            c ^= b
            c &-= b.rotated(14)
            a ^= c
            a &-= c.rotated(11)
            b ^= a
            b &-= a.rotated(25)
            c ^= b
            c &-= b.rotated(16)
            a ^= c
            a &-= c.rotated(4)
            b ^= a
            b &-= a.rotated(14)
            c ^= b
            c &-= b.rotated(24)
        }
    }
}

extension UInt32 {
    /// Bits moved left by `count`, those that fall out coming in on the right.
    fileprivate func rotated(_ count: UInt32) -> UInt32 { self << count | self >> (32 - count) }
}
