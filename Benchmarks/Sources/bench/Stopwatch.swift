import Glibc

/// CPU time of this process, in nanoseconds: what others do on the machine is not in it.
func processNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Nanoseconds for each of `operations` that `work` performs.
func nanosecondsEach(_ operations: Int, _ work: () -> Void) -> Double {
    let start = processNanoseconds()
    work()
    return Double(processNanoseconds() - start) / Double(operations)
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted[sorted.count / 2]
}

func measured(runs: Int = 5, _ once: () -> Double) -> Double {
    median((0..<runs).map { _ in once() })
}
