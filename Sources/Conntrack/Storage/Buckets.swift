internal import CMemoryHints

/// A fixed array of plain values: hash heads.
///
/// Its length changes only by making another one.
@safe
struct Buckets<Head: BitwiseCopyable>: ~Copyable {
    private let base: UnsafeMutablePointer<Head>
    let count: UInt32

    init(repeating head: Head, count: UInt32) {
        self.count = count
        let raw = UnsafeMutableRawPointer.allocate(
            byteCount: Int(count) * MemoryLayout<Head>.stride,
            alignment: HugePages.alignment(Int(count) * MemoryLayout<Head>.stride))
        unsafe HugePages.advise(raw, Int(count) * MemoryLayout<Head>.stride)
        unsafe base = raw.bindMemory(to: Head.self, capacity: Int(count))
        unsafe base.initialize(repeating: head, count: Int(count))
    }

    deinit { unsafe base.deallocate() }

    var byteCount: Int { Int(count) * MemoryLayout<Head>.stride }

    /// The bucket of a 32-bit hash: `(hash × count) >> 32`, without a division (spec table.md §4).
    @inline(__always)
    func bucket(of hash: UInt32) -> UInt32 {
        UInt32(truncatingIfNeeded: (UInt64(hash) &* UInt64(count)) >> 32)
    }

    /// Brings a head into the cache before it is needed.
    @inline(__always)
    func prefetch(_ bucket: UInt32) {
        guard bucket < count else { return }
        unsafe ctlab_prefetch(base + Int(bucket))
    }

    subscript(bucket: UInt32) -> Head {
        @inline(__always)
        unsafeAddress {
            precondition(bucket < count, "bucket beyond the table")
            return unsafe UnsafePointer(base + Int(bucket))
        }
        @inline(__always)
        unsafeMutableAddress {
            precondition(bucket < count, "bucket beyond the table")
            return unsafe base + Int(bucket)
        }
    }
}
