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
        let key = hashKey.keyed(zone: 0, namespaceMix: namespaces[namespace].hashMix)
        var lanes = HashLanes()
        for index in batch {
            lanes.add(SipHash.words(of: packets[index].tuple))
            guard lanes.isFull || index + 1 == batch.upperBound else { continue }
            lanes.hash(key)
            let first = index + 1 - lanes.count
            for lane in 0..<lanes.count {
                packets[first + lane].knownHash = lanes[lane]
                buckets.prefetch(buckets.bucket(of: lanes[lane]))
            }
            lanes.clear()
        }
        var links = InlineArray<32, Link>(repeating: .none)
        var newcomers = InlineArray<32, Int>(repeating: 0)
        var newcomerCount = 0
        for index in batch {
            let hash = packets[index].knownHash
            let link = buckets[buckets.bucket(of: hash)].likelyLink(hash)
            links[index - batch.lowerBound] = link
            if link != .none {
                records.prefetch(link.slot)
            } else {
                newcomers[newcomerCount] = index
                newcomerCount += 1
            }
        }
        // A newcomer is linked into the chain of its answers too.
        var done = 0
        while done < newcomerCount {
            let end = min(done + HashLanes.capacity, newcomerCount)
            for newcomer in done..<end {
                let tuple = packets[newcomers[newcomer]].tuple
                lanes.add(SipHash.words(of: tuple.inverted ?? tuple))
            }
            lanes.hash(key)
            for lane in 0..<lanes.count {
                packets[newcomers[done + lane]].knownReplyHash = lanes[lane]
                buckets.prefetch(buckets.bucket(of: lanes[lane]))
            }
            lanes.clear()
            done = end
        }
        for index in batch {
            let link = links[index - batch.lowerBound]
            guard link != .none else { continue }
            fetchBehind(link, packets[index].knownHash)
        }
    }

    /// Brings what a lookup that has read a link's record goes on to into the cache.
    @inline(__always)
    private func fetchBehind(_ link: Link, _ hash: UInt32) {
        if records[link.slot].hash(link.direction) != hash {
            let next = next(records[link.slot], link.direction)
            records.prefetch(next.slot)
            states.prefetch(next.slot)
        } else if records[link.slot].protocolNumber != IPProtocol.udp
            || !records[link.slot].status.contains(.assured)
        {
            states.prefetch(link.slot)
        }
    }

    /// Brings the head of a tuple's chain outside all zones into the cache.
    ///
    /// Returns the tuple's hash.
    @inline(__always)
    func fetchAhead(_ tuple: Tuple, _ namespace: NamespaceIndex) -> UInt32 {
        let hash = hash(tuple, zone: 0, namespace)
        buckets.prefetch(buckets.bucket(of: hash))
        return hash
    }
}
