// The datagrams of one family that wait for their fragments: found by key, given up by time,
// refused by memory. All limits are named and counted.

/// What waiting fragments may cost.
public struct FragmentLimits: Sendable, Hashable {
    /// How long the first fragment to come waits for the last: `net.ipv4.ipfrag_time`.
    public var ipv4TimeoutNanoseconds: UInt64 = 30_000_000_000
    /// The same for IPv6: `nf_conntrack_frag6_timeout`.
    public var ipv6TimeoutNanoseconds: UInt64 = 60_000_000_000
    /// When this much is waiting, fragments are refused: `net.ipv4.ipfrag_high_thresh`.
    public var ipv4MemoryByteCount = 4 << 20
    /// The same for IPv6: `nf_conntrack_frag6_high_thresh`.
    public var ipv6MemoryByteCount = 4 << 20
    /// IPv4: fragments of one source that may lie between two of a datagram, before it is started
    /// anew; 0 for any number: `net.ipv4.ipfrag_max_dist`.
    public var maximumDistance = 64

    public init() {}
}

/// What happened to fragments, as counts.
public struct FragmentCounters: Sendable, Hashable {
    public var fragments = 0
    public var reassembled = 0
    public var duplicates = 0
    /// Fragments that overlapped others in part, and took the datagram with them.
    public var overlaps = 0
    /// Fragments whose length or end cannot be.
    public var malformed = 0
    /// Datagrams that were too long or of mixed ECN once they were whole.
    public var notReassembled = 0
    /// Datagrams given up after their timeout.
    public var timeouts = 0
    /// Datagrams started anew because too many other fragments came between (`maximumDistance`).
    public var tooFar = 0
    /// Fragments refused because too many were waiting.
    public var refused = 0

    public init() {}
}

/// What identifies a datagram among fragments; IPv6 has no protocol number in it.
struct FragmentKey: Sendable, Hashable {
    var source: Address
    var destination: Address
    var identification: UInt32
    var protocolNumber: UInt8
}

struct FragmentTable: Sendable {
    private(set) var queues: [FragmentKey: FragmentQueue] = [:]
    var counters = FragmentCounters()

    private let timeoutNanoseconds: UInt64
    private let memoryLimit: Int
    private let maximumDistance: Int
    private var memoryByteCount = 0
    private var latest: UInt64 = 0
    private var nextGeneration: UInt64 = 0
    /// Deadlines in the order they were set, which is the order they come due.
    private var timers: [Timer] = []
    private var firstTimer = 0
    /// For each source that has something waiting, how many fragments it has sent.
    private var sources: [Address: Source] = [:]

    private struct Timer: Sendable {
        var deadline: UInt64
        var key: FragmentKey
        var generation: UInt64
    }

    private struct Source: Sendable {
        var fragmentCount: UInt32 = 0
        var queueCount = 0
    }

    init(timeoutNanoseconds: UInt64, memoryLimit: Int, maximumDistance: Int) {
        self.timeoutNanoseconds = timeoutNanoseconds
        self.memoryLimit = memoryLimit
        self.maximumDistance = maximumDistance
    }

    // MARK: Time

    /// Gives up what has waited too long; time that goes back stands still.
    mutating func expire(at now: UInt64) {
        latest = max(latest, now)
        while firstTimer < timers.count, timers[firstTimer].deadline <= latest {
            let timer = timers[firstTimer]
            firstTimer += 1
            guard queues[timer.key]?.generation == timer.generation else { continue }
            _ = take(timer.key)
            settle(timer.key)
            counters.timeouts += 1
        }
        if firstTimer > 64, firstTimer * 2 > timers.count {
            timers.removeFirst(firstTimer)
            firstTimer = 0
        }
    }

    // MARK: Memory

    /// Whether there is no room for another fragment.
    var isFull: Bool { memoryByteCount > memoryLimit }

    /// What the kernel counts for a datagram.
    private static let queueCost = 200

    /// What the kernel counts for one packet of a datagram.
    ///
    /// It is the buffer the packet came in: the packet with room around it, in a block of the
    /// allocator. As observed with packets from a tun device; other drivers allocate differently.
    static func cost(ofPacket byteCount: Int) -> Int {
        let needed = byteCount + 384
        var block = 576
        if needed > block {
            block = 1024
            while block < needed { block *= 2 }
        }
        return 256 + block
    }

    // MARK: Queues

    /// Takes the datagram out to work on it, or a new one if there is none.
    ///
    /// `put` brings it back; otherwise it is gone. `settle` follows in either case.
    mutating func take(_ key: FragmentKey) -> FragmentQueue {
        guard let queue = queues.removeValue(forKey: key) else { return newQueue() }
        memoryByteCount -= queue.memoryByteCount
        sources[key.source]?.queueCount -= 1
        return queue
    }

    private mutating func newQueue() -> FragmentQueue {
        let (deadline, overflow) = latest.addingReportingOverflow(timeoutNanoseconds)
        var queue = FragmentQueue(
            deadline: overflow ? .max : deadline, generation: nextGeneration)
        queue.memoryByteCount = Self.queueCost
        nextGeneration += 1
        return queue
    }

    /// Lets the datagram wait on.
    mutating func put(_ queue: FragmentQueue, _ key: FragmentKey) {
        var queue = queue
        if !queue.isTimed {
            timers.append(
                Timer(deadline: queue.deadline, key: key, generation: queue.generation))
            queue.isTimed = true
        }
        memoryByteCount += queue.memoryByteCount
        sources[key.source, default: Source(fragmentCount: queue.sourceMark)].queueCount += 1
        queues[key] = queue
    }

    /// Forgets the source when nothing of it waits any more.
    mutating func settle(_ key: FragmentKey) {
        if sources[key.source]?.queueCount == 0 { sources[key.source] = nil }
    }

    /// Counts a fragment of the datagram's source, and starts the datagram anew when too many
    /// others have come since its latest.
    mutating func checkDistance(of queue: inout FragmentQueue, _ key: FragmentKey) {
        let count = (sources[key.source]?.fragmentCount ?? 0) &+ 1
        sources[key.source]?.fragmentCount = count
        let distance = count &- queue.sourceMark
        if maximumDistance > 0, !queue.runs.isEmpty, distance > UInt32(clamping: maximumDistance) {
            queue = newQueue()
            counters.tooFar += 1
        }
        queue.sourceMark = count
    }

    /// Draws the consequence of an insertion.
    mutating func finish(
        _ insertion: FragmentQueue.Insertion, _ queue: FragmentQueue, _ key: FragmentKey,
        _ packetByteCount: Int, assemble: (FragmentQueue) -> Reassembled?
    ) -> FragmentOutcome {
        var queue = queue
        switch insertion {
        case .overlap:
            counters.overlaps += 1
            return .dropped(.overlap)
        case .duplicate:
            put(queue, key)
            counters.duplicates += 1
            return .dropped(.duplicate)
        case .inserted:
            break
        }
        guard queue.isComplete else {
            queue.memoryByteCount += Self.cost(ofPacket: packetByteCount)
            put(queue, key)
            return .held
        }
        guard let whole = assemble(queue) else {
            counters.notReassembled += 1
            return .dropped(.notReassembled)
        }
        counters.reassembled += 1
        return .whole(whole)
    }
}
