public import LinuxCalls

/// What a host said about itself at one moment; counters since boot, not since the last sample.
///
/// What it did not say is `nil`, and not 0: nobody is to conclude anything from it.
public struct HostSample: Sendable, Hashable {
    /// Nanoseconds on the machine's monotonic clock.
    public var moment: UInt64
    public var count: Int
    /// Read with every sample: somebody may change them.
    public var limit: Int?
    public var buckets: Int?
    public var statistics: TrackerStatistics.Reading
    public var sockets = SocketUse()
    /// Connections refused because a listener's queue was full.
    public var listenOverflows: Int?
    public var processor: ProcessorUse?
    /// "table full" lines of the kernel's log about this namespace since the probe was opened.
    ///
    /// `nil` if the log cannot be read. The kernel prints at most ten in five seconds.
    public var tableFullLines: Int?
    /// Entries by protocol and state, where they were asked for this time.
    public var states: [StateCount]?

    /// What moved from `old` to this one, in column order; columns that did not are left out.
    public func changes(since old: HostSample) -> [(name: String, count: Int)] {
        zip(TrackerStatistics.columns, zip(statistics.values, old.statistics.values)).compactMap {
            guard let new = $1.0, let old = $1.1 else { return nil }
            let change = Self.increase(from: old, to: new)
            return change == 0 ? nil : ($0, change)
        }
    }

    /// Connections refused since `old` because a listener's queue was full.
    public func listenOverflows(since old: HostSample) -> Int? {
        guard let listenOverflows, let before = old.listenOverflows else { return nil }
        return listenOverflows < before ? listenOverflows : listenOverflows - before
    }

    /// Per cent of all processors that were busy since `old`.
    public func busyPercent(since old: HostSample) -> Int? {
        guard let processor, let before = old.processor else { return nil }
        return processor.busyPercent(since: before)
    }

    /// Whether the table holds as many entries as it may.
    public var isFull: Bool {
        guard let limit, limit > 0 else { return false }
        return count >= limit
    }

    /// How far a counter of 32 bits has moved.
    ///
    /// It may have wrapped around. More than half of its range is no such step: whoever counts has
    /// begun anew, and from 0.
    private static func increase(from old: UInt32, to new: UInt32) -> Int {
        let change = new &- old
        return Int(change > 1 << 31 ? new : change)
    }

    /// How often column `name` moved from `old` to this one; `nil` where nobody said it.
    public func change(_ name: String, since old: HostSample) -> Int? {
        guard let new = statistics.value(name), let before = old.statistics.value(name) else {
            return nil
        }
        return Self.increase(from: before, to: new)
    }
}

/// A number another host tells.
///
/// It may tell anything: what no host counts up to is not said.
enum ToldCount {
    /// What a `Double`, such as every program's JSON has, still holds exactly.
    static let range = 0...1 << 53

    static func read(_ text: some StringProtocol) -> Int? {
        Int(text).flatMap { range.contains($0) ? $0 : nil }
    }

    static func read(_ number: Double) -> Int? {
        Int(exactly: number.rounded()).flatMap { range.contains($0) ? $0 : nil }
    }
}

/// `/proc/net/sockstat`: the namespace's sockets.
public struct SocketUse: Sendable, Hashable {
    public var tcpInUse: Int?
    public var tcpOrphans: Int?
    public var tcpTimeWait: Int?
    /// The whole machine's.
    public var tcpAllocated: Int?
    public var tcpMemoryPages: Int?
    public var udpInUse: Int?

    public init() {}

    /// Reads the file's text.
    public init(text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let head = words.first else { continue }
            for index in stride(from: 1, to: words.count - 1, by: 2) {
                let value = ToldCount.read(words[index + 1])
                switch (head, words[index]) {
                case ("TCP:", "inuse"): tcpInUse = value
                case ("TCP:", "orphan"): tcpOrphans = value
                case ("TCP:", "tw"): tcpTimeWait = value
                case ("TCP:", "alloc"): tcpAllocated = value
                case ("TCP:", "mem"): tcpMemoryPages = value
                case ("UDP:", "inuse"): udpInUse = value
                default: break
                }
            }
        }
    }
}

/// `/proc/stat`: the machine's processor time since boot, in clock ticks.
public struct ProcessorUse: Sendable, Hashable {
    public var busy: Int
    public var total: Int

    public init(busy: Int, total: Int) {
        self.busy = busy
        self.total = total
    }

    /// Reads the file's text; `nil` if its first line is another.
    public init?(text: String) {
        let line = text.prefix { $0 != "\n" }
        let numbers = line.split(separator: " ").dropFirst().prefix(8).map {
            ToldCount.read($0) ?? 0
        }
        guard numbers.count >= 4 else { return nil }
        let total = numbers.reduce(0, +)
        let idle = numbers[3] + (numbers.count > 4 ? numbers[4] : 0)
        self.init(busy: total - idle, total: total)
    }

    /// Per cent of all processors that were busy since `old`; 0 where no time has passed.
    func busyPercent(since old: ProcessorUse) -> Int {
        let span = total - old.total
        return span > 0 ? min(max(0, (busy - old.busy) * 100 / span), 100) : 0
    }
}

/// `/proc/net/netstat`: pairs of lines, names and numbers.
enum NetstatText {
    /// Connections refused because a listener's queue was full: of accepted, or of half-open ones.
    static func listenOverflows(in text: String) -> Int? {
        sum([
            value("TcpExt:", "ListenOverflows", in: text),
            value("TcpExt:", "TCPReqQFullDrop", in: text),
        ])
    }

    /// The sum of those that were said; `nil` if none was.
    static func sum(_ values: [Int?]) -> Int? {
        let said = values.compactMap { $0 }
        return said.isEmpty ? nil : said.reduce(0, +)
    }

    /// The number called `name` in the group `group` (`TcpExt:`); `nil` if there is none.
    static func value(_ group: String, _ name: String, in text: String) -> Int? {
        let lines = text.split(separator: "\n").filter { $0.hasPrefix(group) }
        guard lines.count == 2 else { return nil }
        let names = lines[0].split(separator: " ")
        let values = lines[1].split(separator: " ")
        guard let place = names.firstIndex(where: { $0 == name }), place < values.count else {
            return nil
        }
        return ToldCount.read(values[place])
    }
}
