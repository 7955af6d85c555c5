internal import Wire

// Window tracking: spec tcp.md §6. "me" is the record of the segment's sender, "peer" the other.

extension TCPSide {
    /// Reads the options of a SYN or SYN-ACK: spec tcp.md §6.1.
    mutating func readOptions(_ segment: TCPSegment) {
        guard segment.options.contains(.present) else { return }
        scale = 0
        flags.formIntersection(.liberal)
        if segment.options.contains(.sackPermitted) { flags.insert(.sackPermitted) }
        if segment.options.contains(.windowScale) {
            flags.insert(.windowScale)
            scale = min(14, segment.windowScale)
        }
    }

    /// Takes a SYN as the beginning of this side's stream.
    fileprivate mutating func begin(_ view: TCPView) {
        end = view.end
        maxEnd = view.end
        maxWindow = max(1, view.window)
        readOptions(view.segment)
    }
}

enum TCPWindow {
    enum Outcome {
        case accepted
        case ignored(TrackerRemark.Text)
        case invalid(TrackerRemark.Text)
    }

    /// What an old acknowledgment may lag behind at least: spec tcp.md §6.4.
    private static let smallestAckWindow: UInt32 = 66000

    /// Checks a segment against both windows and, where it belongs, moves them.
    ///
    /// Kernel: `tcp_in_window()`.
    static func check(
        _ record: inout TCPRecord, _ view: inout TCPView, isLiberal: Bool
    ) -> Outcome {
        var me = record[view.direction]
        var peer = record[view.direction.opposite]
        defer {
            record[view.direction] = me
            record[view.direction.opposite] = peer
        }
        let shift = view.segment.acknowledgedShift
        var ack = view.segment.acknowledgment &- shift
        var sack = peer.flags.contains(.sackPermitted) ? view.segment.sackEdge &- shift : ack

        if me.maxWindow == 0 {
            if view.hasSyn {
                me.begin(view)
                agreeOnScale(&me, &peer, view.direction)
                if !view.hasAck { return .accepted }
            } else {
                pickUp(&me, &peer, view, sack)
            }
        } else if view.hasSyn, me.end.precedes(view.end),
            record.state == .synSent || record.state == .synReceived
        {
            // Another SYN with a higher end replaces the first.
            me.begin(view)
            agreeOnScale(&me, &peer, view.direction)
            if view.direction == .reply, !view.hasAck { return .accepted }
        }

        if !view.hasAck || (view.hasRst && ack == 0) {
            ack = peer.end
            sack = peer.end
        }
        if view.hasRst, view.sequence == 0, record.state == .synSent {
            view.sequence = me.end
            view.end = me.end
        }

        let liberal = isLiberal || me.flags.contains(.liberal)
        let lag = max(smallestAckWindow, me.maxWindow)
        let inUpper = view.sequence.precedes(me.maxEnd &+ 1)
        let ackSeen = sack.precedes(peer.end &+ 1)
        let lowerEdge = me.end &- peer.maxWindow &- 1
        let inLower = peer.maxWindow == 0 || lowerEdge.precedes(view.end)
        let ackEdge = peer.end &- lag &- 1
        let ackRecent = ackEdge.precedes(sack)

        if !inUpper {
            let overshoot = view.end &- me.maxEnd &+ 1
            let isTolerable =
                peer.maxWindow != 0 && inLower && ackRecent && ackSeen
                && overshoot <= peer.maxWindow
            let remark = TrackerRemark.Text.sequenceOverUpper(me.maxEnd &+ 1)
            if isTolerable {
                // The peer may have room we know nothing of; its answer must not look unseen.
                me.end = view.end
                me.flags.insert(.dataUnacknowledged)
                return liberal ? .accepted : .ignored(.sequenceOvershoot(overshoot))
            }
            return liberal ? .accepted : .invalid(remark)
        }
        if !ackSeen {
            return liberal ? .accepted : .invalid(.acknowledgmentOverUpper(peer.end &+ 1))
        }
        if !inLower {
            return liberal ? .accepted : .ignored(.sequenceUnderLower(lowerEdge))
        }
        if !ackRecent {
            return liberal ? .accepted : .ignored(.acknowledgmentUnderLower(ackEdge))
        }
        advance(&record, &me, &peer, view, ack: ack, sack: sack)
        return .accepted
    }

    private static func agreeOnScale(
        _ me: inout TCPSide, _ peer: inout TCPSide, _ direction: Direction
    ) {
        guard direction == .reply,
            !(me.flags.contains(.windowScale) && peer.flags.contains(.windowScale))
        else { return }
        me.scale = 0
        peer.scale = 0
    }

    /// The first segment seen from this side is not a SYN: mid-stream, or hooks came back.
    private static func pickUp(
        _ me: inout TCPSide, _ peer: inout TCPSide, _ view: TCPView, _ sack: UInt32
    ) {
        me.end = view.end
        me.maxWindow = max(1, view.window << UInt32(me.scale))
        me.maxEnd = view.end &+ me.maxWindow
        if peer.maxWindow == 0 {
            peer.end = sack
            peer.maxEnd = sack
        } else if sack == peer.end &+ 1 {
            peer.end &+= 1  // The answer to a keep-alive probe.
        }
    }

    /// Spec tcp.md §6.6.
    private static func advance(
        _ record: inout TCPRecord, _ me: inout TCPSide, _ peer: inout TCPSide, _ view: TCPView,
        ack: UInt32, sack: UInt32
    ) {
        let window = view.hasSyn ? view.window : view.window << UInt32(me.scale)
        me.maxWindow = max(me.maxWindow, window &+ (sack &- ack))
        if me.end.precedes(view.end) {
            me.end = view.end
            me.flags.insert(.dataUnacknowledged)
        }
        if view.hasAck {
            if !me.flags.contains(.acknowledged) {
                me.maxAcknowledgment = ack
                me.flags.insert(.acknowledged)
            } else if me.maxAcknowledgment.precedes(ack) {
                me.maxAcknowledgment = ack
            }
        }
        if peer.maxWindow != 0, me.maxEnd.precedes(view.end) {
            peer.maxWindow &+= view.end &- me.maxEnd
        }
        if (peer.maxEnd &- 1).precedes(sack &+ window) {
            peer.maxEnd = sack &+ window &+ (window == 0 ? 1 : 0)
        }
        if ack == peer.end { peer.flags.remove(.dataUnacknowledged) }
        guard view.kind == .ack else { return }
        if record.lastDirection == view.direction, record.lastSequence == view.sequence,
            record.lastAcknowledgment == ack, record.lastEnd == view.end,
            record.lastWindow == view.segment.window
        {
            record.retransmissions &+= 1
        } else {
            record.lastDirection = view.direction
            record.lastSequence = view.sequence
            record.lastAcknowledgment = ack
            record.lastEnd = view.end
            record.lastWindow = view.segment.window
            record.retransmissions = 0
        }
    }
}
