/// One timer for each slot, in turns of a wheel: setting, clearing and firing cost the same however
/// many there are, and nothing is allocated.
///
/// Timers are slots linked into lists, one list a spoke. A spoke is a millisecond; what lies further
/// ahead than the wheel is round waits for its turn in the spoke it will fire from.
struct TimerWheel {
    /// Nanoseconds of a spoke.
    static let grain: UInt64 = 1_000_000
    private static let spokeCount = 4096
    private static let none: Int32 = -1

    private var heads: [Int32]
    private var next: [Int32]
    private var previous: [Int32]
    /// When each slot's timer fires; 0 where it has none.
    private var deadlines: [UInt64]
    /// The spoke that is looked at next, counted from the beginning of time.
    private var position: UInt64
    private(set) var count = 0

    init(slotCount: Int, now: UInt64) {
        heads = Array(repeating: Self.none, count: Self.spokeCount)
        next = Array(repeating: Self.none, count: slotCount)
        previous = Array(repeating: Self.none, count: slotCount)
        deadlines = Array(repeating: 0, count: slotCount)
        position = now / Self.grain
    }

    /// Sets the timer of `slot`, which must have none.
    mutating func set(_ slot: Int, for deadline: UInt64) {
        precondition(deadlines[slot] == 0, "slot \(slot) has a timer")
        // One that is due already fires at the next look.
        let deadline = max(deadline, position * Self.grain, 1)
        deadlines[slot] = deadline
        let spoke = Self.spoke(of: deadline)
        let head = heads[spoke]
        next[slot] = head
        previous[slot] = Self.none
        if head != Self.none { previous[Int(head)] = Int32(truncatingIfNeeded: slot) }
        heads[spoke] = Int32(truncatingIfNeeded: slot)
        count += 1
    }

    /// Takes the timer of `slot` away, if it has one.
    mutating func clear(_ slot: Int) {
        let deadline = deadlines[slot]
        guard deadline != 0 else { return }
        deadlines[slot] = 0
        count -= 1
        let (before, behind) = (previous[slot], next[slot])
        if before == Self.none {
            heads[Self.spoke(of: deadline)] = behind
        } else {
            next[Int(before)] = behind
        }
        if behind != Self.none { previous[Int(behind)] = before }
    }

    /// Takes out a slot whose time has come by `now`; `nil` if there is none left.
    mutating func fire(by now: UInt64) -> Int? {
        guard count > 0 else {
            position = now / Self.grain
            return nil
        }
        let end = now / Self.grain
        // All that is due is within one turn of the wheel.
        if end > position + UInt64(Self.spokeCount) { position = end - UInt64(Self.spokeCount) }
        while position <= end {
            var slot = heads[Int(position % UInt64(Self.spokeCount))]
            while slot != Self.none {
                if deadlines[Int(slot)] <= now {
                    clear(Int(slot))
                    return Int(slot)
                }
                slot = next[Int(slot)]
            }
            // The present spoke may get more before its time is over.
            if position == end { break }
            position += 1
        }
        return nil
    }

    private static func spoke(of deadline: UInt64) -> Int {
        Int(deadline / grain % UInt64(spokeCount))
    }
}
