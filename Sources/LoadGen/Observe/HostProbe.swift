public import LinuxCalls

/// Where a host is looked at.
public enum Vantage: Sendable, Hashable {
    /// The network namespace this process is in.
    case local
    /// The one `ip netns` knows by this name.
    case namespace(String)

    /// Reads `local` or `netns:NAME`.
    public init?(_ text: String) {
        if text == "local" {
            self = .local
        } else if text.hasPrefix("netns:"), text.count > 6, !text.contains("/") {
            self = .namespace(String(text.dropFirst(6)))
        } else {
            return nil
        }
    }
}

/// Looks at one namespace's table, and at the machine around it.
///
/// Its files were opened inside the namespace and stay that one's, wherever the caller is.
public struct HostProbe: ~Copyable {
    private var statistics: TrackerStatistics
    private let limit: FileDescriptor
    private let buckets: FileDescriptor
    private let socketUse: FileDescriptor
    private let netstat: FileDescriptor
    private let processor: FileDescriptor
    private var log: KernelLogTail?
    private var states: TrackerStates?
    private let namespaceNumber: UInt64

    /// Opens the files of the place looked at.
    ///
    /// - Throws: `isMissing` where the kernel tracks nothing, or the namespace does not exist.
    public static func open(_ vantage: Vantage) throws(SystemCallError) -> HostProbe {
        switch vantage {
        case .local: return try HostProbe()
        case .namespace(let name):
            let namespace = try NetworkNamespace(named: name)
            return try namespace.enter { () throws(SystemCallError) in try HostProbe() }
        }
    }

    /// Opens the files of the namespace the calling thread is in.
    public init() throws(SystemCallError) {
        let folder = "/proc/sys/net/netfilter/nf_conntrack_"
        let own = "/proc/thread-self/net/"
        let statistics = try TrackerStatistics()
        let limit = try FileDescriptor(opening: folder + "max", for: .read)
        let buckets = try FileDescriptor(opening: folder + "buckets", for: .read)
        let socketUse = try FileDescriptor(opening: own + "sockstat", for: .read)
        let netstat = try FileDescriptor(opening: own + "netstat", for: .read)
        let processor = try FileDescriptor(opening: "/proc/stat", for: .read)
        namespaceNumber = try NetworkNamespace.currentNumber()
        self.statistics = statistics
        self.limit = limit
        self.buckets = buckets
        self.socketUse = socketUse
        self.netstat = netstat
        self.processor = processor
        log = try? KernelLogTail()
        states = try? TrackerStates()
    }

    /// Looks.
    ///
    /// - Parameter withStates: List the table as well, which removes its expired entries.
    public mutating func sample(withStates: Bool = false) throws(SystemCallError) -> HostSample {
        let reading = try statistics.read()
        var sample = HostSample(
            moment: MonotonicClock.now(), count: reading.count,
            limit: try Self.number(limit), buckets: try Self.number(buckets),
            statistics: reading)
        sample.sockets = SocketUse(text: try Self.text(socketUse))
        let netstat = try Self.text(netstat)
        sample.listenOverflows =
            NetstatText.value("TcpExt:", "ListenOverflows", in: netstat)
            + NetstatText.value("TcpExt:", "TCPReqQFullDrop", in: netstat)
        sample.processor = ProcessorUse(text: try Self.text(processor))
        sample.tableFullLines = log?.tableFullLines(about: namespaceNumber)
        if withStates { sample.states = try states?.read() }
        return sample
    }

    /// Removes the expired entries of every namespace by listing this one's.
    public mutating func collect() throws(SystemCallError) { _ = try states?.read() }

    /// Deletes every entry of the namespace.
    public mutating func flush() throws(SystemCallError) { try states?.flush() }

    private static func text(_ file: borrowing FileDescriptor) throws(SystemCallError) -> String {
        String(decoding: try file.readAll(), as: UTF8.self)
    }

    private static func number(_ file: borrowing FileDescriptor) throws(SystemCallError) -> Int {
        Int(try text(file).prefix { $0.isNumber }) ?? 0
    }
}

/// The kernel's log from now on.
struct KernelLogTail: ~Copyable {
    private let file: FileDescriptor
    private var buffer = [UInt8](repeating: 0, count: 8192)
    private var count = 0

    init() throws(SystemCallError) {
        let file = try FileDescriptor(opening: "/dev/kmsg", for: .readWriteWithoutWaiting)
        try file.seekToEnd()
        self.file = file
    }

    /// How often, so far, the log said that the table of namespace `number` is full; the initial
    /// namespace's lines have no number (spec formats.md §7).
    mutating func tableFullLines(about number: UInt64) -> Int {
        while true {
            do throws(SystemCallError) {
                guard let length = try file.read(into: &buffer), length > 0 else { return count }
                let line = String(decoding: buffer[..<length], as: UTF8.self)
                if line.contains("table full in netns \(number),")
                    || line.contains("nf_conntrack: table full, dropping")
                {
                    count += 1
                }
            } catch {
                // Overwritten before it was read: the next read goes on behind the gap.
                guard error.isReaderGone else { return count }
            }
        }
    }
}
