internal import CLinuxShims
internal import Glibc

/// The machine's monotonic clock.
public enum MonotonicClock {
    /// Nanoseconds since some fixed moment.
    public static func now() -> UInt64 {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// Sleeps until the clock shows `deadline`.
    public static func sleep(until deadline: UInt64) {
        var time = timespec()
        time.tv_sec = Int(deadline / 1_000_000_000)
        time.tv_nsec = Int(deadline % 1_000_000_000)
        // The only failure there can be is an interruption, and then there is more to sleep.
        while unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
    }
}

/// Who runs this process.
public enum ProcessOwner {
    public static var isRoot: Bool { geteuid() == 0 }
}
