internal import Report

/// Entries, events and packets as one reads them in a difference.
enum EntryText {
    static func line(_ entry: EntryRecord) -> String {
        var words = ["proto \(entry.proto)"]
        if let timeout = entry.timeout { words.append("\(timeout) s") }
        if let state = protocolState(entry) { words.append(state) }
        words.append("[\(tuple(entry.original))] [\(tuple(entry.reply))]")
        words.append(entry.status.joined(separator: ","))
        if let rest = rest(entry) { words.append(rest) }
        return words.joined(separator: " ")
    }

    static func lines(_ events: [EventRecord]) -> String {
        events.isEmpty
            ? "none" : events.map { "\($0.type) \(line($0.entry))" }.joined(separator: "\n")
    }

    static func lines(_ output: [OutputRecord]) -> String {
        output.isEmpty
            ? "none" : output.map { "\($0.interface) \($0.bytes)" }.joined(separator: "\n")
    }

    static func tuple(_ tuple: TupleRecord) -> String {
        let parts: [(String, Int?)] = [
            ("sport", tuple.sourcePort), ("dport", tuple.destinationPort), ("type", tuple.type),
            ("code", tuple.code), ("id", tuple.id), ("srckey", tuple.sourceKey),
            ("dstkey", tuple.destinationKey),
        ]
        let rest = parts.compactMap { name, value in value.map { " \(name)=\($0)" } }
        return "src=\(tuple.source) dst=\(tuple.destination)" + rest.joined()
    }

    /// Protocol and original tuple: what tells entries apart.
    static func key(_ entry: EntryRecord) -> String {
        "\(entry.proto) \(tuple(entry.original)) zone=\(entry.originalZone ?? entry.zone ?? 0)"
    }

    /// The part of TCP or SCTP; `nil` where there is none.
    static func protocolState(_ entry: EntryRecord) -> String? {
        if let sctp = entry.sctp {
            let tags: [(String, UInt32?)] = [("vtag", sctp.originalTag), ("/", sctp.replyTag)]
            return sctp.state
                + tags.compactMap { name, tag in tag.map { " \(name) \($0)" } }.joined()
        }
        guard let tcp = entry.tcp else { return nil }
        let parts: [(String, Int?)] = [
            ("wscale", tcp.originalWindowScale), ("/", tcp.replyWindowScale),
            ("flags", tcp.originalFlags), ("/", tcp.replyFlags),
        ]
        let known = parts.compactMap { name, value in value.map { " \(name) \($0)" } }
        return tcp.state + known.joined()
    }

    /// Mark, zone and accounting; `nil` if all are as in a fresh entry.
    static func rest(_ entry: EntryRecord) -> String? {
        var words: [String] = []
        if let mark = entry.mark, mark != 0 { words.append("mark=\(mark)") }
        if let zone = entry.zone, zone != 0 { words.append("zone=\(zone)") }
        if let zone = entry.originalZone { words.append("zone-orig=\(zone)") }
        if let zone = entry.replyZone { words.append("zone-reply=\(zone)") }
        if let helper = entry.helper { words.append("helper=\(helper)") }
        if let labels = entry.labels { words.append("labels=\(labels)") }
        if let packets = entry.packets { words.append("packets=\(packets)") }
        if let bytes = entry.bytes { words.append("bytes=\(bytes)") }
        return words.isEmpty ? nil : words.joined(separator: " ")
    }
}
