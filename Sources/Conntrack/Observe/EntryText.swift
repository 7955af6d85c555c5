import Wire

// The words of one connection, in the order every line about it has: a listing of the tool, an
// event, /proc. What differs between the three is decided here and nowhere else.

/// Which line a connection is written into.
enum EntryLineKind: Hashable {
    case listing
    case event(EventKind, hasProtocolPart: Bool)
    /// `/proc/net/nf_conntrack`, with the two timeouts of GRE in seconds.
    case proc(greTimeout: UInt32, greTimeoutStream: UInt32)
}

/// Builds the items 1 to 17 of spec formats.md §1, each followed by one space.
struct EntryText {
    let entry: Entry
    let kind: EntryLineKind
    let base: TimeBase
    let now: Instant
    let options: ListingOptions
    var text = ""

    mutating func appendAll() {
        if isProc || options.contains(.extended) { appendFamily() }
        appendProtocolAndTime()
        appendDirection(.original)
        if !entry.status.contains(.seenReply) { text += "[UNREPLIED] " }
        appendDirection(.reply)
        appendFlag()
        appendMarkAndZone()
        appendAge()
        appendHelper()
        switch kind {
        case .listing: text += "use=\(entry.useCount) "
        // The reader holds a reference of its own.
        case .proc: text += "use=\(entry.useCount &+ 1) "
        case .event: break
        }
        if options.contains(.id) { text += "id=\(entry.identifier) " }
    }

    private var isProc: Bool {
        if case .proc = kind { return true }
        return false
    }

    private mutating func appendFamily() {
        text += entry.family == .ipv4 ? "ipv4     2 " : "ipv6     10 "
    }

    // MARK: Items 1 to 4

    private mutating func appendProtocolAndTime() {
        let number = entry.protocolNumber
        let name = isProc ? ProtocolName.inKernel(number) : ProtocolName.inTool(number)
        text += name + String(repeating: " ", count: max(0, 8 - name.count)) + " \(number) "
        if let seconds { text += "\(seconds) " }
        if hasProtocolPart, let state = StateName.word(number, entry.protocolState) {
            text += state + " "
        }
        if case .proc(let timeout, let stream) = kind, number == IPProtocol.gre {
            text += "timeout=\(timeout), stream_timeout=\(stream) "
        }
    }

    /// Seconds to print; `nil` where the kernel sends none.
    var seconds: Int? {
        let seconds = base.seconds(entry.remainingTicks)
        switch kind {
        case .event(.destroy, _): return seconds > 0 ? seconds : nil
        case .proc where isOffloaded: return nil
        default: return seconds
        }
    }

    private var isOffloaded: Bool {
        entry.status.contains(.offload) || entry.status.contains(.hardwareOffload)
    }

    private var hasProtocolPart: Bool {
        if case .event(_, let hasPart) = kind { return hasPart }
        return true
    }

    // MARK: Items 5 to 9

    private mutating func appendDirection(_ direction: Direction) {
        let isOriginal = direction == .original
        appendTuple(isOriginal ? entry.original : entry.reply)
        let zone = isOriginal ? entry.zoneOriginal : entry.zoneReply
        if entry.zoneOriginal != entry.zoneReply, zone != 0 {
            text += isOriginal ? "zone-orig=\(zone) " : "zone-reply=\(zone) "
        }
        guard hasCounters else { return }
        let packets = isOriginal ? entry.packetsOriginal : entry.packetsReply
        let bytes = isOriginal ? entry.bytesOriginal : entry.bytesReply
        text += "packets=\(packets) bytes=\(bytes) "
    }

    /// Of the events, only DESTROY carries the counters and the age.
    var hasCounters: Bool { entry.hasAccounting && isFinalOrDump }
    var hasAge: Bool { entry.hasTimestamp && isFinalOrDump }

    private var isFinalOrDump: Bool {
        if case .event(let event, _) = kind { return event == .destroy }
        return true
    }

    private mutating func appendTuple(_ tuple: Tuple) {
        text += "src=\(address(tuple.source, tuple.family)) "
        text += "dst=\(address(tuple.destination, tuple.family)) "
        let partKind = TuplePartKind(tuple.protocolNumber)
        switch partKind {
        case .nothing: break
        case .ports where isProc && ProtocolName.inKernel(tuple.protocolNumber) == "unknown": break
        case .ports: text += "sport=\(tuple.sourcePart) dport=\(tuple.destinationPart) "
        case .icmp:
            text += "type=\(tuple.icmpType) code=\(tuple.icmpCode) id=\(tuple.sourcePart) "
        case .keys:
            text += "srckey=0x\(String(tuple.sourcePart, radix: 16)) "
            text += "dstkey=0x\(String(tuple.destinationPart, radix: 16)) "
        }
    }

    private func address(_ address: Address, _ family: Family) -> String {
        isProc ? address.fullText(family) : address.text(family)
    }

    // MARK: Items 10 to 14

    private mutating func appendFlag() {
        if entry.status.contains(.hardwareOffload) {
            text += "[HW_OFFLOAD] "
        } else if entry.status.contains(.offload) {
            text += "[OFFLOAD] "
        } else if entry.status.contains(.assured) {
            text += "[ASSURED] "
        }
    }

    /// Events leave out a mark of zero; only /proc shows a two-directional zone of zero.
    private mutating func appendMarkAndZone() {
        if hasMark { text += "mark=\(entry.mark) " }
        guard entry.zoneOriginal == entry.zoneReply else { return }
        if isProc || entry.zoneOriginal != 0 { text += "zone=\(entry.zoneOriginal) " }
    }

    var hasMark: Bool {
        if case .event = kind { return entry.mark != 0 }
        return true
    }

    private mutating func appendAge() {
        guard hasAge else { return }
        text += "delta-time=\(ageSeconds()) "
        guard options.contains(.kernelTimestamp) else { return }
        text += "[start=\(base.dateText(entry.start))] "
        if isDestroy { text += "[stop=\(base.dateText(entry.stop))] " }
    }

    /// Neither /proc nor a DESTROY names the helper.
    private mutating func appendHelper() {
        guard let helper = entry.helper, !isProc, !isDestroy else { return }
        text += "helper=\(helper.name) "
    }

    var isDestroy: Bool {
        if case .event(.destroy, _) = kind { return true }
        return false
    }

    /// Whole seconds from creation to now; of a connection that is gone, to its end.
    ///
    /// The kernel divides the difference; the tool subtracts whole seconds of the wall clock, so
    /// that a connection of 0.2 s may be one second old. Its XML of a DESTROY divides again.
    /// Observed on 6.18.
    func ageSeconds(isXML: Bool = false) -> Int64 {
        let end = isDestroy ? entry.stop : now
        if isProc || (isXML && isDestroy) {
            return max(0, (end - entry.start).nanoseconds) / 1_000_000_000
        }
        let seconds = [entry.start, end].map {
            Int64(clamping: base.unixNanoseconds($0) / 1_000_000_000)
        }
        return max(0, seconds[1] - seconds[0])
    }
}
