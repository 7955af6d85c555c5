internal import Wire

// What the table holds, counted without touching it: for series that are recorded while it runs.

/// How many connections of each kind a table holds.
public struct Census: Sendable, Hashable {
    /// Live connections by the tracker's state: TCP 0...9 of the kernel's numbers.
    public var tcpStates = [Int](repeating: 0, count: 10)
    /// Live connections by protocol number.
    public var protocols = [Int](repeating: 0, count: 256)
    public var live = 0
    public var assured = 0
    public var unreplied = 0
    /// Expired and still there: nobody has met them yet.
    public var expired = 0
    /// Made, and not in the table yet.
    public var unconfirmed = 0

    public init() {}
}

/// How long the hash chains of a table are.
public struct ChainLengths: Sendable, Hashable {
    /// Links per bucket.
    public var mean: Double
    /// The length that one bucket in a hundred reaches.
    public var p99: Int
    public var longest: Int
}

extension ConnectionTable {
    /// Counts the connections of a namespace by what they are; a pass over all places.
    public func census(_ namespace: NamespaceIndex, at now: Moment) -> Census {
        var census = Census()
        for index in 0..<UInt32(truncatingIfNeeded: records.reach) {
            let slot = Slot(index)
            guard records[slot].references > 0, records[slot].namespace == namespace else {
                continue
            }
            let status = records[slot].status
            guard status.contains(.confirmed) else {
                census.unconfirmed += 1
                continue
            }
            guard !records[slot].deadline.hasPassed(at: now.tick) else {
                census.expired += 1
                continue
            }
            census.live += 1
            if status.contains(.assured) { census.assured += 1 }
            if !status.contains(.seenReply) { census.unreplied += 1 }
            let protocolNumber = records[slot].protocolNumber
            census.protocols[Int(protocolNumber)] += 1
            if protocolNumber == IPProtocol.tcp {
                census.tcpStates[Int(states[slot].tcp.state.rawValue)] += 1
            }
        }
        return census
    }

    /// Measures the chains; a pass over all bucket heads.
    ///
    /// A chain longer than 254 counts as 255.
    public func chainLengths() -> ChainLengths {
        var histogram = [Int](repeating: 0, count: 256)
        var total = 0
        for bucket in 0..<buckets.count {
            let length = Int(buckets[bucket].length)
            histogram[length] += 1
            total += length
        }
        let rank = Int(buckets.count) - Int(buckets.count) / 100
        var passed = 0
        var p99 = 0
        for (length, count) in histogram.enumerated() where passed < rank {
            passed += count
            p99 = length
        }
        return ChainLengths(
            mean: Double(total) / Double(buckets.count), p99: p99,
            longest: histogram.lastIndex { $0 > 0 } ?? 0)
    }

    /// Enters a connection as a listing shows it.
    mutating func restore(
        _ entry: Entry, _ namespace: NamespaceIndex, _ settings: borrowing TrackerSettings,
        at now: Moment
    ) -> Bool {
        let hash = hash(entry.original, zone: entry.zoneOriginal, namespace)
        let zones = ZonePair(original: entry.zoneOriginal, reply: entry.zoneReply)
        guard
            let slot = create(
                entry.original, reply: entry.reply, hash: hash, zones, namespace, at: now)
        else { return false }
        records[slot].status = entry.status.subtracting([.confirmed, .dying])
        records[slot].mark = entry.mark
        records[slot].deadline = Tick(UInt32(clamping: entry.remainingTicks))
        switch entry.protocolNumber {
        case IPProtocol.tcp:
            states[slot].tcp.state = TCPState(rawValue: entry.protocolState) ?? .none
        case IPProtocol.sctp:
            states[slot].sctp.state = SCTPState(rawValue: entry.protocolState) ?? .none
        case IPProtocol.gre: states[slot].greTimeouts = (settings.gre, settings.greStream)
        default: break
        }
        if !entry.status.isDisjoint(with: NAT.anyNAT) {
            records[slot].status.formUnion(NAT.bothDone)
            enterBySource(slot)
        }
        let outcome = confirm(slot, allowsClash: false, at: now)
        namespaces[namespace].counters.insert &+= outcome == .inserted ? 1 : 0
        release(slot)
        return outcome == .inserted
    }
}
