internal import LinuxCalls

/// Turns a trace's times into real ones: gaps are slept, and what is too short to sleep for is
/// carried over to the next, so that many short gaps make a long one.
struct Pacing {
    /// Nanoseconds below which sleeping costs more than it gives.
    private static let grain: UInt64 = 2_000_000

    private var start: UInt64 = 0
    private var lastSent: UInt64 = 0
    private var lastTraceTime: UInt64 = 0
    /// How much earlier than due the last packet went.
    private var credit: UInt64 = 0

    /// Waits for the moment of the packet at `traceTime` (nanoseconds).
    ///
    /// - Returns: Whether it slept.
    mutating func wait(until traceTime: UInt64) -> Bool {
        let now = MonotonicClock.now()
        if start == 0 {
            start = now
            lastSent = now
            lastTraceTime = traceTime
        }
        let gap = traceTime > lastTraceTime ? traceTime - lastTraceTime : 0
        lastTraceTime = max(lastTraceTime, traceTime)
        let due = lastSent + gap + credit
        guard due > now + Self.grain else {
            credit = due > now ? due - now : 0
            return false
        }
        MonotonicClock.sleep(until: due)
        credit = 0
        return true
    }

    /// The packet goes now: nanoseconds since the first one.
    mutating func send() -> UInt64 {
        lastSent = MonotonicClock.now()
        return lastSent - start
    }

    /// Nanoseconds since the first packet.
    func elapsed() -> UInt64 { MonotonicClock.now() - start }
}
