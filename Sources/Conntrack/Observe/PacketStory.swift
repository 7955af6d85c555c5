internal import Wire

// A packet's way in words: hook after hook, and at each what was asked and answered. It keeps the
// order of `nft monitor trace`, and says of everything why.
//
//   prerouting
//     track      tcp 10.0.0.2:40001 > 198.51.100.7:80: bucket 5123, 1 link walked: found, …
//     tcp        ACK from the original side: SYN_RECV -> ESTABLISHED

/// Tells steps as lines.
struct PacketStory {
    let ruleset: Ruleset
    let interfaces: [String]
    let tickRate: TickRate
    let sysctl: Sysctl
    private(set) var lines: [String] = []
    /// The lookup of the packet that is being told: a second one is a reopened connection.
    private var removedBefore = 0
    private var probes: [(tuple: Tuple, isTaken: Bool)] = []

    init(ruleset: Ruleset, interfaces: [String], tickRate: TickRate, sysctl: Sysctl) {
        self.ruleset = ruleset
        self.interfaces = interfaces
        self.tickRate = tickRate
        self.sysctl = sysctl
    }

    mutating func tell(_ step: TraceStep) {
        switch step {
        case .hook(let hook, let packet): tell(hook, packet)
        case .chain(let chain, let matches, let outcome): tell(chain, matches, outcome)
        case .lookup(let trace): tell(lookup: trace)
        case .made(let trace): tell(made: trace)
        case .tableFull:
            say(
                "track",
                "the table is full (nf_conntrack_max \(sysctl.max)) and early drop found "
                    + "no victim in eight buckets: the packet is dropped")
        case .unlinked(let remark):
            say("track", "INVALID: \(remark.map { "\"\($0.words)\"" } ?? "no entry can be named")")
            say("", "it goes on without an entry; only a rule can drop it")
        case .related(let entry):
            say(
                "track",
                "the error quotes a packet of \(text(entry.original)): RELATED to its entry")
        case .followed(let trace): tell(trace)
        case .policy(let ticks):
            say(
                "",
                ticks.map { "  the entry has the timeout policy's lifetimes now: \(seconds($0))" }
                    ?? "  the timeout policy changes nothing: the entry is in the table already")
        case .route(let destination, let packet): tell(destination, packet)
        case .decision(let trace): tell(trace)
        case .probe(let tuple, let isTaken): probes.append((tuple, isTaken))
        case .evicted(let tuple):
            say("nat", "takes the place of the closed \(text(tuple)), whose entry goes")
        case .translated(let before, let after):
            say("nat", "rewritten: \(text(before)) becomes \(text(after))")
        case .confirmed(let outcome): say("confirm", Self.words(outcome))
        case .answered(let packet):
            say("answer", "\(text(packet.tuple)), which this machine sends back")
        case .helped(let trace): tell(trace)
        }
    }

    /// A line under the present hook: a topic, and what is said about it.
    mutating func say(_ topic: String, _ text: String) {
        let gap = String(repeating: " ", count: max(1, 10 - topic.count))
        lines.append("    \(topic)\(gap)\(text)")
    }

    // MARK: Hooks and rules

    private mutating func tell(_ hook: Hook, _ packet: Packet) {
        let ways = [("in", packet.inInterface), ("out", packet.outInterface)]
            .compactMap { word, interface in name(interface).map { "\(word) \($0)" } }
        lines.append("  \(hook.name): \(text(packet.tuple)), \(ways.joined(separator: ", "))")
    }

    private mutating func tell(
        _ destination: Routing.Destination, _ packet: Packet
    ) {
        switch destination {
        case .local: lines.append("  route: to this machine")
        case .interface(let egress):
            let onward =
                packet.timeToLive > 1 ? "TTL \(packet.timeToLive - 1) from here" : "TTL used up"
            lines.append("  route: out by \(name(egress) ?? "?"), \(onward)")
        case .martian:
            lines.append("  route: refused, no packet from outside may have this address")
        case .none: lines.append("  route: none")
        }
    }

    private mutating func tell(_ chain: Int, _ matches: [RuleMatch], _ outcome: RuleOutcome) {
        let base = ruleset.names.chains[chain]
        let hint =
            ruleset.baseChains.first { $0.index == chain }?.kind == .nat
            ? " (type nat: asked once a connection)" : ""
        say("rules", "chain \(base.table) \(base.name)\(hint)")
        for match in matches {
            let rule = ruleset.names.rules[Int(match.rule)]
            let owner = rule.chain == chain ? "" : "\(ruleset.names.chains[rule.chain].name) "
            say("", "  \(owner)line \(rule.line): \"\(rule.text)\"  -> \(word(match.word))")
        }
        switch outcome {
        case .accept:
            let decided = matches.contains {
                if case .verdict(.accept) = $0.word { true } else { false }
            }
            if !decided { say("", "  no rule decides: policy accept") }
        case .drop(let reference):
            if reference.rule < 0 { say("", "  no rule decides: policy drop") }
        case .reject, .map: break
        }
    }

    private func word(_ word: RuleMatch.Word) -> String {
        switch word {
        case .reject: "reject"
        case .map: "translate"
        case .verdict(let verdict):
            switch verdict {
            case .accept: "accept"
            case .drop: "drop"
            case .continue: "continue"
            case .return: "return"
            case .jump(let target): "jump \(ruleset.names.chains[Int(target)].name)"
            case .goto(let target): "goto \(ruleset.names.chains[Int(target)].name)"
            }
        }
    }

    // MARK: The table

    private mutating func tell(lookup: LookupTrace) {
        let links = lookup.linksWalked == 1 ? "1 link" : "\(lookup.linksWalked) links"
        let evicted = lookup.removed - removedBefore
        removedBefore = lookup.removed
        let gone = evicted > 0 ? ", \(evicted) expired on the way and removed" : ""
        let start =
            Self.words(lookup.zones) + "bucket \(lookup.bucket), \(links) walked\(gone): "
        guard let entry = lookup.entry, let direction = lookup.direction else {
            say("track", start + "no entry has this tuple")
            return
        }
        let side = direction == .original ? "original" : "reply"
        let replied = entry.status.contains(.seenReply) ? "replied" : "unreplied"
        let assured = entry.status.contains(.assured) ? ", assured" : ""
        say(
            "track",
            start + "found as \(side) tuple of an entry that is \(replied)\(assured), "
                + "\(seconds(entry.remainingTicks)) left")
    }

    /// Where the tuple was looked for; nothing of the default zone.
    private static func words(_ zones: ZonePair) -> String {
        if zones == .none { return "" }
        if zones.original == zones.reply { return "in zone \(zones.original), " }
        return "in zone \(zones.original), then in zone \(zones.reply) of the replies, "
    }

    private mutating func tell(made: LookupTrace) {
        let dropped = made.removed - removedBefore
        removedBefore = made.removed
        if dropped > 0 {
            say(
                "", "the table is full: early drop removed \(dropped) entries that were not assured"
            )
        }
        say("", "a new entry is made, to be confirmed when the packet has passed the last hook")
    }

    private static func words(_ outcome: ConfirmOutcome) -> String {
        switch outcome {
        case .inserted: "the entry enters the table, under both of its tuples"
        case .merged: "another packet of this flow was faster: this one goes on with its entry"
        case .insertedReplyOnly:
            "the flow has another entry already: this one enters under its reply tuple only, for 1 s"
        case .dying: "the entry is dying: the packet is dropped, insert_failed"
        case .chainTooLong: "the bucket's chain is too long: the packet is dropped, chaintoolong"
        case .clash:
            "one of its tuples is in the table: the packet is dropped, drop and insert_failed"
        }
    }

    // MARK: Helpers

    private mutating func tell(_ trace: HelperTrace) {
        switch trace {
        case .silent: say("helper", "ftp reads the payload: it announces no connection")
        case .outOfStep:
            say(
                "helper",
                "ftp does not read the payload: it does not begin where a line seen has ended")
        case .unreadable:
            say("helper", "ftp can make nothing of the line: the packet is dropped")
        case .foreign(let address, let family):
            say(
                "helper",
                "ftp reads the announcement of \(address.text(family)), which is not the sender's "
                    + "own: nothing is expected")
        case .expects(let tuple, let port):
            let source = tuple.source.text(tuple.family)
            let target = tuple.destination.text(tuple.family)
            say(
                "helper",
                "ftp reads the announcement of port \(port): a connection \(source) > "
                    + "\(target):\(tuple.destinationPart) is expected, and will be RELATED")
        case .refused:
            say(
                "helper",
                "ftp reads an announcement, but no more can be expected: the packet is dropped")
        case .replaced(let before, let after):
            let growth = after.utf8.count - before.utf8.count
            say("", "the connection is translated, so \"\(before)\" becomes \"\(after)\"")
            if growth != 0 {
                say(
                    "",
                    "  \(abs(growth)) bytes \(growth > 0 ? "more" : "fewer"): sequence numbers "
                        + "behind it are corrected, and acknowledgments of them")
            }
        case .shifted(let sequence, let newSequence, let acknowledgment, let newAcknowledgment):
            var words: [String] = []
            if sequence != newSequence { words.append("seq \(sequence) becomes \(newSequence)") }
            if acknowledgment != newAcknowledgment {
                words.append("ack \(acknowledgment) becomes \(newAcknowledgment)")
            }
            guard !words.isEmpty else { return }
            say("helper", words.joined(separator: ", ") + ": bytes a helper has put in are counted")
        case .fulfilled(let master):
            say("", "it was expected by \(text(master)): RELATED, and translated as that one is")
        }
    }

    // MARK: Translation

    private mutating func tell(_ trace: MappingTrace) {
        defer { probes.removeAll(keepingCapacity: true) }
        let isSource = trace.kind == .source
        guard trace.rule != nil || trace.before != trace.after else {
            say("nat", "no rule maps the \(isSource ? "source" : "destination"): it stays")
            return
        }
        let target = trace.rule == nil ? "no rule asks, but the tuple is taken" : range(trace.range)
        say("nat", "\(isSource ? "source" : "destination") of \(text(trace.before)): \(target)")
        let shown = 8
        for probe in probes.prefix(shown) {
            say("", "  probe \(text(probe.tuple)): \(probe.isTaken ? "taken" : "free")")
        }
        if probes.count > shown { say("", "  and \(probes.count - shown) more probes") }
        if probes.last?.isTaken == true {
            say("", "  none is free: the last is kept, and confirmation will fail")
        }
        say(
            "",
            "  decided for the connection's life: \(text(trace.after))"
                + (trace.after == trace.before ? ", which is no change" : ""))
    }

    private func range(_ range: NATRange) -> String {
        var words: [String] = []
        if range.flags.contains(.addresses) {
            let family: Family = range.lastAddress.high == 0 ? .ipv4 : .ipv6
            let first = range.firstAddress.text(family)
            words.append(
                range.firstAddress == range.lastAddress
                    ? "to \(first)" : "to one of \(first)-\(range.lastAddress.text(family))")
        }
        if range.flags.contains(.ports) {
            words.append(
                range.firstPort == range.lastPort
                    ? "port \(range.firstPort)" : "ports \(range.firstPort)-\(range.lastPort)")
            if range.flags.contains(.random) { words.append("drawn at random") }
        } else {
            words.append(
                range.flags.contains(.random)
                    ? "a port drawn at random" : "the same port if it is free")
        }
        return words.joined(separator: ", ")
    }

    // MARK: Words

    func name(_ interface: InterfaceIndex) -> String? {
        let index = Int(interface.raw)
        return interfaces.indices.contains(index) ? interfaces[index] : nil
    }

    /// A tuple, as in `tcp 10.0.0.2:40001 > 198.51.100.7:80`.
    func text(_ tuple: Tuple) -> String {
        var name = ProtocolName.inTool(tuple.protocolNumber)
        if name == "unknown" { name = "protocol \(tuple.protocolNumber)" }
        let ends = [(tuple.source, tuple.sourcePart), (tuple.destination, tuple.destinationPart)]
            .map { address, part in
                let address = address.text(tuple.family)
                guard tuple.hasPorts else { return address }
                return tuple.family == .ipv4 ? "\(address):\(part)" : "[\(address)]:\(part)"
            }
        let type =
            tuple.hasIdentifier
            ? " type \(tuple.icmpType) code \(tuple.icmpCode) id \(tuple.sourcePart)" : ""
        return "\(name) \(ends[0]) > \(ends[1])\(type)"
    }

    /// Ticks as seconds, rounded down as the kernel shows them.
    func seconds(_ ticks: some BinaryInteger) -> String {
        "\(max(0, Int(ticks)) / Int(tickRate.hertz)) s"
    }
}
