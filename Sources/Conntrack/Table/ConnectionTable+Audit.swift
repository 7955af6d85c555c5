// What must hold of a table whatever came: for tests and fuzzers. Nothing on the packet path asks.

extension ConnectionTable {
    /// What is wrong with the table's links, counts and summaries; empty in a sound one.
    ///
    /// A confirmed connection stands in the hash twice, or once, in reply direction, after a clash
    /// (spec table.md §11); each link in the chain its hash says. `packets`: those
    /// between two steps of their path. What they hold counts too, though no chain has it.
    public func audit(holding packets: [Packet] = [], at now: Moment) -> [String] {
        var findings: [String] = []
        var links: [UInt32: Int] = [:]
        var counts = [Int](repeating: 0, count: namespaces.count)
        for bucket in 0..<buckets.count {
            var link = buckets[bucket].first
            var length = 0
            while link != .none {
                length += 1
                guard length <= records.count * 2 else {
                    return findings + ["bucket \(bucket): a chain without end"]
                }
                let record = records[link.slot]
                let hash = record.hash(link.direction)
                if buckets.bucket(of: hash) != bucket {
                    findings.append("bucket \(bucket): slot \(link.slot.index) does not belong")
                }
                if buckets[bucket].cannotHold(hash) {
                    findings.append("bucket \(bucket): no tag for slot \(link.slot.index)")
                }
                links[link.slot.index, default: 0] += 1
                if links[link.slot.index] == 1 { counts[Int(record.namespace.raw)] += 1 }
                link = next(record, link.direction)
            }
            if buckets[bucket].isLengthExact, Int(buckets[bucket].length) != length {
                findings.append("bucket \(bucket): \(length) links, its head says otherwise")
            }
        }
        // A master that has gone is kept, and counted, by the connections it announced.
        var masters: Set<UInt32> = []
        for slot in links.keys {
            guard let index = attachments(of: Slot(slot)) else { continue }
            let master = attached[index].master
            guard master != .none, links[master.index] == nil else { continue }
            if masters.insert(master.index).inserted {
                counts[Int(records[master].namespace.raw)] += 1
            }
        }
        var held: Set<UInt32> = []
        for packet in packets where packet.connection != .none {
            let slot = packet.connection.index
            if records[packet.connection].references == 0 {
                findings.append("slot \(slot): a packet holds it and it is free")
            }
            guard links[slot] == nil, !masters.contains(slot), held.insert(slot).inserted else {
                continue
            }
            counts[Int(records[packet.connection].namespace.raw)] += 1
        }
        for (slot, count) in links.sorted(by: { $0.key < $1.key }) {
            let status = records[slot].status
            let expected = status.contains(.natClash) ? 1 : 2
            if count != expected { findings.append("slot \(slot): \(count) links of \(expected)") }
            if !status.contains(.confirmed) || status.contains(.dying) {
                findings.append("slot \(slot): linked though its status is \(status)")
            }
            if records[slot].references == 0 { findings.append("slot \(slot): held by nobody") }
        }
        let total = counts.reduce(0, +)
        let said = (0..<namespaces.count).reduce(0) {
            $0 + Int(namespaces[UInt32($1)].count)
        }
        if total != said { findings.append("\(total) connections, and a count of \(said)") }
        if records.count != said { findings.append("\(records.count) records for \(said)") }
        return findings
    }
}

extension Node {
    /// What is wrong with the machine's table between two packets; empty in a sound one.
    ///
    /// `packets`: those between two steps of their path.
    public func audit(holding packets: [Packet] = [], at now: Instant) -> [String] {
        table.audit(holding: packets, at: moment(now))
    }
}
