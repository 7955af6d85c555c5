internal import CMemoryHints

// The only unsafe memory of the model. A slab hands out places in one growing block by 32-bit
// index; everybody else sees the subscripts. Freed places are reused newest first, as the kernel's
// slab allocator does, and a place once used is never handed back before the slab goes.

/// A growing array of plain values with stable indices and a free list.
///
/// An index is checked against the places ever handed out; using one after `release` is a mistake
/// of the caller that the slab can not see.
@safe
struct Slab<Element: BitwiseCopyable>: ~Copyable {
    private var base: UnsafeMutablePointer<Element>
    private(set) var capacity: Int
    /// Places ever handed out: the high-water mark.
    private(set) var reach: Int = 0
    private var free: [UInt32] = []
    /// How many insertions ahead a freed place is fetched.
    private static var placesAhead: Int { 3 }

    /// Reserves room for `capacity` elements.
    ///
    /// Memory is touched, and so paid for, only when used.
    init(capacity: Int) {
        self.capacity = max(capacity, 1)
        unsafe base = Self.allocate(self.capacity)
    }

    deinit { unsafe base.deallocate() }

    /// Bytes of the places ever handed out, and of the free list.
    var byteCount: Int { reach * MemoryLayout<Element>.stride + free.capacity * 4 }

    /// Places in use.
    var count: Int { reach - free.count }

    /// Hands out a place holding `element`.
    mutating func insert(_ element: Element) -> UInt32 {
        if let index = free.popLast() {
            unsafe base[Int(index)] = element
            // In a table in use the next places to hand out lie anywhere.
            let ahead = free.count - Self.placesAhead
            if ahead >= 0 { unsafe ctlab_prefetch(base + Int(free[ahead])) }
            return index
        }
        if reach == capacity { grow() }
        let index = reach
        unsafe (base + index).initialize(to: element)
        reach += 1
        return UInt32(truncatingIfNeeded: index)
    }

    mutating func release(_ index: UInt32) {
        free.append(index)
    }

    /// Brings an element into the cache before it is needed.
    @inline(__always)
    func prefetch(_ slot: Slot) {
        guard Int(slot.index) < reach else { return }
        unsafe ctlab_prefetch(base + Int(slot.index))
    }

    subscript(index: UInt32) -> Element {
        @inline(__always)
        unsafeAddress {
            precondition(Int(index) < reach, "slab index beyond the places handed out")
            return unsafe UnsafePointer(base + Int(index))
        }
        @inline(__always)
        unsafeMutableAddress {
            precondition(Int(index) < reach, "slab index beyond the places handed out")
            return unsafe base + Int(index)
        }
    }

    subscript(slot: Slot) -> Element {
        @inline(__always)
        unsafeAddress {
            precondition(Int(slot.index) < reach, "slot beyond the places handed out")
            return unsafe UnsafePointer(base + Int(slot.index))
        }
        @inline(__always)
        unsafeMutableAddress {
            precondition(Int(slot.index) < reach, "slot beyond the places handed out")
            return unsafe base + Int(slot.index)
        }
    }

    private mutating func grow() {
        let wanted = capacity * 2
        let larger = unsafe Self.allocate(wanted)
        unsafe larger.moveInitialize(from: base, count: reach)
        unsafe base.deallocate()
        unsafe base = larger
        capacity = wanted
    }

    private static func allocate(_ count: Int) -> UnsafeMutablePointer<Element> {
        let byteCount = count * MemoryLayout<Element>.stride
        let raw = UnsafeMutableRawPointer.allocate(
            byteCount: byteCount, alignment: HugePages.alignment(byteCount))
        unsafe HugePages.advise(raw, byteCount)
        return unsafe raw.bindMemory(to: Element.self, capacity: count)
    }
}

/// Large pages for large blocks.
///
/// A small block keeps ordinary pages: it would pay for 2 MiB at its first element.
enum HugePages {
    private static let size = 2 << 20
    private static let smallestBlock = 8 << 20

    /// Otherwise a cache line: a 64-byte element never straddles two.
    static func alignment(_ byteCount: Int) -> Int { byteCount < smallestBlock ? 64 : size }

    static func advise(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
        guard byteCount >= smallestBlock else { return }
        unsafe ctlab_advise_huge_pages(base, byteCount)
    }
}
