internal import LinuxCalls
internal import Report
internal import Wire

/// A connection as the kernel tells it: in the form both arms are compared in, and its keys.
struct KernelEntry {
    var record: EntryRecord
    var original: FlowTuple
    var reply: FlowTuple

    /// Whether the tracker finds it for a packet of `tuple` in `zones`: the direction that the
    /// tuple is of has the packet's zone of that direction.
    func isSeen(by tuple: FlowTuple, in zones: ZoneNumbers) -> Bool {
        let both = record.zone ?? 0
        if tuple == original { return (record.originalZone ?? both) == Int(zones.original) }
        return tuple == reply && (record.replyZone ?? both) == Int(zones.reply)
    }
}

/// Reads a connection out of a ctnetlink message into the form both arms are compared in.
enum EntryReader {
    /// The status bits' names, lowest bit first (spec table.md §12).
    private static let statusNames = [
        "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED", "SRC_NAT", "DST_NAT", "SEQ_ADJUST",
        "SRC_NAT_DONE", "DST_NAT_DONE", "DYING", "FIXED_TIMEOUT", "TEMPLATE", "NAT_CLASH",
        "HELPER", "OFFLOAD", "HW_OFFLOAD",
    ]
    /// The TCP states' names by the kernel's numbers (spec tcp.md §1).
    private static let tcpStates = [
        "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
        "TIME_WAIT", "CLOSE", "SYN_SENT2",
    ]
    /// The SCTP states' names by the kernel's numbers (spec protocols.md §7).
    private static let sctpStates = [
        "NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT",
        "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT",
    ]

    /// `nil` if the message has no readable tuples, which the kernel never sends.
    static func entry(in buffer: [UInt8], _ message: NetlinkMessage) -> KernelEntry? {
        guard message.payload.count >= 4 else { return nil }
        var original: FlowTuple?
        var reply: FlowTuple?
        var rest = EntryRecord(
            proto: 0, original: TupleRecord(source: "", destination: ""),
            reply: TupleRecord(source: "", destination: ""), status: [])
        var attributes = NetlinkAttributes(message.payload.dropFirst(4))
        while let attribute = attributes.next(in: buffer) {
            switch attribute.type {
            case 1:
                original = tuple(in: buffer, attribute.payload)
                rest.originalZone = zone(in: buffer, attribute.payload)
            case 2:
                reply = tuple(in: buffer, attribute.payload)
                rest.replyZone = zone(in: buffer, attribute.payload)
            case 3: rest.status = names(of: number(in: buffer, attribute.payload))
            case 4: readState(in: buffer, attribute.payload, into: &rest)
            case 5: rest.helper = helper(in: buffer, attribute.payload)
            case 7: rest.timeout = number(in: buffer, attribute.payload)
            case 8: rest.mark = nonZero(number(in: buffer, attribute.payload))
            case 9, 10: addCounters(in: buffer, attribute, to: &rest)
            case 12: rest.id = number(in: buffer, attribute.payload)
            case 22: rest.labels = labels(in: buffer, attribute.payload)
            case 18: rest.zone = nonZero(number(in: buffer, attribute.payload))
            default: break
            }
        }
        guard let original, let reply else { return nil }
        rest.proto = Int(original.protocolNumber)
        rest.original = original.record
        rest.reply = reply.record
        return KernelEntry(record: rest, original: original, reply: reply)
    }

    private static func nonZero(_ value: Int) -> Int? { value == 0 ? nil : value }

    /// A number in network order; 0 if it is longer than eight bytes.
    private static func number(in buffer: [UInt8], _ stretch: Range<Int>) -> Int {
        guard stretch.count <= 8 else { return 0 }
        return Int(
            truncatingIfNeeded: buffer[stretch].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }

    private static func names(of status: Int) -> [String] {
        statusNames.enumerated().filter { status >> $0.offset & 1 == 1 }.map(\.element)
    }

    private static func tuple(in buffer: [UInt8], _ stretch: Range<Int>) -> FlowTuple? {
        var tuple = FlowTuple(
            family: .ipv4, source: .zero, destination: .zero, protocolNumber: 0)
        var hasAddresses = false
        var parts = NetlinkAttributes(stretch)
        while let part = parts.next(in: buffer) {
            var attributes = NetlinkAttributes(part.payload)
            while let attribute = attributes.next(in: buffer) {
                if part.type == 1 {
                    hasAddresses = readAddress(in: buffer, attribute, into: &tuple)
                } else if part.type == 2 {
                    readProtocol(in: buffer, attribute, into: &tuple)
                }
            }
        }
        return hasAddresses ? tuple : nil
    }

    /// The zone of one direction only, inside its tuple.
    private static func zone(in buffer: [UInt8], _ stretch: Range<Int>) -> Int? {
        var parts = NetlinkAttributes(stretch)
        while let part = parts.next(in: buffer) {
            if part.type == 3 { return nonZero(number(in: buffer, part.payload)) }
        }
        return nil
    }

    /// The helper's name, a string with a zero behind it.
    private static func helper(in buffer: [UInt8], _ stretch: Range<Int>) -> String? {
        var parts = NetlinkAttributes(stretch)
        while let part = parts.next(in: buffer) {
            guard part.type == 1 else { continue }
            return String(decoding: buffer[part.payload].prefix { $0 != 0 }, as: UTF8.self)
        }
        return nil
    }

    /// The bits that are set, counted from the first byte's lowest.
    private static func labels(in buffer: [UInt8], _ stretch: Range<Int>) -> [Int]? {
        let bytes = buffer[stretch].enumerated()
        let numbers = bytes.flatMap { place, byte in
            (0..<8).filter { byte >> UInt8($0) & 1 == 1 }.map { place * 8 + $0 }
        }
        return numbers.isEmpty ? nil : numbers
    }

    private static func readAddress(
        in buffer: [UInt8], _ attribute: NetlinkAttribute, into tuple: inout FlowTuple
    ) -> Bool {
        let start = attribute.payload.lowerBound
        switch (attribute.type, attribute.payload.count) {
        case (1, 4): tuple.source = buffer.span.ipv4Address(at: start)
        case (2, 4): tuple.destination = buffer.span.ipv4Address(at: start)
        case (3, 16):
            tuple.family = .ipv6
            tuple.source = buffer.span.ipv6Address(at: start)
        case (4, 16): tuple.destination = buffer.span.ipv6Address(at: start)
        default: return false
        }
        return true
    }

    private static func readProtocol(
        in buffer: [UInt8], _ attribute: NetlinkAttribute, into tuple: inout FlowTuple
    ) {
        let value = UInt16(truncatingIfNeeded: number(in: buffer, attribute.payload))
        switch attribute.type {
        case 1: tuple.protocolNumber = UInt8(truncatingIfNeeded: value)
        case 2, 4, 7: tuple.first = value  // source port or key, ICMP id, ICMPv6 id
        case 3: tuple.second = value  // destination port or key
        case 5, 8: tuple.second = value << 8 | tuple.second & 0xFF  // type
        case 6, 9: tuple.second = tuple.second & 0xFF00 | value  // code
        default: break
        }
    }

    /// The protocol's own part: attribute 1 for TCP, 3 for SCTP.
    private static func readState(
        in buffer: [UInt8], _ stretch: Range<Int>, into entry: inout EntryRecord
    ) {
        var outer = NetlinkAttributes(stretch)
        guard let part = outer.next(in: buffer) else { return }
        if part.type == 1 { entry.tcp = tcp(in: buffer, part) }
        if part.type == 3 { entry.sctp = sctp(in: buffer, part) }
    }

    private static func sctp(in buffer: [UInt8], _ part: NetlinkAttribute) -> SCTPRecord {
        var record = SCTPRecord(state: "NONE")
        var attributes = NetlinkAttributes(part.payload)
        while let attribute = attributes.next(in: buffer) {
            let value = number(in: buffer, attribute.payload)
            switch attribute.type {
            case 1: record.state = value < sctpStates.count ? sctpStates[value] : "\(value)"
            case 2: record.originalTag = UInt32(truncatingIfNeeded: value)
            case 3: record.replyTag = UInt32(truncatingIfNeeded: value)
            default: break
            }
        }
        return record
    }

    private static func tcp(in buffer: [UInt8], _ part: NetlinkAttribute) -> TCPRecord {
        var record = TCPRecord(state: "NONE")
        var attributes = NetlinkAttributes(part.payload)
        while let attribute = attributes.next(in: buffer) {
            guard !attribute.payload.isEmpty else { continue }
            // The flags come with a mask behind them, which says nothing here.
            let byte = Int(buffer[attribute.payload.lowerBound])
            switch attribute.type {
            case 1: record.state = byte < tcpStates.count ? tcpStates[byte] : "\(byte)"
            case 2: record.originalWindowScale = byte
            case 3: record.replyWindowScale = byte
            case 4: record.originalFlags = byte
            case 5: record.replyFlags = byte
            default: break
            }
        }
        return record
    }

    private static func addCounters(
        in buffer: [UInt8], _ attribute: NetlinkAttribute, to entry: inout EntryRecord
    ) {
        var packets = 0
        var bytes = 0
        var attributes = NetlinkAttributes(attribute.payload)
        while let attribute = attributes.next(in: buffer) {
            if attribute.type == 1 { packets = number(in: buffer, attribute.payload) }
            if attribute.type == 2 { bytes = number(in: buffer, attribute.payload) }
        }
        // The kernel writes the original direction first.
        entry.packets = (entry.packets ?? []) + [packets]
        entry.bytes = (entry.bytes ?? []) + [bytes]
    }
}
