// Time is an argument everywhere and comes in two grains. A run counts 64-bit nanoseconds;
// the table counts kernel ticks (32 bits, wrapping), because the collector's integer arithmetic
// and its floors depend on them.

/// A moment of a run: nanoseconds since the run began.
public struct Instant: Comparable, Hashable, Sendable, BitwiseCopyable {
    public var nanoseconds: UInt64

    @inlinable
    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    public static let start = Instant(nanoseconds: 0)

    @inlinable
    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    @inlinable
    public static func + (left: Instant, right: Interval) -> Instant {
        Instant(nanoseconds: left.nanoseconds &+ UInt64(bitPattern: right.nanoseconds))
    }

    @inlinable
    public static func - (left: Instant, right: Instant) -> Interval {
        Interval(nanoseconds: Int64(bitPattern: left.nanoseconds &- right.nanoseconds))
    }
}

/// A stretch of time in nanoseconds, positive or negative.
public struct Interval: Comparable, Hashable, Sendable, BitwiseCopyable {
    public var nanoseconds: Int64

    @inlinable
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable
    public static func seconds(_ seconds: Int64) -> Interval {
        Interval(nanoseconds: seconds * 1_000_000_000)
    }

    @inlinable
    public static func milliseconds(_ milliseconds: Int64) -> Interval {
        Interval(nanoseconds: milliseconds * 1_000_000)
    }

    @inlinable
    public static func < (left: Interval, right: Interval) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
}

/// The kernel's 32-bit tick counter.
///
/// Differences are signed and wrap, as in the kernel.
public struct Tick: Hashable, Sendable, BitwiseCopyable {
    public var raw: UInt32

    @inlinable
    public init(_ raw: UInt32) { self.raw = raw }

    /// Ticks from `now` until this tick; zero or less when it has come (spec table.md §13).
    @inlinable
    public func ticks(after now: Tick) -> Int32 { Int32(bitPattern: raw &- now.raw) }

    @inlinable
    public func hasPassed(at now: Tick) -> Bool { ticks(after: now) <= 0 }

    @inlinable
    public static func + (left: Tick, ticks: UInt32) -> Tick { Tick(left.raw &+ ticks) }
}

/// The kernel's `HZ`: how nanoseconds, seconds and ticks convert.
public struct TickRate: Hashable, Sendable, BitwiseCopyable {
    /// Ticks per second: 100, 250, 300 or 1000.
    public let hertz: UInt32
    let tickNanoseconds: UInt64

    public static let supported: [UInt32] = [100, 250, 300, 1000]

    /// Returns `nil` for a rate no kernel is built with.
    public init?(hertz: UInt32) {
        guard Self.supported.contains(hertz) else { return nil }
        self.hertz = hertz
        tickNanoseconds = 1_000_000_000 / UInt64(hertz)
    }

    /// The tick at which a timer armed at `now` for `delay` ticks really fires: the timer wheel only
    /// rounds up, the more the longer the delay (spec gc.md §2.2).
    public static func wheel(after delay: UInt64, at now: UInt64) -> UInt64 {
        let grain: UInt64 =
            delay < 64 ? 1 : delay < 512 ? 8 : delay < 4096 ? 64 : delay < 32768 ? 512 : 4096
        return (now + delay + grain) / grain * grain
    }

    /// When a timer armed at `now` for `delay` really fires.
    public func timerExpiry(after delay: Interval, at now: Instant) -> Instant {
        let ticks = max(1, ticks64(at: Instant(nanoseconds: UInt64(max(0, delay.nanoseconds)))))
        return instant(ofTick: Self.wheel(after: ticks, at: ticks64(at: now)))
    }

    /// The rate of the reference kernel.
    public static let reference = TickRate(unchecked: 250)

    private init(unchecked hertz: UInt32) {
        self.hertz = hertz
        tickNanoseconds = 1_000_000_000 / UInt64(hertz)
    }

    /// The tick counter's value at `now`.
    public func tick(at now: Instant) -> Tick {
        Tick(UInt32(truncatingIfNeeded: ticks64(at: now)))
    }

    /// The tick counter without its wrap.
    public func ticks64(at now: Instant) -> UInt64 {
        if hertz == 300 {  // 10^9 is no multiple of 300.
            return UInt64(
                (UInt128(now.nanoseconds) * 300) / 1_000_000_000)
        }
        return now.nanoseconds / tickNanoseconds
    }

    /// The first moment at which the (unwrapped) counter shows `ticks`.
    public func instant(ofTick ticks: UInt64) -> Instant {
        if hertz == 300 {
            return Instant(
                nanoseconds: UInt64((UInt128(ticks) * 1_000_000_000 + 299) / 300))
        }
        return Instant(nanoseconds: ticks &* tickNanoseconds)
    }

    /// Seconds as ticks, clamped to the 2^31-1 ticks a timeout can hold (spec table.md §13).
    public func ticks(seconds: UInt32) -> UInt32 {
        UInt32(min(UInt64(seconds) * UInt64(hertz), UInt64(Int32.max)))
    }
}
