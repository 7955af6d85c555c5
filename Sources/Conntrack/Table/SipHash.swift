internal import Wire

/// SipHash-2-4 with a 128-bit key, over the 39 bytes of a tuple that the kernel hashes.
///
/// Jean-Philippe Aumasson and Daniel J. Bernstein, "SipHash: a fast short-input PRF" (2012).
struct SipHash: Sendable, BitwiseCopyable {
    let key0: UInt64
    let key1: UInt64

    private struct State {
        var v0: UInt64
        var v1: UInt64
        var v2: UInt64
        var v3: UInt64

        @inline(__always)
        mutating func round() {
            v0 &+= v1
            v2 &+= v3
            v1 = v1 &<< 13 | v1 &>> 51
            v3 = v3 &<< 16 | v3 &>> 48
            v1 ^= v0
            v3 ^= v2
            v0 = v0 &<< 32 | v0 &>> 32
            v2 &+= v1
            v0 &+= v3
            v1 = v1 &<< 17 | v1 &>> 47
            v3 = v3 &<< 21 | v3 &>> 43
            v1 ^= v2
            v3 ^= v0
            v2 = v2 &<< 32 | v2 &>> 32
        }

        @inline(__always)
        mutating func absorb(_ word: UInt64) {
            v3 ^= word
            round()
            round()
            v0 ^= word
        }
    }

    /// Whole little-endian words, and a last one that carries the length byte.
    struct Words: BitwiseCopyable {
        var first: UInt64
        var second: UInt64
        var third: UInt64
        var fourth: UInt64
        var last: UInt64
    }

    @inline(__always)
    private func hash(_ words: Words) -> UInt64 {
        var state = State(
            v0: key0 ^ 0x736f_6d65_7073_6575, v1: key1 ^ 0x646f_7261_6e64_6f6d,
            v2: key0 ^ 0x6c79_6765_6e65_7261, v3: key1 ^ 0x7465_6462_7974_6573)
        state.absorb(words.first)
        state.absorb(words.second)
        state.absorb(words.third)
        state.absorb(words.fourth)
        state.absorb(words.last)
        state.v2 ^= 0xff
        state.round()
        state.round()
        state.round()
        state.round()
        return state.v0 ^ state.v1 ^ state.v2 ^ state.v3
    }

    /// The first 39 bytes of a tuple, laid out as in the kernel (spec table.md §4).
    @inline(__always)
    static func words(of tuple: Tuple) -> Words {
        let middle =
            UInt64(tuple.sourcePart.byteSwapped) | UInt64(tuple.family.rawValue) << 16
        let tail =
            UInt64(tuple.destinationPart.byteSwapped) << 32
            | UInt64(tuple.protocolNumber) << 48 | 39 << 56
        if tuple.family == .ipv4 {
            return Words(
                first: UInt64(tuple.source.ipv4.byteSwapped), second: 0,
                third: middle | UInt64(tuple.destination.ipv4.byteSwapped) << 32, fourth: 0,
                last: tail)
        }
        let high = tuple.destination.high.byteSwapped
        let low = tuple.destination.low.byteSwapped
        return Words(
            first: tuple.source.high.byteSwapped, second: tuple.source.low.byteSwapped,
            third: middle | high << 32, fourth: high >> 32 | low << 32, last: tail | low >> 32)
    }

    /// The same function with a zone and a namespace mixed into its key.
    @inline(__always)
    func keyed(zone: UInt16, namespaceMix: UInt64) -> SipHash {
        SipHash(key0: key0 ^ UInt64(zone), key1: key1 ^ namespaceMix)
    }

    /// The low half of a hash.
    @inline(__always)
    func low(of words: Words) -> UInt32 { UInt32(truncatingIfNeeded: hash(words)) }

    /// The raw 32-bit hash of a tuple in a zone of a namespace.
    @inline(__always)
    func raw(_ tuple: Tuple, zone: UInt16, namespaceMix: UInt64) -> UInt32 {
        keyed(zone: zone, namespaceMix: namespaceMix).low(of: Self.words(of: tuple))
    }

    /// SipHash of up to four words: for entry ids and other small keys.
    func of(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) -> UInt64 {
        hash(Words(first: a, second: b, third: c, fourth: d, last: 32 << 56))
    }
}
