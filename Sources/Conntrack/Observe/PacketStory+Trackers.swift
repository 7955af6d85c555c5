internal import Wire

// What a protocol's state machine made of a packet, and why.

extension PacketStory {
    mutating func tell(_ trace: TrackerTrace) {
        let number = trace.packet.tuple.protocolNumber
        let name = ProtocolName.inTool(number)
        switch number {
        case IPProtocol.tcp: tellTCP(trace)
        case IPProtocol.sctp: tellSCTP(trace)
        case IPProtocol.udp, IPProtocol.udpLite:
            let isAnswered = trace.statusBefore.contains(.seenReply)
            let why =
                !isAnswered
                ? trace.direction == .reply ? "the first answer" : "nobody has answered yet"
                : trace.result.setsAssured
                    ? "answered and two seconds old: a stream from here on, ASSURED"
                    : "answered, but not yet two seconds old"
            say(name, "from the \(trace.direction.word) side: \(why)")
        default:
            say(name, "from the \(trace.direction.word) side")
        }
        tellResult(trace)
    }

    /// What becomes of the packet and of the entry's life.
    private mutating func tellResult(_ trace: TrackerTrace) {
        let result = trace.result
        if let remark = result.remark { say("", "in the kernel's words: \"\(remark.words)\"") }
        if let remark = result.secondRemark { say("", "and: \"\(remark.words)\"") }
        switch result.action {
        case .refresh:
            let assured = result.setsAssured ? "; the entry becomes ASSURED" : ""
            let policy = trace.hasPolicy ? " by the timeout policy that a rule set" : ""
            say("", "accepted and counted, lifetime \(seconds(result.timeout))\(policy)\(assured)")
        case .pass: say("", "accepted, but not counted, and the lifetime stays as it was")
        case .invalid:
            say("", "INVALID: it loses its entry and goes on; only a rule can drop it")
            if let ticks = result.shortenTo { say("", "the entry has \(seconds(ticks)) left") }
        case .reopen:
            say("", "the closed entry goes, and the packet is tracked again from the start")
        case .kill: say("", "accepted, and the entry goes at once: nobody had answered")
        }
    }

    // MARK: SCTP

    private mutating func tellSCTP(_ trace: TrackerTrace) {
        let content = trace.packet.sctp
        let before = trace.isNew ? SCTPRecord() : trace.before.sctp
        var chunks: [String] = []
        var reflectsTag = false
        while let step = content.step(chunks.count) {
            chunks.append(step.kind.word)
            reflectsTag = reflectsTag || step.reflectsTag
        }
        if content.present.contains(.data) { chunks.append("DATA") }
        if content.present.contains(.other) { chunks.append("chunks that move nothing") }
        let (old, new) = (before.state.rawValue, trace.after.sctp.state.rawValue)
        say(
            "sctp",
            "\(chunks.isEmpty ? "no chunk" : chunks.joined(separator: ", ")) from the "
                + "\(trace.direction.word) side in \(StateName.sctp(old)): "
                + (old == new ? "stays" : "moves to \(StateName.sctp(new))"))
        let side = reflectsTag ? trace.direction.opposite : trace.direction
        let found = Self.hex(content.verificationTag)
        let owner = reflectsTag ? "the other side, whose tag the T flag reflects" : "this side"
        say(
            "",
            before[side] == 0
                ? "tag \(found); none is known of \(owner) yet"
                : before[side] == content.verificationTag
                    ? "tag \(found), which is expected of \(owner)"
                    : "tag \(found); \(Self.hex(before[side])) is expected of \(owner)")
        if content.initiateTag != 0 {
            say("", "offers \(Self.hex(content.initiateTag)): the tag of what is sent back")
        }
    }

    private static func hex(_ tag: UInt32) -> String { "0x" + String(tag, radix: 16) }

    // MARK: TCP

    private mutating func tellTCP(_ trace: TrackerTrace) {
        let view = TCPView(trace.packet, trace.direction)
        let old = trace.isNew ? TCPState.none : trace.before.tcp.state
        let new = trace.after.tcp.state
        let start = "\(view.kind.word) from the \(trace.direction.word) side in \(old.name): "
        say("tcp", start + outcome(trace, view, old, new))
        guard trace.packet.transportByteCount >= 20 else { return }
        let segment = trace.packet.tcp
        say(
            "",
            "segment   seq \(segment.sequence)..<\(view.end)"
                + (view.hasAck ? ", ack \(segment.acknowledgment)" : "")
                + ", window \(segment.window)")
        for direction in [Direction.original, .reply] {
            let before = trace.isNew ? TCPSide() : trace.before.tcp[direction]
            tellSide(direction, before, trace.after.tcp[direction])
        }
    }

    /// The row of the transition table, and why it is as it is.
    private func outcome(
        _ trace: TrackerTrace, _ view: TCPView, _ old: TCPState, _ new: TCPState
    ) -> String {
        let result = trace.result
        if trace.isNew, case .invalid = result.action { return beginning(view) }
        switch result.remark {
        case .tcpIgnored:
            return "ignored: \(view.kind.word) in \(old.name); \(ignoring(view, old))"
        case .tcpInvalidState: return "no such move; \(refusal(view, old))"
        case .sequenceOverUpper(let edge)?:
            return "beyond the window: the peer granted sequence numbers below \(edge)"
        case .sequenceOvershoot(let count)?:
            return "\(count) beyond the window: the peer may have room nobody saw granted; let "
                + "through once"
        case .acknowledgmentOverUpper(let edge)?:
            return
                "acknowledges data this machine has not seen: it knows of nothing from \(edge) on"
        case .sequenceUnderLower: return "old data, before the window: a repetition, ignored"
        case .acknowledgmentUnderLower: return "an old acknowledgment, ignored"
        case .tcpInvalidRST:
            return "a RST before what the peer has acknowledged: somebody may have guessed it"
        case .tcpChallengeAck: return "a challenge ACK, the answer to the SYN let through before"
        case .tcpFlags: return "a combination of flags that means nothing"
        case .some, nil: break
        }
        if case .reopen = result.action { return "a closed connection is opened anew" }
        guard case .invalid = result.action else {
            guard old != new else { return "stays in \(new.name)" }
            return "\(old.name) -> \(new.name)\(trace.isNew ? opening(view) : "")"
        }
        return "refused"
    }

    private func opening(_ view: TCPView) -> String {
        view.kind == .syn
            ? ", a SYN opens a connection"
            : ", picked up in the middle (nf_conntrack_tcp_loose = 1): windows are not known, so "
                + "both sides count as liberal"
    }

    private func beginning(_ view: TCPView) -> String {
        switch view.kind {
        case .synAck:
            "the answer to a SYN that never came by here (does the way out lead past this "
                + "machine?); only a SYN begins a connection"
        case .ack where !sysctl.tcpLoose:
            "no SYN was seen, and with nf_conntrack_tcp_loose = 0 nothing is picked up in the middle"
        case .fin: "a FIN cannot begin a connection"
        case .rst: "a RST cannot begin a connection"
        default: "cannot begin a connection"
        }
    }

    private func ignoring(_ view: TCPView, _ old: TCPState) -> String {
        switch view.kind {
        case .syn:
            "it may be a new connection that this machine takes for the old one: it passes, and "
                + "the answer will show"
        case .synAck: "a repetition, or the answer to an ignored SYN: it passes, nothing is learned"
        default: "it passes, nothing is learned"
        }
    }

    private func refusal(_ view: TCPView, _ old: TCPState) -> String {
        switch (view.kind, old) {
        case (.ack, .synSent), (.fin, .synSent):
            "the SYN has not been answered as far as this machine can see: does the way back lead "
                + "past it?"
        case (.synAck, .synSent): "a SYN-ACK comes from the side that was called"
        case (.syn, _): "the called side cannot open this connection a second time"
        default: "this cannot happen between two ends that follow the protocol"
        }
    }

    private mutating func tellSide(_ direction: Direction, _ before: TCPSide, _ after: TCPSide) {
        let name = direction == .original ? "original" : "reply   "
        guard after.maxWindow != 0 || after.maxEnd != 0 else {
            say("", "\(name)  nothing seen of this side yet")
            return
        }
        var numbers: [String] = []
        func add(_ name: String, _ old: UInt32, _ new: UInt32) {
            numbers.append(old == new ? "\(name) \(new)" : "\(name) \(old) -> \(new)")
        }
        add("sent up to", before.end, after.end)
        add("granted up to", before.maxEnd, after.maxEnd)
        add("largest window", before.maxWindow, after.maxWindow)
        var notes = ["scale \(after.scale)"]
        if after.flags.contains(.sackPermitted) { notes.append("SACK") }
        if after.flags.contains(.liberal) { notes.append("liberal") }
        if after.flags.contains(.dataUnacknowledged) { notes.append("unacknowledged data") }
        if after.flags.contains(.closeInitiator) { notes.append("closes") }
        say("", "\(name)  \(numbers.joined(separator: ", ")), \(notes.joined(separator: ", "))")
    }
}

extension Direction {
    fileprivate var word: String { self == .original ? "original" : "reply" }
}

extension TCPClass {
    fileprivate var word: String {
        switch self {
        case .syn: "SYN"
        case .synAck: "SYN-ACK"
        case .fin: "FIN"
        case .ack: "ACK"
        case .rst: "RST"
        case .none: "a segment without SYN, ACK, FIN or RST"
        }
    }
}

extension SCTPChunkKind {
    /// The chunk's name, as RFC 9260 has it.
    var word: String {
        switch self {
        case .initiation: "INIT"
        case .initiationAck: "INIT ACK"
        case .abort: "ABORT"
        case .shutdown: "SHUTDOWN"
        case .shutdownAck: "SHUTDOWN ACK"
        case .error: "ERROR"
        case .cookieEcho: "COOKIE ECHO"
        case .cookieAck: "COOKIE ACK"
        case .shutdownComplete: "SHUTDOWN COMPLETE"
        case .heartbeat: "HEARTBEAT"
        case .heartbeatAck: "HEARTBEAT ACK"
        }
    }
}
