internal import Wire

// The TCP state machine: spec tcp.md. `update` reads top to bottom like §12 there; the window
// arithmetic is in TCPWindow.swift, the transition table in TCPTransitions.swift.

/// One segment as the tracker sees it, with its class and end computed once.
struct TCPView: BitwiseCopyable {
    let segment: TCPSegment
    let direction: Direction
    let kind: TCPClass
    var sequence: UInt32
    /// One past the segment's last sequence number: payload, SYN and FIN count.
    var end: UInt32

    @inline(__always)
    init(_ packet: Packet, _ direction: Direction) {
        segment = packet.tcp
        self.direction = direction
        let flags = packet.tcp.flags
        if flags.contains(.rst) {
            kind = .rst
        } else if flags.contains(.syn) {
            kind = flags.contains(.ack) ? .synAck : .syn
        } else if flags.contains(.fin) {
            kind = .fin
        } else {
            kind = flags.contains(.ack) ? .ack : .none
        }
        let payload = packet.transportByteCount &- UInt32(packet.tcp.headerByteCount)
        sequence = packet.tcp.sequence
        end =
            sequence &+ payload &+ (flags.contains(.syn) ? 1 : 0)
            &+ (flags.contains(.fin) ? 1 : 0)
    }

    var hasAck: Bool { segment.flags.contains(.ack) }
    var hasSyn: Bool { segment.flags.contains(.syn) }
    var hasRst: Bool { segment.flags.contains(.rst) }
    var window: UInt32 { UInt32(segment.window) }
}

enum TCPTracker {
    /// Follows one segment of a connection.
    ///
    /// `isNew`: the connection was made for this packet and has no history. `status` is what it was
    /// before the packet; `remaining` its life in ticks.
    ///
    /// Kernel: `nf_conntrack_tcp_packet()`; spec tcp.md §2-§8.
    static func update(
        _ record: inout TCPRecord, _ packet: inout Packet, _ direction: Direction, isNew: Bool,
        status: Status, remaining: Int32, settings: borrowing TrackerSettings
    ) -> TrackerResult {
        // A header that is not there leaves nothing to remark on.
        guard packet.transportByteCount >= 20 else { return .invalid(nil) }
        if let defect = defect(of: packet, verifiesChecksum: settings.verifiesChecksums) {
            return .invalid(defect)
        }
        var view = TCPView(packet, direction)
        if isNew, let refusal = create(&record, view, settings) { return refusal }

        var old = record.state
        var wanted: TCPState
        var isResynchronising = false
        switch TCPTransitions.move(from: old, on: view.kind, direction) {
        case .invalid:
            return .invalid(
                .tcpInvalidState(index: view.kind.rawValue, direction, state: old.rawValue))
        case .ignore:
            guard isAwaitedSynAck(view, record) else { return noteIgnored(&record, view, old) }
            resynchronise(&record, view)
            old = .synSent
            wanted = .synReceived
            isResynchronising = true
        case .to(let state):
            wanted = state
        }

        if !isResynchronising {
            switch wanted {
            case .synSent where old == .timeWait || old == .close:
                // A SYN on a closed connection opens a new one, if the old was closed properly.
                let sides = record.original.flags.union(record.reply.flags)
                if sides.contains(.closeInitiator)
                    || (record.lastDirection == direction && record.lastClass == .rst)
                {
                    return TrackerResult(action: .reopen)
                }
                return noteIgnored(&record, view, old)
            case .synSent2:
                record.lastFlags.insert(.simultaneousOpen)
            case .synReceived
            where direction == .reply && view.kind == .ack
                && record.lastFlags.contains(.simultaneousOpen):
                wanted = .established
            case .timeWait
            where old == .lastAck && view.kind == .ack
                && record.lastDirection != direction && record.lastClass == .syn
                && record.lastFlags.contains(.expectChallenge):
                // The answer to a SYN that was let through: not the ACK of the last FIN.
                record.lastFlags.remove(.expectChallenge)
                return TrackerResult(action: .pass, remark: .tcpChallengeAck)
            default: break
            }
        }

        var checksWindow = true
        if wanted == .close, view.kind == .rst {
            switch judgeReset(record, view, old, status, settings) {
            case .invalid: return .invalid(.tcpInvalidRST)
            case .accept: checksWindow = false
            case .checkWindow(let target): wanted = target
            }
        }

        if checksWindow {
            switch TCPWindow.check(&record, &view, isLiberal: settings.isLiberal) {
            case .accepted: break
            case .ignored(let remark): return TrackerResult(action: .pass, remark: remark)
            case .invalid(let remark):
                return afterWindowRefusal(&record, view, status, remaining, remark, settings)
            }
        }
        return accept(&record, view, from: old, to: wanted, status, settings)
    }

    /// Spec tcp.md §3, in the kernel's order; `nil` for a header that may be looked at.
    @inline(__always)
    private static func defect(
        of packet: Packet, verifiesChecksum: Bool
    ) -> TrackerRemark.Text? {
        let header = UInt32(packet.tcp.headerByteCount)
        if header < 20 || header > packet.transportByteCount { return .truncatedPacket }
        if verifiesChecksum && packet.health.contains(.badChecksum) { return .badChecksum }
        // PSH, ECE and CWR never matter.
        switch packet.tcp.flags.rawValue & 0x37 {
        case 0x02, 0x22, 0x12, 0x04, 0x14, 0x11, 0x31, 0x10, 0x30: return nil
        default: return .tcpFlags
        }
    }

    /// Spec tcp.md §4.
    ///
    /// Returns the refusal, or `nil` when the connection may begin.
    private static func create(
        _ record: inout TCPRecord, _ view: TCPView, _ settings: borrowing TrackerSettings
    ) -> TrackerResult? {
        record = TCPRecord()
        let window = max(1, view.window)
        switch view.kind {
        case .syn:
            record.original.end = view.end
            record.original.maxEnd = view.end
            record.original.maxWindow = window
            record.original.readOptions(view.segment)
        case .ack:
            guard settings.isLoose else { return .invalid(nil) }
            record.original.end = view.end
            record.original.maxWindow = window
            record.original.maxEnd = view.end &+ window
            record.original.flags = [.sackPermitted, .liberal]
            record.reply.flags = [.sackPermitted, .liberal]
        default:
            return .invalid(.tcpInvalidNew)
        }
        return nil
    }

    // MARK: Ignored segments (spec tcp.md §5.2)

    /// Whether this SYN-ACK answers a SYN that was let through without belonging.
    private static func isAwaitedSynAck(_ view: TCPView, _ record: TCPRecord) -> Bool {
        view.kind == .synAck && record.lastClass == .syn
            && record.lastDirection != view.direction
            && view.segment.acknowledgment == record.lastEnd
    }

    /// Both ends agree on a new connection that this table took for the old one.
    private static func resynchronise(_ record: inout TCPRecord, _ view: TCPView) {
        var opener = record[view.direction.opposite]
        opener.end = record.lastEnd
        opener.maxEnd = record.lastEnd
        opener.maxWindow = max(1, UInt32(record.lastWindow))
        opener.scale = record.lastScale
        record.lastFlags.remove(.expectChallenge)
        opener.flags = record.lastFlags.intersection([.windowScale, .sackPermitted])
        record[view.direction.opposite] = opener
        var answerer = TCPSide()
        answerer.flags = record[view.direction].flags.intersection(.liberal)
        record[view.direction] = answerer
    }

    private static func noteIgnored(
        _ record: inout TCPRecord, _ view: TCPView, _ old: TCPState
    ) -> TrackerResult {
        record.lastClass = view.kind
        record.lastDirection = view.direction
        record.lastSequence = view.sequence
        record.lastEnd = view.end
        record.lastWindow = view.segment.window
        if view.kind == .syn, view.direction == .original {
            record.lastFlags = []
            record.lastScale = 0
            var notes = TCPSide()
            notes.readOptions(view.segment)
            if notes.flags.contains(.windowScale) {
                record.lastFlags.insert(.windowScale)
                record.lastScale = notes.scale
            }
            if notes.flags.contains(.sackPermitted) { record.lastFlags.insert(.sackPermitted) }
            if old == .lastAck { record.lastFlags.insert(.expectChallenge) }
        }
        if view.kind == .ack, view.direction == .reply, old == .synSent {
            record.lastAcknowledgment = view.segment.acknowledgment
        }
        return TrackerResult(
            action: .pass,
            remark: .tcpIgnored(
                index: view.kind.rawValue, view.direction, state: old.rawValue))
    }

    // MARK: Resets (spec tcp.md §5.5)

    private enum ResetJudgement {
        case accept
        case invalid
        case checkWindow(target: TCPState)
    }

    private static func judgeReset(
        _ record: TCPRecord, _ view: TCPView, _ old: TCPState, _ status: Status,
        _ settings: borrowing TrackerSettings
    ) -> ResetJudgement {
        switch old {
        case .finWait, .closeWait, .lastAck, .timeWait, .close: return .accept
        default: break
        }
        let peer = record[view.direction.opposite]
        let isLive = old == .established && status.contains(.assured)
        var target = TCPState.close
        if peer.flags.contains(.acknowledged), record.lastClass != .syn {
            if view.sequence == 0, !isLive { return .checkWindow(target: .close) }
            if view.sequence.precedes(peer.maxAcknowledgment), !settings.ignoresInvalidRST {
                return .invalid
            }
            if !isLive || view.sequence == peer.maxAcknowledgment {
                return .checkWindow(target: .close)
            }
            if record.lastClass == .ack, record.lastDirection == view.direction,
                view.sequence == record.lastEnd
            {
                return .checkWindow(target: .close)
            }
            // Inexact: the peer will challenge it, and the answer must still find a connection.
            target = old
        }
        let answersUnverified =
            (status.contains(.seenReply) && record.lastClass == .syn
                && record.lastDirection != view.direction)
            || (!status.contains(.assured) && record.lastClass == .ack)
        if view.segment.acknowledgment == record.lastEnd, answersUnverified { return .accept }
        if old == .synSent, record.lastClass == .ack, record.lastDirection == .reply,
            view.sequence == record.lastAcknowledgment
        {
            return .accept
        }
        return .checkWindow(target: target)
    }

    // MARK: Ends

    /// Two stray FIN or RST from opposite sides shorten a dead connection: spec tcp.md §6.7.
    private static func afterWindowRefusal(
        _ record: inout TCPRecord, _ view: TCPView, _ status: Status, _ remaining: Int32,
        _ remark: TrackerRemark.Text, _ settings: borrowing TrackerSettings
    ) -> TrackerResult {
        var result = TrackerResult.invalid(remark)
        guard status.contains(.assured), !status.contains(.fixedTimeout),
            view.kind == .rst || view.kind == .fin
        else { return result }
        if record.lastDirection != view.direction,
            record.lastClass == .fin || record.lastClass == .rst
        {
            if remaining >= Int32(bitPattern: settings.longLife),
                remaining > Int32(bitPattern: settings.tcpUnacknowledged)
            {
                result.shortenTo = settings.tcpUnacknowledged
                result.secondRemark = .tcpTimeoutLowered(
                    index: view.kind.rawValue, view.direction,
                    lastIndex: record.lastClass.rawValue, ticks: settings.tcpUnacknowledged)
            }
        } else {
            record.lastClass = view.kind
            record.lastDirection = view.direction
        }
        return result
    }

    private static func accept(
        _ record: inout TCPRecord, _ view: TCPView, from old: TCPState, to state: TCPState,
        _ status: Status, _ settings: borrowing TrackerSettings
    ) -> TrackerResult {
        record.lastClass = view.kind
        record.lastDirection = view.direction
        record.state = state
        if old != state, state == .finWait {
            record[view.direction].flags.insert(.closeInitiator)
        }
        var timeout = timeout(for: record, state, view, settings)
        var result = TrackerResult(action: .refresh)
        result.changesProtocolState = old != state
        if !status.contains(.seenReply) {
            if view.kind == .rst {
                result.action = .kill
                return result
            }
            if view.kind == .syn, old == .synSent {
                result.action = .pass
                return result
            }
            if state == .established, timeout > settings.tcpUnacknowledged {
                timeout = settings.tcpUnacknowledged
            }
        } else if !status.contains(.assured), state == .established,
            old == .synReceived || old == .established
        {
            result.setsAssured = true
        }
        result.timeout = timeout
        return result
    }

    /// Spec tcp.md §7: first match wins.
    private static func timeout(
        for record: TCPRecord, _ state: TCPState, _ view: TCPView,
        _ settings: borrowing TrackerSettings
    ) -> UInt32 {
        let regular = settings.tcp[Int(state.rawValue)]
        if record.retransmissions >= settings.retransmissionLimit,
            regular > settings.tcpMaxRetrans
        {
            return settings.tcpMaxRetrans
        }
        if view.kind == .rst {
            if !settings.keepsUnacknowledgedAfterRST {
                return settings.tcp[Int(TCPState.close.rawValue)]
            }
            if state == .established, regular > settings.tcpUnacknowledged {
                return settings.tcpUnacknowledged
            }
        }
        let flags = record.original.flags.union(record.reply.flags)
        if flags.contains(.dataUnacknowledged), regular > settings.tcpUnacknowledged {
            return settings.tcpUnacknowledged
        }
        if record.lastWindow == 0, regular > settings.tcpMaxRetrans {
            return settings.tcpMaxRetrans
        }
        return regular
    }
}

extension UInt32 {
    /// Serial comparison (RFC 1982): whether this sequence number lies before `other`.
    @inline(__always)
    func precedes(_ other: UInt32) -> Bool { Int32(bitPattern: self &- other) < 0 }
}
