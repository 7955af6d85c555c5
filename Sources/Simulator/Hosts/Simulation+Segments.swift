import Conntrack
import Scenario
import Wire

// A synchronised connection: what arrives, what is acknowledged, what is sent again.

extension Simulation {
    /// A segment for a connection whose handshake is over.
    mutating func deliver(_ flight: Flight, toSynchronised index: UInt32) {
        let segment = flight.packet.tcp
        let start = segment.sequence
        let end = start &+ Self.length(of: flight.packet)
        let expected = sockets[index].receiveNext
        if segment.flags.contains(.rst) {
            // RFC 5961: only the exact number closes; one in the window is challenged.
            if start == expected {
                fail(index, .reset)
            } else if !start.precedes(expected),
                start.precedes(expected &+ TCPNumbers.receiveWindow)
            {
                sendAck(index)
            }
            return
        }
        if segment.flags.contains(.syn) { return sendAck(index) }
        if !start.precedes(expected &+ TCPNumbers.receiveWindow) { return sendAck(index) }
        if !expected.precedes(end), start != expected {
            // Nothing new; a probe and a repeated segment are told what is expected.
            if end != start || start == expected &- 1 { sendAck(index) }
            return
        }
        let payload = flight.packet.transportByteCount &- UInt32(segment.headerByteCount)
        if sockets[index].isOrphan, payload > 0 {
            // Nobody will read it any more.
            refuse(flight, at: Int(sockets[index].key.station))
            return close(index)
        }
        if segment.flags.contains(.ack) {
            guard takeAck(segment, hasData: end != start, index) else { return }
        }
        if end != start, expected.precedes(end) { takeData(flight, index, start, end) }
    }

    /// Takes the acknowledgment of a segment; false where the socket is gone.
    private mutating func takeAck(
        _ segment: TCPSegment, hasData: Bool, _ index: UInt32
    ) -> Bool {
        let ack = segment.acknowledgment
        guard !sockets[index].sendHighest.precedes(ack) else {
            sendAck(index)
            return true
        }
        sockets[index].peerWindow = UInt32(segment.window) << UInt32(TCPNumbers.windowScale)
        let unacked = sockets[index].sendUnacked
        guard unacked.precedes(ack) else {
            if ack == unacked, !hasData, unacked != sockets[index].sendNext {
                countDuplicate(index)
            }
            return true
        }
        if sockets[index].retransmits == 0, sockets[index].sentAt != 0 {
            measureRoundTripOfData(index)
        }
        let segments = max(1, (ack &- unacked) / segmentByteCount(index))
        sockets[index].sendUnacked = ack
        if sockets[index].sendNext.precedes(ack) { sockets[index].sendNext = ack }
        sockets[index].retransmits = 0
        sockets[index].duplicateAcks = 0
        growWindow(index, UInt16(clamping: segments))
        let isAllAcked = ack == sockets[index].sendNext
        sockets[index].deadline = isAllAcked ? .max : now + timeout(index)
        if !isAllAcked { armTimer(index) }
        let isFinAcked =
            sockets[index].isFinQueued && ack == sockets[index].sendEnd &+ 1
        if isFinAcked {
            switch sockets[index].state {
            case .finWait1:
                sockets[index].state = .finWait2
                guard sockets[index].isOrphan else { break }
                sockets[index].deadline = now + facts[Int(sockets[index].key.station)].finTimeout
                armTimer(index)
            case .closing:
                endInTimeWait(index)
                return false
            case .lastAck:
                close(index)
                return false
            default: break
            }
        }
        sendQueued(index)
        return true
    }

    private mutating func measureRoundTripOfData(_ index: UInt32) {
        let sample = UInt32(clamping: (now - sockets[index].sentAt) / 1000)
        let old = sockets[index].roundTrip
        sockets[index].roundTrip = old == 0 ? max(1, sample) : (old &* 7 &+ sample) / 8
    }

    private mutating func growWindow(_ index: UInt32, _ segments: UInt16) {
        let window = sockets[index].congestionWindow
        if window < sockets[index].slowStartThreshold {
            sockets[index].congestionWindow = min(window + min(segments, window), 4000)
        } else if window < 4000, segments > 0, now & 7 == 0 {
            sockets[index].congestionWindow = window + 1
        }
    }

    /// Three acknowledgments without progress: the first segment is sent again.
    private mutating func countDuplicate(_ index: UInt32) {
        sockets[index].duplicateAcks &+= 1
        guard sockets[index].duplicateAcks == 3 else { return }
        reduceWindow(index, to: max(2, sockets[index].congestionWindow / 2))
        retransmitFirst(index)
    }

    private mutating func reduceWindow(_ index: UInt32, to window: UInt16) {
        sockets[index].slowStartThreshold = max(2, sockets[index].congestionWindow / 2)
        sockets[index].congestionWindow = window
    }

    // MARK: Data in

    private mutating func takeData(
        _ flight: Flight, _ index: UInt32, _ start: UInt32, _ end: UInt32
    ) {
        let isFin = flight.packet.tcp.flags.contains(.fin)
        let expected = sockets[index].receiveNext
        if expected.precedes(start) {
            keepAhead(index, start, end, isFin)
            return sendAck(index)
        }
        var reached = end
        var endsWithFin = isFin
        let aheadStart = sockets[index].aheadStart
        let aheadEnd = sockets[index].aheadEnd
        if aheadStart != aheadEnd, !reached.precedes(aheadStart) {
            if reached.precedes(aheadEnd) || reached == aheadEnd {
                reached = aheadEnd
                endsWithFin = endsWithFin || sockets[index].isFinAhead
            }
            sockets[index].aheadStart = 0
            sockets[index].aheadEnd = 0
            sockets[index].isFinAhead = false
        }
        if sockets[index].isServer, flight.exchange != sockets[index].exchange {
            takeOver(index, flight.exchange)
        }
        sockets[index].receiveNext = reached
        if endsWithFin {
            takeFin(index)
        } else {
            sendAck(index)
            applicationReceived(index)
        }
    }

    /// Keeps one stretch that came too early; a second one is lost and will come again.
    private mutating func keepAhead(
        _ index: UInt32, _ start: UInt32, _ end: UInt32, _ isFin: Bool
    ) {
        let aheadStart = sockets[index].aheadStart
        let aheadEnd = sockets[index].aheadEnd
        if aheadStart == aheadEnd {
            sockets[index].aheadStart = start
            sockets[index].aheadEnd = end
            sockets[index].isFinAhead = isFin
        } else if start == aheadEnd {
            sockets[index].aheadEnd = end
            sockets[index].isFinAhead = isFin
        } else if end == aheadStart {
            sockets[index].aheadStart = start
        }
    }

    private mutating func takeFin(_ index: UInt32) {
        switch sockets[index].state {
        case .established:
            sockets[index].state = .closeWait
            sendAck(index)
            applicationReceived(index)
            let isAlive = sockets[index].generation != 0 && sockets[index].state == .closeWait
            if isAlive { peerClosed(index) }
        case .finWait1:
            let isFinAcked =
                sockets[index].sendUnacked == sockets[index].sendEnd &+ 1
            sendAck(index)
            if isFinAcked {
                endInTimeWait(index)
            } else {
                sockets[index].state = .closing
            }
        case .finWait2:
            sendAck(index)
            endInTimeWait(index)
        default: sendAck(index)
        }
    }

    private mutating func endInTimeWait(_ index: UInt32) {
        if !sockets[index].isOrphan, !sockets[index].isServer { connectionOver(index) }
        guard sockets[index].generation != 0 else { return }
        releaseWorker(index)
        leavePool(index)
        sockets.enterTimeWait(index, at: now)
    }

    // MARK: Data out

    /// The application writes.
    mutating func write(_ byteCount: UInt32, _ index: UInt32) {
        sockets[index].sendEnd &+= byteCount
        sendQueued(index)
    }

    @inline(__always)
    private func segmentByteCount(_ index: UInt32) -> UInt32 {
        sockets[index].key.family == .ipv4 ? TCPNumbers.segmentIPv4 : TCPNumbers.segmentIPv6
    }

    /// Sends what is queued and the windows allow, and the FIN behind it.
    mutating func sendQueued(_ index: UInt32) {
        let state = sockets[index].state
        guard
            state == .established || state == .closeWait || state == .finWait1
                || state == .lastAck || state == .closing
        else { return }
        let segment = segmentByteCount(index)
        let allowed = min(
            UInt32(sockets[index].congestionWindow) &* segment, sockets[index].peerWindow)
        let hadNothing = sockets[index].sendUnacked == sockets[index].sendNext
        while true {
            let next = sockets[index].sendNext
            let inFlight = next &- sockets[index].sendUnacked
            let left = sockets[index].sendEnd &- next
            guard Int32(bitPattern: left) > 0, inFlight < allowed else { break }
            let size = min(segment, left)
            let isLast = size == left
            if next == sockets[index].sendHighest { sockets[index].sentAt = now }
            sendData(index, at: next, size, isLast ? [.ack, .psh] : .ack)
            sockets[index].sendNext = next &+ size
            raiseHighest(index)
        }
        if sockets[index].isFinQueued, sockets[index].sendNext == sockets[index].sendEnd {
            sendData(index, at: sockets[index].sendNext, 0, [.fin, .ack])
            sockets[index].sendNext &+= 1
            raiseHighest(index)
            switch state {
            case .established: sockets[index].state = .finWait1
            case .closeWait: sockets[index].state = .lastAck
            default: break
            }
        }
        if hadNothing, sockets[index].sendUnacked != sockets[index].sendNext {
            sockets[index].deadline = now + timeout(index)
            armTimer(index)
        }
    }

    @inline(__always)
    private mutating func raiseHighest(_ index: UInt32) {
        if sockets[index].sendHighest.precedes(sockets[index].sendNext) {
            sockets[index].sendHighest = sockets[index].sendNext
        }
    }

    private mutating func sendData(
        _ index: UInt32, at sequence: UInt32, _ byteCount: UInt32, _ flags: TCPFlags
    ) {
        var segment = TCPSegment()
        segment.flags = flags
        segment.sequence = sequence
        segment.acknowledgment = sockets[index].receiveNext
        segment.window = TCPNumbers.window
        segment.options = .present
        segment.headerByteCount = 32
        send(segment, payload: byteCount, from: index)
    }

    mutating func sendAck(_ index: UInt32) {
        sendData(index, at: sockets[index].sendHighest, 0, .ack)
    }

    /// A keep-alive probe: one byte before what the peer expects.
    mutating func sendProbe(_ index: UInt32) {
        sendData(index, at: sockets[index].sendHighest &- 1, 0, .ack)
    }

    // MARK: Timers

    /// Nanoseconds until what is sent now is sent again.
    private func timeout(_ index: UInt32) -> UInt64 {
        let roundTrip = sockets[index].roundTrip
        let base =
            roundTrip == 0
            ? TCPNumbers.firstTimeout
            : UInt64(roundTrip) * 1000 + TCPNumbers.shortestTimeout
        return min(base << UInt64(min(sockets[index].retransmits, 10)), TCPNumbers.longestTimeout)
    }

    /// Makes sure that an event comes for the socket's nearest deadline.
    @inline(__always)
    mutating func armTimer(_ index: UInt32) {
        let due = min(sockets[index].deadline, sockets[index].applicationDeadline)
        guard due < sockets[index].timerAt else { return }
        sockets[index].timerAt = due
        queue.push(
            Event(.socketTimer, at: due, index, extra: sockets[index].generation))
    }

    /// An event for a socket's timers.
    mutating func socketTimer(_ event: Event) {
        let index = event.index
        guard sockets[index].generation == event.extra, event.extra != 0,
            sockets[index].timerAt == event.time
        else { return }
        sockets[index].timerAt = .max
        if sockets[index].applicationDeadline <= now {
            sockets[index].applicationDeadline = .max
            applicationTimer(index)
        } else if sockets[index].deadline <= now {
            retransmit(index)
        }
        guard sockets[index].generation == event.extra else { return }
        armTimer(index)
    }

    private mutating func retransmit(_ index: UInt32) {
        let retries = sockets[index].retransmits
        sockets[index].deadline = .max
        switch sockets[index].state {
        case .synSent:
            let workload = sockets[index].exchange.workload
            guard retries < synRetries(workload, Int(sockets[index].key.station)) else {
                return fail(index, .connectTimeout)
            }
            resendHandshake(index, isAnswer: false)
            countRetransmittedSYN(workload)
        case .synReceived:
            guard retries < facts[Int(sockets[index].key.station)].synAckRetries else {
                return close(index)
            }
            resendHandshake(index, isAnswer: true)
        case .finWait2: close(index)
        case .abandoned, .datagram: break
        default:
            guard sockets[index].sendUnacked != sockets[index].sendHighest else { return }
            let limit =
                sockets[index].isOrphan
                ? TCPNumbers.orphanRetries : dataRetries(index)
            guard retries < limit else { return fail(index, .timeout) }
            sockets[index].retransmits = retries + 1
            reduceWindow(index, to: 1)
            // Everything behind the first segment is sent again as acknowledgments come.
            sockets[index].sendNext = sockets[index].sendUnacked
            retransmitFirst(index)
            sockets[index].sendNext = firstSegmentEnd(index)
            sockets[index].deadline = now + timeout(index)
        }
    }

    private func dataRetries(_ index: UInt32) -> UInt8 {
        let workload = sockets[index].exchange.workload
        if workload != .max, workloads[Int(workload)].flow.flow.retry.syn == .none { return 0 }
        return facts[Int(sockets[index].key.station)].dataRetries
    }

    private mutating func resendHandshake(_ index: UInt32, isAnswer: Bool) {
        sockets[index].retransmits += 1
        let station = Int(sockets[index].key.station)
        // A listener's answers double their pause from the first on.
        let linear = isAnswer ? 0 : facts[station].synLinearTimeouts
        let doublings = sockets[index].retransmits - min(sockets[index].retransmits, linear)
        sockets[index].deadline = handshakeDeadline(
            station,
            after: min(TCPNumbers.firstTimeout << UInt64(doublings), TCPNumbers.longestTimeout))
        sendSYN(index, isAnswer: isAnswer)
    }

    private func firstSegmentEnd(_ index: UInt32) -> UInt32 {
        let start = sockets[index].sendUnacked
        let left = sockets[index].sendEnd &- start
        if Int32(bitPattern: left) <= 0 { return sockets[index].sendHighest }
        return start &+ min(segmentByteCount(index), left)
    }

    private mutating func retransmitFirst(_ index: UInt32) {
        let start = sockets[index].sendUnacked
        let left = sockets[index].sendEnd &- start
        sockets[index].sentAt = 0  // What is sent twice is not measured.
        let workload = sockets[index].exchange.workload
        if workload != .max { workloads[Int(workload)].stats.retransmittedSegments &+= 1 }
        if Int32(bitPattern: left) > 0 {
            sendData(index, at: start, min(segmentByteCount(index), left), [.ack, .psh])
        } else {
            sendData(index, at: start, 0, [.fin, .ack])
        }
    }
}
