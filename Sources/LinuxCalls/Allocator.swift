import Glibc

#if canImport(CJemalloc)
    import CJemalloc
#endif

/// What the process's allocator and the kernel say about its memory, in bytes.
public struct MemoryReading: Sendable, Hashable {
    /// Bytes the program asked for and has not given back (jemalloc `stats.allocated`).
    public var allocatedByteCount: Int
    /// Bytes of physical memory the allocator holds for it (jemalloc `stats.resident`).
    public var residentByteCount: Int
    /// The most physical memory the whole process ever had (`getrusage`).
    public var peakResidentByteCount: Int

    /// Reads all three; `nil` where jemalloc was built without statistics.
    public static func now() -> MemoryReading? {
        #if !canImport(CJemalloc)
            return nil
        #else
            // The statistics are those of the last epoch; writing to it begins a new one.
            var epoch: UInt64 = 1
            let size = MemoryLayout<UInt64>.size
            guard unsafe mallctl("epoch", nil, nil, &epoch, size) == 0,
                let allocated = read("stats.allocated"), let resident = read("stats.resident")
            else { return nil }
            var usage = rusage()
            guard unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else {
                return nil
            }
            return MemoryReading(
                allocatedByteCount: allocated, residentByteCount: resident,
                peakResidentByteCount: usage.ru_maxrss * 1024)
        #endif
    }

    /// Bytes the calling thread has ever asked for: what it rises by is what a stretch of code
    /// allocated, given back or not.
    ///
    /// `nil` where jemalloc was built without statistics.
    public static func threadAllocatedByteCount() -> UInt64? {
        #if !canImport(CJemalloc)
            return nil
        #else
            var value: UInt64 = 0
            var byteCount = MemoryLayout<UInt64>.size
            guard unsafe mallctl("thread.allocated", &value, &byteCount, nil, 0) == 0 else {
                return nil
            }
            return value
        #endif
    }

    #if canImport(CJemalloc)
        private static func read(_ name: String) -> Int? {
            var value = 0
            var byteCount = MemoryLayout<Int>.size
            guard unsafe mallctl(name, &value, &byteCount, nil, 0) == 0 else { return nil }
            return value
        }
    #endif
}
