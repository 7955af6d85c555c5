internal import LinuxCalls

/// Looks at a namespace of this machine, and at the machine around it.
///
/// Its files were opened inside the namespace and stay that one's, wherever the caller is.
struct NamespaceProbe: ~Copyable {
    private var statistics: TrackerStatistics
    private let limit: FileDescriptor
    private let buckets: FileDescriptor
    private let socketUse: FileDescriptor
    private let netstat: FileDescriptor
    private let processor: FileDescriptor
    private var log: KernelLogTail?
    private var states: TrackerStates?
    /// Why the table cannot be listed, where it cannot.
    private var obstacle: SystemCallError?
    private let namespaceNumber: UInt64

    /// Opens the files of the namespace the calling thread is in.
    init() throws(SystemCallError) {
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
        do throws(SystemCallError) {
            states = try TrackerStates()
        } catch {
            obstacle = error
        }
    }

    /// Looks.
    ///
    /// - Parameter withStates: List the table as well, which removes its expired entries.
    mutating func sample(withStates: Bool = false) throws(SystemCallError) -> HostSample {
        let reading = try statistics.read()
        var sample = HostSample(
            moment: MonotonicClock.now(), count: reading.count,
            limit: try Self.number(limit), buckets: try Self.number(buckets),
            statistics: reading)
        sample.sockets = SocketUse(text: try Self.text(socketUse))
        let netstat = try Self.text(netstat)
        sample.listenOverflows = NetstatText.listenOverflows(in: netstat)
        sample.processor = ProcessorUse(text: try Self.text(processor))
        sample.tableFullLines = log?.tableFullLines(about: namespaceNumber)
        if withStates { sample.states = try list() }
        return sample
    }

    /// Removes the expired entries of every namespace by listing this one's.
    mutating func collect() throws(SystemCallError) { _ = try list() }

    /// Deletes every entry of the namespace.
    mutating func flush() throws(SystemCallError) {
        if let obstacle { throw obstacle }
        try states?.flush()
    }

    private mutating func list() throws(SystemCallError) -> [StateCount]? {
        if let obstacle { throw obstacle }
        return try states?.read()
    }

    private static func text(_ file: borrowing FileDescriptor) throws(SystemCallError) -> String {
        String(decoding: try file.readAll(), as: UTF8.self)
    }

    private static func number(_ file: borrowing FileDescriptor) throws(SystemCallError) -> Int? {
        Int(try text(file).prefix { $0.isNumber })
    }
}
