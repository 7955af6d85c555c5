internal import Wire

// Memory is the price of a lookup in a large table: a bucket head, a record, a state, each a cache
// miss that waits for the one before. For many packets at once the waits overlap.

extension ConnectionTable {
    /// Packets fetched for at once: about as many misses as a core keeps in flight.
    static var batchSize: Int { 32 }

    /// Brings what the packets' lookups will touch into the cache, and notes their hashes.
    ///
    /// Changes nothing that can be observed.
    mutating func fetchAhead(
        _ packets: inout MutableSpan<Packet>, _ batch: Range<Int>, _ namespace: NamespaceIndex
    ) {
        for index in batch {
            packets[index].knownHash = fetchAhead(packets[index].tuple, namespace)
        }
        for index in batch {
            let hash = packets[index].knownHash
            let head = buckets[buckets.bucket(of: hash)]
            if head.cannotHold(hash) {
                // A newcomer is linked into the chain of its answers too.
                if let reply = packets[index].tuple.inverted {
                    packets[index].knownReplyHash = fetchAhead(reply, namespace)
                }
            } else {
                records.prefetch(head.first.slot)
                states.prefetch(head.first.slot)
            }
        }
        for index in batch where packets[index].knownReplyHash == 0 {
            let hash = packets[index].knownHash
            let first = buckets[buckets.bucket(of: hash)].first
            guard first != .none else { continue }
            let record = records[first.slot]
            let own = first.direction == .original ? record.hashOriginal : record.hashReply
            guard own != hash else { continue }
            let next = next(record, first.direction)
            records.prefetch(next.slot)
            states.prefetch(next.slot)
        }
    }

    /// Brings the head of a tuple's chain outside all zones into the cache.
    ///
    /// Returns the tuple's hash.
    func fetchAhead(_ tuple: Tuple, _ namespace: NamespaceIndex) -> UInt32 {
        let hash = hash(tuple, zone: 0, namespace)
        buckets.prefetch(buckets.bucket(of: hash))
        return hash
    }
}
