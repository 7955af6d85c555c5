import Wire

// `conntrack -L` in all its forms, and /proc/net/nf_conntrack: spec formats.md §1, §2 and §8, byte
// for byte. Lines come without their line feed.

/// What `-o` adds to the lines of `conntrack -L` and `-E`.
public struct ListingOptions: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// `ipv4     2 ` in front.
    public static let extended = ListingOptions(rawValue: 1)
    /// ` id=N` at the end.
    public static let id = ListingOptions(rawValue: 2)
    /// When the connection began and, once it is over, ended, in UTC.
    public static let kernelTimestamp = ListingOptions(rawValue: 4)
    /// Events only: `[seconds.microseconds]` and a tab in front.
    public static let timestamp = ListingOptions(rawValue: 8)
}

/// Writes connections as the conntrack tool and /proc list them.
public struct Listing: Sendable {
    public var base: TimeBase
    public var options: ListingOptions

    public init(_ base: TimeBase, options: ListingOptions = []) {
        self.base = base
        self.options = options
    }

    /// A line of `conntrack -L`.
    public func line(_ entry: Entry, at now: Instant) -> String {
        line(entry, .listing, at: now)
    }

    /// A line of `/proc/net/nf_conntrack`.
    ///
    /// `sysctl` names the two GRE timeouts, which the kernel copies into an entry when it is made.
    public func procLine(_ entry: Entry, at now: Instant, _ sysctl: Sysctl) -> String {
        line(
            entry,
            .proc(greTimeout: sysctl.greTimeout, greTimeoutStream: sysctl.greTimeoutStream),
            at: now)
    }

    func line(_ entry: Entry, _ kind: EntryLineKind, at now: Instant) -> String {
        var line = EntryText(entry: entry, kind: kind, base: base, now: now, options: options)
        line.appendAll()
        return String(line.text.dropLast())
    }

    /// A line of `conntrack -L -o save`: the command that would make this connection.
    ///
    /// The mark is not saved, as in version 1.4.7.
    public func saveLine(_ entry: Entry) -> String { saveLine(entry, hasTags: true) }

    /// `hasTags`: whether netlink sent the verification tags of SCTP.
    func saveLine(_ entry: Entry, hasTags: Bool) -> String {
        var line = "-A -t \(base.seconds(entry.remainingTicks)) -u "
        let status = [
            (Status.expected, "EXPECTED"), (.seenReply, "SEEN_REPLY"), (.assured, "ASSURED"),
        ]
        .filter { entry.status.contains($0.0) }.map(\.1)
        line += status.isEmpty ? "UNSET" : status.joined(separator: ",")
        if entry.zoneOriginal != entry.zoneReply {
            if entry.zoneOriginal != 0 { line += " --orig-zone \(entry.zoneOriginal)" }
            if entry.zoneReply != 0 { line += " --reply-zone \(entry.zoneReply)" }
        } else if entry.zoneOriginal != 0 {
            line += " -w \(entry.zoneOriginal)"
        }
        let family = entry.family
        line += " -s \(entry.original.source.text(family))"
        line += " -d \(entry.original.destination.text(family))"
        line += " -r \(entry.reply.source.text(family)) -q \(entry.reply.destination.text(family))"
        let name = ProtocolName.inTool(entry.protocolNumber)
        line += " -p \(name == "unknown" ? "\(entry.protocolNumber)" : name)"
        line += savedParts(entry)
        if let state = StateName.word(entry.protocolNumber, entry.protocolState) {
            line += " --state \(state)"
        }
        if hasTags, entry.protocolNumber == IPProtocol.sctp {
            line += " --orig-vtag \(entry.tagOriginal) --reply-vtag \(entry.tagReply)"
        }
        return line
    }

    private func savedParts(_ entry: Entry) -> String {
        let (original, reply) = (entry.original, entry.reply)
        switch TuplePartKind(entry.protocolNumber) {
        case .ports where entry.protocolNumber == ProtocolName.dccp: return ""
        case .ports:
            return " --sport \(original.sourcePart) --dport \(original.destinationPart)"
                + " --reply-port-src \(reply.sourcePart) --reply-port-dst \(reply.destinationPart)"
        case .icmp:
            let option = entry.protocolNumber == IPProtocol.icmp ? "icmp" : "icmpv6"
            return " --\(option)-type \(original.icmpType) --\(option)-code \(original.icmpCode)"
                + " --\(option)-id \(original.sourcePart)"
        case .keys:
            return " --srckey \(original.sourcePart) --dstkey \(original.destinationPart)"
                + " --reply-key-src \(reply.sourcePart) --reply-key-dst \(reply.destinationPart)"
        case .nothing: return ""
        }
    }
}
