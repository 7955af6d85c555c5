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
public struct Namespace: Sendable, BitwiseCopyable {
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
    var states: Column<ConnectionState>
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
    var namespaces: Slab<Namespace>
    public var limits: Limits
    /// Chain links a search for a free place may pass: this many, plus a draw below the spread.
    public internal(set) var chainLimit = Limits.chainLength
    public internal(set) var chainLimitSpread = Limits.chainLengthSpread
    public var journal = Journal()
    var dice: Dice
    var probe = PortProbe()
    /// What the last source mapping mapped to.
    var recentSource: (family: Family, address: Address)?
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
        states = Column(capacity: expected + 64)
        addresses = Slab(capacity: 64)
        extensions = Slab(capacity: 64)
        attached = Slab(capacity: 16)
        namespaces = Slab(capacity: 1)
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
        let index = namespaces.insert(Namespace(hashMix: dice.next()))
        return NamespaceIndex(UInt16(truncatingIfNeeded: index))
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
        hashKey.raw(tuple, zone: zone, namespaceMix: namespaces[namespace].hashMix)
    }

    /// One of the two tuples of a connection.
    @inline(__always)
    func tuple(of slot: Slot, _ direction: Direction) -> Tuple {
        tuple(records[slot], direction)
    }

    @inline(__always)
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

    @inline(__always)
    func next(_ record: ConnectionRecord, _ direction: Direction) -> Link {
        direction == .original ? record.nextOriginal : record.nextReply
    }

    // MARK: Creation

    /// Makes an unconfirmed connection held by its packet: spec table.md §8.
    ///
    /// Returns `nil` when the namespace is full and early drop found no victim. The caller counts
    /// the drop and writes the log line; the collector has been told.
    ///
    /// `replyHash`: the hash of `reply` outside all zones if the caller has it, else 0.
    public mutating func create(
        _ original: Tuple, reply: Tuple, hash: UInt32, replyHash: UInt32 = 0, _ zones: ZonePair,
        _ namespace: NamespaceIndex, at now: Moment
    ) -> Slot? {
        let home = namespace
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
        record.hashReply = zones.reply == 0 ? replyHash : 0
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
        let index = records.insert(record)
        states.put(ConnectionState(), at: index)
        probe.slot = .none
        namespaces[home].peakCount = max(namespaces[home].peakCount, namespaces[home].count)
        return Slot(index)
    }

    /// Brings the place of the connection that will be made after `ahead` others into the cache.
    @inline(__always)
    func fetchPlace(after ahead: Int) {
        let place = records.upcoming(ahead)
        records.prefetch(place)
        states.prefetch(place)
    }

    /// Replaces the reply tuple of an unconfirmed connection: what translation does.
    mutating func setReply(_ reply: Tuple, of slot: Slot) {
        let isProbed = probe.slot == slot && probe.tuple == reply
        records[slot].hashReply = isProbed ? probe.hash : 0
        probe.slot = .none
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
    @inline(__always)
    mutating func retain(_ slot: Slot) {
        records[slot].references &+= 1
    }

    /// A holder lets go; the last one frees the connection, which is when the count falls.
    @inline(__always)
    public mutating func release(_ slot: Slot) {
        records[slot].references &-= 1
        if records[slot].references == 0 { free(slot) }
    }

    @inline(never)
    private mutating func free(_ slot: Slot) {
        let record = records[slot]
        if states[slot].isInBySource {
            let key = bySourceKey(slot)
            bySource.remove(slot, &states, key: key)
        }
        if record.extensionIndex != UInt32.max {
            if let index = attachments(of: slot) { releaseAttachments(index) }
            extensions.release(record.extensionIndex)
        }
        if record.family == .ipv6 { addresses.release(record.originalSource) }
        records.release(slot.index)
        namespaces[record.namespace].count &-= 1
    }
}
