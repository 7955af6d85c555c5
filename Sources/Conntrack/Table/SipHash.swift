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

    /// Hashes whole little-endian words and a last one that already carries the length byte.
    @inline(__always)
    private func hash(_ words: (UInt64, UInt64, UInt64, UInt64), last: UInt64) -> UInt64 {
        var state = State(
            v0: key0 ^ 0x736f_6d65_7073_6575, v1: key1 ^ 0x646f_7261_6e64_6f6d,
            v2: key0 ^ 0x6c79_6765_6e65_7261, v3: key1 ^ 0x7465_6462_7974_6573)
        state.absorb(words.0)
        state.absorb(words.1)
        state.absorb(words.2)
        state.absorb(words.3)
        state.absorb(last)
        state.v2 ^= 0xff
        state.round()
        state.round()
        state.round()
        state.round()
        return state.v0 ^ state.v1 ^ state.v2 ^ state.v3
    }

    /// The raw 32-bit hash of a tuple: low half of SipHash over its first 39 bytes, laid out as in
    /// the kernel, with the zone and the namespace mixed into the key (spec table.md §4).
    @inline(__always)
    func raw(_ tuple: Tuple, zone: UInt16, namespaceMix: UInt64) -> UInt32 {
        let keyed = SipHash(key0: key0 ^ UInt64(zone), key1: key1 ^ namespaceMix)
        let middle =
            UInt64(tuple.sourcePart.byteSwapped) | UInt64(tuple.family.rawValue) << 16
        let tail =
            UInt64(tuple.destinationPart.byteSwapped) << 32
            | UInt64(tuple.protocolNumber) << 48 | 39 << 56
        if tuple.family == .ipv4 {
            return UInt32(
                truncatingIfNeeded: keyed.hash(
                    (
                        UInt64(tuple.source.ipv4.byteSwapped), 0,
                        middle | UInt64(tuple.destination.ipv4.byteSwapped) << 32, 0
                    ), last: tail))
        }
        let high = tuple.destination.high.byteSwapped
        let low = tuple.destination.low.byteSwapped
        return UInt32(
            truncatingIfNeeded: keyed.hash(
                (
                    tuple.source.high.byteSwapped, tuple.source.low.byteSwapped,
                    middle | high << 32, high >> 32 | low << 32
                ), last: tail | low >> 32))
    }

    /// SipHash of up to four words: for entry ids and other small keys.
    func of(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) -> UInt64 {
        hash((a, b, c, d), last: 32 << 56)
    }
}
