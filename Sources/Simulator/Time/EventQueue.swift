// What happens next. A wheel of seven levels with 256 slots each, whose finest slot is 4 µs wide,
// and in front of it the events of the slot that is being emptied, sorted. A slot is a list of
// chunks, so that pushing writes behind what was written last.
//
// Order: by time, and among equal times as pushed. An event's level follows from the highest digit
// in which its time differs from the current slot's beginning; two events of one time are therefore
// in one slot in the order they came, and move down together.

/// Pending events in order of time, first in first out among equal times.
///
/// Times are 64-bit nanoseconds and exact. An event before the last one popped is an error of the
/// caller; it comes out next.
public struct EventQueue: ~Copyable {
    private static let digitBits: UInt64 = 8
    private static let slotsPerLevel = 256
    /// Bits of the finest slot's width: 4096 ns.
    private static let slotBits: UInt64 = 12
    private static let levelCount = 7
    private static let chunkSize: UInt32 = 16
    private static let noChunk = UInt32.max

    /// The events of one stretch of time, in the order they came.
    private struct Slot: BitwiseCopyable {
        var first = EventQueue.noChunk
        var last = EventQueue.noChunk
        /// Events in the last chunk.
        var fill: UInt32 = 0
    }

    private var slots: [Slot]
    /// A bit for each slot that holds something: four words a level.
    private var occupied: [UInt64]
    /// Chunk c holds the places from 16 c on.
    private var places: [Event] = []
    private var chunkAfter: [UInt32] = []
    private var freeChunks: [UInt32] = []
    /// The current slot's events from `nearHead` on, sorted.
    private var near: [Event] = []
    private var nearHead = 0
    private var scratch: [Event] = []
    /// Beginning of the current slot.
    private var base: UInt64 = 0

    /// Events pending.
    public private(set) var count = 0

    public init() {
        slots = Array(repeating: Slot(), count: Self.levelCount * Self.slotsPerLevel)
        occupied = Array(repeating: 0, count: Self.levelCount * 4)
    }

    /// Adds an event.
    @inline(__always)
    mutating func push(_ event: Event) {
        count += 1
        place(event)
    }

    /// Takes out the earliest event, unless it lies behind `limit`.
    @inline(__always)
    mutating func pop(through limit: UInt64 = .max) -> Event? {
        if nearHead == near.count, !refill() { return nil }
        let event = near[nearHead]
        guard event.time <= limit else { return nil }
        nearHead += 1
        count -= 1
        return event
    }

    // MARK: Into the wheel

    @inline(__always)
    private mutating func place(_ event: Event) {
        let difference = (event.time ^ base) >> Self.slotBits
        if event.time < base || difference == 0 { return placeNear(event) }
        let level = (63 &- UInt64(difference.leadingZeroBitCount)) / Self.digitBits
        let digit = (event.time >> (Self.slotBits &+ level &* Self.digitBits)) & 255
        append(event, to: Int(truncatingIfNeeded: level &* 256 &+ digit))
    }

    @inline(__always)
    private mutating func append(_ event: Event, to index: Int) {
        var slot = slots[index]
        if slot.last == Self.noChunk || slot.fill == Self.chunkSize {
            let chunk = newChunk()
            if slot.last == Self.noChunk {
                slot.first = chunk
                occupied[index >> 6] |= 1 << UInt64(index & 63)
            } else {
                chunkAfter[Int(slot.last)] = chunk
            }
            slot.last = chunk
            slot.fill = 0
        }
        places[Int(slot.last &* Self.chunkSize &+ slot.fill)] = event
        slot.fill &+= 1
        slots[index] = slot
    }

    private mutating func newChunk() -> UInt32 {
        if let chunk = freeChunks.popLast() {
            chunkAfter[Int(chunk)] = Self.noChunk
            return chunk
        }
        let chunk = UInt32(truncatingIfNeeded: chunkAfter.count)
        chunkAfter.append(Self.noChunk)
        let blank = Event(.sample, at: 0)
        for _ in 0..<Self.chunkSize { places.append(blank) }
        return chunk
    }

    /// Into the current slot: behind everything that is not later.
    private mutating func placeNear(_ event: Event) {
        var position = near.count
        near.append(event)
        while position > nearHead, near[position - 1].time > event.time {
            near[position] = near[position - 1]
            position -= 1
        }
        near[position] = event
    }

    // MARK: Out of the wheel

    /// Moves on to the next slot that holds something; false where there is none.
    private mutating func refill() -> Bool {
        near.removeAll(keepingCapacity: true)
        nearHead = 0
        guard count > 0 else { return false }
        while near.isEmpty {
            guard let index = nextSlot() else { return false }
            let level = UInt64(index / Self.slotsPerLevel)
            let shift = Self.slotBits &+ level &* Self.digitBits
            let digit = UInt64(index % Self.slotsPerLevel)
            let above = shift + Self.digitBits < 64 ? base >> (shift + Self.digitBits) : 0
            base = above << (shift + Self.digitBits) | digit << shift
            empty(index, isFinest: level == 0)
        }
        return true
    }

    /// The first slot behind the current one, finest level first: coarser ones lie later.
    private func nextSlot() -> Int? {
        for level in 0..<Self.levelCount {
            let shift = Self.slotBits + UInt64(level) * Self.digitBits
            let digit = Int((base >> shift) & 255)
            var word = digit >> 6
            // Slots up to the current digit are empty by construction, but for none in the word.
            var bits = occupied[level * 4 + word] & ~Self.mask(through: digit & 63)
            while true {
                if bits != 0 {
                    return level * Self.slotsPerLevel + word << 6 + bits.trailingZeroBitCount
                }
                word += 1
                if word == 4 { break }
                bits = occupied[level * 4 + word]
            }
        }
        return nil
    }

    /// Bits 0 through `bit`.
    private static func mask(through bit: Int) -> UInt64 {
        bit == 63 ? .max : (1 << UInt64(bit + 1)) - 1
    }

    /// Takes everything out of a slot: into the sorted front, or one level down.
    private mutating func empty(_ index: Int, isFinest: Bool) {
        let slot = slots[index]
        slots[index] = Slot()
        occupied[index >> 6] &= ~(1 << UInt64(index & 63))
        var chunk = slot.first
        while chunk != Self.noChunk {
            let following = chunkAfter[Int(chunk)]
            let fill = chunk == slot.last ? slot.fill : Self.chunkSize
            let start = Int(chunk &* Self.chunkSize)
            for place in start..<start + Int(fill) {
                if isFinest {
                    near.append(places[place])
                } else {
                    self.place(places[place])
                }
            }
            freeChunks.append(chunk)
            chunk = following
        }
        if isFinest { sortNear() }
    }

    /// Sorts the front by time and keeps the order of equals.
    private mutating func sortNear() {
        guard near.count > 24 else {
            for place in 1..<max(1, near.count) {
                let event = near[place]
                var position = place
                while position > 0, near[position - 1].time > event.time {
                    near[position] = near[position - 1]
                    position -= 1
                }
                near[position] = event
            }
            return
        }
        var width = 1
        while width < near.count {
            mergeRuns(of: width)
            swap(&near, &scratch)
            width *= 2
        }
    }

    /// Merges neighbouring sorted runs of `near` into `scratch`.
    private mutating func mergeRuns(of width: Int) {
        scratch.removeAll(keepingCapacity: true)
        var start = 0
        while start < near.count {
            let middle = min(start + width, near.count)
            let end = min(start + 2 * width, near.count)
            var left = start
            var right = middle
            while left < middle, right < end {
                if near[right].time < near[left].time {
                    scratch.append(near[right])
                    right += 1
                } else {
                    scratch.append(near[left])
                    left += 1
                }
            }
            scratch.append(contentsOf: near[left..<middle])
            scratch.append(contentsOf: near[right..<end])
            start = end
        }
    }
}

extension EventQueue {
    /// Holds `pending` events and exchanges one for another `rounds` times: what a benchmark times.
    ///
    /// Returns a number that depends on every time popped.
    public static func churn(pending: Int, rounds: Int, spread: UInt64, seed: UInt64) -> UInt64 {
        var queue = EventQueue()
        var state = seed
        func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return ((state >> 32) &* spread) >> 32
        }
        for _ in 0..<pending { queue.push(Event(.sample, at: next())) }
        var sum: UInt64 = 0
        for _ in 0..<rounds {
            guard let event = queue.pop() else { break }
            sum = sum &* 31 &+ event.time
            queue.push(Event(.sample, at: event.time &+ next()))
        }
        return sum
    }
}
