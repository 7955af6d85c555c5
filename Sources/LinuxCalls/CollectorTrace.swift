internal import CLinuxShims
internal import Glibc

// The connection table's garbage collector is a work item of the kernel, and the kernel can tell
// when it executes work items: the tracepoint `workqueue:workqueue_execute_start`. Nothing else says
// when the collector comes by, and an expired entry counts until it does (spec gc.md §5).
//
// What is asked for is asked in a trace instance of our own: whatever else traces on this machine is
// left alone, and nothing of it is seen.

/// When this machine's collector of expired connections runs, from now on.
public struct CollectorTrace: ~Copyable {
    private static let prefix = "ctlab-collector-"
    private static let marker = "workqueue_execute_start:"
    private static let function = "function gc_worker"

    /// The tracing file system's root, mounted for us alone.
    private let root: FileDescriptor
    private let instance: String
    /// A bare descriptor: it has to be closed before the instance can be removed.
    private let pipe: Int32
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)
    private var unfinished: [UInt8] = []

    /// Begins to listen; what a process that is gone has left goes first.
    ///
    /// - Throws: `EPERM` without CAP_SYS_ADMIN, `ENODEV` where the kernel has no tracing.
    public init() throws(SystemCallError) {
        let raw = try checked("fsmount", "tracefs") { unsafe ctlab_mount_detached("tracefs") }
        let root = FileDescriptor(owning: raw, name: "tracefs")
        let instances = "/proc/self/fd/\(raw)/instances"
        Self.removeLeftovers(in: instances)
        let instance = "\(instances)/\(Self.prefix)\(getpid())"
        try checked("mkdir", instance) { unsafe mkdir(instance, 0o700) }
        do throws(SystemCallError) {
            try TextFile.write("mono", to: instance + "/trace_clock")
            try TextFile.write("256", to: instance + "/buffer_size_kb")
            try TextFile.write(
                "1", to: instance + "/events/workqueue/workqueue_execute_start/enable")
            let path = instance + "/trace_pipe"
            pipe = try checked("open", path) {
                unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
            }
        } catch {
            _ = unsafe rmdir(instance)
            throw error
        }
        self.instance = instance
        self.root = root
    }

    deinit {
        try? TextFile.write(
            "0", to: instance + "/events/workqueue/workqueue_execute_start/enable")
        _ = close(pipe)
        _ = unsafe rmdir(instance)
    }

    /// The moments, on `MonotonicClock`, at which the collector has run since the last call.
    ///
    /// A cycle over the table may be many runs, a few milliseconds apart.
    public mutating func runs() throws(SystemCallError) -> [UInt64] {
        var moments: [UInt64] = []
        while let count = try read(), count > 0 {
            unfinished.append(contentsOf: buffer[..<count])
            while let end = unfinished.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: unfinished[..<end], as: UTF8.self)
                unfinished.removeSubrange(...end)
                if let moment = Self.moment(of: line) { moments.append(moment) }
            }
        }
        return moments
    }

    private mutating func read() throws(SystemCallError) -> Int? {
        let pipe = pipe
        return try unlessItWouldBlock("read", "trace_pipe") {
            unsafe buffer.withUnsafeMutableBytes {
                unsafe Glibc.read(pipe, $0.baseAddress, $0.count)
            }
        }
    }

    /// The moment a line of the trace tells of; `nil` if it tells of something else.
    ///
    /// `kworker/0:2-61 [000] ..... 6218.120733: workqueue_execute_start: work struct … function …`
    public static func moment(of line: String) -> UInt64? {
        guard line.hasSuffix(function) else { return nil }
        let words = line.split(separator: " ")
        guard let place = words.firstIndex(where: { $0 == marker }), place > 0 else { return nil }
        let parts = words[place - 1].dropLast().split(separator: ".")
        guard parts.count == 2, let seconds = UInt64(parts[0]), seconds < 1 << 33,
            parts[1].utf8.count == 6, let microseconds = UInt64(parts[1])
        else { return nil }
        return seconds * 1_000_000_000 + microseconds * 1000
    }

    private static func removeLeftovers(in instances: String) {
        for name in Directory.names(in: instances) where name.hasPrefix(prefix) {
            let process = name.dropFirst(prefix.count)
            if !TextFile.exists("/proc/\(process)") {
                _ = unsafe rmdir("\(instances)/\(name)")
            }
        }
    }
}
