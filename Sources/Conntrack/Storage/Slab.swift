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
    private var block: Block<Element>
    /// Places ever handed out: the high-water mark.
    private(set) var reach: Int = 0
    /// Freed places, the newest last; room for all of them is made when the first one comes.
    private var free: Block<UInt32>
    private var freeCount = 0

    /// Reserves room for `capacity` elements.
    ///
    /// Memory is touched, and so paid for, only when used.
    init(capacity: Int) {
        block = Block(capacity: max(capacity, 1))
        free = Block(capacity: 1)
    }

    /// Places before the block moves.
    var capacity: Int { block.capacity }

    /// Bytes of the places ever handed out, and of the free list.
    var byteCount: Int { reach * MemoryLayout<Element>.stride + (free.capacity - 1) * 4 }

    /// Places in use.
    var count: Int { reach - freeCount }

    /// Hands out a place holding `element`.
    @inline(__always)
    mutating func insert(_ element: Element) -> UInt32 {
        if freeCount > 0 {
            freeCount -= 1
            let index = unsafe free.base[freeCount]
            unsafe block.base[Int(index)] = element
            return index
        }
        return append(element)
    }

    @inline(never)
    private mutating func append(_ element: Element) -> UInt32 {
        if reach == block.capacity { block.move(reach, into: Block(capacity: reach * 2)) }
        let index = reach
        unsafe (block.base + index).initialize(to: element)
        reach += 1
        return UInt32(truncatingIfNeeded: index)
    }

    @inline(__always)
    mutating func release(_ index: UInt32) {
        if freeCount == free.capacity {
            free.move(freeCount, into: Block(capacity: max(16, freeCount * 2)))
        }
        unsafe free.base[freeCount] = index
        freeCount += 1
    }

    /// The place that `insert` will hand out after `ahead` others, if it has been used before.
    @inline(__always)
    func upcoming(_ ahead: Int) -> Slot {
        // In a table in use the next places to hand out lie anywhere.
        freeCount > ahead ? unsafe Slot(free.base[freeCount - 1 - ahead]) : .none
    }

    /// Brings an element into the cache before it is needed.
    @inline(__always)
    func prefetch(_ slot: Slot) {
        guard Int(slot.index) < reach else { return }
        unsafe ctlab_prefetch(block.base + Int(slot.index))
    }

    subscript(index: UInt32) -> Element {
        @inline(__always)
        unsafeAddress {
            precondition(Int(index) < reach, "slab index beyond the places handed out")
            return unsafe UnsafePointer(block.base + Int(index))
        }
        @inline(__always)
        unsafeMutableAddress {
            precondition(Int(index) < reach, "slab index beyond the places handed out")
            return unsafe block.base + Int(index)
        }
    }

    subscript(slot: Slot) -> Element {
        @inline(__always)
        unsafeAddress {
            precondition(Int(slot.index) < reach, "slot beyond the places handed out")
            return unsafe UnsafePointer(block.base + Int(slot.index))
        }
        @inline(__always)
        unsafeMutableAddress {
            precondition(Int(slot.index) < reach, "slot beyond the places handed out")
            return unsafe block.base + Int(slot.index)
        }
    }
}

/// A second value for each place of a slab: what few need of an element lies apart from what all do.
@safe
struct Column<Element: BitwiseCopyable>: ~Copyable {
    private var block: Block<Element>
    private var reach: Int = 0

    init(capacity: Int) { block = Block(capacity: max(capacity, 1)) }

    var byteCount: Int { reach * MemoryLayout<Element>.stride }

    /// Sets the value of a place the slab has just handed out.
    @inline(__always)
    mutating func put(_ element: Element, at index: UInt32) {
        if Int(index) >= reach { extend(to: Int(index) + 1) }
        unsafe block.base[Int(index)] = element
    }

    @inline(never)
    private mutating func extend(to count: Int) {
        precondition(count == reach + 1, "a slab's places come one after another")
        if count > block.capacity { block.move(reach, into: Block(capacity: reach * 2)) }
        reach = count
    }

    /// Brings an element into the cache before it is needed.
    @inline(__always)
    func prefetch(_ slot: Slot) {
        guard Int(slot.index) < reach else { return }
        unsafe ctlab_prefetch(block.base + Int(slot.index))
    }

    subscript(slot: Slot) -> Element {
        @inline(__always)
        unsafeAddress {
            precondition(Int(slot.index) < reach, "slot beyond the places handed out")
            return unsafe UnsafePointer(block.base + Int(slot.index))
        }
        @inline(__always)
        unsafeMutableAddress {
            precondition(Int(slot.index) < reach, "slot beyond the places handed out")
            return unsafe block.base + Int(slot.index)
        }
    }
}

/// Memory for plain values, freed with its owner.
@safe
struct Block<Element: BitwiseCopyable>: ~Copyable {
    fileprivate let base: UnsafeMutablePointer<Element>
    let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        let byteCount = capacity * MemoryLayout<Element>.stride
        let raw = UnsafeMutableRawPointer.allocate(
            byteCount: byteCount, alignment: HugePages.alignment(byteCount))
        unsafe HugePages.advise(raw, byteCount)
        unsafe base = raw.bindMemory(to: Element.self, capacity: capacity)
    }

    deinit { unsafe base.deallocate() }

    /// Moves the first `count` values into a larger block, which takes this one's place.
    @inline(never)
    fileprivate mutating func move(_ count: Int, into larger: consuming Block) {
        unsafe larger.base.moveInitialize(from: base, count: count)
        self = larger
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
