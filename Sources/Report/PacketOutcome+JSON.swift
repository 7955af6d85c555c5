// The lines of the contract: the same keys as Codable's, in the contract's order.

extension JSONText {
    /// Appends a packet's line.
    public mutating func line(_ outcome: PacketOutcome) {
        outcome.write(to: &self)
        endLine()
    }

    /// Appends the last line.
    public mutating func line(final record: FinalRecord) {
        object { json in
            json.key("final")
            record.write(to: &json)
        }
        endLine()
    }

    /// Appends the last line with a table that is not in memory as records.
    ///
    /// `table` is written in place of the record's own entries, one by one; `flush` is called
    /// behind each and may take what was written.
    public mutating func line(
        final record: FinalRecord, table: some Sequence<EntryRecord>,
        flush: (inout JSONText) -> Void
    ) {
        object { json in
            json.key("final")
            json.object { json in
                json.key("entries")
                json.array(table) { json, entry in
                    entry.write(to: &json)
                    flush(&json)
                }
                record.writeSummary(to: &json)
            }
        }
        endLine()
    }

    /// Appends either.
    public mutating func line(_ line: OutcomeLine) {
        switch line {
        case .packet(let outcome): self.line(outcome)
        case .final(let record): self.line(final: record)
        }
    }
}

extension PacketOutcome: JSONWritable {
    func write(to json: inout JSONText) {
        json.object { json in
            json.member("packet", packet)
            json.member("time", time)
            json.member("in", ingress)
            json.member("tuple", tuple)
            json.member("state", state)
            json.member("direction", direction)
            json.member("verdict", verdict)
            json.member("reason", reason)
            json.member("invalid_reason", invalidReasons)
            json.member("hook", hook)
            json.member("out", out)
            json.member("answers", answers)
            json.member("payload", payload)
            json.member("events", events)
            json.key("entry")
            if let entry { entry.write(to: &json) } else { json.null() }
            json.member("counters", counters)
            json.member("evicted", evicted)
            json.member("before", before)
        }
    }
}

extension Interlude: JSONWritable {
    func write(to json: inout JSONText) {
        json.object { json in
            json.member("events", events)
            json.member("counters", counters)
        }
    }
}

extension TupleRecord: JSONWritable {
    func write(to json: inout JSONText) {
        json.object { json in
            json.member("proto", proto)
            json.member("src", source)
            json.member("dst", destination)
            json.member("sport", sourcePort)
            json.member("dport", destinationPort)
            json.member("type", type)
            json.member("code", code)
            json.member("id", id)
            json.member("srckey", sourceKey)
            json.member("dstkey", destinationKey)
        }
    }
}

extension OutputRecord: JSONWritable {
    func write(to json: inout JSONText) {
        json.object { json in
            json.member("interface", interface)
            json.member("bytes", bytes)
        }
    }
}

extension EventRecord: JSONWritable {
    func write(to json: inout JSONText) {
        json.object { json in
            json.member("type", type)
            json.member("entry", entry)
        }
    }
}

extension PayloadRecord: JSONWritable {
    func write(to json: inout JSONText) {
        json.object { json in
            json.member("before", before)
            json.member("after", after)
        }
    }
}

extension EntryRecord: JSONWritable {
    func write(to json: inout JSONText) {
        json.object { json in
            json.member("proto", proto)
            json.member("original", original)
            json.member("reply", reply)
            json.member("status", status)
            json.member("timeout", timeout)
            json.member("tcp", tcp)
            json.member("sctp", sctp)
            json.member("mark", mark)
            json.member("zone", zone)
            json.member("zone_orig", originalZone)
            json.member("zone_reply", replyZone)
            json.member("helper", helper)
            json.member("labels", labels)
            json.member("packets", packets)
            json.member("bytes", bytes)
            json.member("id", id)
        }
    }
}

extension TCPRecord: JSONWritable {
    func write(to json: inout JSONText) {
        json.object { json in
            json.member("state", state)
            json.member("wscale_original", originalWindowScale)
            json.member("wscale_reply", replyWindowScale)
            json.member("flags_original", originalFlags)
            json.member("flags_reply", replyFlags)
        }
    }
}

extension CounterChanges: JSONWritable {
    func write(to json: inout JSONText) {
        json.object { json in
            for change in changes { json.member(change.name, change.value) }
        }
    }
}

extension FinalRecord: JSONWritable {
    func write(to json: inout JSONText) {
        json.object { json in
            json.member("entries", entries)
            writeSummary(to: &json)
        }
    }

    /// Everything but the entries.
    func writeSummary(to json: inout JSONText) {
        json.member("counters", counters)
        json.member("count", count)
        json.member("peak", peak)
        json.member("kernel_log", kernelLog)
        json.member("version", version)
        json.key("seed")
        json.value(seed)
    }
}

extension SCTPRecord: JSONWritable {
    func write(to json: inout JSONText) {
        json.object { json in
            json.member("state", state)
            json.member("vtag_original", originalTag.map(Int.init))
            json.member("vtag_reply", replyTag.map(Int.init))
        }
    }
}
