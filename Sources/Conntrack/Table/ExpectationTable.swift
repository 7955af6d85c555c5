public import Wire

// Expectations: connections a helper has read about and that have not come yet. Spec protocols.md
// §13, table.md §4 and §14. Few at a time, so that their table is small and made only when the
// first one comes.

/// A connection that is expected.
public struct Expectation: Sendable, Hashable, BitwiseCopyable {
    /// What the first packet will look like on arrival; the destination is exact.
    public var tuple: Tuple
    /// Which bits of the source address count, and of the source part.
    public var sourceMask: Address
    public var sourcePartMask: UInt16
    /// The connection whose payload announced it.
    public internal(set) var master: Slot
    public var helper: HelperKind
    public internal(set) var deadline: Tick
    /// Its mapping follows its master's: the port it is to go to at this end of the master.
    var follows: Follow?

    /// How the mapping of an expected connection follows its master's.
    struct Follow: Hashable, BitwiseCopyable {
        /// The direction of the master that the announcement travelled in.
        var direction: Direction
        var port: UInt16
    }

    /// Waits for any source port of `source`, for the exact `destination`.
    init(
        _ family: Family, _ protocolNumber: UInt8, from source: Address, to destination: Address,
        port: UInt16, of master: Slot, _ helper: HelperKind
    ) {
        tuple = Tuple(
            family, protocolNumber, source: source, 0, destination: destination, port)
        sourceMask = Address.mask(prefix: family.addressBits, family)
        sourcePartMask = 0
        self.master = master
        self.helper = helper
        deadline = Tick(0)
    }

    /// Whether a packet with this tuple is the one.
    func matches(_ other: Tuple) -> Bool {
        tuple.family == other.family && tuple.protocolNumber == other.protocolNumber
            && tuple.destination == other.destination
            && tuple.destinationPart == other.destinationPart
            && agrees(with: other, sourceMask, sourcePartMask)
    }

    /// Whether a packet could be meant by both.
    func clashes(with other: Expectation) -> Bool {
        let mask = sourceMask.masked(by: other.sourceMask)
        return tuple.family == other.tuple.family
            && tuple.protocolNumber == other.tuple.protocolNumber
            && tuple.destination == other.tuple.destination
            && tuple.destinationPart == other.tuple.destinationPart
            && agrees(with: other.tuple, mask, sourcePartMask & other.sourcePartMask)
    }

    private func agrees(with other: Tuple, _ mask: Address, _ partMask: UInt16) -> Bool {
        tuple.source.masked(by: mask) == other.source.masked(by: mask)
            && tuple.sourcePart & partMask == other.sourcePart & partMask
    }
}

/// Why an expectation was not registered.
enum ExpectationRefusal: Error {
    /// Another connection expects what could be the same packet.
    case busy
    /// As many as `nf_conntrack_expect_max` are waited for already.
    case full
}

/// Where expectations are kept: chains by destination.
struct ExpectationTable: ~Copyable {
    struct Record: BitwiseCopyable {
        var expectation: Expectation
        var namespace: NamespaceIndex
        /// The zone of its master: the id, whatever directions it holds for.
        var zone: UInt16
        var next: UInt32 = .max
        /// The next older one of the same master.
        var nextOfMaster: UInt32 = .max
    }

    /// Buckets of the kernel's table at its usual size, 1/256 of the connections' (spec table.md §4).
    private static let bucketCount: UInt32 = 1024

    private(set) var records = Slab<Record>(capacity: 16)
    private var heads = Buckets<UInt32>(repeating: .max, count: 1)
    private let key: SipHash
    private(set) var count = 0

    init(_ key: SipHash) { self.key = key }

    var isEmpty: Bool { count == 0 }
    var byteCount: Int { heads.count == 1 ? 0 : records.byteCount + heads.byteCount }

    private func bucket(_ tuple: Tuple, _ namespace: NamespaceIndex) -> UInt32 {
        let hash = key.of(
            tuple.destination.high, tuple.destination.low,
            UInt64(tuple.destinationPart) << 32 | UInt64(tuple.family.rawValue) << 8
                | UInt64(tuple.protocolNumber), UInt64(namespace.raw))
        return heads.bucket(of: UInt32(truncatingIfNeeded: hash))
    }

    subscript(index: UInt32) -> Record { records[index] }

    mutating func insert(_ record: Record) -> UInt32 {
        if heads.count == 1, count == 0 {
            heads = Buckets(repeating: .max, count: Self.bucketCount)
        }
        let index = records.insert(record)
        let bucket = bucket(record.expectation.tuple, record.namespace)
        records[index].next = heads[bucket]
        heads[bucket] = index
        count += 1
        return index
    }

    mutating func setNextOfMaster(_ next: UInt32, of index: UInt32) {
        records[index].nextOfMaster = next
    }

    mutating func remove(_ index: UInt32) {
        let record = records[index]
        let bucket = bucket(record.expectation.tuple, record.namespace)
        count -= 1
        defer { records.release(index) }
        if heads[bucket] == index {
            heads[bucket] = record.next
            return
        }
        var before = heads[bucket]
        while before != .max {
            let following = records[before].next
            if following == index {
                records[before].next = record.next
                return
            }
            before = following
        }
    }

    /// The first one, in the chain of a destination, that `isWanted` picks.
    func first(
        near tuple: Tuple, _ namespace: NamespaceIndex, where isWanted: (Record) -> Bool
    ) -> UInt32? {
        guard count > 0 else { return nil }
        var index = heads[bucket(tuple, namespace)]
        while index != .max {
            let record = records[index]
            if record.namespace == namespace, isWanted(record) { return index }
            index = record.next
        }
        return nil
    }

    /// All of them, in the order of `conntrack -L expect`: bucket by bucket, newest first.
    func all() -> [UInt32] {
        guard count > 0 else { return [] }
        var found: [UInt32] = []
        for bucket in 0..<heads.count {
            var index = heads[bucket]
            while index != .max {
                found.append(index)
                index = records[index].next
            }
        }
        return found
    }
}
