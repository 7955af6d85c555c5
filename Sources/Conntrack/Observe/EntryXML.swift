import Wire

// `-o xml` of `conntrack -L` and `-E`: spec formats.md §8. One `<flow>` a line, between two lines
// that the tool prints only when there is a flow at all.

extension Listing {
    /// The two lines before the first flow.
    public static let xmlHead = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>"
    /// The line after the last flow.
    public static let xmlTail = "</conntrack>"

    /// A `<flow>` of `conntrack -L -o xml`; the id is always there.
    public func xmlLine(_ entry: Entry, at now: Instant) -> String {
        xmlLine(entry, .listing, at: now)
    }

    func xmlLine(_ entry: Entry, _ kind: EntryLineKind, at now: Instant) -> String {
        let text = EntryText(entry: entry, kind: kind, base: base, now: now, options: options)
        var line = "<flow>"
        if case .event(let event, _) = kind { line = "<flow type=\"\(event.xmlName)\">" }
        line += direction("original", entry.original, text)
        line += direction("reply", entry.reply, text)
        line += independent(text)
        if let helper = entry.helper, !text.isDestroy { line += "<helper>\(helper.name)</helper>" }
        return line + "</flow>"
    }

    private func direction(_ name: String, _ tuple: Tuple, _ text: EntryText) -> String {
        let entry = text.entry
        let isOriginal = name == "original"
        let number = tuple.protocolNumber
        var part = "<meta direction=\"\(name)\">"
        part += "<layer3 protonum=\"\(tuple.family.rawValue)\" "
        part += "protoname=\"\(tuple.family == .ipv4 ? "ipv4" : "ipv6")\">"
        part += "<src>\(tuple.source.text(tuple.family))</src>"
        part += "<dst>\(tuple.destination.text(tuple.family))</dst></layer3>"
        part += "<layer4 protonum=\"\(number)\" protoname=\"\(ProtocolName.inTool(number))\">"
        switch TuplePartKind(number) {
        case .ports:
            part += "<sport>\(tuple.sourcePart)</sport><dport>\(tuple.destinationPart)</dport>"
        case .keys:
            part += "<srckey>0x\(String(tuple.sourcePart, radix: 16))</srckey>"
            part += "<dstkey>0x\(String(tuple.destinationPart, radix: 16))</dstkey>"
        case .icmp, .nothing: break  // The tool has no elements for ICMP.
        }
        part += "</layer4>"
        let zone = isOriginal ? entry.zoneOriginal : entry.zoneReply
        if entry.zoneOriginal != entry.zoneReply, zone != 0 { part += "<zone>\(zone)</zone>" }
        if text.hasCounters {
            let packets = isOriginal ? entry.packetsOriginal : entry.packetsReply
            let bytes = isOriginal ? entry.bytesOriginal : entry.bytesReply
            part += "<counters><packets>\(packets)</packets><bytes>\(bytes)</bytes></counters>"
        }
        return part + "</meta>"
    }

    private func independent(_ text: EntryText) -> String {
        let entry = text.entry
        var part = "<meta direction=\"independent\">"
        if text.hasProtocolState {
            // The tool names every state as if it were TCP's: SCTP's CLOSED is SYN_SENT here.
            part += "<state>\(StateName.tcp(entry.protocolState))</state>"
        }
        if let seconds = text.seconds { part += "<timeout>\(seconds)</timeout>" }
        if text.hasMark { part += "<mark>\(entry.mark)</mark>" }
        if entry.zoneOriginal == entry.zoneReply, entry.zoneOriginal != 0 {
            part += "<zone>\(entry.zoneOriginal)</zone>"
        }
        if case .listing = text.kind { part += "<use>\(entry.useCount)</use>" }
        part += "<id>\(entry.identifier)</id>"
        if entry.status.contains(.assured) { part += "<assured/>" }
        if !entry.status.contains(.seenReply) { part += "<unreplied/>" }
        if text.hasAge {
            if options.contains(.kernelTimestamp) { part += timestamp(text) }
            part += "<deltatime>\(text.ageSeconds(isXML: true))</deltatime>"
        }
        return part + "</meta>"
    }

    private func timestamp(_ text: EntryText) -> String {
        var part = "<timestamp><start>\(base.unixNanoseconds(text.entry.start))</start>"
        if text.isDestroy { part += "<stop>\(base.unixNanoseconds(text.entry.stop))</stop>" }
        return part + "</timestamp>"
    }
}

extension EntryText {
    var hasProtocolState: Bool {
        let hasState = StateName.word(entry.protocolNumber, entry.protocolState) != nil
        if case .event(_, let hasPart) = kind { return hasPart && hasState }
        return hasState
    }
}

extension EventKind {
    fileprivate var xmlName: String {
        switch self {
        case .new: "new"
        case .update: "update"
        case .destroy: "destroy"
        }
    }
}
