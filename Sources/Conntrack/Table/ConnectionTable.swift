internal import Wire

// The connection table of one machine: spec table.md. One table serves all of its namespaces; each
// connection occupies two links in the hash, one per direction. The table knows tuples, chains,
// deadlines and counts, and nothing of protocols, rules or translation.
//
// A connection's life: `create` (counted, in no chain, held by its packet) → `confirm` (in both
// chains, held by the table too) → `delete` (out of the chains) → `release` by its last holder
// (no longer counted). Between `create` and `confirm` other packets may do the same for the same
// tuple: that gap is where clashes come from.

/// One moment on both clocks: computed once per packet.
public struct Moment: Sendable, BitwiseCopyable {
    public let instant: Instant
    public let tick: Tick

    public init(_ instant: Instant, _ rate: TickRate) {
        self.instant = instant
        tick = rate.tick(at: instant)
    }
}

/// Zone ids in force for the two directions of a packet or connection; 0 is no zone.
public struct ZonePair: Hashable, Sendable, BitwiseCopyable {
    public var original: UInt16
    public var reply: UInt16

    public init(original: UInt16, reply: UInt16) {
        self.original = original
        self.reply = reply
    }

    public static let none = ZonePair(original: 0, reply: 0)

    subscript(direction: Direction) -> UInt16 { direction == .original ? original : reply }
}

/// What one namespace of the machine keeps for itself (spec table.md §1).
public struct Namespace: Sendable {
    /// Objects in existence, as `nf_conntrack_count` shows them.
    public internal(set) var count: UInt32 = 0
    public internal(set) var peakCount: UInt32 = 0
    public internal(set) var counters = Counters()
    /// Mixed into the hash key.
    let hashMix: UInt64
    /// Extension parts that new connections get.
    var extensionParts: ConnectionExtension.Parts = []
}

public struct ConnectionTable: ~Copyable {
    var records: Slab<ConnectionRecord>
    var states: Slab<ConnectionState>
    var addresses: Slab<AddressBlock>
    var extensions: Slab<ConnectionExtension>
    var attached: Slab<ConnectionAttachments>
    /// The timeout policies rules have handed out: an index stays what it was.
    var timeoutPolicies: [TimeoutPolicy] = []
    var expectations: ExpectationTable
    /// Linux 6.18: an expectation ends when its time has come.
    ///
    /// In 6.12 it ends when it is met thereafter.
    var expectationsHaveTimers = true
    var buckets: Buckets<BucketHead>
    var bySource: BySourceIndex
    public internal(set) var namespaces: [Namespace] = []
    public var limits: Limits
    /// Chain links a search for a free place may pass: this many, plus a draw below the spread.
    public internal(set) var chainLimit = Limits.chainLength
    public internal(set) var chainLimitSpread = Limits.chainLengthSpread
    public var journal = Journal()
    var dice: Dice
    /// Where the next port search begins instead of at random: see `Node.portHints`.
    var portHints = PortHints()
    var portSearchStart = PortSearchStart.random
    /// What the latest successful search found.
    var portFoundLast: UInt16 = 0
    /// Who goes early instead of whom a search would find: see `Node.evictionHint`.
    var evictionHint: [ConnectionKey]?
    var evictions = EvictionTally()
    let hashKey: SipHash
    let identifierKey: SipHash
    let tickRate: TickRate
    public internal(set) var collector: Collector
    /// Links walked and lookups made since the beginning: what chain length costs.
    public internal(set) var lookups: UInt64 = 0
    public internal(set) var linksWalked: UInt64 = 0
    /// What searches for free ports have cost.
    public internal(set) var searches = PortSearchCounts()

    /// An empty table with one namespace.
    ///
    /// `seed` decides the hash key, the ids and every later draw.
    public init(limits: Limits, seed: UInt64, tickRate: TickRate) {
        var dice = Dice(seed: seed)
        hashKey = SipHash(key0: dice.next(), key1: dice.next())
        identifierKey = SipHash(key0: dice.next(), key1: dice.next())
        let expected = min(Int(limits.connections == 0 ? 65536 : limits.connections), 1 << 26)
        records = Slab(capacity: expected + 64)
        states = Slab(capacity: expected + 64)
        addresses = Slab(capacity: 64)
        extensions = Slab(capacity: 64)
        attached = Slab(capacity: 16)
        buckets = Buckets(repeating: BucketHead(), count: limits.buckets)
        bySource = BySourceIndex(dice.next())
        // A key of its own that takes no draw: a run without helpers draws as it always did.
        expectations = ExpectationTable(SipHash(key0: seed, key1: 0x6578_7065_6374))
        self.limits = limits
        self.dice = dice
        self.tickRate = tickRate
        collector = Collector(tickRate)
        addNamespace()
    }

    /// Adds a namespace that shares the table.
    @discardableResult
    public mutating func addNamespace() -> NamespaceIndex {
        namespaces.append(Namespace(hashMix: dice.next()))
        return NamespaceIndex(UInt16(truncatingIfNeeded: namespaces.count - 1))
    }

    /// Bytes the table occupies: places ever used, side blocks and bucket heads.
    public var byteCount: Int {
        records.byteCount + states.byteCount + addresses.byteCount + extensions.byteCount
            + attached.byteCount + expectations.byteCount + buckets.byteCount + bySource.byteCount
    }

    // MARK: Keys

    /// The raw hash of a tuple in a zone of a namespace: spec table.md §4.
    @inline(__always)
    func hash(_ tuple: Tuple, zone: UInt16, _ namespace: NamespaceIndex) -> UInt32 {
        hashKey.raw(tuple, zone: zone, namespaceMix: namespaces[Int(namespace.raw)].hashMix)
    }

    /// One of the two tuples of a connection.
    func tuple(of slot: Slot, _ direction: Direction) -> Tuple {
        tuple(records[slot], direction)
    }

    func tuple(_ record: ConnectionRecord, _ direction: Direction) -> Tuple {
        var source = Address(
            ipv4: direction == .original ? record.originalSource : record.replySource)
        var destination = Address(
            ipv4: direction == .original ? record.originalDestination : record.replyDestination)
        if record.family == .ipv6 {
            let block = addresses[record.originalSource]
            source = direction == .original ? block.originalSource : block.replySource
            destination =
                direction == .original ? block.originalDestination : block.replyDestination
        }
        return Tuple(
            record.family, record.protocolNumber, source: source,
            direction == .original ? record.originalSourcePart : record.replySourcePart,
            destination: destination,
            direction == .original
                ? record.originalDestinationPart : record.replyDestinationPart)
    }

    /// Whether the link carries exactly this key: tuple, zone in that direction and namespace.
    @inline(__always)
    func matches(
        _ record: ConnectionRecord, _ direction: Direction, _ tuple: Tuple, hash: UInt32,
        zone: UInt16, _ namespace: NamespaceIndex
    ) -> Bool {
        let isOriginal = direction == .original
        guard (isOriginal ? record.hashOriginal : record.hashReply) == hash,
            (isOriginal ? record.originalSourcePart : record.replySourcePart)
                == tuple.sourcePart,
            (isOriginal ? record.originalDestinationPart : record.replyDestinationPart)
                == tuple.destinationPart,
            record.protocolNumber == tuple.protocolNumber,
            record.family == tuple.family,
            record.namespace == namespace,
            (isOriginal ? record.zoneOriginal : record.zoneReply) == zone
        else { return false }
        if record.family == .ipv4 {
            return (isOriginal ? record.originalSource : record.replySource)
                == tuple.source.ipv4
                && (isOriginal ? record.originalDestination : record.replyDestination)
                    == tuple.destination.ipv4
        }
        let block = addresses[record.originalSource]
        return isOriginal
            ? block.originalSource == tuple.source
                && block.originalDestination == tuple.destination
            : block.replySource == tuple.source && block.replyDestination == tuple.destination
    }

    @inline(__always)
    func next(_ record: ConnectionRecord, _ direction: Direction) -> Link {
        direction == .original ? record.nextOriginal : record.nextReply
    }

    // MARK: Lookup

    /// A connection found, and through which of its links.
    public struct Found: Sendable, BitwiseCopyable {
        public let slot: Slot
        public let direction: Direction
    }

    /// Looks a packet's tuple up, evicting every expired connection met in the chain: spec table.md
    /// §6.
    ///
    /// Tries the reply-direction zone too where it differs.
    ///
    /// `knownHash`: the tuple's hash outside all zones if the caller has it, else 0.
    ///
    /// Returns the link found, and the hash under which `create` may enter the tuple.
    public mutating func find(
        _ tuple: Tuple, _ zones: ZonePair, _ namespace: NamespaceIndex, knownHash: UInt32 = 0,
        at now: Moment
    ) -> (found: Found?, hash: UInt32) {
        let isKnown = knownHash != 0 && zones.original == 0
        let hash = isKnown ? knownHash : hash(tuple, zone: zones.original, namespace)
        if let found = search(tuple, hash: hash, zones, namespace, at: now) {
            return (found, hash)
        }
        if zones.reply != zones.original {
            let other = self.hash(tuple, zone: zones.reply, namespace)
            return (search(tuple, hash: other, zones, namespace, at: now), hash)
        }
        return (nil, hash)
    }

    /// Walks one chain.
    ///
    /// `besides`: connections with the original tuple of that one do not count.
    mutating func search(
        _ tuple: Tuple, hash: UInt32, _ zones: ZonePair, _ namespace: NamespaceIndex,
        besides: Slot = .none, at now: Moment
    ) -> Found? {
        lookups &+= 1
        let bucket = buckets.bucket(of: hash)
        let head = buckets[bucket]
        if head.cannotHold(hash), !head.mayHaveExpired(at: now.tick),
            collector.keepsSummariesFresh(at: now.tick)
        {
            linksWalked &+= UInt64(head.length)
            return nil
        }
        var summary = ChainSummary(at: now.tick)
        var link = head.first
        while link != .none {
            linksWalked &+= 1
            let slot = link.slot
            let direction = link.direction
            let here = link
            link = next(records[slot], direction)
            if records[slot].deadline.hasPassed(at: now.tick) {
                // The next link may be this connection's other one: it goes with it.
                if link != .none, link.slot == slot { link = next(records[slot], link.direction) }
                delete(slot, at: now)
                continue
            }
            if matches(
                records[slot], direction, tuple, hash: hash, zone: zones[direction], namespace),
                besides == .none || !hasSameOriginal(slot, besides)
            {
                return Found(slot: slot, direction: direction)
            }
            summary.add(here, records[slot])
        }
        buckets[bucket].adopt(summary)
        return nil
    }

    func hasSameOriginal(_ slot: Slot, _ other: Slot) -> Bool {
        slot == other
            || (records[slot].zoneOriginal == records[other].zoneOriginal
                && tuple(of: slot, .original) == tuple(of: other, .original))
    }

    /// What `find` would find, without evicting anything: for observers.
    public func peek(
        _ tuple: Tuple, _ zones: ZonePair, _ namespace: NamespaceIndex, at now: Moment
    ) -> Found? {
        if let found = peek(tuple, zone: zones.original, zones, namespace, at: now) { return found }
        guard zones.reply != zones.original else { return nil }
        return peek(tuple, zone: zones.reply, zones, namespace, at: now)
    }

    func peek(
        _ tuple: Tuple, zone: UInt16, _ zones: ZonePair, _ namespace: NamespaceIndex,
        at now: Moment
    ) -> Found? {
        let hash = hash(tuple, zone: zone, namespace)
        var link = buckets[buckets.bucket(of: hash)].first
        while link != .none {
            let record = records[link.slot]
            if !record.deadline.hasPassed(at: now.tick),
                matches(
                    record, link.direction, tuple, hash: hash, zone: zones[link.direction],
                    namespace)
            {
                return Found(slot: link.slot, direction: link.direction)
            }
            link = next(record, link.direction)
        }
        return nil
    }

    // MARK: Creation

    /// Makes an unconfirmed connection held by its packet: spec table.md §8.
    ///
    /// Returns `nil` when the namespace is full and early drop found no victim. The caller counts
    /// the drop and writes the log line; the collector has been told.
    public mutating func create(
        _ original: Tuple, reply: Tuple, hash: UInt32, _ zones: ZonePair,
        _ namespace: NamespaceIndex, at now: Moment
    ) -> Slot? {
        let home = Int(namespace.raw)
        namespaces[home].count &+= 1
        if limits.connections != 0, namespaces[home].count > limits.connections {
            guard dropEarly(near: hash, namespace, at: now) else {
                collector.shouldDropEarly = evictionHint == nil
                namespaces[home].count &-= 1
                return nil
            }
        }
        let parts = namespaces[home].extensionParts
        var record = ConnectionRecord(
            originalSource: original.source.ipv4,
            originalDestination: original.destination.ipv4,
            replySource: reply.source.ipv4, replyDestination: reply.destination.ipv4,
            originalSourcePart: original.sourcePart,
            originalDestinationPart: original.destinationPart,
            replySourcePart: reply.sourcePart, replyDestinationPart: reply.destinationPart,
            protocolNumber: original.protocolNumber, family: original.family,
            namespace: namespace)
        record.hashOriginal = hash
        record.zoneOriginal = zones.original
        record.zoneReply = zones.reply
        if original.family == .ipv6 {
            record.originalSource = addresses.insert(
                AddressBlock(
                    originalSource: original.source, originalDestination: original.destination,
                    replySource: reply.source, replyDestination: reply.destination))
        }
        if !parts.isEmpty {
            record.extensionIndex = extensions.insert(ConnectionExtension(parts: parts))
        }
        // A slot names the same place in both slabs: they grow and shrink together.
        let index = records.insert(record)
        let stateIndex = states.insert(ConnectionState())
        assert(index == stateIndex)
        namespaces[home].peakCount = max(namespaces[home].peakCount, namespaces[home].count)
        return Slot(index)
    }

    /// Replaces the reply tuple of an unconfirmed connection: what translation does.
    mutating func setReply(_ reply: Tuple, of slot: Slot) {
        records[slot].replySourcePart = reply.sourcePart
        records[slot].replyDestinationPart = reply.destinationPart
        if records[slot].family == .ipv6 {
            let block = records[slot].originalSource
            addresses[block].replySource = reply.source
            addresses[block].replyDestination = reply.destination
        } else {
            records[slot].replySource = reply.source.ipv4
            records[slot].replyDestination = reply.destination.ipv4
        }
    }

    // MARK: Holding and letting go

    /// Another packet in flight holds the connection.
    mutating func retain(_ slot: Slot) {
        records[slot].references &+= 1
    }

    /// A holder lets go; the last one frees the connection, which is when the count falls.
    public mutating func release(_ slot: Slot) {
        records[slot].references &-= 1
        guard records[slot].references == 0 else { return }
        let record = records[slot]
        if states[slot].isInBySource { bySource.remove(slot, &self.states, key: bySourceKey(slot)) }
        if record.extensionIndex != UInt32.max {
            if let index = attachments(of: slot) { releaseAttachments(index) }
            extensions.release(record.extensionIndex)
        }
        if record.family == .ipv6 { addresses.release(record.originalSource) }
        records.release(slot.index)
        states.release(slot.index)
        namespaces[Int(record.namespace.raw)].count &-= 1
    }
}
