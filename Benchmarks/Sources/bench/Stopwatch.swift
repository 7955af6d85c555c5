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

/// How many wanted a processor in the last minutes: figures of a busy machine are too high.
func machineLoad() -> String {
    guard let file = fopen("/proc/loadavg", "r") else { return "unknown" }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 64)
    guard fgets(&text, Int32(text.count), file) != nil else { return "unknown" }
    let bytes = text.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
    return String(decoding: bytes, as: UTF8.self).split(separator: " ").prefix(3)
        .joined(separator: " ")
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted[sorted.count / 2]
}

func measured(runs: Int = 5, _ once: () -> Double) -> Double {
    median((0..<runs).map { _ in once() })
}
