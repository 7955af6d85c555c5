internal import CLinuxShims
internal import Glibc

/// The machine's processors, as this process may use them.
public enum Processor {
    /// How many this process may run on.
    public static var count: Int { max(1, Int(ctlab_processor_count())) }

    /// Keeps the calling thread on processor `number`; where that is forbidden, nothing happens.
    public static func stay(on number: Int) { _ = ctlab_stay_on(Int32(number)) }
}

/// Processor time this process has used.
public struct ProcessorTime: Sendable, Hashable, Codable {
    /// Nanoseconds in its own code, and in the kernel on its behalf.
    public var user: UInt64
    public var system: UInt64

    public var total: UInt64 { user + system }

    public init(user: UInt64, system: UInt64) {
        self.user = user
        self.system = system
    }

    public static func now() -> ProcessorTime {
        var usage = rusage()
        _ = unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return ProcessorTime(user: nanoseconds(usage.ru_utime), system: nanoseconds(usage.ru_stime))
    }

    private static func nanoseconds(_ time: timeval) -> UInt64 {
        UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_usec) * 1000
    }
}

/// How many descriptors this process may have.
public enum DescriptorLimit {
    /// Raises the limit as far as this process may, and returns it.
    public static func raise() -> Int {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard unsafe getrlimit(resource, &limit) == 0 else { return 1024 }
        let wanted = rlimit(rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max)
        var raised = wanted
        guard unsafe setrlimit(resource, &raised) == 0 else { return Int(limit.rlim_cur) }
        return Int(clamping: limit.rlim_max)
    }

    /// Lowers the limit of this process; what is open stays open.
    public static func lower(to count: Int) throws(SystemCallError) {
        var limit = rlimit(rlim_cur: rlim_t(count), rlim_max: rlim_t(count))
        try checked("setrlimit", "RLIMIT_NOFILE") {
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
    }
}
