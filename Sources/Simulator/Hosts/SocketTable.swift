import Conntrack
import Scenario
import Wire

// All sockets of all hosts, and the connections in TIME-WAIT, behind one hash. A client takes its
// port as Linux does: from a start that depends on addresses and destination, two ports further
// each time, even ones first; what is in use or in TIME-WAIT towards the same destination is passed
// over.

/// Ports in use from one local address to one destination.
struct PortLane: BitwiseCopyable {
    var key: SocketKey
    /// Where the next search starts.
    var cursor: UInt32
    var usedCount: UInt32 = 0
    var next: UInt32 = .max
}

/// What a packet's addresses and ports lead to.
enum SocketLookup: BitwiseCopyable {
    case socket(UInt32)
    case timeWait(UInt32)
    case nothing
}

struct SocketTable {
    /// Where a chain begins, and a bit for the hash of each place that joined it since it was empty:
    /// most searches for a free port end here.
    private struct Head: BitwiseCopyable {
        var first = SocketTable.none
        var tags: UInt32 = 0

        @inline(__always)
        static func tag(_ hash: UInt64) -> UInt32 { 1 << UInt32(truncatingIfNeeded: hash >> 59) }
    }

    private(set) var pool = Pool<Socket>()
    private var waits = Pool<TimeWait>()
    private var lanes: [PortLane] = []
    private var heads: [Head] = Array(repeating: Head(), count: 1024)
    private var laneHeads: [UInt32] = Array(repeating: .max, count: 256)
    private var linked = 0
    private var generation: UInt32 = 0
    /// TIME-WAIT places in the order of their expiry: all wait equally long.
    private var waitQueue: [(index: UInt32, generation: UInt32)] = []
    private var waitHead = 0

    /// In a chain: the place is one of `waits`.
    private static let waitBit: UInt32 = 1 << 31
    fileprivate static let none = UInt32.max
    /// Nanoseconds of TIME-WAIT.
    static let timeWaitDuration: UInt64 = 60_000_000_000

    /// Sockets and ephemeral ports in use, by station.
    private var openCounts: [Int] = []
    private var portCounts: [Int] = []

    /// Makes room for the counts of so many stations.
    mutating func prepare(stations: Int) {
        openCounts = Array(repeating: 0, count: stations)
        portCounts = Array(repeating: 0, count: stations)
    }

    /// The sockets of a station, in the order of their places.
    func open(at station: Int) -> [UInt32] {
        guard openCounts[station] > 0 else { return [] }
        return pool.items.indices.compactMap { place in
            let socket = pool.items[place]
            return socket.generation != 0 && Int(socket.key.station) == station
                ? UInt32(truncatingIfNeeded: place) : nil
        }
    }

    func openCount(_ station: Int) -> Int { openCounts[station] }
    func portCount(_ station: Int) -> Int { portCounts[station] }

    var count: Int { pool.count }
    var timeWaitCount: Int { waits.count }

    @inline(__always)
    subscript(index: UInt32) -> Socket {
        @inline(__always) _read { yield pool[index] }
        @inline(__always) _modify { yield &pool[index] }
    }

    mutating func nextGeneration() -> UInt32 {
        generation &+= 1
        return generation
    }

    // MARK: Finding

    /// The socket a packet is for; `hint` is looked at first.
    @inline(__always)
    func find(_ key: SocketKey, hint: UInt32) -> SocketLookup {
        if hint < UInt32(truncatingIfNeeded: pool.items.count), pool[hint].generation != 0,
            pool[hint].key.isEqual(key)
        {
            return .socket(hint)
        }
        return search(key)
    }

    private func search(_ key: SocketKey) -> SocketLookup {
        let hash = key.hash
        let head = heads[Int(truncatingIfNeeded: hash & UInt64(heads.count - 1))]
        guard head.tags & Head.tag(hash) != 0 else { return .nothing }
        var place = head.first
        while place != Self.none {
            if place & Self.waitBit != 0 {
                let index = place & ~Self.waitBit
                if waits[index].key.isEqual(key) { return .timeWait(index) }
                place = waits[index].next
            } else {
                if pool[place].key.isEqual(key) { return .socket(place) }
                place = pool[place].next
            }
        }
        return .nothing
    }

    // MARK: Opening and closing

    mutating func insert(_ socket: Socket) -> UInt32 {
        if linked >= heads.count { grow() }
        var socket = socket
        let hash = socket.key.hash
        let bucket = Int(truncatingIfNeeded: hash & UInt64(heads.count - 1))
        socket.next = heads[bucket].first
        let index = pool.insert(socket)
        heads[bucket].first = index
        heads[bucket].tags |= Head.tag(hash)
        linked += 1
        openCounts[Int(socket.key.station)] += 1
        return index
    }

    /// Takes a socket away; events that name it find another generation.
    mutating func remove(_ index: UInt32) {
        openCounts[Int(pool[index].key.station)] -= 1
        leaveLane(pool[index].lane)
        unlink(index, pool[index].key, after: pool[index].next)
        pool[index].generation = 0
        pool.release(index)
    }

    /// Takes a socket away and keeps its key for a minute.
    mutating func enterTimeWait(_ index: UInt32, at now: UInt64) {
        let socket = pool[index]
        openCounts[Int(socket.key.station)] -= 1
        unlink(index, socket.key, after: socket.next)
        pool[index].generation = 0
        pool.release(index)
        let wait = TimeWait(
            key: socket.key, sendNext: socket.sendNext, receiveNext: socket.receiveNext,
            expiry: now + Self.timeWaitDuration, lane: socket.lane,
            generation: nextGeneration())
        let place = waits.insert(wait)
        let hash = socket.key.hash
        let bucket = Int(truncatingIfNeeded: hash & UInt64(heads.count - 1))
        waits[place].next = heads[bucket].first
        heads[bucket].first = place | Self.waitBit
        heads[bucket].tags |= Head.tag(hash)
        linked += 1
        waitQueue.append((place, wait.generation))
    }

    func wait(_ index: UInt32) -> TimeWait { waits[index] }

    /// A FIN came again: the minute begins anew.
    mutating func renew(_ index: UInt32, at now: UInt64) {
        waits[index].expiry = now + Self.timeWaitDuration
    }

    mutating func removeWait(_ index: UInt32) {
        leaveLane(waits[index].lane)
        unlink(index | Self.waitBit, waits[index].key, after: waits[index].next)
        waits[index].generation = 0
        waits.release(index)
    }

    /// Forgets the connections whose minute is over.
    mutating func expire(at now: UInt64) {
        while waitHead < waitQueue.count {
            let (index, generation) = waitQueue[waitHead]
            let wait = waits[index]
            if wait.generation == generation {
                guard wait.expiry <= now else { break }
                removeWait(index)
            }
            waitHead += 1
        }
        if waitHead > 4096, waitHead * 2 > waitQueue.count {
            waitQueue.removeFirst(waitHead)
            waitHead = 0
        }
    }

    private mutating func unlink(_ place: UInt32, _ key: SocketKey, after: UInt32) {
        linked -= 1
        let bucket = Int(truncatingIfNeeded: key.hash & UInt64(heads.count - 1))
        if heads[bucket].first == place {
            heads[bucket].first = after
            if after == Self.none { heads[bucket].tags = 0 }
            return
        }
        var before = heads[bucket].first
        while before != Self.none {
            let next = following(before)
            if next == place {
                setFollowing(before, after)
                return
            }
            before = next
        }
    }

    private func following(_ place: UInt32) -> UInt32 {
        place & Self.waitBit != 0 ? waits[place & ~Self.waitBit].next : pool[place].next
    }

    private mutating func setFollowing(_ place: UInt32, _ next: UInt32) {
        if place & Self.waitBit != 0 {
            waits[place & ~Self.waitBit].next = next
        } else {
            pool[place].next = next
        }
    }

    private mutating func grow() {
        let old = heads
        heads = Array(repeating: Head(), count: old.count * 4)
        for head in old {
            var place = head.first
            while place != Self.none {
                let next = following(place)
                let isWait = place & Self.waitBit != 0
                let key = isWait ? waits[place & ~Self.waitBit].key : pool[place].key
                let hash = key.hash
                let bucket = Int(truncatingIfNeeded: hash & UInt64(heads.count - 1))
                setFollowing(place, heads[bucket].first)
                heads[bucket].first = place
                heads[bucket].tags |= Head.tag(hash)
                place = next
            }
        }
    }

    // MARK: Ports

    /// A free port for `key`, whose own local port does not count, and the lane it comes from.
    ///
    /// `reusingFrom`: a connection whose TIME-WAIT began before may give up its port.
    /// Returns `nil` where every port of the range is in use towards this destination.
    mutating func takePort(
        for key: SocketKey, _ range: ClosedRange<UInt16>, _ choice: Scenario.Flow.SourcePort,
        reusingFrom: UInt64?, _ dice: inout Dice
    ) -> (port: UInt16, lane: UInt32)? {
        let lane = lane(of: key, &dice)
        var key = key
        if case .fixed(let port) = choice {
            key.localPort = port
            guard makeFree(key, reusingFrom) else { return nil }
            lanes[Int(lane)].usedCount += 1
            portCounts[Int(key.station)] += 1
            return (port, lane)
        }
        let count = UInt32(range.upperBound - range.lowerBound) + 1
        guard lanes[Int(lane)].usedCount < count || reusingFrom != nil else { return nil }
        let start = lanes[Int(lane)].cursor
        let isScattered = choice != .sequential && count > 1
        // Even offsets first, then the odd ones: even ports are for whoever connects.
        for parity in UInt32(0)..<(isScattered ? 2 : 1) {
            var step: UInt32 = 0
            while step < count {
                var offset = (start &+ step) % count
                step += isScattered ? 2 : 1
                if isScattered { offset = offset & ~1 | parity }
                guard offset < count else { continue }
                key.localPort = range.lowerBound + UInt16(truncatingIfNeeded: offset)
                guard makeFree(key, reusingFrom) else { continue }
                if parity == 0 { lanes[Int(lane)].cursor = (start &+ step) % count }
                lanes[Int(lane)].usedCount += 1
                portCounts[Int(key.station)] += 1
                return (key.localPort, lane)
            }
        }
        return nil
    }

    /// Whether the key is free, or becomes so because its TIME-WAIT may be cut short.
    private mutating func makeFree(_ key: SocketKey, _ reusingFrom: UInt64?) -> Bool {
        switch search(key) {
        case .nothing: return true
        case .socket: return false
        case .timeWait(let index):
            guard let reusingFrom, waits[index].expiry - Self.timeWaitDuration <= reusingFrom
            else { return false }
            removeWait(index)
            return true
        }
    }

    private mutating func leaveLane(_ lane: UInt32) {
        guard lane != Self.none else { return }
        lanes[Int(lane)].usedCount -= 1
        portCounts[Int(lanes[Int(lane)].key.station)] -= 1
    }

    private mutating func lane(of key: SocketKey, _ dice: inout Dice) -> UInt32 {
        var key = key
        key.localPort = 0
        if lanes.count >= laneHeads.count { growLanes() }
        let bucket = Int(truncatingIfNeeded: key.hash & UInt64(laneHeads.count - 1))
        var index = laneHeads[bucket]
        while index != Self.none {
            if lanes[Int(index)].key.isEqual(key) { return index }
            index = lanes[Int(index)].next
        }
        let lane = PortLane(
            key: key, cursor: UInt32(truncatingIfNeeded: dice.next() >> 40) & ~1,
            next: laneHeads[bucket])
        lanes.append(lane)
        laneHeads[bucket] = UInt32(truncatingIfNeeded: lanes.count - 1)
        return laneHeads[bucket]
    }

    private mutating func growLanes() {
        laneHeads = Array(repeating: Self.none, count: laneHeads.count * 4)
        for index in lanes.indices {
            let bucket = Int(
                truncatingIfNeeded: lanes[index].key.hash & UInt64(laneHeads.count - 1))
            lanes[index].next = laneHeads[bucket]
            laneHeads[bucket] = UInt32(truncatingIfNeeded: index)
        }
    }
}
