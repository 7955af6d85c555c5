import Wire

@testable import Conntrack

/// The connection table as table.md and gc.md tell it, with no thought for speed.
///
/// It is dictionaries, arrays and whole walks; the property tests hold the real one against it.
/// Ticks are 64 bits wide here and never wrap. Connections are known by the slot the real table
/// gave them, so that whole chains can be compared.
struct PlainTable {
    struct Connection {
        var original: Tuple
        var reply: Tuple
        var zones: ZonePair
        var namespace: NamespaceIndex
        /// A duration until confirmed, then the tick of expiry.
        var deadline: UInt64
        var status: Status = []
        var holders = 1
        var originalTraffic = Traffic()
        var replyTraffic = Traffic()

        func isExpired(at now: UInt64) -> Bool { deadline <= now }
    }

    struct Traffic: Equatable {
        var packets: UInt64 = 0
        var bytes: UInt64 = 0

        mutating func add(_ byteCount: UInt64) {
            packets += 1
            bytes += byteCount
        }
    }

    struct PlainLink: Hashable {
        var slot: Slot
        var direction: Direction
    }

    struct PlainCollector: Equatable {
        var nextBucket = 0
        var mean = 15_000
        var seen = 100
        var cycleStart: UInt64 = 0
        var shouldDropEarly = false
        var delay: UInt64 = 0
    }

    private(set) var connections: [Slot: Connection] = [:]
    /// Newest first.
    private(set) var chains: [[PlainLink]]
    private(set) var counters: [Counters]
    private(set) var collector = PlainCollector()
    /// Original tuples in the order of their DESTROY events, since the last `clearEvents`.
    private(set) var destroyed: [Tuple] = []
    var limit: UInt32
    private let rawHash: (Tuple, UInt16, NamespaceIndex) -> UInt32

    init(
        buckets: Int, limit: UInt32, namespaces: Int,
        rawHash: @escaping (Tuple, UInt16, NamespaceIndex) -> UInt32
    ) {
        chains = Array(repeating: [], count: buckets)
        counters = Array(repeating: Counters(), count: namespaces)
        self.limit = limit
        self.rawHash = rawHash
    }

    mutating func clearEvents() { destroyed = [] }

    // MARK: What follows from the rest

    func count(_ namespace: NamespaceIndex) -> UInt32 {
        UInt32(connections.values.count { $0.namespace == namespace })
    }

    func hash(_ tuple: Tuple, zone: UInt16, _ namespace: NamespaceIndex) -> UInt32 {
        rawHash(tuple, zone, namespace)
    }

    private func bucket(_ hash: UInt32) -> Int { Int((UInt64(hash) * UInt64(chains.count)) >> 32) }

    func hash(_ link: PlainLink) -> UInt32 {
        guard let connection = connections[link.slot] else { return 0 }
        return hash(key(link), zone: connection.zones[link.direction], connection.namespace)
    }

    private func key(_ link: PlainLink) -> Tuple {
        guard let connection = connections[link.slot] else { return .none }
        return link.direction == .original ? connection.original : connection.reply
    }

    /// Equal keys: tuple, zone in the link's direction, namespace.
    ///
    /// And equal hashes: where a zone holds for one direction only, the kernel would also take a
    /// link that by chance, 1 in B, shares the bucket with a key hashed in another zone.
    private func matches(
        _ link: PlainLink, _ tuple: Tuple, _ hash: UInt32, _ zones: ZonePair,
        _ namespace: NamespaceIndex
    ) -> Bool {
        guard let connection = connections[link.slot] else { return false }
        return key(link) == tuple && connection.namespace == namespace
            && connection.zones[link.direction] == zones[link.direction]
            && self.hash(link) == hash
    }

    /// The connection of a link, unless the walk that meets it has taken it out already.
    private func linked(_ link: PlainLink) -> Connection? {
        connections[link.slot].flatMap { $0.status.contains(.dying) ? nil : $0 }
    }

    // MARK: Lookup (table.md §6)

    mutating func find(
        _ tuple: Tuple, _ zones: ZonePair, _ namespace: NamespaceIndex, at now: UInt64
    ) -> PlainLink? {
        for zone in zones.original == zones.reply
            ? [zones.original] : [zones.original, zones.reply]
        {
            let hash = hash(tuple, zone: zone, namespace)
            for link in chains[bucket(hash)] {
                guard let connection = linked(link) else { continue }
                if connection.isExpired(at: now) {
                    delete(link.slot)
                } else if matches(link, tuple, hash, zones, namespace) {
                    return link
                }
            }
        }
        return nil
    }

    // MARK: Creation and early drop (table.md §8, §9)

    /// Makes room if need be; false where the packet must be refused.
    mutating func admit(
        _ tuple: Tuple, _ zones: ZonePair, _ namespace: NamespaceIndex, at now: UInt64
    ) -> Bool {
        guard limit != 0, count(namespace) + 1 > limit else { return true }
        let start = bucket(hash(tuple, zone: zones.original, namespace))
        for step in 0..<8 {
            var dropped: UInt32 = 0
            for link in chains[(start + step) % chains.count] {
                guard let connection = linked(link) else { continue }
                if connection.isExpired(at: now) {
                    delete(link.slot)
                } else if connection.namespace == namespace,
                    !connection.status.contains(.assured)
                {
                    delete(link.slot)
                    dropped += 1
                }
            }
            if dropped > 0 {
                counters[Int(namespace.raw)].earlyDrop += dropped
                return true
            }
        }
        collector.shouldDropEarly = true
        return false
    }

    mutating func add(
        _ slot: Slot, _ tuple: Tuple, reply: Tuple, _ zones: ZonePair, _ namespace: NamespaceIndex
    ) {
        connections[slot] = Connection(
            original: tuple, reply: reply, zones: zones, namespace: namespace, deadline: 0)
    }

    // MARK: Confirmation (table.md §10, §11)

    /// What may come of a confirmation: one outcome for each chain limit that may be drawn.
    func possibleOutcomes(_ slot: Slot) -> Set<ConfirmOutcome> {
        guard let mine = connections[slot] else { return [] }
        if mine.status.contains(.dying) { return [.dying] }
        let walks = [walk(mine, .original), walk(mine, .reply)]
        return Set((50..<80).map { outcome(mine, walks, limit: $0) })
    }

    /// What a walk for a key meets: the link that has it, if any, and how many there are.
    private struct Walk {
        var taken: (position: Int, by: Slot)?
        var length: Int
    }

    private func walk(_ mine: Connection, _ direction: Direction) -> Walk {
        let tuple = direction == .original ? mine.original : mine.reply
        let hash = hash(tuple, zone: mine.zones[direction], mine.namespace)
        let chain = chains[bucket(hash)]
        let position = chain.firstIndex { matches($0, tuple, hash, mine.zones, mine.namespace) }
        return Walk(taken: position.map { ($0, chain[$0].slot) }, length: chain.count)
    }

    private func outcome(_ mine: Connection, _ walks: [Walk], limit: Int) -> ConfirmOutcome {
        for walk in walks {
            // Each link is looked at, and then counted: more than `limit` passed is too many.
            let reach = limit + 1
            if let taken = walk.taken, taken.position <= reach {
                return clash(mine, with: taken.by, walks[1])
            }
            if walk.length > reach { return .chainTooLong }
        }
        return .inserted
    }

    private func clash(_ mine: Connection, with other: Slot, _ reply: Walk) -> ConfirmOutcome {
        guard mine.original.protocolNumber == IPProtocol.udp else { return .clash }
        if isSameFlow(mine, other) { return .merged(into: other) }
        guard let taken = reply.taken else { return .insertedReplyOnly }
        return isSameFlow(mine, taken.by) ? .merged(into: taken.by) : .clash
    }

    private func isSameFlow(_ mine: Connection, _ slot: Slot) -> Bool {
        guard let other = connections[slot] else { return false }
        let isSame =
            mine.original == other.original && mine.reply == other.reply
            && mine.zones == other.zones
        let isMirror =
            mine.original == other.reply && mine.reply == other.original
            && mine.zones.original == other.zones.reply
            && mine.zones.reply == other.zones.original
        return isSame || isMirror
    }

    /// Carries out the outcome that the real table had.
    mutating func confirm(_ slot: Slot, _ outcome: ConfirmOutcome, at now: UInt64) {
        guard let mine = connections[slot] else { return }
        let home = Int(mine.namespace.raw)
        switch outcome {
        case .inserted:
            connections[slot]?.deadline += now
            connections[slot]?.status.insert(.confirmed)
            connections[slot]?.holders += 1
            push(slot, .original)
            push(slot, .reply)
        case .insertedReplyOnly:
            connections[slot]?.deadline = now + 250
            connections[slot]?.status.formUnion([.confirmed, .fixedTimeout, .natClash])
            connections[slot]?.holders += 1
            push(slot, .reply)
            counters[home].clashResolve += 1
        case .merged(let winner):
            counters[home].clashResolve += 1
            account(winner, .original, byteCount: mine.originalTraffic.bytes)
            connections[winner]?.holders += 1
            release(slot)
        case .clash:
            counters[home].drop += 1
            counters[home].insertFailed += 1
        case .chainTooLong:
            counters[home].chainTooLong += 1
            counters[home].insertFailed += 1
        case .dying: counters[home].insertFailed += 1
        }
    }

    private mutating func push(_ slot: Slot, _ direction: Direction) {
        let link = PlainLink(slot: slot, direction: direction)
        chains[bucket(hash(link))].insert(link, at: 0)
    }

    // MARK: Changes

    mutating func refresh(_ slot: Slot, _ timeout: UInt64, at now: UInt64) {
        guard let status = connections[slot]?.status, !status.contains(.fixedTimeout) else {
            return
        }
        connections[slot]?.deadline = timeout + (status.contains(.confirmed) ? now : 0)
    }

    mutating func account(_ slot: Slot, _ direction: Direction, byteCount: UInt64) {
        if direction == .original {
            connections[slot]?.originalTraffic.add(byteCount)
        } else {
            connections[slot]?.replyTraffic.add(byteCount)
        }
    }

    mutating func markDying(_ slot: Slot) { connections[slot]?.status.insert(.dying) }
    mutating func assure(_ slot: Slot) { connections[slot]?.status.insert(.assured) }
    mutating func setReply(_ slot: Slot, _ reply: Tuple) { connections[slot]?.reply = reply }
    mutating func retain(_ slot: Slot) { connections[slot]?.holders += 1 }

    mutating func release(_ slot: Slot) {
        connections[slot]?.holders -= 1
        if connections[slot]?.holders == 0 { connections[slot] = nil }
    }

    @discardableResult
    mutating func delete(_ slot: Slot) -> Bool {
        guard let connection = connections[slot], !connection.status.contains(.dying) else {
            return false
        }
        connections[slot]?.status.insert(.dying)
        destroyed.append(connection.original)
        for index in chains.indices { chains[index].removeAll { $0.slot == slot } }
        release(slot)
        return true
    }

    /// Lists as a dump does, and evicts at most eight expired connections of each bucket.
    mutating func list(_ namespace: NamespaceIndex, at now: UInt64) -> [Tuple] {
        var listed: [Tuple] = []
        for index in chains.indices {
            var expired: [Slot] = []
            for link in chains[index] {
                guard let connection = connections[link.slot] else { continue }
                if connection.isExpired(at: now) {
                    if expired.count < 8, !expired.contains(link.slot) { expired.append(link.slot) }
                } else if link.direction == .original, connection.namespace == namespace {
                    listed.append(connection.original)
                }
            }
            for slot in expired { delete(slot) }
        }
        return listed
    }

    mutating func resize(_ buckets: Int) {
        let old = chains
        chains = Array(repeating: [], count: buckets)
        for link in old.joined() { push(link.slot, link.direction) }
    }

    // MARK: Collector (gc.md §2)

    /// One run, at HZ 250 and without slices of time or timer rounding.
    mutating func collect(at now: UInt64) -> Int {
        var index = collector.nextBucket
        let ceiling = collector.shouldDropEarly ? limit / 100 * 95 : 0
        if index == 0 {
            collector.mean = 15_000
            collector.seen = 100
            collector.cycleStart = now
        }
        var removed = 0
        while index < chains.count {
            for link in chains[index] {
                guard let connection = linked(link) else { continue }
                if removed > 256 {
                    collector.nextBucket = index
                    finishRun(delay: now - collector.cycleStart < 15_000 ? 1 : 0)
                    return removed
                }
                if connection.isExpired(at: now) {
                    if delete(link.slot) { removed += 1 }
                    continue
                }
                let left = min(max(Int(connection.deadline - now), 250), 75_000)
                collector.seen += 1
                collector.mean += (left - collector.mean) / collector.seen
                if ceiling != 0, count(connection.namespace) >= ceiling,
                    !connection.status.contains(.assured)
                {
                    if delete(link.slot) { removed += 1 }
                }
            }
            index += 1
        }
        collector.nextBucket = 0
        collector.mean = min(max(collector.mean, 250), 15_000)
        let spent = max(Int(now - collector.cycleStart), 1)
        finishRun(delay: collector.mean > spent ? UInt64(collector.mean - spent) : 1)
        return removed
    }

    private mutating func finishRun(delay: UInt64) {
        if delay != 0 { collector.shouldDropEarly = false }
        collector.delay = delay
    }
}
