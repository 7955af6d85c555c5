internal import CMemoryHints

/// Up to eight tuples that are hashed together, each in a lane of its own.
///
/// Where the processor has registers for all eight, that costs little more than hashing one.
@safe
struct HashLanes {
    static let capacity = 8

    /// All first words, then all second ones, and so on.
    private var words = InlineArray<40, UInt64>(repeating: 0)
    private var hashes = InlineArray<8, UInt32>(repeating: 0)
    private(set) var count = 0
    private let isWide: Bool

    /// `isWide`: false hashes one by one whatever the processor can do.
    init(isWide: Bool = true) { self.isWide = isWide && ctlab_hashes_wide() }

    var isFull: Bool { count == Self.capacity }

    @inline(__always)
    mutating func add(_ key: SipHash.Words) {
        let lane = count
        words[lane] = key.first
        words[8 &+ lane] = key.second
        words[16 &+ lane] = key.third
        words[24 &+ lane] = key.fourth
        words[32 &+ lane] = key.last
        count += 1
    }

    /// Hashes what has been added.
    mutating func hash(_ key: SipHash) {
        guard isWide else {
            for lane in 0..<count { hashes[lane] = key.low(of: self[words: lane]) }
            return
        }
        var output = hashes.mutableSpan
        unsafe words.span.withUnsafeBufferPointer { words in
            unsafe output.withUnsafeMutableBufferPointer { hashes in
                guard let from = words.baseAddress, let to = hashes.baseAddress else { return }
                unsafe ctlab_hash_wide(key.key0, key.key1, from, to)
            }
        }
    }

    /// The hash of the key added as number `lane`.
    subscript(lane: Int) -> UInt32 { hashes[lane] }

    mutating func clear() { count = 0 }

    private subscript(words lane: Int) -> SipHash.Words {
        SipHash.Words(
            first: words[lane], second: words[8 + lane], third: words[16 + lane],
            fourth: words[24 + lane], last: words[32 + lane])
    }
}
