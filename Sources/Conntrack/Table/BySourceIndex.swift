internal import Wire

/// Connections by where they really come from: original source address, port and protocol.
///
/// It lets one client socket keep one mapping for all of its destinations (spec nat.md §2, §3 step
/// 2).
///
/// Chains run through `ConnectionState.nextBySource`, newest first. The head array is made with the
/// first connection, so that a machine without NAT does not pay for it.
struct BySourceIndex: ~Copyable {
    struct Key: Hashable, BitwiseCopyable {
        var source: Address
        var part: UInt16
        var protocolNumber: UInt8
        var zone: UInt16
        var namespace: NamespaceIndex
    }

    private var heads: Buckets<Slot>
    private let seed: UInt64
    private var isMade = false

    init(_ seed: UInt64) {
        self.seed = seed
        heads = Buckets(repeating: .none, count: 1)
    }

    var byteCount: Int { isMade ? heads.byteCount : 0 }

    func bucket(_ key: Key) -> UInt32 {
        let hash = SipHash(key0: seed, key1: ~seed).of(
            key.source.high, key.source.low,
            UInt64(key.part) << 32 | UInt64(key.protocolNumber) << 16 | UInt64(key.zone),
            UInt64(key.namespace.raw))
        return heads.bucket(of: UInt32(truncatingIfNeeded: hash))
    }

    mutating func makeHeads(_ count: UInt32) {
        guard !isMade else { return }
        heads = Buckets(repeating: .none, count: count)
        isMade = true
    }

    func first(_ key: Key) -> Slot { heads[bucket(key)] }

    mutating func insert(_ slot: Slot, _ states: inout Slab<ConnectionState>, key: Key) {
        let bucket = bucket(key)
        states[slot].nextBySource = heads[bucket]
        heads[bucket] = slot
    }

    mutating func remove(_ slot: Slot, _ states: inout Slab<ConnectionState>, key: Key) {
        let bucket = bucket(key)
        let after = states[slot].nextBySource
        states[slot].nextBySource = .outside
        if heads[bucket] == slot {
            heads[bucket] = after
            return
        }
        var before = heads[bucket]
        while before != .none {
            let next = states[before].nextBySource
            if next == slot {
                states[before].nextBySource = after
                return
            }
            before = next
        }
    }
}

extension ConnectionTable {
    func bySourceKey(_ slot: Slot) -> BySourceIndex.Key {
        let tuple = tuple(of: slot, .original)
        let record = records[slot]
        return BySourceIndex.Key(
            source: tuple.source, part: tuple.sourcePart, protocolNumber: tuple.protocolNumber,
            zone: record.zoneOriginal == record.zoneReply ? record.zoneOriginal : 0,
            namespace: record.namespace)
    }

    /// Enters a connection whose source has been decided.
    mutating func enterBySource(_ slot: Slot) {
        guard !states[slot].isInBySource else { return }
        bySource.makeHeads(buckets.count)
        bySource.insert(slot, &states, key: bySourceKey(slot))
    }
}
