public import Conntrack
import Wire

/// Turns what a node did into the records of the contract.
public struct OutcomeRecorder: Sendable {
    let interfaceNames: [String]
    let base: TimeBase
    /// How a rule is named under the key `hook`.
    let describe: @Sendable (RuleReference) -> String

    /// - Parameter describe: text for a rule that dropped a packet.
    public init(
        interfaceNames: [String], base: TimeBase,
        describe: @escaping @Sendable (RuleReference) -> String
    ) {
        self.interfaceNames = interfaceNames
        self.base = base
        self.describe = describe
    }

    /// The record of a packet, without counters and interlude, which its driver knows.
    public func outcome(
        packet: Int, at now: Instant, _ delivery: Delivery, _ journal: Journal
    ) -> PacketOutcome {
        var outcome = PacketOutcome(
            packet: packet, time: Self.time(now), state: delivery.info.state.rawValue,
            verdict: delivery.verdict.rawValue)
        outcome.ingress = name(delivery.inInterface)
        outcome.tuple = delivery.tuple.map { record($0, withProtocol: true) }
        outcome.direction = delivery.info.direction.map { $0 == .original ? "original" : "reply" }
        outcome.reason = delivery.reason?.rawValue
        if !journal.remarks.isEmpty { outcome.invalidReasons = journal.remarks.map(\.line) }
        outcome.hook = delivery.rule.map(describe)
        outcome.out = records(delivery.out)
        outcome.answers = records(delivery.answers)
        outcome.payload = delivery.payload.map {
            PayloadRecord(
                before: String(decoding: $0.before, as: UTF8.self),
                after: String(decoding: $0.after, as: UTF8.self))
        }
        outcome.events = events(journal)
        outcome.entry = delivery.entry.map { record($0) }
        if journal.removedCount > 0 { outcome.evicted = journal.removedCount }
        return outcome
    }

    /// Packets that left; `nil` for none.
    private func records(_ transmissions: [Transmission]) -> [OutputRecord]? {
        guard !transmissions.isEmpty else { return nil }
        return transmissions.map {
            OutputRecord(interface: name($0.interface) ?? "", bytes: Self.hex($0.bytes))
        }
    }

    /// The events written down since the journal was last emptied; `nil` for none.
    public func events(_ journal: Journal) -> [EventRecord]? {
        journal.events.isEmpty ? nil : journal.events.map { record($0) }
    }

    /// An event, with what netlink sends of its entry.
    public func record(_ event: ConntrackEvent) -> EventRecord {
        var entry = record(event.entry)
        if event.kind != .destroy {
            entry.packets = nil
            entry.bytes = nil
        } else {
            if entry.timeout == 0 { entry.timeout = nil }
            entry.helper = nil
            entry.tcp = entry.tcp.map { TCPRecord(state: $0.state) }
            entry.sctp = entry.sctp.map { SCTPRecord(state: $0.state) }
        }
        if !event.hasProtocolPart {
            entry.tcp = nil
            entry.sctp = nil
        }
        return EventRecord(type: event.kind.name, entry: entry)
    }

    /// An entry of a listing or a lookup.
    public func record(_ entry: Entry) -> EntryRecord {
        var record = EntryRecord(
            proto: Int(entry.protocolNumber), original: record(entry.original),
            reply: record(entry.reply), status: entry.status.setNames)
        record.timeout = base.seconds(entry.remainingTicks)
        if entry.protocolNumber == IPProtocol.tcp {
            var tcp = TCPRecord(state: StateName.tcp(entry.protocolState))
            tcp.originalWindowScale = Int(entry.windowScaleOriginal)
            tcp.replyWindowScale = Int(entry.windowScaleReply)
            tcp.originalFlags = Int(entry.flagsOriginal)
            tcp.replyFlags = Int(entry.flagsReply)
            record.tcp = tcp
        }
        if entry.protocolNumber == IPProtocol.sctp {
            var sctp = SCTPRecord(state: StateName.sctp(entry.protocolState))
            sctp.originalTag = entry.tagOriginal
            sctp.replyTag = entry.tagReply
            record.sctp = sctp
        }
        record.mark = Int(entry.mark)
        if entry.zoneOriginal == entry.zoneReply {
            record.zone = Int(entry.zoneOriginal)
        } else {
            if entry.zoneOriginal != 0 { record.originalZone = Int(entry.zoneOriginal) }
            if entry.zoneReply != 0 { record.replyZone = Int(entry.zoneReply) }
        }
        record.helper = entry.helper?.name
        if !entry.labels.isEmpty { record.labels = entry.labels.numbers }
        if entry.hasAccounting {
            record.packets = [
                Int(clamping: entry.packetsOriginal), Int(clamping: entry.packetsReply),
            ]
            record.bytes = [Int(clamping: entry.bytesOriginal), Int(clamping: entry.bytesReply)]
        }
        record.id = Int(entry.identifier)
        return record
    }

    /// A tuple; with its protocol where it stands alone.
    public func record(_ tuple: Tuple, withProtocol: Bool = false) -> TupleRecord {
        var record = TupleRecord(
            source: tuple.source.text(tuple.family),
            destination: tuple.destination.text(tuple.family))
        if withProtocol { record.proto = Int(tuple.protocolNumber) }
        switch tuple.protocolNumber {
        case IPProtocol.tcp, IPProtocol.udp, IPProtocol.udpLite, IPProtocol.sctp:
            record.sourcePort = Int(tuple.sourcePart)
            record.destinationPort = Int(tuple.destinationPart)
        case IPProtocol.icmp, IPProtocol.icmpv6:
            record.type = Int(tuple.icmpType)
            record.code = Int(tuple.icmpCode)
            record.id = Int(tuple.sourcePart)
        case IPProtocol.gre:
            record.sourceKey = Int(tuple.sourcePart)
            record.destinationKey = Int(tuple.destinationPart)
        default: break
        }
        return record
    }

    /// The name of an interface; `nil` for none.
    public func name(_ interface: InterfaceIndex) -> String? {
        let index = Int(interface.raw)
        return index < interfaceNames.count ? interfaceNames[index] : nil
    }

    /// Seconds with nine decimals.
    public static func time(_ instant: Instant) -> String {
        let fraction = String(instant.nanoseconds % 1_000_000_000)
        let zeros = String(repeating: "0", count: 9 - fraction.count)
        return "\(instant.nanoseconds / 1_000_000_000).\(zeros)\(fraction)"
    }

    /// Bytes as lower-case hex digits.
    public static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 0xf)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
